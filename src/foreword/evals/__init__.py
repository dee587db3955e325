"""Evaluation is Inspect: tasks, solver, scorer, model provider and sandbox for `inspect eval`.

`protocol` and `figures` need no Inspect at import; everything that does is
imported late, so that `import foreword` stays light.
"""
