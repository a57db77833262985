"""What is dropped: frozen values that draw masks from a key."""

from dropsmith.patterns._pattern import Pattern
from dropsmith.patterns._schedule import Schedule
from dropsmith.patterns.bernoulli import Bernoulli
from dropsmith.patterns.native import Native, Off

__all__ = ["Bernoulli", "Native", "Off", "Pattern", "Schedule"]
