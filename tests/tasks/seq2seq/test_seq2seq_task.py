"""Translation and summarisation on real data: counts, whole runs in a few steps, what is scored."""

import pytest
import torch

from dropsmith.compare import Design, pick
from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Budget, DataOptions, describe, find_task
from dropsmith.tasks.data.bounds import USUAL
from dropsmith.tasks.seq2seq.seq2seq_task import TextPairs, pairs_of
from dropsmith.tasks.seq2seq.subwords import Subwords, text_of
from dropsmith.train import train

FOLDERS = {
    "multi30k": "multi30k",
    "iwslt2017": "iwslt2017_de_en",
    "samsum": "samsum",
    "scitldr": "scitldr",
}


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("multi30k", (29_000, 1_014, 1_000)),
        ("iwslt2017", (7_079, 1_000, 888)),
        ("samsum", (14_731, 818, 819)),  # one of the published 14,732 chats is empty
        ("scitldr", (1_992, 619, 618)),
    ],
)
def test_the_parts_have_their_published_sizes(data_dir, name, sizes):
    parts = find_task(name).read(data_dir / FOLDERS[name]).parts
    assert tuple(map(len, parts.values())) == sizes
    assert find_task(name).read(data_dir).parts == parts


def test_held_out_abstracts_keep_all_their_summaries(data_dir):
    parts = find_task("scitldr").read(data_dir).parts
    counts = {part: sum(len(references) for _, references in parts[part]) for part in parts}
    assert counts == {"train": 1_992, "validation": 1_453, "test": 1_967}


def test_the_first_pair_of_multi30k_comes_back_from_its_numbers(data_dir):
    data = find_task("multi30k").load(data_dir, 50)
    row = data.train.rows(slice(0, 1))
    assert text_of(data.vocabulary, row["source"][0].tolist()) == (
        "Two young, White males are outside near many bushes."
    )
    assert text_of(data.vocabulary, row["target"][0].tolist()) == (
        "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
    )


def test_sources_in_two_parts_are_counted_before_and_left_out_by_option():
    parts = {
        "train": [("A chat .", ("one",)), ("other", ("two",)), ("third", ("3",))],
        "validation": [("a chat.", ("one",)), ("fourth", ("4",))],
        "test": [("new", ("5",)), ("third", ("6",))],
    }

    def read(data, bounds):
        return TextPairs(parts=parts, source="here")

    kept = pairs_of(read, None, None, USUAL)
    assert kept.parts == parts
    assert dict(kept.notes)["repeated"].startswith(
        "1 of 2 validation texts and 1 of 2 test texts are in training too, and are kept"
    )
    assert pairs_of(read, None, 1, USUAL).notes[0][1].startswith("1 of 1 validation text is in")
    without = pairs_of(read, None, 1, USUAL, "train")
    assert without.parts == {
        "train": parts["train"][1:2],
        "validation": parts["validation"][:1],
    } | {"test": parts["test"][:1]}
    assert dict(without.notes)["repeated"] == (
        "2 training texts are in a later part too, and are left out"
    )
    fewer = pairs_of(read, None, None, USUAL, "test")
    assert [len(pairs) for pairs in fewer.parts.values()] == [3, 1, 1]


def test_pieces_are_learnt_from_the_training_texts_alone(data_dir):
    few, more = (find_task("multi30k").load(data_dir, limit) for limit in (50, 60))
    assert few.vocabulary != more.vocabulary
    assert len(few.test) == 50


def test_label_smoothing_is_of_the_loss_and_not_of_the_likelihood():
    task = find_task("multi30k")
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.tensor([[1, 2, -100], [3, -100, -100]])
    log_p = logits.log_softmax(-1)
    real = [(0, 0, 1), (0, 1, 2), (1, 0, 3)]
    nll = -sum(float(log_p[i, j, y]) for i, j, y in real)
    even = -sum(float(log_p[i, j].mean()) for i, j, _ in real)
    batch = {"labels": labels}
    assert task.score(logits, batch)["nll"] == (pytest.approx(nll), 3.0)
    assert float(task.loss(logits, batch).mean.sum) == pytest.approx(0.9 * nll + 0.1 * even)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scores", "signature"),
    [("multi30k", {"bleu"}, "BLEU"), ("scitldr", {"rouge1", "rouge2", "rougel"}, "ROUGE")],
)
def test_a_few_steps_end_in_what_was_written_and_how_it_was_scored(
    data_dir, tmp_path, name, scores, signature
):
    task = find_task(name)
    design = Design(
        task=task,
        methods=pick(["r-drop"], task),
        budget=Budget(epochs=4, batch_size=512, learning_rate=3e-3),
        data=str(data_dir / FOLDERS[name]),
        limit=12,
    )
    record = train(design.setup("r-drop", {"rate": 0.1, "alpha": 1.0}, 0), tmp_path)
    tested = {key.removeprefix("test_") for key in record.scores if key.startswith("test_")}
    assert tested == scores | {"nll", "calibration_error"}
    assert list(record.environment["signatures"]) == [signature]
    assert record.curve[-1]["train_loss"] < record.curve[0]["train_loss"]


@pytest.mark.slow
def test_what_was_written_stands_in_the_order_of_the_test_examples(data_dir):
    task = find_task("multi30k")
    data = task.load(data_dir, 12)
    torch.manual_seed(0)
    net = task.model(data).eval()
    texts = task.score_generation(net, data).texts
    row = data.test.rows(slice(7, 8))["source"]
    alone = net.write(row, beams=task.beams, longest=2 * row.shape[1] + 10)[0].tolist()
    assert text_of(data.vocabulary, alone)[:10] == texts[7][:10]


def test_of_another_model_that_cannot_write_the_record_says_so(data_dir):
    task = find_task("multi30k")
    found = task.score_generation(torch.nn.Linear(2, 2), task.load(data_dir, 12))
    assert not found.scores
    assert found.signatures["written"].startswith("nothing: Linear has no write")


def test_texts_that_are_not_aligned_are_named(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.en").write_text("one\ntwo\n")
    (tmp_path / "raw" / "train.de").write_text("eins\n")
    with pytest.raises(DataError, match=r"train.en and train.de in .* not aligned: 2 and 1 lines"):
        find_task("multi30k").load(tmp_path)


@pytest.mark.parametrize("name", ["multi30k", "samsum", "scitldr", "iwslt2017"])
def test_a_folder_without_it_says_what_was_looked_for(tmp_path, name):
    with pytest.raises(DataError, match=r"no file [\s\S]*looked for"):
        find_task(name).load(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "train.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"cannot read .*train.jsonl.gz"):
        find_task("samsum").load(tmp_path)


def test_articles_are_read_from_the_hub_alone(tmp_path):
    with pytest.raises(DataError, match="leave --data out"):
        find_task("cnn-dailymail").load(tmp_path)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs of several lengths, in the form of Multi30k."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "raw").mkdir()
    words = ["a", "man", "walks", "the", "dog", "runs", "sleeps"]
    sources = [" ".join(words[(i * j) % 7] for j in range(1, 2 + i % 12)) for i in range(60)]
    targets = [" ".join(text.split()[::-1][: 1 + i % 5]) for i, text in enumerate(sources)]
    for part in ("train", "val", "test_2016_flickr"):
        (folder / "raw" / f"{part}.en").write_text("\n".join(sources) + "\n")
        (folder / "raw" / f"{part}.de").write_text("\n".join(targets) + "\n")
    return folder, sources, targets


@pytest.mark.parametrize("length", [3, 6, 300])
def test_texts_are_cut_to_the_length_that_is_set_and_the_shares_are_said(pairs, length):
    folder, sources, targets = pairs
    task = find_task("multi30k", data_options=DataOptions(text_length=length))
    data = task.load(folder, 60)
    both = zip(sources, targets, strict=True)
    subwords = Subwords.learn([text for pair in both for text in pair], 3_000)
    pieces = [subwords.numbers(texts) for texts in (sources, targets)]
    for row in range(60):
        batch = data.train.rows(slice(row, row + 1))
        assert batch["source"][0].tolist() == [*pieces[0][row][: length - 1], 2]
        assert batch["labels"][0].tolist() == [*pieces[1][row][: length - 2], 2]
    longer = [
        100 * sum(len(text) + marks > length for text in texts) / 60
        for texts, marks in zip(pieces, (1, 2), strict=True)
    ]
    said = next(line for line in describe(task, data).splitlines() if line.startswith("text len"))
    assert f"the first {length} tokens are kept" in said
    if length == 300:
        assert said.endswith("none is longer")
    else:
        assert (
            f"{longer[0]:.1f} % of the training sources and {longer[1]:.1f} % of the targets"
            in said
        )
    batch = data.test.rows(slice(0, 4))
    batch.pop("labels")
    assert task.model(data)(**batch).shape[:2] == batch["target"].shape
    assert data.sha256 != find_task("multi30k").load(folder, 60).sha256


def test_a_length_without_room_for_a_word_is_refused():
    with pytest.raises(TaskError, match=r"no room for a word[\s\S]*--text-length 3 or more"):
        find_task("multi30k", data_options=DataOptions(text_length=2))
