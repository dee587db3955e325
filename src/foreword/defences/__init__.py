"""Defences: whatever turns a model into a safer model.

A guard is data (what to say first, to whom, with what proof); a GuardedModel
is a model that wraps a model, so search, evaluation and gateway need no
special case for it. Most others only change words (`rewrites`), guardrails look
at what is asked and said; `registry` knows them all by name.
"""
