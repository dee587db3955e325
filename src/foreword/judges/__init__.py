"""Judges: who decides whether a reply refuses, and how far to trust them.

Every judge reads only what the model added to the prefix (design rule 4) and
may say UNDECIDED. `agreement` measures a judge against labels people gave.
"""
