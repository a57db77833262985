"""A space written by hand: choices, and the rules that they set, switch on or leave out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dropsmith.errors import SearchError, did_you_mean, excerpt
from dropsmith.files import check
from dropsmith.instances import check_type
from dropsmith.pattern_search.spaces.schemas import StoredPart
from dropsmith.pattern_search.spaces.space import (
    Choice,
    Space,
    Tokens,
    Value,
    check_choices,
    check_values,
)
from dropsmith.patterns import Pattern
from dropsmith.plans import Plan, Rule, rule_from_json

Pairs = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Part:
    """A rule that is in a plan under a condition, with settings that choices decide.

    Args:
        rule: where ← what.
        sets: pairs of a setting of its pattern and the choice that decides it.
        when: pairs of a choice and the value it must have; without any, the rule is always in.
    """

    rule: Rule
    sets: tuple[tuple[str, str], ...] = ()
    when: Pairs = ()

    def __post_init__(self) -> None:
        check_type("rule", self.rule, Rule, "a rule, such as rule('hidden', Bernoulli(rate=0.1))")
        for name, pairs in (("sets", self.sets), ("when", self.when)):
            check_values(name, pairs, tuple)
            if not all(len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
                raise SearchError(f"{name} is pairs of a name and a value, got {excerpt(pairs)}")

    def rule_for(self, values: Mapping[str, Value]) -> Rule | None:
        """The rule for these choices, or None where it is left out."""
        if any(values[name] != value for name, value in self.when):
            return None
        settings: dict[str, Any] = {setting: values[name] for setting, name in self.sets}
        return replace(self.rule, pattern=replace(self.rule.pattern, **settings))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `part_from_json` makes an equal part."""
        pairs = {"sets": [list(p) for p in self.sets], "when": [list(p) for p in self.when]}
        return {"rule": self.rule.to_json()} | {name: pair for name, pair in pairs.items() if pair}


def part(
    rule: Rule,
    *,
    sets: Mapping[str, str] | None = None,
    when: Mapping[str, Value] | None = None,
) -> Part:
    """A `Part` whose settings and conditions are mappings.

    >>> from dropsmith.patterns import Bernoulli
    >>> from dropsmith.plans import rule
    >>> part(rule("hidden", Bernoulli(rate=0.1)), sets={"rate": "hidden.rate"}).sets
    (('rate', 'hidden.rate'),)
    """
    for name, values in (("sets", sets), ("when", when)):
        check_type(name, values, (Mapping, type(None)), "a mapping whose keys are texts, or None")
        for key in values or {}:
            check_type(f"each key of {name}", key, str, "a text")
    return Part(rule, tuple((sets or {}).items()), tuple((when or {}).items()))


@dataclass(frozen=True)
class ListedSpace(Space):
    """Choices, and the parts of a plan that they decide.

    >>> from dropsmith.patterns import Bernoulli
    >>> from dropsmith.plans import rule
    >>> rate = Choice("hidden.rate", (0.1, 0.5))
    >>> hidden = part(rule("hidden", Bernoulli(rate=0.1)), sets={"rate": "hidden.rate"})
    >>> ListedSpace((rate,), (hidden,)).plan((1,)).rules
    (rule('hidden', Bernoulli(rate=0.5)),)

    Args:
        choices: what is decided.
        parts: what of a plan each decision means, in the order of the plan's rules.

    Raises:
        SearchError: a part names a choice or a setting that does not exist.
        PatternError: a value of a choice is none that the pattern takes.
    """

    choices: tuple[Choice, ...]
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        check_choices(self.choices)
        check_values("parts", self.parts, Part)
        choices = {choice.name: choice for choice in self.choices}
        for part in self.parts:
            for name in [name for _, name in part.sets] + [name for name, _ in part.when]:
                if name not in choices:
                    raise SearchError(
                        f"no choice is called {excerpt(name)}" + did_you_mean(name, choices)
                    )
            _check_part(part, choices)

    def plan(self, tokens: Tokens) -> Plan:
        """The rules that these tokens leave in, with their settings."""
        values = self.describe(tokens)
        rules = (part.rule_for(values) for part in self.parts)
        return Plan(*(rule for rule in rules if rule is not None))

    def settings(self) -> dict[str, Any]:
        """The parts, as JSON values."""
        return {"parts": [part.to_json() for part in self.parts]}


def listed_from_json(values: dict[str, Any], choices: tuple[Choice, ...]) -> ListedSpace:
    """The space whose choices were read from the same JSON object."""
    return ListedSpace(choices, tuple(part_from_json(part) for part in values["parts"]))


def part_from_json(values: dict[str, Any], patterns: tuple[type[Pattern], ...] = ()) -> Part:
    """The part in a JSON object; `patterns` are classes of yours that it may name."""
    check(values, StoredPart, SearchError)
    sets, when = (
        tuple((str(first), second) for first, second in values.get(name, ()))
        for name in ("sets", "when")
    )
    return Part(rule_from_json(values["rule"], patterns), sets, when)


def _check_part(part: Part, choices: Mapping[str, Choice]) -> None:
    """Make the pattern with every value it may be given, so that a search cannot fail on part."""
    for setting, name in part.sets:
        if setting not in {field.name for field in fields(part.rule.pattern)}:
            kind = type(part.rule.pattern).__name__
            raise SearchError(f"{kind} has no setting {excerpt(setting)}")
        for value in choices[name].values:
            settings: dict[str, Any] = {setting: value}
            replace(part.rule.pattern, **settings)
    for name, value in part.when:
        check_type(f"{name} in when", value, (int, float, str), "a number, a text or a bool")
        if value not in choices[name].values:
            raise SearchError(
                f"{excerpt(name)} is never {excerpt(value)}\n  part of: "
                f"{excerpt(choices[name].values)}"
            )
