"""Files of many models draw what `predict` draws, for other batches than that of the export."""

import pytest

from deployment.models import EXAMPLES, agree_with_predict
from dropsmith.deployment import export
from dropsmith.errors import ExportError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "openvino": ".xml"}
LIBRARIES = {"onnx": ["onnxscript", "onnxruntime"], "openvino": ["onnxscript", "openvino"]}


def exported_example(name, format, tmp_path, **options):
    for library in LIBRARIES.get(format, []):
        pytest.importorskip(library, reason="needs the extra export or openvino")
    if name.startswith("bert"):
        pytest.importorskip("transformers")
    example = EXAMPLES[name]
    model, (batch, other) = example.model(), example.batches()
    path = tmp_path / f"model{ENDINGS[format]}"
    exported = export(model, batch, path, plan=example.plan, **options)
    assert exported.format == format
    for data in (batch, other):
        agree_with_predict(exported, model, data, example.plan)
    return exported


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "perceptron"])
def test_onnx_draws_the_samples_of_predict(name, tmp_path):
    exported_example(name, "onnx", tmp_path)


@pytest.mark.parametrize("name", ["words", "bert sdpa"])
def test_onnx_makes_several_samples_in_one_call(name, tmp_path):
    exported = exported_example(name, "onnx", tmp_path, samples=5)
    assert exported.outputs == ("mean", "entropy", "mutual_information")


@pytest.mark.parametrize("name", ["words"])
def test_a_program_of_torch_draws_the_samples_of_predict(name, tmp_path):
    exported_example(name, "pt2", tmp_path)


@pytest.mark.parametrize("name", ["patterns", "pictures", "bert sdpa", "lstm", "gru"])
def test_openvino_draws_the_samples_of_predict(name, tmp_path):
    exported_example(name, "openvino", tmp_path)


def test_openvino_is_refused_where_it_draws_other_masks(tmp_path):
    with pytest.raises(ExportError, match=r"OpenVINO does not give what dropsmith\.predict gives"):
        exported_example("words", "openvino", tmp_path)  # with Spans
    assert not list(tmp_path.iterdir())


def test_samples_in_one_call_have_masks_of_their_own_or_there_is_an_error(tmp_path):
    example = EXAMPLES["lstm weights"]
    batch, _ = example.batches()
    with pytest.raises(ExportError, match=r"'layer\.weight_hh_l0' drops weights"):
        export(example.model(), batch, tmp_path / "m.pt2", plan=example.plan, samples=3)
    assert not list(tmp_path.iterdir())
