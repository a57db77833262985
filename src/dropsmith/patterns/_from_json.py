"""Patterns out of JSON, by name from a short table and from nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from torch import nn

from dropsmith.errors import DropsmithError, PatternError, did_you_mean, excerpt
from dropsmith.instances import wrong_instance
from dropsmith.patterns._pattern import Pattern
from dropsmith.patterns._schedule import NAMES_IN_RECORDS, Schedule
from dropsmith.patterns.bernoulli import Bernoulli
from dropsmith.patterns.drop_block import DropBlock
from dropsmith.patterns.drop_connect import DropConnect
from dropsmith.patterns.gaussian import Gaussian
from dropsmith.patterns.per_view import PerView
from dropsmith.patterns.schedules import CyclicRate, DepthRate, EarlyRate, LateRate, LinearRate
from dropsmith.patterns.spans import Spans
from dropsmith.patterns.stochastic_depth import StochasticDepth
from dropsmith.patterns.tiles import Tiles
from dropsmith.patterns.torch_dropout import Off, TorchDropout
from dropsmith.patterns.word_dropout import WordDropout
from dropsmith.user_code import import_advice, imported_class

PatternOrSchedule = type[Pattern] | type[Schedule]

PATTERNS: dict[str, type[Pattern]] = {
    kind.__name__: kind
    for kind in (
        Bernoulli,
        DropBlock,
        DropConnect,
        Gaussian,
        Off,
        PerView,
        Spans,
        StochasticDepth,
        Tiles,
        TorchDropout,
        WordDropout,
    )
}
SCHEDULES: dict[str, type[Schedule]] = {
    kind.__name__: kind for kind in (CyclicRate, DepthRate, EarlyRate, LateRate, LinearRate)
}
_PRESENT_NAMES = {recorded_name: name for name, recorded_name in NAMES_IN_RECORDS.items()}


def with_present_names(values: Any) -> Any:
    """JSON of patterns and schedules with the names of their classes in place of those in records.

    >>> with_present_names({"pattern": "Words", "rate": {"schedule": "Linear"}})
    {'pattern': 'WordDropout', 'rate': {'schedule': 'LinearRate'}}
    """
    if isinstance(values, list):
        return [with_present_names(value) for value in values]
    if not isinstance(values, Mapping):
        return values
    return {
        key: _PRESENT_NAMES.get(value, value)
        if key in ("pattern", "schedule") and isinstance(value, str)
        else with_present_names(value)
        for key, value in values.items()
    }


_LINES = {
    "Bernoulli": "Bernoulli(rate=0.1)",
    "dropout": "Bernoulli(rate=0.1)",
    "DropBlock": "DropBlock(rate=0.1, size=3)",
    "DropConnect": "DropConnect(rate=0.1)",
    "Gaussian": "Gaussian(rate=0.1)",
    "Off": "Off()",
    "StochasticDepth": "StochasticDepth(rate=0.1)",
    "TorchDropout": "TorchDropout(rate=0.1)",
    "WordDropout": "WordDropout(rate=0.1)",
}
"""A line to type for each pattern that has few settings, for errors."""


def check_pattern(pattern: object, error: type[DropsmithError], sentence: str) -> None:
    """Raise `error` unless a value is a pattern.

    >>> check_pattern(0.3, PatternError, "a rule takes a pattern")
    Traceback (most recent call last):
    dropsmith.errors.PatternError: a rule takes a pattern, but 0.3 was given
      write Bernoulli(rate=0.3)

    Args:
        pattern: the value.
        error: the class of error.
        sentence: what takes a pattern, as the error says it.
    """
    if isinstance(pattern, Pattern):
        return
    rate = getattr(pattern, "p", pattern) if isinstance(pattern, nn.Module) else pattern
    is_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate < 1
    advice = f"Bernoulli(rate={rate})" if is_rate else None
    if isinstance(pattern, Schedule):
        advice = f"Bernoulli(rate={pattern!r})"
    raise wrong_instance(error, sentence, pattern, _LINES, advice)


def from_json(values: Mapping[str, Any], extra: Sequence[PatternOrSchedule] = ()) -> Pattern:
    """The pattern that `Pattern.to_json` wrote.

    Reading never imports anything: names stand for the patterns and schedules of this library, for
    those you hand in, and for those of modules that have been imported, as `myfile:Stripes`.

    >>> from_json({"pattern": "Bernoulli", "rate": 0.1, "shared": "time"})
    Bernoulli(rate=0.1, shared='time')

    Args:
        values: a JSON object with the class under `pattern` and its settings.
        extra: pattern and schedule classes of your own.

    Raises:
        PatternError: a name or a setting is unknown, missing or out of range.
    """
    _check_extra(extra)
    settings = {
        name: _make("schedule", value, SCHEDULES, Schedule, extra) if _is_schedule(value) else value
        for name, value in _object(values, "pattern").items()
    }
    return _make("pattern", settings, PATTERNS, Pattern, extra)


def _check_extra(extra: Sequence[PatternOrSchedule]) -> None:
    ours: dict[str, type] = {**PATTERNS, **SCHEDULES}
    for cls in extra:
        if ours.get(cls.__name__, cls) is not cls:
            raise PatternError(
                f"extra holds another {cls.__name__!r} than this library's own\n  rename your class"
            )


def _is_schedule(value: Any) -> bool:
    return isinstance(value, Mapping) and "schedule" in value


def _object(values: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping) or not isinstance(values.get(kind), str):
        raise PatternError(
            f"not a {kind} in JSON: {excerpt(values)}\n"
            f'  it is an object that names its class: {{"{kind}": ..., "rate": ...}}'
        )
    return values


def _make(
    kind: str,
    values: Any,
    table: Mapping[str, type],
    base: type[Pattern] | type[Schedule],
    extra: Sequence[PatternOrSchedule],
) -> Any:
    settings = dict(_object(values, kind))
    name = str(settings.pop(kind))
    cls = table.get(name) or table.get(_PRESENT_NAMES.get(name, name))
    cls = cls or imported_class(name, base, extra)
    if cls is None:
        names = sorted([*table, *(cls.__name__ for cls in extra if issubclass(cls, base))])
        raise PatternError(
            f"no {kind} is called {excerpt(name)}\n  {kind}s are: {' '.join(names)}"
            + (import_advice(name) or did_you_mean(name, names) or _own_class(name))
        )
    _check_settings(cls, settings)
    return cls(**settings)


def _own_class(name: str) -> str:
    return (
        f"\n  your own class goes in extra=({name},)"
        if name.isidentifier() and len(name) < 60
        else ""
    )


def _check_settings(cls: type, settings: Mapping[str, Any]) -> None:
    options = {field.name: field for field in fields(cls) if field.init}
    for name in settings:
        if name not in options:
            raise PatternError(
                f"{cls.__name__} has no setting {excerpt(name)}\n  it has: {' '.join(options)}"
                + did_you_mean(name, options)
            )
    for name, field in options.items():
        if name not in settings and field.default is MISSING and field.default_factory is MISSING:
            raise PatternError(f"{cls.__name__} needs {name!r}\n  got: {excerpt(dict(settings))}")
