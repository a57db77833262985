"""A plan is an ordered list of rules; it is written by hand, stored in checkpoints and printed."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from dropsmith.errors import PlanError, excerpt
from dropsmith.files import write_text
from dropsmith.instances import checked_path, wrong_instance
from dropsmith.patterns import Pattern, with_present_names
from dropsmith.plans.library import values_at
from dropsmith.plans.rule import Rule, rule_from_json

if TYPE_CHECKING:
    from dropsmith.noise import LayerNames

FORMAT, VERSION = "dropsmith.plan", 2


READABLE = (1, 2)
"""Version 1 has no `calls` in its rules."""


@dataclass(frozen=True, init=False)
class Plan:
    """An ordered list of rules. If several rules select a site, the last one counts.

    >>> from dropsmith.patterns import Bernoulli
    >>> from dropsmith.plans import rule
    >>> plan = Plan(rule("hidden", Bernoulli(rate=0.5)))
    >>> Plan.from_json(plan.to_json()) == plan
    True
    """

    rules: tuple[Rule, ...]

    def __init__(self, *rules: Rule) -> None:
        for rule in rules:
            if not isinstance(rule, Rule):
                raise wrong_instance(PlanError, "a plan holds rules", rule, _RULE, _rule_line(rule))
        object.__setattr__(self, "rules", rules)

    def __add__(self, other: "Plan") -> "Plan":
        check_plan(other, "plan + other takes a plan")
        return Plan(*self.rules, *other.rules)

    def __repr__(self) -> str:
        lines = "".join(f"\n    {rule!r}," for rule in self.rules)
        return f"Plan({lines}\n)" if lines else "Plan()"

    def install(self, model: nn.Module, batch: Any = None, *, seed: int = 0, rank: int = 0) -> None:
        """Install the plan on a model, whose parameters and state-dict keys do not change.

        Two numbers count the model's forwards. They are not in its state dict.

        Args:
            model: the root module whose forwards count steps.
            batch: an example input of the model. With it the axes of every site are checked, and a
                rule for a functional call that does not exist is an error now and not at the
                first forward.
            seed: of the masks.
            rank: the number of the process in distributed training; each rank draws its own masks.

        Raises:
            SiteError: a rule matches no site, or (at the first forward) sites that never run.
            PlanError: the model has a plan already.
        """
        from dropsmith.noise import install

        check_plan(self, "Plan.install is called on a plan")
        install(model, self.rules, batch, seed, rank)

    def remove(self, model: nn.Module) -> None:
        """Remove the plan; the model is then as it was before `install`, bit for bit."""
        from dropsmith.noise import installation_of, remove, turn

        check_plan(self, "Plan.remove is called on a plan")
        with turn:  # or the plan of another thread's prediction would be seen
            installation = installation_of(model)
            if installation is not None and installation.rules != self.rules:
                raise PlanError(
                    "another plan is installed on this model\n"
                    + Plan(*installation.rules).diff(self)
                    + "\n  to take off the one that is there: "
                    "dropsmith.plan_of(model).remove(model)"
                )
            remove(model)

    @contextmanager
    def installed(
        self, model: nn.Module, batch: Any = None, *, seed: int = 0, rank: int = 0
    ) -> Iterator[nn.Module]:
        """Install the plan for the duration of a `with` block."""
        self.install(model, batch, seed=seed, rank=rank)
        try:
            yield model
        finally:
            self.remove(model)

    def transfer(
        self,
        model: nn.Module,
        batch: Any,
        *,
        source: nn.Module | None = None,
        names: "LayerNames | None" = None,
    ) -> "Plan":
        """Adapt the plan to another model: wider, deeper, or for another task.

        Rules keep their patterns and their order. A rule for one layer applies to the layers at the
        same relative depth: several in a deeper model, and in a shallower one only some rules have
        a layer. A rule that fits nowhere is an error. The method is this library's own, see
        `dropsmith.noise.transfer`.

        >>> import torch
        >>> from dropsmith.patterns import Bernoulli
        >>> from dropsmith.plans import rule
        >>> small, large = (nn.Sequential(*(nn.Linear(4, 4) for _ in range(n))) for n in (2, 4))
        >>> plan = Plan(rule("0", Bernoulli(rate=0.1)), rule("1", Bernoulli(rate=0.3)))
        >>> [(rule.selector.name, rule.pattern.rate)
        ...  for rule in plan.transfer(large, torch.ones(2, 4), source=small).rules]
        [('0', 0.1), ('1', 0.1), ('2', 0.3), ('3', 0.3)]

        Args:
            model: the model for which the plan is adapted.
            batch: an example input of `model`.
            source: the model that the plan was made for, to count its layers; without it, layers
                keep their numbers.
            names: parts of names in `source`, and the corresponding ones in `model`, as in
                `{"blocks": ("encoder.layers", "decoder.layers")}`.

        Raises:
            PlanError: rules do not fit. It lists them with the reason: no such site, a site of
                another kind or with other axes, or a size larger than the map.
        """
        from dropsmith.noise import transfer_rules

        check_plan(self, "Plan.transfer is called on a plan")
        return Plan(*transfer_rules(self.rules, model, batch, source, names))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` makes an equal plan."""
        rules = [with_present_names(rule.to_json()) for rule in self.rules]
        return {"format": FORMAT, "version": VERSION, "rules": rules}

    def for_records(self) -> dict[str, Any]:
        """The JSON object in the configuration of a run: of version 1 if that can express the plan.

        Ids of records are hashes of it, so ids of older records stay the same.
        """
        version = 2 if any(rule.calls != "each" for rule in self.rules) else 1
        return {
            "format": FORMAT,
            "version": version,
            "rules": [rule.to_json() for rule in self.rules],
        }

    @classmethod
    def from_json(cls, values: Any, patterns: Sequence[type[Pattern]] = ()) -> "Plan":
        """The plan in a JSON object; `patterns` are your own classes that it may name."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise PlanError(f"not a plan: its format is not {FORMAT!r}")
        if values.get("version") not in READABLE or isinstance(values["version"], bool):
            raise PlanError(
                f"a plan of version {excerpt(values.get('version'))}; read here are "
                + " and ".join(map(str, READABLE))
            )
        if not isinstance(values.get("rules"), list):
            raise PlanError("not a plan: it has no list of rules")
        if unknown := set(values) - {"format", "version", "rules"}:
            raise PlanError(f"a plan has no field {excerpt(min(unknown, key=str))}")
        return cls(*(_numbered(*pair, patterns) for pair in enumerate(values["rules"])))

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON, one rule a line."""
        rules = ",\n".join("  " + json.dumps(rule) for rule in self.to_json()["rules"])
        head = f'{{"format": "{FORMAT}", "version": {VERSION}, "rules": ['
        write_text(
            checked_path("path", path), f"{head}\n{rules}\n]}}\n" if rules else f"{head}]}}\n"
        )

    @classmethod
    def load(cls, source: str | Path, patterns: Sequence[type[Pattern]] = ()) -> "Plan":
        """Load a plan from a file, by name, or from the Hub. Loading runs no code.

        Args:
            source: a path; the name of a plan that comes with dropsmith (`plans.learned_plans()`
                lists them); or `hf://USER/REPO/plan.json`, with `@REVISION` after `REPO` where
                wanted.
            patterns: your own classes that the plan may name.

        Raises:
            PlanError: there is no such plan; it names the places that were searched.
            DataError: the Hub cannot be reached, or holds no such file.
        """
        checked_path("source", source)
        values = values_at(source)
        try:
            return cls.from_json(values, patterns)
        except ValueError as error:
            raise PlanError(f"cannot read a plan from {source}\n  {error}") from None

    def diff(self, other: "Plan") -> str:
        """The changes from this plan to the other, rule by rule, in the form of `diff`."""
        check_plan(other, "plan.diff takes a plan")
        rules, other_rules = ([repr(rule) for rule in plan.rules] for plan in (self, other))
        return "\n".join(
            difflib.unified_diff(rules, other_rules, "this", "other", lineterm="", n=1)
        )


_RULE = {"rule": 'rule(select(kind="dropout"), Bernoulli(rate=0.1))'}
_PLAN = {"Plan": f"Plan({_RULE['rule']})"}
"""Lines to type, for errors."""


def check_plan(plan: object, sentence: str) -> None:
    """Raise `PlanError` unless a value is a plan.

    >>> check_plan("best.json", "predict takes a plan, or None")
    Traceback (most recent call last):
    dropsmith.errors.PlanError: predict takes a plan, or None, but the string 'best.json' was given
      write Plan.load('best.json')

    Args:
        plan: the value.
        sentence: what takes a plan, as the error says it.
    """
    if not isinstance(plan, Plan):
        raise wrong_instance(PlanError, sentence, plan, _PLAN, _plan_line(plan))


def _plan_line(value: object) -> str | None:
    """The line that makes a plan of a value that nearly is one."""
    if isinstance(value, str | Path) and len(str(value)) < 80:
        return f"Plan.load({str(value)!r})"
    if isinstance(value, Mapping):
        return "Plan.from_json(values)"
    if isinstance(value, list | tuple):
        return "Plan(*rules)"
    if isinstance(value, Rule):
        return f"Plan({excerpt(value)})"
    return f"Plan({line})" if (line := _rule_line(value)) is not None else None


def _rule_line(value: object) -> str | None:
    """The line that makes a rule of a value that nearly is one, or gives several rules."""
    if isinstance(value, list | tuple):
        return "Plan(*rules)"
    if isinstance(value, Plan):
        return "plan + other"
    is_pattern = isinstance(value, Pattern)
    return f'rule(select(kind="dropout"), {excerpt(value)})' if is_pattern else None


def _numbered(index: int, values: Any, patterns: Sequence[type[Pattern]]) -> Rule:
    try:
        return rule_from_json(values, patterns)
    except ValueError as error:
        raise PlanError(f"rule {index + 1}: {error}") from None
