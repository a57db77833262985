"""Whatever a person gives as an argument, what is refused is refused in one sentence of ours."""

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import pytest
import torch
from optuna.storages import InMemoryStorage
from torch import nn

import dropsmith as ds
from dropsmith import (
    compare,
    learn,
    measures,
    objectives,
    pattern_search,
    patterns,
    plans,
    prediction,
    recurrent,
    tasks,
    train,
)
from dropsmith.axes import Axes
from dropsmith.errors import DropsmithError
from dropsmith.prediction import predict

SPACE = pattern_search.ListedSpace(
    (pattern_search.Choice("rate", (0.1, 0.3)),),
    (pattern_search.part(ds.rule("2", ds.Bernoulli(rate=0.1)), sets={"rate": "rate"}),),
)
RULE = ds.rule("2", ds.Bernoulli(rate=0.3))
PLAN = ds.Plan(RULE)
DIGITS = tasks.find_task("digits")


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def lstm() -> nn.Module:
    return nn.Sequential(nn.LSTM(3, 4))


def with_plan() -> nn.Module:
    model = net()
    PLAN.install(model)
    return model


def consistent_net() -> nn.Module:
    return ds.consistent(net(), ds.RDrop(alpha=1.0), loss="classification")


def writer() -> nn.Module:
    import transformers

    sizes = {"vocab_size": 8, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 1}
    config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    return transformers.GPT2LMHeadModel(config)


TOKENS = {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]])}


def score(plan: ds.Plan) -> float:
    return plan.rules[0].pattern.rate  # pyright: ignore


class Made(NamedTuple):
    """A value that each call has anew."""

    make: Callable[[], Any]


def no_change(output, arguments):
    """The next step reads what this one read."""
    return {}


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in signature(function).parameters.items()}


X = torch.linspace(-1, 1, 8).reshape(2, 4)
MODEL, BATCH = Made(net), Made(X.clone)
RATE = {"rate": 0.3}
OBJECTIVE = {"views": 2, "warmup": 0, "ramp": "linear", "every": 1, "batch_fraction": 1.0}
OBJECTIVE |= {"term_rows": "labelled", "augment": False}
SHARED = RATE | {"shared": "time"}
VIEWS = {"mode": "auto", "trunk": None, "rows": None, "scores": None}
PARTS = {"model": None, "data": None, "limit": None, "precision": "no", "start": None}


def taps(**arguments: Any) -> None:
    model = arguments["model"]
    with ds.taps(**arguments):
        model(X)


def make_local(**arguments: Any) -> None:
    pattern_search.LocalExecutor(**arguments).close()


def names(**arguments: Any) -> Any:
    return compare.pick(arguments["names"], arguments["task"])


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Bernoulli": (ds.Bernoulli, SHARED),
    "Gaussian": (ds.Gaussian, SHARED),
    "DropConnect": (ds.DropConnect, SHARED),
    "CyclicRate": (ds.CyclicRate, {"low": 0.1, "high": 0.3, "period": 5}),
    "DepthRate": (ds.DepthRate, {"first": 0.1, "last": 0.3}),
    "DropBlock": (ds.DropBlock, RATE | {"size": 3, "shared": ""}),
    "EarlyRate": (ds.EarlyRate, RATE | {"steps": 5}),
    "LateRate": (ds.LateRate, RATE | {"steps": 5}),
    "LinearRate": (ds.LinearRate, {"start": 0.1, "end": 0.3, "steps": 5}),
    "PerView": (patterns.PerView, {"rates": (0.1, 0.2), "shared": ""}),
    "Spans": (ds.Spans, {"size": 2, "stride": 2, "shared": "", "fresh": ""}),
    "StochasticDepth": (ds.StochasticDepth, RATE),
    "Tiles": (ds.Tiles, defaults(ds.Tiles) | {"size": 2, "stride": 2}),
    "TorchDropout": (ds.TorchDropout, RATE),
    "WordDropout": (ds.WordDropout, RATE | {"per": "row"}),
    "patterns.from_json": (patterns.from_json, {"values": ds.Bernoulli(rate=0.3).to_json()}),
    "ExpectationLinear": (ds.ExpectationLinear, OBJECTIVE | {"kappa": 1.0}),
    "Fraternal": (ds.Fraternal, OBJECTIVE | {"kappa": 1.0}),
    "PiModel": (ds.PiModel, OBJECTIVE | {"kappa": 1.0}),
    "LRDrop": (ds.LRDrop, defaults(ds.LRDrop)),
    "RDrop": (ds.RDrop, defaults(ds.RDrop) | {"alpha": 1.0}),
    "SquaredDistance": (
        objectives.SquaredDistance,
        defaults(objectives.SquaredDistance) | {"kappa": 1.0},
    ),
    "UDA": (ds.UDA, defaults(ds.UDA)),
    "FixMatch": (ds.FixMatch, defaults(ds.FixMatch)),
    "TwoSample": (ds.TwoSample, {"views": 2}),
    "TaskLoss": (ds.TaskLoss, {}),
    "ActivationNorm": (
        objectives.ActivationNorm,
        {"of": ds.TaskLoss(), "alpha": 1.0, "beta": 1.0},
    ),
    "objectives.from_json": (objectives.from_json, {"values": ds.RDrop(alpha=1.0).to_json()}),
    "Plan": (lambda rules: ds.Plan(rules), {"rules": RULE}),
    "Plan.from_json": (ds.Plan.from_json, {"values": PLAN.to_json()}),
    "Plan.install": (PLAN.install, {"model": MODEL, "batch": None, "seed": 0, "rank": 0}),
    "Plan.remove": (PLAN.remove, {"model": Made(with_plan)}),
    "Plan.load": (ds.Plan.load, {"source": plans.learned_plans()[0]}),
    "Rule": (ds.Rule, defaults(ds.Rule) | {"selector": ds.select("2"), "pattern": RULE.pattern}),
    "rule": (ds.rule, defaults(ds.rule) | {"selector": "2", "pattern": RULE.pattern}),
    "select": (ds.select, defaults(ds.select)),
    "audit": (ds.audit, {"model": MODEL, "batch": BATCH, "rows": None}),
    "sites": (ds.sites, {"model": MODEL, "batch": BATCH, "rows": None}),
    "views": (
        ds.views,
        VIEWS
        | {"model": MODEL, "batch": BATCH, "n": 2, "noise_free": (), "batch_fraction": 1.0}
        | {"reads": None},
    ),
    "consistent": (
        ds.consistent,
        VIEWS
        | {"model": MODEL, "objective": ds.RDrop(alpha=1.0), "loss": "classification"}
        | {"plan": None, "label_smoothing": 0.0, "head": "auto", "seed": 0, "rank": 0},
    ),
    "noise_of": (ds.noise_of, {"model": Made(with_plan)}),
    "plan_of": (ds.plan_of, {"model": Made(with_plan)}),
    "step": (ds.step, {"model": Made(with_plan), "number": 1}),
    "restore": (ds.restore, {"model": Made(consistent_net)}),
    "terms_of": (ds.terms_of, {"model": Made(consistent_net)}),
    "taps": (taps, {"model": MODEL, "hidden": "2", "attention": None}),
    "predict": (predict, defaults(predict) | {"model": MODEL, "batch": BATCH, "samples": 2}),
    "forecast": (
        ds.forecast,
        defaults(ds.forecast)
        | {"model": MODEL, "batch": {"input": X}, "steps": 2, "feed": no_change, "samples": 2},
    ),
    "generate": (
        ds.generate,
        {n: v for n, v in defaults(ds.generate).items() if n != "options"}
        | {"model": Made(writer), "batch": TOKENS, "samples": 2, "max_new_tokens": 1},
    ),
    "likelihood": (
        ds.likelihood,
        defaults(ds.likelihood) | {"model": Made(writer), "batch": TOKENS, "samples": 2},
    ),
    "native_plan": (prediction.native_plan, {"model": MODEL, "batch": BATCH}),
    "reliability": (
        measures.reliability,
        defaults(measures.reliability) | {"probabilities": torch.eye(3), "labels": torch.arange(3)},
    ),
    "calibration_error": (
        measures.calibration_error,
        defaults(measures.calibration_error)
        | {"probabilities": torch.eye(3), "labels": torch.arange(3)},
    ),
    "risk_coverage": (
        measures.risk_coverage,
        {"uncertainty": torch.rand(3), "loss": torch.rand(3)},
    ),
    "auroc": (
        measures.auroc,
        {"uncertainty": torch.rand(3), "positive": torch.tensor([0, 1, 1])},
    ),
    "fit_temperature": (
        measures.fit_temperature,
        defaults(measures.fit_temperature)
        | {"probabilities": torch.eye(3), "labels": torch.arange(3)},
    ),
    "scale_by_temperature": (
        measures.scale_by_temperature,
        defaults(measures.scale_by_temperature) | {"probabilities": torch.eye(3), "temperature": 2},
    ),
    "ConformalSets.fit": (
        measures.ConformalSets.fit,
        defaults(measures.ConformalSets.fit)
        | {"probabilities": torch.ones(20, 2) / 2, "labels": torch.zeros(20).long()},
    ),
    "ConformalIntervals.fit": (
        measures.ConformalIntervals.fit,
        defaults(measures.ConformalIntervals.fit)
        | {"lower": torch.zeros(20), "truth": torch.zeros(20)},
    ),
    "convert": (recurrent.convert, {"model": Made(lstm)}),
    "revert": (recurrent.revert, {"model": Made(lstm)}),
    "recurrent.Triton": (recurrent.Triton, {"precision": "ieee", "tiles": recurrent.Tiles()}),
    "recurrent.Tiles": (recurrent.Tiles, defaults(recurrent.Tiles)),
    "search": (
        ds.search,
        defaults(ds.search)
        | {"score": score, "space": SPACE, "trials": 1, "sampler": "random", "executor": "serial"}
        | {"storage": Made(InMemoryStorage)},
    ),
    "TPE": (pattern_search.TPE, defaults(pattern_search.TPE) | {"space": SPACE}),
    "Controller": (pattern_search.Controller, {"space": SPACE, "seed": 0, "learning": None}),
    "Evolution": (pattern_search.Evolution, defaults(pattern_search.Evolution) | {"space": SPACE}),
    "RandomSampler": (pattern_search.RandomSampler, {"space": SPACE, "seed": 0}),
    "Learning": (pattern_search.Learning, defaults(pattern_search.Learning)),
    "Choice": (pattern_search.Choice, {"name": "a", "values": (1, 2)}),
    "ListedSpace": (pattern_search.ListedSpace, vars(SPACE)),
    "part": (pattern_search.part, {"rule": RULE, "sets": {}, "when": {}}),
    "ConvTokens": (pattern_search.ConvTokens, defaults(pattern_search.ConvTokens)),
    "SequenceTokens": (pattern_search.SequenceTokens, defaults(pattern_search.SequenceTokens)),
    "LocalExecutor": (make_local, {"score": score, "workers": 1, "timeout": None, "threads": 1}),
    "SerialExecutor": (pattern_search.SerialExecutor, {"score": score}),
    "make_sampler": (pattern_search.make_sampler, {"name": "random", "space": SPACE, "seed": 0}),
    "make_pruner": (pattern_search.make_pruner, {"name": "median"}),
    "space_from_json": (pattern_search.space_from_json, {"values": SPACE.to_json()}),
    "score_noise": (
        pattern_search.score_noise,
        {"scores": [[1.0, 2.0], [3.0, 4.5]], "level": 0.95},
    ),
    "Saving": (train.Saving, {"seconds": 20.0, "steps": 5}),
    "Setup": (
        train.Setup,
        defaults(train.Setup)
        | {"task": "digits", "method": "none", "plan": PLAN, "objective": ds.TaskLoss()}
        | {"budget": DIGITS.budget, "seed": 0},
    ),
    "Design": (
        compare.Design,
        defaults(compare.Design)
        | {"task": DIGITS, "methods": ("none", "dropout"), "budget": DIGITS.budget},
    ),
    "Budget": (tasks.Budget, vars(DIGITS.budget)),
    "Bounds": (tasks.Bounds, defaults(tasks.Bounds)),
    "DataOptions": (tasks.DataOptions, defaults(tasks.DataOptions)),
    "find_task": (
        tasks.find_task,
        {"name": "digits", "data": None, "data_options": tasks.DataOptions()},
    ),
    "find_method": (compare.find_method, {"name": "r-drop"}),
    "pick": (names, {"names": ("none",), "task": DIGITS}),
    "child_setup": (
        learn.child_setup,
        {name: PARTS[name] for name in ("model", "data", "limit", "precision")}
        | {"task": DIGITS, "budget": DIGITS.budget, "fixed_plan": None},
    ),
    "load": (ds.load, {"run": "no such folder", "model": None, "patterns": (), "device": None}),
    "Axes": (Axes, {"names": ("batch", "time"), "sizes": (2, 3)}),
}

UNCHECKED = {
    *("Audit", "DropsmithError", "Prediction", "Site", "Views"),  # what functions return
    *("ConsistencyObjective", "ConsistencyTerm", "Objective", "Off", "Pattern", "Plan", "Record"),
    *("__version__", "recurrent", "sklearn", "spaces"),
    "export",  # takes seconds; tests/deployment/test_export.py has what it refuses
}


class Odd:
    """A value that says a great deal of itself."""

    def __repr__(self) -> str:
        return "odd " * 30_000


WRONG: dict[str, Any] = {
    "a long text": "x" * 100_000,
    "an odd value": Odd(),
    "a fraction": 1.5,
    "a number below 0": -1,
    "a number of 64 bits": 2**63,
    "a number of 5,001 digits": 10**5000,
    "nothing": None,
    "a list": ["x" * 100_000],
    "no number": float("nan"),
    "bytes": b"x",
    "true": True,
    "a mapping": {},
    "an empty text": "",
    "a text with a NUL": "a\0b",
    "a set": {1},
    "a tensor": torch.ones(2),
    "a class": nn.Linear,
    "a pair": ("x" * 100_000, 2),
    "half a character": "\ud800",
}


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.make() if isinstance(v, Made) else v for k, v in values.items()}


def test_every_public_name_is_called_here():
    known = {name.split(".")[0] for name in CALLS}
    assert set(ds.__all__) - known - UNCHECKED == set()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "load"])
def test_the_arguments_that_are_changed_are_right_before(name):
    function, values = CALLS[name]
    function(**arguments(values))


@pytest.mark.parametrize("name", [name for name in CALLS if CALLS[name][1]])
def test_an_argument_of_another_kind_is_taken_or_refused_in_one_short_sentence(name):
    function, values = CALLS[name]
    faults: list[str] = []
    for argument in set(values) - {"batch"}:  # which the model may refuse in its own words
        for kind, value in WRONG.items():
            try:
                function(**arguments(values) | {argument: value})
            except DropsmithError as error:
                if len(str(error)) > 1000 or "set_int_max_str_digits" in str(error):
                    faults.append(f"{argument}={kind}: {len(str(error))} characters")
            except Exception as error:
                faults.append(f"{argument}={kind}: {type(error).__name__}: {str(error)[:100]}")
    assert not faults, "\n".join(faults)
