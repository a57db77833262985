"""How many passes over one batch, and what they returned."""

from dropsmith.views._views import Views, logits_of

__all__ = ["Views", "logits_of"]
