"""Dropout you can plan, prove, share between passes, learn and predict with."""

from dropsmith._version import __version__
from dropsmith.errors import DropsmithError

__all__ = ["DropsmithError", "__version__"]
