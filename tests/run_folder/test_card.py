"""The model card says what was measured, on which data, and what was not."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

import dropsmith as ds
from dropsmith.run_folder.card import model_card
from dropsmith.run_folder.description import Column


def card_of(run, **change):
    changed = replace(run, **change)
    return model_card(changed.record, changed.description, changed.plan, predicts=True)


def test_the_front_matter_is_the_hubs_with_every_test_score(texts):
    run, folder, _ = texts
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "dropsmith"
    assert card.data.pipeline_tag == "text-classification"
    results = {result.metric_type: result for result in card.data.eval_results}
    scores = {n.removeprefix("test_"): v for n, v in run.record.scores.items()}
    assert results["nll"].metric_value == scores["nll"] == 0.25
    assert results["accuracy"].metric_value == 1.0
    assert set(results) == {"nll", "accuracy"}
    assert results["nll"].dataset_name == "texts and labels (texts.csv)"


def test_scores_data_plan_and_what_is_not_known_are_in_the_text(texts):
    run, folder, _ = texts
    text = (folder / "README.md").read_text()
    assert "| | validation | test | test, mean of samples |" in text
    assert "| negative log-likelihood | 0.5000 | 0.2500 | 0.2000 |" in text
    assert "| accuracy | – | 1.0000 | – |" in text
    assert run.record.environment["data_sha256"] in text
    assert run.record.id in text
    assert repr(run.plan) in text
    assert "It tells 3 classes apart: bright, dark, even." in text
    assert "one run, with seed 0" in text
    not_measured = text.partition("## Not measured")[2]
    assert "other seeds" in not_measured
    assert "test examples" not in not_measured
    assert "mean of noisy passes" not in not_measured


def test_what_was_not_scored_is_said_to_be_unknown(texts):
    run, _, _ = texts
    record = replace(run.record, scores={"validation_nll": 0.5})
    unknown = card_of(run, record=record).partition("## Not measured")[2]
    assert "- test examples" in unknown
    assert "mean of noisy passes" in unknown


def test_the_score_of_one_answer_for_all_is_a_column_and_no_score_of_the_model(texts):
    run, _, _ = texts
    scores = {"test_accuracy": 0.75, "test_constant_accuracy": 0.5, "test_auroc": 0.8}
    text = card_of(run, record=replace(run.record, scores=scores))
    assert "| | test | test, the same answer for all |" in text
    assert "| accuracy | 0.7500 | 0.5000 |" in text
    assert "| AUROC | 0.8000 | – |" in text
    assert "constant" not in text.split("---")[1]


def test_values_say_their_unit_and_no_noise_is_said(values):
    run, folder, _ = values
    text = (folder / "README.md").read_text()
    assert "It predicts a value." in text
    assert f"{run.data.mean:.6g} ± {run.data.train.unit:.6g}" in text
    assert "No noise: the plan has no rules." in card_of(run, plan=ds.Plan())


@pytest.mark.parametrize(
    "name",
    ["a | b", "<script>x</script>", "`x`", "two\nlines", "---\nevil: 1", "käse 日本", "'\":{}"],
)
def test_a_name_of_any_kind_breaks_neither_the_front_matter_nor_the_text(texts, tmp_path, name):
    run, _, _ = texts
    config = run.record.config | {"task": name, "method": name}
    record = replace(
        run.record, config=config, environment=run.record.environment | {"data_source": name}
    )
    data = replace(run.data, names=(name, "b", "c"))
    path = tmp_path / "README.md"
    path.write_text(card_of(run, record=record, data=data))
    card = ModelCard.load(path)
    assert set(card.data.to_dict()) <= {
        *("library_name", "pipeline_tag", "tags", "model-index", "base_model"),
    }
    assert "<script>" not in card.text
    head = card.text.strip().splitlines()[0]
    assert head.startswith("# ")
    assert "## Scores" in card.text


def test_scores_that_are_no_numbers_are_left_out_of_the_front_matter(texts):
    run, _, _ = texts
    scores = {"test_nll": float("nan"), "test_accuracy": 0.5, "test_mse": float("inf")}
    text = card_of(run, record=replace(run.record, scores=scores))
    front = text.split("---")[1]
    assert "accuracy" in front
    assert "nll" not in front
    assert "mse" not in front


def test_a_model_that_writes_texts_is_no_classifier(texts):
    run, _, _ = texts
    known = tuple(f"word{number}" for number in range(1200))
    image = Column(dtype="float32", shape=(3, 8, 8))
    words = Column(dtype="int64", shape=(5,))
    scores = {"test_nll": 2.0, "test_bleu": 12.0, "test_bleu4": 3.0, "test_rougel": 20.0}
    record = replace(run.record, scores=scores)
    for name, column, tag, sentence in (
        ("image", image, "image-to-text", "pieces, one for each picture."),
        ("source", words, "text2text-generation", "pieces, one for each text."),
    ):
        inputs = {name: column, "target": words}
        description = replace(run.description, names=known, inputs=inputs)
        text = model_card(record, description, run.plan, predicts=False)
        assert ModelCard(text).data.pipeline_tag == tag
        assert f"It writes texts of 1,200 known words or {sentence}" in text
        assert "classes" not in text
        for metric in ("BLEU", "BLEU-4", "ROUGE-L"):
            assert f"| {metric} |" in text


def test_a_language_model_is_no_classifier(texts):
    run, _, _ = texts
    record = replace(run.record, scores={"test_nll": 2.0, "test_perplexity": 7.4})
    text = card_of(run, record=record)
    assert ModelCard(text).data.pipeline_tag == "text-generation"
    assert "It predicts the next of 3 known words." in text
