"""The words of Foreword: nouns, protocols, errors, statistics and the run store.

Row 0 of the architecture. Nothing here imports another row or a heavy library.
"""
