"""The command line: it parses arguments, calls the library and prints results."""

from dropsmith.cli._app import main

__all__ = ["main"]
