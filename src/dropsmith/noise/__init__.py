"""Noise: a plan installed on a model, and the state from which masks are drawn."""

from dropsmith.noise.between_layers import layer_by_layer
from dropsmith.noise.draw_keys import DrawKeys
from dropsmith.noise.find_sites import sites
from dropsmith.noise.forward_pass import PREDICTION, ForwardPass, in_backward
from dropsmith.noise.growing_sequence import GrowthTrace, HeldMasks
from dropsmith.noise.install import assign_rules, install, remove
from dropsmith.noise.lookup import (
    INSTALLATION,
    Installation,
    all_noise,
    find_noise,
    installation_of,
    installations,
    name_within,
    noise_of,
    plan_of,
    step,
)
from dropsmith.noise.native_hooks import KeyedDropout
from dropsmith.noise.noise_slots import NoiseSlot, inner_noise_of
from dropsmith.noise.own_draws import OwnDraws, own_draws
from dropsmith.noise.plan_suspended import plan_suspended
from dropsmith.noise.probe_layout import evaluating
from dropsmith.noise.probing import state_unchanged
from dropsmith.noise.row_layout import (
    RowAxes,
    axes_said,
    forget_layouts,
    layout_of,
    model_state,
    structure_version,
)
from dropsmith.noise.rule_checks import check_rules_ran, watch_loading
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.noise.skipping import (
    branch_drop_rate,
    depth_attribute,
    depth_pattern,
    depth_rate,
    layer_drop_disabled,
    layer_drop_rate,
    may_be_skipped,
    skipped_layers,
)
from dropsmith.noise.state import ATTRIBUTE, Noise
from dropsmith.noise.static_sites import owner_module, possible_calls, static_sites
from dropsmith.noise.torch_calls import Calls, call_kind
from dropsmith.noise.transfer import LayerNames, transfer_rules
from dropsmith.noise.turns import taking_turns, turn

__all__ = [
    "ATTRIBUTE",
    "INSTALLATION",
    "PREDICTION",
    "Calls",
    "DrawKeys",
    "ForwardPass",
    "GrowthTrace",
    "HeldMasks",
    "Installation",
    "KeyedDropout",
    "LayerNames",
    "Noise",
    "NoiseSlot",
    "OwnDraws",
    "RowAxes",
    "SiteNoise",
    "all_noise",
    "assign_rules",
    "axes_said",
    "branch_drop_rate",
    "call_kind",
    "check_rules_ran",
    "depth_attribute",
    "depth_pattern",
    "depth_rate",
    "evaluating",
    "find_noise",
    "forget_layouts",
    "in_backward",
    "inner_noise_of",
    "install",
    "installation_of",
    "installations",
    "layer_by_layer",
    "layer_drop_disabled",
    "layer_drop_rate",
    "layout_of",
    "may_be_skipped",
    "model_state",
    "name_within",
    "noise_of",
    "own_draws",
    "owner_module",
    "plan_of",
    "plan_suspended",
    "possible_calls",
    "remove",
    "sites",
    "skipped_layers",
    "state_unchanged",
    "static_sites",
    "step",
    "structure_version",
    "taking_turns",
    "transfer_rules",
    "turn",
    "watch_loading",
]
