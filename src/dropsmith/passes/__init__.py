"""Passes: several views of one batch, what they returned, and whether their noise is really on."""

from dropsmith.passes.block_views import Layers, cut_layers, seeing
from dropsmith.passes.fused_head import (
    LEAST_CLASSES,
    as_before,
    head_of,
    put_off,
    put_off_still,
    putting_off,
    why_plain,
)
from dropsmith.passes.make_views import Mode, choose, running, views
from dropsmith.passes.noise_free import Modes, noise_disabled
from dropsmith.passes.run_audit import Audit, audit
from dropsmith.passes.stacking_checks import (
    check_batch_dim_unambiguous,
    rows_first,
    warn_of_batch_norm,
)
from dropsmith.passes.trunk import Trunk, upper
from dropsmith.passes.trunk_inputs import labels_of_all_views, with_own_words
from dropsmith.passes.view_values import Views, detached, logits_of, state_of

__all__ = [
    "LEAST_CLASSES",
    "Audit",
    "Layers",
    "Mode",
    "Modes",
    "Trunk",
    "Views",
    "as_before",
    "audit",
    "check_batch_dim_unambiguous",
    "choose",
    "cut_layers",
    "detached",
    "head_of",
    "labels_of_all_views",
    "logits_of",
    "noise_disabled",
    "put_off",
    "put_off_still",
    "putting_off",
    "rows_first",
    "running",
    "seeing",
    "state_of",
    "upper",
    "views",
    "warn_of_batch_norm",
    "why_plain",
    "with_own_words",
]
