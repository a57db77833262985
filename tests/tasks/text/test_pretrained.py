"""Fine-tuning by name, on tiny checkpoints of two families that are written here."""

import csv
import json
import shutil

import pytest
import torch

from dropsmith.compare import Design
from dropsmith.errors import TaskError
from dropsmith.models import PretrainedClassifier
from dropsmith.tasks import (
    Budget,
    DataOptions,
    find_task,
    preprocessing_from_json,
    with_model,
)
from dropsmith.tasks.text.pretrained import fine_tuning
from dropsmith.tasks.text.token_preprocessing import longest_text, tokeniser_of
from dropsmith.train import train

transformers = pytest.importorskip("transformers")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "films.csv"
    rows = [
        f"the film is {'so ' * (i % 15)}{word} .,{word}"
        for i in range(60)
        for word in ("good", "bad")
    ]
    path.write_text("text,label\n" + "\n".join(dict.fromkeys(rows)) + "\n")
    return path


@pytest.mark.slow
def test_a_run_by_name_learns_from_its_own_tokens(checkpoint, table, tmp_path):
    task = find_task(str(table))
    tuned = with_model(task, str(checkpoint), task.load())
    design = Design(
        task=tuned,
        methods=("r-drop",),
        budget=Budget(epochs=80, batch_size=8, learning_rate=5e-3),
        model=str(checkpoint),
    )
    record = train(design.setup("r-drop", {"rate": 0.1, "alpha": 0.3}, 0), tmp_path / "run")
    assert record.curve[-1]["train_loss"] < 0.5 * record.curve[0]["train_loss"]
    assert "test_accuracy" in record.scores


def test_a_head_of_other_classes_is_drawn_anew_and_other_weights_have_to_fit(checkpoint):
    whole = PretrainedClassifier(str(checkpoint), 2)
    other = PretrainedClassifier(str(checkpoint), 5)
    of_body = [name for name in whole.state_dict() if "classifier" not in name]
    assert all(torch.equal(whole.state_dict()[n], other.state_dict()[n]) for n in of_body)
    config = json.loads((checkpoint / "config.json").read_text())
    config["intermediate_size"] = 48
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(TaskError, match="are not those of its configuration"):
        PretrainedClassifier(str(checkpoint), 2)


def test_scores_do_not_hang_on_the_padding_of_the_batch(checkpoint, table):
    task = find_task(str(table))
    tuned = with_model(task, str(checkpoint), task.load())
    data = tuned.load()
    net = tuned.model(data).eval()
    lengths = data.train.columns["attention_mask"].sum(1)
    order = lengths.argsort()
    short, long = order[:1], order[-1:]
    alone = net(**_inputs(data.train.rows(short)))
    among = net(**_inputs(data.train.rows(torch.cat([short, long]))))[:1]
    torch.testing.assert_close(alone, among)
    assert data.train.rows(short)["input_ids"].shape[1] == int(lengths[short])


def _inputs(batch):
    return {name: column for name, column in batch.items() if name != "labels"}


def test_noise_reaches_every_dropout_of_the_model_and_it_has_none_of_its_own(checkpoint, table):
    import dropsmith as ds

    task = find_task(str(table))
    tuned = with_model(task, str(checkpoint), task.load())
    data = tuned.load()
    net, batch = tuned.model(data).train(), data.train.rows(slice(0, 4))
    inputs = _inputs(batch)
    assert torch.equal(net(**inputs), net(**inputs))
    plan = tuned.plan("dropout", 0.3)
    family = "bert" if hasattr(net.net, "bert") else "roberta"
    attention = f"net.{family}.encoder.layer.0.attention.self"
    with plan.installed(net, inputs):
        found = ds.audit(net, inputs)
        # BERT's module in attention is read and never called: the fused call drops for it.
        called = [row for row in found.rows if row.site.name != f"{attention}.dropout"]
        assert all(row.on for row in called)
        assert found[f"{attention}.attention()"].how == "retuned"


def test_a_pair_is_one_row_of_tokens_with_its_types(checkpoint, tmp_path):
    from dataclasses import replace

    from dropsmith.tasks.text.sentences import RTE

    path = tmp_path / "pairs.csv"
    rows = "".join(f"the film {'so ' * (i % 9)},bad {'a ' * i},{'ab'[i % 2]}\n" for i in range(60))
    path.write_text("sentence1,sentence2,label\n" + rows)
    task = replace(RTE, home=path)
    tuned = with_model(task, str(checkpoint), task.load())
    row = tuned.load().train.rows(slice(0, 1))
    types = row.get("token_type_ids")
    assert types is None or types[0].unique().tolist() == [0, 1]
    assert not {"second", "tokens"} & set(row)


def test_without_the_hub_a_name_is_an_error_that_says_what_to_do(monkeypatch, table):
    def offline(name, **options):
        raise OSError(f"We couldn't connect to load {name}.\nCheck your connection")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", offline)
    task = with_model(find_task(str(table)), "bert-base-cased", find_task(str(table)).load())
    with pytest.raises(
        TaskError,
        match=r"cannot fetch the pretrained model 'bert-base-cased' from the Hub\n  OSErr"
        r"[\s\S]*leave --preset out",
    ):
        task.load()


def test_the_upper_half_begins_at_the_middle_layer_of_its_configuration(checkpoint):
    from dropsmith.models.pretrained import PretrainedClassifier, pretrained_upper_half, upper_half

    assert pretrained_upper_half(str(checkpoint)) is None
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    config.num_hidden_layers = 4
    deep = transformers.AutoModelForSequenceClassification.from_config(config)
    folder = checkpoint.parent / "deep"
    deep.save_pretrained(folder)
    found = pretrained_upper_half(str(folder))
    assert found == upper_half(PretrainedClassifier(str(folder), 2))
    assert found.endswith("encoder.layer.2")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        # Fails where a text is read, not where the tokeniser is.
        ("tokenizer.json", {'"unk_token": "[UNK]"': '"unk_token": "?"', '"the"': '"thee"'}, None),
        ("tokenizer.json", {"{": ""}, None),
        ("config.json", {'"vocab_size": 14': '"vocab_size": 5'}, "its model only 5 tokens"),
    ],
)
def test_files_of_a_model_that_do_not_belong_together_are_one_sentence(
    checkpoint, table, name, changes, message
):
    task = find_task(str(table))
    tuned = with_model(task, str(checkpoint), task.load())
    text = (checkpoint / name).read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (checkpoint / name).write_text(text)
    with pytest.raises(
        TaskError, match=message or "cannot read the pretrained model in the folder"
    ):
        tuned.load()


def test_a_record_is_found_by_the_hash_of_the_tokens_it_was_trained_on(checkpoint, table):
    from dropsmith.compare.stored_records import data_hash
    from dropsmith.train import task_and_data

    task = find_task(str(table))
    tuned = with_model(task, str(checkpoint), task.load())
    design = Design(task=tuned, methods=("none",), budget=fine_tuning(1, 8), model=str(checkpoint))
    setup = design.setup("none", design.settings("none")[0], 0)
    assert data_hash(setup) == task_and_data(setup)[1].sha256
    assert data_hash(setup) != task.load().sha256


def test_new_texts_become_the_tokens_of_training_without_the_old_folder(
    checkpoint, table, tmp_path
):
    task = find_task(str(table))
    data = with_model(task, str(checkpoint), task.load()).load()
    (tmp_path / "run").mkdir()
    data.preprocessing.save_files(tmp_path / "run")
    stored = json.loads(json.dumps(data.preprocessing.to_json()))
    shutil.rmtree(checkpoint)
    tokeniser_of.cache_clear()
    steps = preprocessing_from_json(stored, tmp_path / "run")
    read = steps.read(table)
    columns = read.part.tensors()
    assert set(columns) | {"labels"} == set(data.train.tensors())
    stored_rows = {
        (*row[row != 0].tolist(), int(label))
        for part in (data.train, data.validation, data.test)
        for row, label in zip(part.tensors()["input_ids"], part.tensors()["labels"], strict=True)
    }
    found = zip(columns["input_ids"], read.labels.tolist(), strict=True)
    assert {(*row[row != 0].tolist(), label) for row, label in found} == stored_rows


def test_texts_are_never_longer_than_the_model_takes(checkpoint, table):
    """A BERT of 512 positions takes as many tokens, a RoBERTa two fewer: one for each begin."""
    most = 512 if checkpoint.name == "bert" else 510
    task = find_task(str(table))
    longer = DataOptions(text_length=most + 1)
    too_long = with_model(find_task(str(table), data_options=longer), str(checkpoint), task.load())
    with pytest.raises(TaskError, match=f"up to {most} tokens, and {most + 1} are to be kept"):
        too_long.load()
    options = DataOptions(text_length=5)
    task = find_task(str(table), data_options=options)
    data = with_model(task, str(checkpoint), task.load()).load()
    assert data.train.tensors()["input_ids"].shape[1] == 5
    assert dict(data.notes)["text length"].startswith("the first 5 tokens are kept; ")
    with table.open() as file:
        sizes = [len(row["text"].split()) + 2 for row in csv.DictReader(file)]
    share = 100 * sum(size > 5 for size in sizes) / len(sizes)
    assert share == 100
    assert "100.0 % of the training texts are longer" in dict(data.notes)["text length"]
    config = json.loads((checkpoint / "config.json").read_text())
    config["max_position_embeddings"] = 20
    (checkpoint / "config.json").write_text(json.dumps(config))
    longest_text.cache_clear()
    data = with_model(find_task(str(table)), str(checkpoint), task.load()).load()
    assert data.train.tensors()["input_ids"].shape[1] == (20 if most == 512 else 18)
