"""Plans of the papers on recurrent dropout, for `RecurrentLM` and models built like it.

A rate of 0 leaves its rule out: off means gone.
"""

from collections.abc import Iterable

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.patterns import Bernoulli, DropConnect, WordDropout
from dropsmith.plans import Plan, Rule, Selector, Sharing, rule, select

GROUPS = ("words", "input", "weights", "output")
"""The four kinds of mask of Fraternal Dropout's one-layer model: its code's e, i, w and o."""


def naive_plan(
    *, input: float = 0.0, between: float = 0.0, output: float = 0.0, layers: int = 2
) -> Plan:
    """New masks at every step, and none on the recurrent state (Zaremba et al., 2014).

    >>> naive_plan(input=0.5, output=0.5).rules
    (rule('layers.0.input', Bernoulli(rate=0.5)), rule('top', Bernoulli(rate=0.5)))

    Args:
        input: rate of what enters the first layer.
        between: rate of what enters each later one.
        output: rate of what the scores are made from.
        layers: how many layers the model has.
    """
    return Plan(
        *_on("layers.0.input", Bernoulli(rate=input)),
        *_on(_later_inputs(layers), Bernoulli(rate=between)),
        *_on("top", Bernoulli(rate=output)),
    )


def variational_plan(
    *,
    words: float = 0.0,
    input: float = 0.0,
    recurrent: float = 0.0,
    output: float = 0.0,
    tied: bool = False,
) -> Plan:
    """One mask for all steps of a sequence, on every part (Gal & Ghahramani, 2016, section 4).

    >>> variational_plan(recurrent=0.3, tied=True).rules
    (rule('layers.*.recurrent_l0', Bernoulli(rate=0.3, shared='time gate')),)

    Args:
        words: rate of word types, dropped anew in each sequence: the paper's p_x.
        input: rate of what enters each layer: p_i.
        recurrent: rate of each layer's state on its way back: p_h.
        output: rate of what the scores are made from: p_o.
        tied: whether the gates of a layer share one mask, or have one each. This has nothing to
            do with a head that is tied to the embedding.
    """
    sharing = "time gate" if tied else "time"
    return Plan(
        *_on("embedding", WordDropout(rate=words)),
        *_on("layers.*.input_l0", Bernoulli(rate=input, shared=sharing)),
        *_on("layers.*.recurrent_l0", Bernoulli(rate=recurrent, shared=sharing)),
        *_on("top", Bernoulli(rate=output, shared="time")),
    )


def awd_plan(
    *,
    words: float = 0.1,
    input: float = 0.4,
    between: float = 0.25,
    weights: float = 0.5,
    output: float = 0.4,
    layers: int = 3,
) -> Plan:
    """AWD-LSTM's (Merity et al., 2018): rows of the table, locked masks, recurrent weights.

    >>> for one in awd_plan().rules:
    ...     print(one)
    rule('embedding', WordDropout(rate=0.1, per='table'))
    rule('layers.0.input', Bernoulli(rate=0.4, shared='time'))
    rule(select('layers.*.input', depth=(1, 3)), Bernoulli(rate=0.25, shared='time'))
    rule('layers.*.weight_hh_l0', DropConnect(rate=0.5))
    rule('top', Bernoulli(rate=0.4, shared='time'))

    Args:
        words: rate of the embedding's rows, dropped for the batch as a whole: its `dropoute`.
        input: rate of what enters the first layer: `dropouti`.
        between: rate of what enters each later one: `dropouth`.
        weights: rate of each layer's recurrent weights: `wdrop`.
        output: rate of what the scores are made from: `dropout`.
        layers: how many layers the model has.
    """
    return Plan(
        *_on("embedding", WordDropout(rate=words, per="table")),
        *_on("layers.0.input", Bernoulli(rate=input, shared="time")),
        *_on(_later_inputs(layers), Bernoulli(rate=between, shared="time")),
        *_on("layers.*.weight_hh_l0", DropConnect(rate=weights)),
        *_on("top", Bernoulli(rate=output, shared="time")),
    )


def fraternal_plan(
    *,
    words: float = 0.1,
    input: float = 0.65,
    weights: float = 0.5,
    output: float = 0.4,
    shared: Iterable[str] = (),
) -> Plan:
    """The one-layer model of Fraternal Dropout (Zolna et al., 2018): new masks at every step.

    >>> fraternal_plan(shared=["weights"]).rules[2]
    rule('layers.0.weight_hh_l0', DropConnect(rate=0.5), views='shared')

    Args:
        words: rate of the embedding's rows, dropped for the batch as a whole: the code's e.
        input: rate of what enters the layer: i.
        weights: rate of the recurrent weights: w.
        output: rate of what the scores are made from: o.
        shared: which of these four both views share, as `same_mask_e`, `_i`, `_w` and `_o` do.

    Raises:
        TaskError: `shared` names none of the four.
    """
    views = _sharing(tuple(shared))
    return Plan(
        *_on("embedding", WordDropout(rate=words, per="table"), views["words"]),
        *_on("layers.0.input", Bernoulli(rate=input), views["input"]),
        *_on("layers.0.weight_hh_l0", DropConnect(rate=weights), views["weights"]),
        *_on("top", Bernoulli(rate=output), views["output"]),
    )


def _on(
    target: str | Selector, pattern: Bernoulli | WordDropout | DropConnect, views: Sharing = "fresh"
) -> list[Rule]:
    return [rule(target, pattern, views=views)] if pattern.rate else []


def _later_inputs(layers: int) -> Selector:
    return select("layers.*.input", depth=(1, layers))


def _sharing(shared: tuple[str, ...]) -> dict[str, Sharing]:
    for name in shared:
        if name not in GROUPS:
            raise TaskError(
                f"no masks are called {excerpt(name)}\n  there are: {', '.join(GROUPS)}"
                + did_you_mean(name, GROUPS)
            )
    return {name: "shared" if name in shared else "fresh" for name in GROUPS}
