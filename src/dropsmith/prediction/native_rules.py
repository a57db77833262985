"""The noise a model already has, written as a plan: every native site at the rate it declares."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor, nn

from dropsmith.errors import NoiseError
from dropsmith.instances import check_model
from dropsmith.noise import Installation, SiteNoise
from dropsmith.patterns import Bernoulli, TorchDropout
from dropsmith.plans import Assignment, Plan, Rule, rule
from dropsmith.prediction.native_dropout import Calls, NativeCall, native_calls


def native_plan(model: nn.Module, batch: Any) -> Plan:
    """The model's own noise as a plan: a rule for each native site that drops, at its own rate.

    Masks are drawn by key, so they come back; whole channels stay whole (`nn.Dropout2d` and its
    like). What has no mask to multiply by (alpha dropout, a dropout class of the user's, the
    layers of an LSTM fed with packed sequences) keeps torch's own draw. Sites that declare rate 0
    or never run have no rule. The model is run in train mode, without gradients or traces.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 2))
    >>> native_plan(net, torch.ones(3, 4))
    Plan(
        rule('1', Bernoulli(rate=0.2)),
    )

    Args:
        model: any module.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.

    Raises:
        NoiseError: calls of one site differ, which a rule cannot say. `predict` takes such models.
    """
    check_model(model)
    calls = native_calls(model, batch)
    for name, several in sites_of_several_patterns(calls).items():
        raise NoiseError(
            f"site {name!r} drops differently from call to call, and a rule has one pattern\n"
            f"  its calls: {', '.join(repr(call.pattern) for call in several)}"
        )
    return Plan(*native_rules(calls))


def native_rules(calls: Calls) -> list[Rule]:
    """A rule for each native site that drops; where its calls differ, that of the highest rate."""
    noisiest = {name: max(of_site, key=lambda c: c.rate) for name, of_site in calls.items()}
    return [rule(name, c.pattern, axes=c.axes) for name, c in noisiest.items() if c.rate]


def native_assignments(installation: Installation, count: int) -> list[Assignment]:
    """The sites at which the first rules of an installation decide, those of native noise.

    Args:
        installation: what is on the model.
        count: how many of its rules are those of native noise.
    """
    # A rule of the user's may equal one of them.
    rules = {id(rule) for rule in installation.rules[:count]}
    return [a for a in installation.assignments if id(a.rule) in rules]


def drawn_by_key(assignments: Sequence[Assignment], calls: Calls) -> list[Assignment]:
    """A plan's assignments with `TorchDropout` drawn by key, at the sites that drop single units.

    A prediction draws the model's own dropout there by key, and so what retunes it. Whole channels,
    and noise that has no mask, stay torch's.
    """
    return [
        replace(assignment, pattern=Bernoulli(rate=assignment.pattern.rate))
        if isinstance(assignment.pattern, TorchDropout)
        and assignment.pattern.rate > 0
        and _drops_units(calls.get(assignment.site.name, ()))
        else assignment
        for assignment in assignments
    ]


def _drops_units(calls: Sequence[NativeCall]) -> bool:
    patterns = [call.pattern for call in calls if call.axes is None]
    are_plain = all(isinstance(pattern, Bernoulli) and not pattern.shared for pattern in patterns)
    return bool(calls) and len(patterns) == len(calls) and are_plain


def sites_of_several_patterns(calls: Calls) -> Calls:
    """The sites whose calls do not all drop alike."""
    return {name: of_site for name, of_site in calls.items() if len(set(of_site)) > 1}


@dataclass(eq=False)
class CallByCall(SiteNoise):
    """Noise at a site whose calls, counted within a pass, do not all drop alike."""

    calls: tuple[NativeCall, ...] = ()

    @classmethod
    def of(cls, noise: SiteNoise, calls: tuple[NativeCall, ...]) -> "CallByCall":
        """The noise of a site, each call with the pattern it declares."""
        if any(isinstance(call.pattern, TorchDropout) for call in calls):
            raise NoiseError(
                f"site {noise.site.name!r} mixes alpha dropout with calls that differ from it\n"
                "  make each a module (nn.AlphaDropout, nn.Dropout), so that each is a site"
            )
        names = [field.name for field in fields(SiteNoise) if field.init]
        return cls(**{name: getattr(noise, name) for name in names}, calls=calls)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.noises = [
            SiteNoise(self.noise, self.site, call.pattern, self.shared, call.axes, self.mask_name)
            for call in self.calls
        ]

    def drop(self, x: Tensor, module: nn.Module) -> Tensor:
        index = self.noise.current.calls.get(self.counter, 0)
        return self.noises[min(index, len(self.noises) - 1)].drop(x, module)
