"""All commands, registered on the app in the order of --help."""

from foreword.cli.app import app
from foreword.cli import (
    quickstart,
    train,
    safe_lora,
    evaluate,
    compare,
    search,
    serve,
    check,
    doctor,
    models,
)

__all__ = [
    "app",
    "check",
    "compare",
    "doctor",
    "evaluate",
    "models",
    "quickstart",
    "safe_lora",
    "search",
    "serve",
    "train",
]
