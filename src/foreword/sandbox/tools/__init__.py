"""Toy commands for inside the sandbox: `crontab` always, the others where the host lacks them."""
