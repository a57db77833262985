"""Passes: several views of one batch, their outputs, and the audit of what they dropped."""

from dropsmith.passes.augmented_views import augmented_views
from dropsmith.passes.fused_head import (
    LEAST_CLASSES,
    as_before,
    head_of,
    large_head,
    put_off,
    put_off_still,
    putting_off,
    why_plain,
)
from dropsmith.passes.make_views import make_views, views
from dropsmith.passes.noise_free import Modes, noise_disabled
from dropsmith.passes.request import MODES, Mode, ViewRequest
from dropsmith.passes.run_audit import Audit, AuditRow, audit
from dropsmith.passes.runner import ViewRun, plan_run
from dropsmith.passes.trunk import upper
from dropsmith.passes.view_values import (
    Scores,
    Views,
    check_scores,
    detach_tensors,
    has_spans,
    logits_of,
    state_of,
)

__all__ = [
    "LEAST_CLASSES",
    "MODES",
    "Audit",
    "AuditRow",
    "Mode",
    "Modes",
    "Scores",
    "ViewRequest",
    "ViewRun",
    "Views",
    "as_before",
    "audit",
    "augmented_views",
    "check_scores",
    "detach_tensors",
    "has_spans",
    "head_of",
    "large_head",
    "logits_of",
    "make_views",
    "noise_disabled",
    "plan_run",
    "put_off",
    "put_off_still",
    "putting_off",
    "state_of",
    "upper",
    "views",
    "why_plain",
]
