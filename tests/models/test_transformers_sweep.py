"""Varied model classes of transformers go through the checks of the sweep over all of them."""

import warnings

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("transformers")
checks = pytest.importorskip(
    "benchmarks.transformers_models.checks", reason="run from the repository's root"
)
from benchmarks.transformers_models.classes import model_classes  # noqa: E402
from benchmarks.transformers_models.models import Subject  # noqa: E402

CLASSES = (
    "BertForSequenceClassification",
    "RobertaForTokenClassification",
    "ElectraForQuestionAnswering",
    "AlbertForMultipleChoice",
    "DebertaV2ForMaskedLM",
    "GPT2LMHeadModel",
    "LlamaForCausalLM",
    "MixtralForCausalLM",
    "MambaForCausalLM",
    "JambaForCausalLM",
    "T5ForConditionalGeneration",
    "BartForConditionalGeneration",
    "ViTForImageClassification",
    "SwinForImageClassification",
    "ResNetForImageClassification",
    "DetrForObjectDetection",
    "Wav2Vec2ForCTC",
    "WhisperForConditionalGeneration",
    "LlavaForConditionalGeneration",
    "CLIPModel",
    "HubertForSequenceClassification",
    "FlaubertWithLMHeadModel",
    "MraForMaskedLM",
    "PoolFormerModel",
    "NemotronHForCausalLM",
    "OpenAIPrivacyFilterModel",
)


@pytest.fixture(scope="module")
def kinds():
    return {kind.name: kind for kind in model_classes()}


@pytest.mark.parametrize("name", CLASSES)
def test_no_check_ends_in_a_wrong_value_or_a_raw_error(name, kinds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = checks.run_checks(Subject.of(kinds[name]))
    assert [one for one in results if one["verdict"] in ("wrong", "fails")] == []
    assert any(one["verdict"] == "works" for one in results)
