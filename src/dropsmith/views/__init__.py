"""How many passes over one batch, what they returned, and whether their noise is really on."""

from dropsmith.views._views import Views, logits_of
from dropsmith.views.audit import Audit, audit
from dropsmith.views.passes import views

__all__ = ["Audit", "Views", "audit", "logits_of", "views"]
