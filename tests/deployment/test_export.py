"""A model becomes one file, which is complete and draws what `predict` draws, or an error."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from deployment.models import EXAMPLES, Perceptron, agree_with_predict, close, run, table
from dropsmith.deployment import export
from dropsmith.errors import DropsmithError, ExportError, ModelError, NoiseError, NoNoiseError
from dropsmith.noise import noise_of
from dropsmith.patterns import Bernoulli, DropConnect
from dropsmith.plans import Plan, rule
from dropsmith.prediction import predict


@pytest.fixture(scope="module")
def example():
    return EXAMPLES["perceptron"]


@pytest.fixture(scope="module")
def written(example, tmp_path_factory):
    """A file for one sample a call, and the model in train mode, which it was made of."""
    pytest.importorskip("onnxscript", reason="needs the extra export")
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    model = example.model().train()
    batch, _ = example.batches()
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    with Plan(rule("first", Bernoulli(rate=0.1))).installed(model, batch["x"]):
        model(**batch)
        exported = export(model, batch, path)
        assert noise_of(model).clock.numbers == (1, 0)
        assert model.training
        yield exported, model


def test_a_file_draws_the_samples_of_predict_for_any_number_of_rows(written, example):
    exported, model = written
    for batch in example.batches():
        agree_with_predict(exported, model, batch, None, seed=-(2**31))


def test_a_file_is_described_and_alone_in_its_folder(written):
    exported, _ = written
    assert exported.inputs == {
        "seed": ("int32", ()),
        "number": ("int32", ()),
        "x": ("float32", ("s0", 4)),
    }
    assert (exported.outputs, exported.kind, exported.class_axis) == (
        ("draw",),
        "classification",
        -1,
    )
    assert (exported.samples, exported.strata, exported.draws) == (None, 50, "stratified")
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]


SERVE = """
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
rows = numpy.array(json.load(sys.stdin), numpy.float32)
seed = numpy.array(11, numpy.int32)
draws = [
    session.run(["draw"], {"seed": seed, "number": numpy.array(number, numpy.int32), "x": rows})[0]
    for number in range(50)
]
assert not {"torch", "dropsmith", "onnx"} & set(sys.modules)
json.dump(numpy.stack(draws).tolist(), sys.stdout)
"""


def test_a_process_with_onnxruntime_alone_gets_the_samples_of_predict(written, example):
    exported, model = written
    batch, _ = example.batches()
    done = subprocess.run(
        [sys.executable, "-c", SERVE, exported.path],
        input=json.dumps(batch["x"].tolist()),
        capture_output=True,
        text=True,
        check=True,
    )
    draws = torch.from_numpy(np.array(json.loads(done.stdout), np.float32))
    expected = predict(model, batch, 50, seed=11, keep=True)
    close(draws, expected.draws)
    close(draws.mean(0), expected.mean)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A file that makes six samples in one call."""
    pytest.importorskip("onnxscript", reason="needs the extra export")
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).eval()
    path = tmp_path_factory.mktemp("export") / "averaged.onnx"
    return export(model, table()["x"], path, samples=6), model


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_one_call_returns_mean_entropy_and_mutual_information(averaged, rows):
    exported, model = averaged
    x = table(rows)["x"]
    expected = predict(model, x, 6, seed=2, keep=True)
    outputs = dict(zip(exported.outputs, run(exported, {"input": x}, 2), strict=True))
    assert list(outputs) == ["mean", "entropy", "mutual_information"]
    for name, output in outputs.items():
        close(output, getattr(expected, name))


@pytest.mark.slow
def test_the_number_of_the_first_sample_is_an_input(averaged):
    exported, _ = averaged
    batch = {"input": table()["x"]}
    first, other = (run(exported, batch, 2, number)[0] for number in (0, 6))
    assert (first - other).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regression", "multi_label"])
def test_other_kinds_of_output_have_their_own_numbers(kind, tmp_path):
    model, batch = Perceptron().eval(), table()
    exported = export(model, batch, tmp_path / "m.pt2", samples=4, kind=kind, draws="independent")
    expected = predict(model, batch, 4, seed=2, kind=kind, draws="independent")
    for name, output in zip(exported.outputs, run(exported, batch, 2), strict=True):
        close(output, getattr(expected, name))
    assert ("variance" in exported.outputs) == (kind == "regression")
    eight = predict(model, batch, 8, seed=2, kind=kind, draws="independent", keep=True)
    assert eight.draws is not None
    close(run(exported, batch, 2, number=4)[0], eight.draws[4:].mean(0))


class OwnNoise(nn.Module):
    """Draws by a function of torch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) * torch.bernoulli(torch.full((len(x), 3), 0.5))


class Steps(nn.Module):
    """Takes another way for some values."""

    def __init__(self):
        super().__init__()
        self.layer, self.dropout = nn.Linear(4, 3), nn.Dropout(0.3)

    def forward(self, x):
        hidden = self.layer(x)
        return self.dropout(hidden) if x.sum() > 0 else hidden.flip(0) + self.dropout(hidden)


class Centred(nn.Module):
    """Rows that change each other."""

    def __init__(self):
        super().__init__()
        self.layer, self.dropout = nn.Linear(4, 3), nn.Dropout(0.3)

    def forward(self, x):
        hidden = self.dropout(self.layer(x))
        return hidden - hidden.mean(0)


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.dropout = nn.Linear(4, 3), nn.Dropout(0.3)

    def forward(self, x):
        hidden = self.dropout(self.layer(x))
        return {"one": hidden, "two": hidden * 2}


WEIGHTS = Plan(rule("layer.weight", DropConnect(rate=0.3)))


@pytest.mark.parametrize(
    ("model", "path", "options", "error", "sentence"),
    [
        (Perceptron, "m.tflite", {}, ExportError, "litert-torch 0.10 has no form"),
        (Perceptron, "m.onnx", {"format": "coreml"}, ExportError, "coremltools 9.0 has no XOR"),
        (Perceptron, "m.onnx", {"format": "onx"}, ExportError, "did you mean 'onnx'?"),
        (Perceptron, "m", {}, ExportError, "cannot tell the format of"),
        (Perceptron, "m.onnx", {"format": "pt2"}, ExportError, "'pt2' ends in .pt2"),
        (Perceptron, "no/m.pt2", {}, ExportError, "there is no folder"),
        (Perceptron, "taken.pt2", {}, ExportError, "is a folder, and a file is to be written"),
        (Perceptron, "m.pt2", {"samples": 1}, ExportError, "samples is a number from 2 to"),
        (Perceptron, "m.pt2", {"strata": 0.5}, ExportError, "strata is a number from 2 to"),
        (Perceptron, "m.pt2", {"samples": 4, "strata": 4}, ExportError, "leave one of the two out"),
        (Perceptron, "m.pt2", {"draws": "same"}, NoiseError, "draws is 'stratified' or"),
        (Perceptron, "m.pt2", {"kind": "classifcation"}, NoiseError, "no kind of output is called"),
        (Perceptron, "m.pt2", {"kind": {"a": "regression"}}, ExportError, "a file has one output"),
        (lambda: 3, "m.pt2", {}, ModelError, "a model is a torch.nn.Module"),
        (lambda: nn.Linear(4, 3), "m.pt2", {}, NoNoiseError, "no dropout and no plan"),
        (OwnNoise, "m.pt2", {}, ExportError, "the root module draws noise by its own code"),
        (
            lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1), OwnNoise()),
            "m.pt2",
            {},
            ExportError,
            "'2' draws noise by its own code",
        ),
        (Centred, "m.pt2", {"samples": 3}, ExportError, "influence each other's outputs"),
        (Centred, "m.pt2", {"samples": 3, "plan": WEIGHTS}, ExportError, "'layer.weight' drops"),
    ],
)
def test_what_cannot_be_exported_is_said_in_a_sentence(
    model, path, options, error, sentence, tmp_path
):
    (tmp_path / "taken.pt2").mkdir()
    with pytest.raises(error) as caught:
        export(model(), table()["x"], tmp_path / path, **options)
    assert sentence in str(caught.value)
    assert [left.name for left in tmp_path.iterdir()] == ["taken.pt2"]


WRONG = ["odd", 0.5, -1, 2**70, ["x" * 100_000], b"x", True, {}, {1}, torch.ones(2), nn.Linear]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("argument", ["format", "path", "samples", "strata", "draws", "plan"])
def test_an_argument_of_another_kind_is_refused_in_a_short_message(argument, value, tmp_path):
    options = {"path": tmp_path / "m.pt2", "format": "pt2"}
    if argument == "path" and isinstance(value, str):
        value = tmp_path / value
    with pytest.raises(DropsmithError) as caught:
        export(Perceptron(), table()["x"], **options | {argument: value})
    assert len(str(caught.value)) < 1000
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_that_torch_cannot_trace_is_refused_without_a_dump_of_its_graph(tmp_path, capfd):
    with pytest.raises(ExportError, match=r"torch\.export cannot trace this model"):
        export(Steps(), table()["x"], tmp_path / "m.pt2")
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    from dropsmith.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match="export"):
        export(Perceptron(), table()["x"], tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "onnxscript", sys)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(MissingExtra, match="openvino"):
        export(Perceptron(), table()["x"], tmp_path / "m.xml")
