import gzip
import json
import math
from itertools import chain

import pytest
import torch

from dropsmith.compare import pick
from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Split, find_task
from dropsmith.train import evaluate

COUNT = 60


def write(path, rows):
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))


def review(i):
    """A review whose every word says whose it is, of 130 to 720 words."""
    return {"text": " ".join([f"w{i}"] * (130 + 10 * i)), "rating": i / COUNT}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "scaledata.jsonl.gz", [review(i) for i in range(COUNT)])
    return tmp_path


def parts(data):
    return [data.train, data.validation, data.test]


def raw(data, part):
    """Ratings as they were before they were standardised, by the source's own words."""
    mean = float(data.source.split("standardised by ")[1].split(" ± ")[0])
    return part.columns["labels"] * part.unit + mean


def test_reviews_are_split_whole_and_pieces_have_the_rating_of_theirs(folder):
    data = find_task("sentiment-scale").load(folder)
    by_part = [{round(float(r) * COUNT) for r in raw(data, part)} for part in parts(data)]
    assert sorted(chain(*by_part)) == list(range(COUNT))
    assert [len(numbers) for numbers in by_part] == [48, 6, 6]
    words = dict(enumerate(data.vocabulary))
    for tokens, rating in zip(data.train.columns["tokens"], raw(data, data.train), strict=True):
        assert {words[t] for t in tokens.tolist() if t} == {f"w{round(float(rating) * COUNT)}"}


def test_pieces_are_of_200_words_and_the_tail_is_kept(folder):
    data = find_task("sentiment-scale").load(folder)
    found = {}
    for part in parts(data):
        for tokens, rating in zip(part.columns["tokens"], raw(data, part), strict=True):
            found.setdefault(round(float(rating) * COUNT), []).append(int((tokens != 0).sum()))
    for i, sizes in found.items():
        whole, tail = divmod(130 + 10 * i, 200)
        assert sizes == [200] * whole + [tail] * bool(tail)


def test_words_are_those_of_training_alone(folder):
    data = find_task("sentiment-scale").load(folder)
    assert data.vocabulary[:2] == ("<pad>", "<unk>")
    assert len(data.vocabulary) == 2 + 48
    held = data.test.columns["tokens"]
    assert set(held.unique().tolist()) <= {0, 1}


def test_ratings_of_training_have_mean_0_and_deviation_1(folder):
    data = find_task("sentiment-scale").load(folder)
    labels = data.train.columns["labels"].double()
    assert float(labels.mean()) == pytest.approx(0, abs=1e-6)
    assert float(labels.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert {part.unit for part in parts(data)} == {data.train.unit}


def test_the_error_is_told_in_the_unit_of_the_ratings(folder):
    task = find_task("sentiment-scale")
    data = task.load(folder)

    class Mean(torch.nn.Module):
        def forward(self, tokens):
            return torch.zeros(len(tokens), 1)

    found = evaluate(Mean(), task, data.test)
    errors = raw(data, data.test) - raw(data, data.train).mean()
    assert found["rmse"] == pytest.approx(float(errors.square().mean().sqrt()), rel=1e-3)
    assert found["rmse"] == pytest.approx(data.test.unit * math.sqrt(found["mse"]))
    assert set(found) == {"mse", "rmse"}


def test_a_limit_counts_reviews_and_leaves_validation_and_test_whole(folder):
    task = find_task("sentiment-scale")
    whole, few = task.load(folder), task.load(folder, 10)
    assert len(set(raw(few, few.train).mul(COUNT).round().tolist())) == 10
    assert len(few.test) == len(whole.test)
    assert whole.full_size == few.full_size == 48
    with pytest.raises(TaskError, match="limit=49, but there are 48"):
        task.load(folder, 49)


def test_a_text_that_stands_twice_is_one_review(folder):
    rows = [review(i) for i in range(COUNT)]
    before = find_task("sentiment-scale").load(folder).sha256
    inside = folder / "sentiment_scale"
    inside.mkdir()
    write(inside / "scaledata.jsonl.gz", [*rows, rows[3] | {"rating": 0.99}])
    (folder / "scaledata.jsonl.gz").unlink()
    assert find_task("sentiment-scale").load(folder).sha256 == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [review(i) | {"rating": "good"} for i in range(COUNT)],
            "line 1 of .* is 'good'",
        ),
        (
            [review(i) | {"rating": 3} for i in range(COUNT)],
            "line 1 of .* is 3, and",
        ),
        ([review(i) for i in range(5)], "5 reviews, too few"),
        ([review(i) | {"rating": 0.5} for i in range(COUNT)], "have one rating, 0.5"),
        ([review(i) | {"text": "\u2003" * i} for i in range(COUNT)], "1 reviews, too few"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path, rows, message):
    write(tmp_path / "scaledata.jsonl.gz", rows)
    with pytest.raises(DataError, match=message):
        find_task("sentiment-scale").load(tmp_path)


def test_without_a_file_the_error_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match="give its folder: --data DIR"):
        find_task("sentiment-scale").load()
    with pytest.raises(DataError, match=r"scaledata.jsonl or scaledata.jsonl.gz"):
        find_task("sentiment-scale").load(tmp_path)


def test_both_tasks_read_the_same_and_differ_in_their_cell(folder):
    lstm, gru = find_task("sentiment-scale"), find_task("sentiment-scale-gru")
    assert lstm.load(folder) is gru.load(folder)
    assert isinstance(lstm.model(lstm.load(folder)).layer, torch.nn.LSTM)
    assert isinstance(gru.model(gru.load(folder)).layer, torch.nn.GRU)


def test_a_method_that_compares_probabilities_compares_its_values_instead():
    from dropsmith.compare import METHODS
    from dropsmith.objectives import RDrop

    task = find_task("sentiment-scale")
    assert pick(["r-drop"], task)[-1] == "r-drop"
    goal = METHODS["r-drop"].goal({"rate": 0.3, "alpha": 1.0}, task.kind)
    assert goal == RDrop(alpha=1.0, kind="regression")


@pytest.mark.slow
def test_the_real_reviews(data_dir):
    data = find_task("sentiment-scale").load(data_dir / "sentiment_scale")
    assert len(data.vocabulary) == 20_000
    assert data.full_size == 3_967
    assert isinstance(data.train, Split)
    # No whole piece of a test review is among the training pieces; endings may be stock words.
    known = {row.tobytes() for row in data.train.columns["tokens"].numpy()}
    whole = [row for row in data.test.columns["tokens"].numpy() if (row > 0).all()]
    assert not any(row.tobytes() in known for row in whole)
    sizes = [len(part) for part in parts(data)]
    assert abs(sizes[0] / sum(sizes) - 0.8) < 0.01
