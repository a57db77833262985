"""A model of transformers is saved as its from_pretrained expects it, names included."""

import csv
import json
import shutil

import pytest
import torch

import dropsmith as ds
from dropsmith.errors import DataError, DropsmithError
from dropsmith.models import PretrainedClassifier, PretrainedImages, PretrainedWriter
from dropsmith.objectives import TaskLoss
from dropsmith.plans import Plan, rule, select
from dropsmith.record import Record
from dropsmith.run_folder import WEIGHTS, FinishedRun, load_weights
from dropsmith.tasks import Budget, Data, Split
from dropsmith.train import Setup
from run_folder.finished import WORDS, finished_run, write_texts

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 40,
}


def saved(config, library_class, folder, classes=3):
    """A checkpoint as one would download it, its weights not those of a usual beginning."""
    config.num_labels = classes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = getattr(transformers, library_class).from_config(config)
        for parameter in net.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        net.save_pretrained(folder)
    return folder


def finished(model, columns, names, spec="someone/a-model", kind="classification", **change):
    """A run of a model, without any training."""
    count = len(next(iter(columns.values())))
    labels = torch.zeros(count, dtype=torch.long if names else torch.float32)
    part = Split(columns | {"labels": labels}, unit=2.0 if not names else 1.0)
    data = Data.of([part] * 3, names=names, source="words that were made", **change)
    plan = Plan(rule(select(kind="dropout"), ds.Bernoulli(rate=0.3)))
    setup = Setup(
        task="rte",
        method="dropout",
        plan=plan,
        objective=TaskLoss(),
        budget=Budget(epochs=1, batch_size=2, learning_rate=0.1),
        seed=0,
        model=spec,
    )
    return FinishedRun(
        record=Record(config=setup.to_json(), scores={"test_accuracy": 0.5}),
        kind=kind,
        data=data,
        plan=plan,
        model=model.eval(),
        weights=model.state_dict(),
        noise_step=1,
    )


TEXTS = {
    "input_ids": torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0], [2, 30, 31, 3]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]),
}
NAMES = ("good", "so so", "bad")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    place = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(**SMALL, hidden_dropout_prob=0.2)
    saved(config, "AutoModelForSequenceClassification", place / "checkpoint")
    model = PretrainedClassifier(str(place / "checkpoint"), 3)
    run = finished(model, TEXTS, NAMES)
    run.write(place / "run")
    shutil.rmtree(place / "checkpoint")
    return run, place / "run"


@pytest.mark.parametrize(
    "config",
    [
        transformers.BertConfig(**SMALL),
        transformers.RobertaConfig(**SMALL, pad_token_id=1),
        transformers.DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=24, vocab_size=40),
        transformers.ElectraConfig(**SMALL, embedding_size=8),
        transformers.AlbertConfig(**SMALL, embedding_size=8),
    ],
    ids=lambda config: config.model_type,
)
def test_from_pretrained_gives_equal_scores_and_the_names(config, tmp_path):
    saved(config, "AutoModelForSequenceClassification", tmp_path / "checkpoint")
    model = PretrainedClassifier(str(tmp_path / "checkpoint"), 3)
    run = finished(model, TEXTS, NAMES)
    run.write(tmp_path / "run")
    shutil.rmtree(tmp_path / "checkpoint")
    theirs, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "run", output_loading_info=True
    )
    assert not any(info.values())
    with torch.no_grad():
        expected = model(**TEXTS)
        assert torch.equal(theirs.eval()(**TEXTS).logits, expected)
    assert theirs.config.id2label == {0: "good", 1: "so so", 2: "bad"}
    assert theirs.config.label2id == {"good": 0, "so so": 1, "bad": 2}
    predictor = ds.load(tmp_path / "run")
    torch.testing.assert_close(predictor.predict(TEXTS, samples=0).mean, expected.softmax(-1))
    noisy = predictor.predict(TEXTS, samples=6)
    same = ds.predict(model, TEXTS, 6, plan=run.plan)
    torch.testing.assert_close(noisy.mean, same.mean)
    assert (noisy.mutual_information > 0).all()


def test_dropout_of_the_model_stays_in_its_configuration_and_is_off_in_ours(bert):
    _, folder = bert
    config = json.loads((folder / "config.json").read_text())
    assert config["hidden_dropout_prob"] == 0.2
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert json.loads((folder / "dropsmith.json").read_text())["format"] == "dropsmith.run"
    rates = [m.p for m in ds.load(folder).model.modules() if isinstance(m, torch.nn.Dropout)]
    assert set(rates) == {0.0}


def test_a_value_has_one_output_and_is_a_regression_there(tmp_path):
    config = transformers.BertConfig(**SMALL)
    saved(config, "AutoModelForSequenceClassification", tmp_path / "checkpoint", classes=1)
    model = PretrainedClassifier(str(tmp_path / "checkpoint"), 1)
    run = finished(model, TEXTS, (), kind="regression", mean=10.0)
    run.write(tmp_path / "run")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    assert theirs.config.problem_type == "regression"
    with torch.no_grad():
        scores = model(**TEXTS)
        assert torch.equal(theirs.eval()(**TEXTS).logits, scores)
    found = ds.load(tmp_path / "run").predict(TEXTS, samples=0).mean
    torch.testing.assert_close(found, scores * 2.0 + 10.0)


def checkpoint_of_words(folder, classes):
    """A tiny BERT with a tokeniser of few words, as one would download it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    known = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, known[token]) for token in ("[CLS]", "[SEP]")],
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    ).save_pretrained(folder)
    config = transformers.BertConfig(**SMALL, type_vocab_size=2, initializer_range=0.2)
    return saved(config, "AutoModelForSequenceClassification", folder, classes)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_texts_go_to_predictions_by_the_tokeniser_in_the_folder(kind, tmp_path):
    values = kind == "regression"
    table = write_texts(tmp_path / "table.csv", pairs=values, values=values)
    checkpoint = checkpoint_of_words(tmp_path / "checkpoint", 1 if values else 3)
    task, data = ("stsb", table) if values else (str(table), None)
    run, _ = finished_run(task, data=data, model=str(checkpoint))
    run.write(tmp_path / "first")
    new = shutil.move(table, tmp_path / "new.csv")
    shutil.rmtree(checkpoint)
    place = shutil.move(tmp_path / "first", tmp_path / "moved")
    predictor = ds.load(place)
    found = predictor.predict(new, samples=0)
    # The oracle is the library's own way from texts to scores.
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(place).eval()
    with open(new, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("sentence1", "sentence2") if values else ("text",)
    texts = [[row[column] for row in rows] for column in columns]
    with torch.no_grad():
        scores = theirs(**tokenizer(*texts, padding=True, return_tensors="pt")).logits
    if values:
        expected = scores * predictor.description.unit + predictor.description.mean
    else:
        expected = scores.softmax(-1)
        assert theirs.config.id2label == {0: "bright", 1: "dark", 2: "even"}
    torch.testing.assert_close(found.mean, expected, rtol=1e-4, atol=1e-5)
    noisy = predictor.predict(rows[:9], samples=5)
    assert (noisy.variance > 0).all()


def test_images_keep_the_size_and_colours_that_the_model_was_trained_on(tmp_path):
    sizes = {k: v for k, v in SMALL.items() if k != "vocab_size"}
    config = transformers.ViTConfig(**sizes, image_size=12, patch_size=4)
    saved(config, "AutoModelForImageClassification", tmp_path / "checkpoint")
    values = {"image_mean": [0.2, 0.5, 0.4], "image_std": [0.5, 0.25, 0.3]}
    (tmp_path / "checkpoint" / "preprocessor_config.json").write_text(
        json.dumps(values | {"image_processor_type": "ViTImageProcessor"})
    )
    model = PretrainedImages(str(tmp_path / "checkpoint"), 2)
    images = torch.rand(3, 3, 12, 12)
    finished(model, {"image": images}, ("cat", "dog")).write(tmp_path / "run")
    shutil.rmtree(tmp_path / "checkpoint")
    with torch.no_grad():
        expected = model(images)
    found = ds.load(tmp_path / "run").predict(images, samples=0).mean
    torch.testing.assert_close(found, expected.softmax(-1))
    theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "run")
    colours = [torch.tensor(values[name]).view(3, 1, 1) for name in ("image_mean", "image_std")]
    with torch.no_grad():
        scores = theirs.eval()((images - colours[0]) / colours[1]).logits
    torch.testing.assert_close(scores, expected)
    written = json.loads((tmp_path / "run" / "preprocessor_config.json").read_text())
    assert written["image_mean"] == pytest.approx(values["image_mean"])
    assert written["size"] == {"height": 12, "width": 12}


def test_a_model_that_writes_texts_comes_back_with_how_it_writes(tmp_path):
    config = transformers.T5Config(
        vocab_size=40, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    folder = saved(config, "AutoModelForSeq2SeqLM", tmp_path / "checkpoint")
    generation = transformers.GenerationConfig(
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, suppress_tokens=[5, 6]
    )
    generation.save_pretrained(folder)
    model = PretrainedWriter(str(folder)).eval()
    source, target = TEXTS["input_ids"], torch.tensor([[0, 4], [0, 5], [0, 6]])
    columns = {"source": source, "target": target}
    finished(model, columns, tuple(map(str, range(40)))).write(tmp_path / "run")
    shutil.rmtree(folder)
    again = ds.load(tmp_path / "run").model
    with torch.no_grad():
        assert torch.equal(again(**columns), model(**columns))
    written = again.write(source, beams=2, longest=6)
    assert torch.equal(written, model.write(source, beams=2, longest=6))
    assert again.net.generation_config.suppress_tokens == [5, 6]


def test_weights_begin_another_run_under_the_names_of_the_model_that_was_trained(bert):
    run, folder = bert
    other = PretrainedClassifier.around(
        transformers.AutoModelForSequenceClassification.from_config(
            transformers.BertConfig(**SMALL, num_labels=3)
        )
    )
    load_weights(other, folder / WEIGHTS)
    assert all(torch.equal(other.state_dict()[name], w) for name, w in run.weights.items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"auto_map": {"AutoConfig": "x.Y"}}, "auto_map"),
        ({"attn_implementation": "someone/kernels"}, "attn_implementation"),
        ({"model_type": "no such model"}, "cannot read the pretrained model"),
        ({"hidden_size": "x"}, "cannot|another model"),
        ({"hidden_size": 32}, "another model"),
        ({"num_hidden_layers": 2}, "not there: "),
    ],
)
def test_a_configuration_that_was_changed_is_refused(bert, tmp_path, change, said):
    folder = shutil.copytree(bert[1], tmp_path / "run")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DropsmithError, match=said):
        ds.load(folder)


def test_a_configuration_that_is_missing_is_named(bert, tmp_path):
    folder = shutil.copytree(bert[1], tmp_path / "run")
    (folder / "config.json").unlink()
    with pytest.raises(DataError, match=r"cannot read .*config.json"):
        ds.load(folder)
