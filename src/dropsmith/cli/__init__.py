"""The command line: parse, call, print."""

from dropsmith.cli._app import main

__all__ = ["main"]
