"""How many passes over one batch, what they returned, and whether their noise is really on."""

from dropsmith.views._views import Views, detached, logits_of, state_of
from dropsmith.views.audit import Audit, audit
from dropsmith.views.passes import views

__all__ = ["Audit", "Views", "audit", "detached", "logits_of", "state_of", "views"]
