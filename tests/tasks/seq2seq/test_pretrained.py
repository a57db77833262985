"""Writing by a pretrained model, on tiny checkpoints of two families that are made here."""

import pytest
import torch

import dropsmith as ds
from dropsmith.compare import Design
from dropsmith.errors import TaskError
from dropsmith.tasks import Budget, DataOptions, find_task, with_model
from dropsmith.train import train

transformers = pytest.importorskip("transformers")

WORDS = ["a", "man", "walks", "the", "dog", "runs", "sleeps", "ein", "mann", "geht", "der", "hund"]
TOKENS = {
    "bart": ["<s>", "<pad>", "</s>", "<unk>"],
    "t5": ["<pad>", "</s>", "<unk>"],  # what fills a row up also begins a target there
}


def tokeniser(family, folder):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    known = {word: number for number, word in enumerate([*TOKENS[family], *WORDS])}
    made = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    single = "<s> $A </s>" if family == "bart" else "$A </s>"
    special = [(token, known[token]) for token in TOKENS[family] if token in single]
    made.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    ends = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **ends).save_pretrained(folder)
    return known


def bart(known):
    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    rates = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.1)
    return transformers.BartConfig(
        vocab_size=len(known),
        d_model=16,
        max_position_embeddings=32,
        encoder_layerdrop=0.5,
        init_std=0.2,
        forced_eos_token_id=None,
        **sides,
        **rates,
    )


def t5(known):
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return transformers.T5Config(
        vocab_size=len(known), decoder_start_token_id=known["<pad>"], **sizes
    )


@pytest.fixture(params=["bart", "t5"])
def checkpoint(request, tmp_path):
    """A model of one layer and its tokeniser, saved as one would download them."""
    folder = tmp_path / request.param
    config = {"bart": bart, "t5": t5}[request.param](tokeniser(request.param, folder))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    """Pairs of two and of three words, in the form of Multi30k."""
    raw = tmp_path / "multi30k" / "raw"
    raw.mkdir(parents=True)
    english = ["a man walks", "the dog runs", "a dog sleeps", "the man", "a dog"] * 4
    german = ["ein mann geht", "der hund geht", "ein hund", "der mann", "ein hund"] * 4
    for part in ("train", "val", "test_2016_flickr"):
        (raw / f"{part}.en").write_text("\n".join(english) + "\n")
        (raw / f"{part}.de").write_text("\n".join(german) + "\n")
    return tmp_path


def tuned(checkpoint, data, limit=20):
    task = find_task("multi30k")
    return with_model(task, str(checkpoint), task.load(data, limit))


def test_targets_begin_and_rows_are_filled_up_as_the_checkpoint_does_it(checkpoint, data):
    part = tuned(checkpoint, data).load(data, 20).train
    row = part.rows(torch.tensor([3, 0]))  # "the man", "a man walks"
    words = {word: number for number, word in enumerate([*TOKENS[checkpoint.name], *WORDS])}
    end, pad = words["</s>"], words["<pad>"]
    first = [words["<s>"]] if checkpoint.name == "bart" else []
    start = {"bart": end, "t5": pad}[checkpoint.name]
    assert row["source"].tolist() == [
        [*first, words["the"], words["man"], end, pad],
        [*first, words["a"], words["man"], words["walks"], end],
    ]
    short, long = [words["der"], words["mann"], end], [words[w] for w in ("ein", "mann", "geht")]
    assert row["target"].tolist() == [[start, *first, *short], [start, *first, *long]]
    assert row["labels"].tolist() == [[*first, *short, -100], [*first, *long, end]]
    assert part.lengths[[3, 0]].tolist() == [len(first) + 3, len(first) + 4]


def test_texts_are_cut_to_the_length_that_is_set_and_the_share_is_said(checkpoint, data):
    task = find_task("multi30k", data_options=DataOptions(text_length=4))
    tuned = with_model(task, str(checkpoint), task.load(data, 20))
    loaded = tuned.load(data, 20)
    words = {word: number for number, word in enumerate([*TOKENS[checkpoint.name], *WORDS])}
    row = loaded.train.rows(torch.tensor([0]))  # "a man walks"
    first = [words["<s>"]] if checkpoint.name == "bart" else []
    kept = [words[w] for w in ("a", "man", "walks")][: 3 - len(first)]
    assert row["source"].tolist() == [[*first, *kept, words["</s>"]]]
    assert row["target"].shape[1] <= 5
    # Of five texts in a row, three sources and two targets have three words.
    longer = (60.0, 40.0) if first else (0.0, 0.0)
    said = dict(loaded.notes)["text length"]
    assert said.startswith("the first 4 tokens are kept; ")
    assert (f"{longer[0]} % of the training sources and {longer[1]} %" in said) == bool(first)
    assert ("none is longer" in said) == (not first)


def test_more_tokens_than_the_checkpoint_takes_are_refused(checkpoint, data):
    task = find_task("multi30k", data_options=DataOptions(text_length=40))
    tuned = with_model(task, str(checkpoint), task.load(data, 20))
    if checkpoint.name == "t5":  # its positions have no end
        assert dict(tuned.load(data, 20).notes)["text length"].startswith("the first 40 tokens")
        return
    with pytest.raises(TaskError, match=r"takes texts of up to 32 tokens, and 40[\s\S]*length 32"):
        tuned.load(data, 20)


def test_scores_are_those_of_the_library_for_the_same_labels(checkpoint, data):
    task = tuned(checkpoint, data)
    loaded = task.load(data, 20)
    net, batch = task.model(loaded).eval(), loaded.train.rows(torch.tensor([0, 3, 2]))
    source, pad = batch["source"], loaded.train.pad
    with torch.no_grad():
        theirs = net.net(
            input_ids=source, attention_mask=(source != pad).long(), labels=batch["labels"]
        )
        output = net(batch["source"], batch["target"])
    torch.testing.assert_close(output, theirs.logits)
    nll, count = task.score(output, batch)["nll"]
    assert nll / count == pytest.approx(theirs.loss.item(), rel=1e-5)


@pytest.mark.slow
def test_a_run_by_name_learns_and_is_judged_by_what_it_writes(checkpoint, data, tmp_path):
    task = tuned(checkpoint, data)
    design = Design(
        task=task,
        methods=("r-drop",),
        budget=Budget(epochs=60, batch_size=64, learning_rate=1e-2),
        data=str(data),
        model=str(checkpoint),
        limit=20,
    )
    record = train(design.setup("r-drop", {"rate": 0.1, "alpha": 0.3}, 0), tmp_path / "run")
    assert record.curve[-1]["train_loss"] < 0.6 * record.curve[0]["train_loss"]
    assert 0 <= record.scores["test_bleu"] <= 100
    assert "BLEU" in record.environment["signatures"]


def test_noise_is_where_the_model_drops_and_it_has_none_of_its_own(checkpoint, data):
    task = tuned(checkpoint, data)
    loaded = task.load(data, 20)
    net, batch = task.model(loaded).train(), loaded.train.rows(slice(0, 3))
    inputs = {name: batch[name] for name in ("source", "target")}
    assert torch.equal(net(**inputs), net(**inputs))
    with task.plan("dropout", 0.3).installed(net, inputs):
        found = ds.audit(net, inputs)
        assert {row.site.kind for row in found.rows} >= {"attention"}
        assert all(row.on for row in found.rows)
        assert not torch.equal(net(**inputs), net(**inputs))


def test_views_of_it_agree_layer_by_layer(checkpoint, data):
    task = tuned(checkpoint, data)
    loaded = task.load(data, 20)
    net, batch = task.model(loaded).train(), loaded.train.rows(slice(0, 3))
    objective = ds.LRDrop(cross=False)
    plan = task.plan("dropout", 0.3)
    with plan.installed(net, batch):
        pair = ds.views(net, batch, 2, reads=objective.reads)
        terms = objective.terms(pair, task.loss)
    assert {name.split()[0] for name in terms} == {"task", "consistency", "hidden", "attention"}
    assert sum(name.startswith("hidden") for name in terms) == 2
    assert min(float(term.value.detach()) for term in terms.values()) > 0


def test_a_model_that_writes_nothing_is_refused_with_those_that_do(data, tmp_path):
    config = transformers.BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=1)
    config.save_pretrained(tmp_path / "bert")
    with pytest.raises(TaskError, match=r"family 'bert'[\s\S]*known: bart, "):
        tuned(tmp_path / "bert", data)


def test_without_the_hub_a_name_is_an_error_that_says_what_to_do(monkeypatch, data):
    def offline(name, **options):
        raise OSError(f"We couldn't connect to load {name}.\nCheck your connection")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    with pytest.raises(TaskError, match=r"cannot fetch the pretrained model 'facebook/bart-large'"):
        tuned("facebook/bart-large", data)


def test_a_record_is_found_by_the_hash_of_the_tokens_it_was_trained_on(checkpoint, data):
    from dropsmith.compare.stored_records import data_hash
    from dropsmith.train import task_and_data

    task = tuned(checkpoint, data)
    design = Design(
        task=task,
        methods=("none",),
        budget=task.budget,
        model=str(checkpoint),
        data=str(data),
        limit=20,
    )
    setup = design.setup("none", design.settings("none")[0], 0)
    assert data_hash(setup) == task_and_data(setup)[1].sha256 == task.load(data, 20).sha256
    assert data_hash(setup) != find_task("multi30k").load(data, 20).sha256


def test_no_text_is_longer_than_the_tokeniser_takes(checkpoint, data):
    import json

    from dropsmith.tasks.text.token_preprocessing import longest_text, tokeniser_of

    usual = tuned(checkpoint, data).load(data, 20)
    file = checkpoint / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 3}))
    for cache in (tokeniser_of, longest_text):
        cache.cache_clear()
    short = tuned(checkpoint, data).load(data, 19)
    assert usual.train.tensors()["source"].shape[1] > 3
    assert short.train.tensors()["source"].shape[1] == 3
