"""The outputs of a model that a prediction is made of: what they are, and where they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor, nn

from dropsmith.errors import NoiseError, ViewError, excerpt
from dropsmith.numbers import is_count
from dropsmith.passes import Scores, check_scores, logits_of
from dropsmith.prediction.kinds import PredictionKind, checked_kind, stated_kind
from dropsmith.prediction.readings import Spread

Name = str | int
"""The name of an output: a key, an attribute, or the place in a tuple."""

Parts = tuple[Tensor, ...]
"""The scores of all outputs: of each those of its parts, in order."""

Places = Scores | Mapping[str, Scores]
"""The place of an output; of a gaussian one those of its parts, by the names of these."""

_SPREADS: tuple[Spread, ...] = get_args(Spread)
_PARTS = f"scores={{'mean': ..., {_SPREADS[1]!r}: ...}}"


@dataclass(frozen=True, kw_only=True)
class Head:
    """One output of a model.

    Args:
        name: of the output; None where it is the only one.
        kind: of its scores.
        places: of its scores in what the model returns, or of its parts; None for the usual one.
        spread: what the second part of a gaussian output is.
        quantiles: of a quantile output, in order.
        class_axis: the dimension of the classes or quantiles, where somebody says it.
    """

    name: Name | None = None
    kind: PredictionKind = "classification"
    places: tuple[Scores | None, ...] = (None,)
    spread: Spread | None = None
    quantiles: tuple[float, ...] = ()
    class_axis: int | None = None

    def parts(self, output: Any) -> Parts:
        """The scores in what a model returned.

        Raises:
            ViewError: they are not there, or cannot be told from another tensor.
            NoiseError: they are no floating numbers.
        """
        if self.places == (None,):
            if type(output) is Tensor and output.is_floating_point():
                return (output,)  # of each sample in turn, so that a shortcut counts
            _check_clear(output)
        parts = tuple(logits_of(output, place) for place in self.places)
        for part in parts:
            if not part.is_floating_point():
                raise NoiseError(
                    f"scores are floating numbers, and those of this model are {part.dtype}\n"
                    "  say where its scores are: predict(..., scores=...)"
                )
        return parts


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """The arguments of `predict` that say what a model's outputs are, as they are given."""

    kind: Any = None
    scores: Any = None
    class_axis: Any = None
    quantiles: Any = None

    def heads(self, model: nn.Module) -> tuple[Head, ...]:
        """The outputs of a model; several where a kind is given for each by its name.

        Raises:
            NoiseError: an option is not what it should be.
            ViewError: no place in an output can be meant.
        """
        if not isinstance(self.kind, Mapping):
            return (self._head(model, None, self.kind, self.scores, self.class_axis),)
        if not self.kind or not all(_is_name(name) for name in self.kind):
            raise NoiseError(
                "kind is a word, or a word for each output by its name or place, got "
                f"{excerpt(self.kind)}"
            )
        return tuple(
            self._head(model, name, kind, self._of("scores", name, name), self._axis(name))
            for name, kind in self.kind.items()
        )

    def _head(self, model: nn.Module, name: Name | None, kind: Any, scores: Any, axis: Any) -> Head:
        if kind is None:
            stated = stated_kind(model) if scores is None else None
            kind = stated or "classification"
        kind = checked_kind(kind)
        if axis is not None and not is_count(axis, -64, 64):
            raise NoiseError(
                f"class_axis is the number of a dimension of the scores, got {excerpt(axis)}"
            )
        spread, places = _places(kind, scores)
        quantiles = _quantiles(self.quantiles) if kind == "quantile" else ()
        return Head(
            name=name,
            kind=kind,
            places=places,
            spread=spread,
            quantiles=quantiles,
            class_axis=axis,
        )

    def _of(self, option: str, name: Name, default: Any) -> Any:
        """What an option says of one output of several."""
        values = getattr(self, option)
        if values is None:
            return default
        if not isinstance(values, Mapping):
            raise NoiseError(
                f"kind names several outputs, so {option} names them too, got {excerpt(values)}\n"
                f"  write {option}={{{name!r}: ...}}"
            )
        if unknown := [key for key in values if key not in self.kind]:
            raise NoiseError(
                f"{option} names the output {excerpt(unknown[0])}, which kind does not name\n"
                f"  kind names: {', '.join(map(str, self.kind))}"
            )
        return values.get(name, default)

    def _axis(self, name: Name) -> Any:
        return self._of("class_axis", name, None)


def _is_name(name: object) -> bool:
    return isinstance(name, str) or is_count(name, -64)


def _places(kind: PredictionKind, scores: Any) -> tuple[Any, tuple[Any, ...]]:
    if kind != "gaussian":
        check_scores(scores)
        return None, (scores,)
    parts = scores if isinstance(scores, Mapping) else {}
    spread = next((word for word in _SPREADS if word in parts), None)
    if spread is None or set(parts) != {"mean", spread}:
        raise NoiseError(
            "a gaussian output has a mean and a spread, and which is which is said by name, got "
            f"scores={excerpt(scores)}\n  write {_PARTS}, with the places of both; the second is "
            f"{', '.join(_SPREADS[:-1])} or {_SPREADS[-1]}"
        )
    for place in parts.values():
        check_scores(place)
    return spread, (parts["mean"], parts[spread])


def _quantiles(quantiles: Any) -> tuple[float, ...]:
    is_list = isinstance(quantiles, Sequence) and not isinstance(quantiles, str)
    levels: tuple[Any, ...] = tuple(quantiles) if is_list else ()
    if not levels or not all(isinstance(q, float) and 0 < q < 1 for q in levels):
        raise NoiseError(
            'kind="quantile" takes the quantiles that the model predicts, in order, each between '
            f"0 and 1, got quantiles={excerpt(quantiles)}\n  write quantiles=(0.05, 0.5, 0.95)"
        )
    return levels


def _check_clear(output: Any) -> None:
    """Raise `ViewError` where a tuple holds several tensors that may all be the scores."""
    if not isinstance(output, tuple | list) or hasattr(output, "logits"):
        return
    tensors = [
        (place, part)
        for place, part in enumerate(output)
        if isinstance(part, Tensor) and part.is_floating_point() and part.ndim
    ]
    alike = [place for place, part in tensors if part.shape == tensors[0][1].shape]
    if len(alike) > 1:
        raise ViewError(
            f"the model returned {len(alike)} tensors of shape {tuple(tensors[0][1].shape)}, and "
            f"which of them is the scores cannot be told\n  say it: scores={alike[0]} or "
            f"scores={alike[1]}; or a prediction of each: "
            f'kind={{{alike[0]}: "classification", {alike[1]}: "regression"}}'
        )
