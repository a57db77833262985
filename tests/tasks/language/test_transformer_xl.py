import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dropsmith.compare import Design, pick
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Budget, find_task
from dropsmith.tasks.language.transformer_xl import MEMORY, SEGMENT
from dropsmith.train import Saving, evaluate, train

TASK = find_task("penn-treebank-xl")
BUDGET = Budget(epochs=2, batch_size=4, learning_rate=3e-3)


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 120), ("valid", 60), ("test", 33)):
        text = "\n".join(f"the w{i % 7} w{i % 5} follows" for i in range(count))
        (tmp_path / f"ptb.{part}.txt").write_text(text + "\n")
    return tmp_path


def setup(method, folder, setting, **change):
    design = Design(
        task=TASK,
        methods=pick([method], TASK),
        budget=replace(BUDGET, **change),
        data=str(folder),
        limit=500,
    )
    return design.setup(method, setting, 0)


def test_the_perplexity_is_that_of_segments_read_one_after_the_other(folder):
    data = TASK.load(folder, 500)
    torch.manual_seed(0)
    net = TASK.model(data).eval()
    found = evaluate(net, TASK, data.test)
    ids, state, total = data.test.tokens, None, 0.0
    assert len(ids) > 2 * SEGMENT + 2
    for start in range(0, len(ids) - 1, SEGMENT):
        segment = ids[start : start + SEGMENT + 1]
        with torch.no_grad():
            scores = net(segment[None, :-1], state)
        state = scores.state
        log_p = scores.logits[0].log_softmax(-1)
        total -= float(sum(log_p[t, label] for t, label in enumerate(segment[1:].tolist())))
    assert state[0].shape[1] == MEMORY
    assert found["perplexity"] == pytest.approx(math.exp(total / (len(ids) - 1)), rel=1e-4)


class Stop(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "setting"), [("locked", {"rate": 0.2}), ("r-drop", {"rate": 0.2, "alpha": 1.0})]
)
def test_a_run_resumes_to_the_bit_with_its_memory(folder, tmp_path, method, setting):
    made = setup(method, folder, setting)
    whole = train(made, tmp_path / "whole")
    steps = iter(range(1, 100))

    def progress(share, /):
        # The second segment of an epoch starts from a memory.
        if next(steps) == 2:
            raise Stop

    with pytest.raises(Stop):
        train(made, tmp_path / "cut", progress=progress, saving=Saving(steps=1))
    resumed = train(made, tmp_path / "cut")
    ours, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "cut"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)
    assert resumed.scores == whole.scores


def test_layers_can_be_made_to_agree(folder, tmp_path):
    setting = {"rate": 0.2, "hidden": 1.0, "attention": 1.0, "output": 1.0}
    record = train(setup("lr-drop", folder, setting, epochs=1), tmp_path)
    assert record.scores["test_perplexity"] > 1


@pytest.mark.parametrize("name", ["penn-treebank-xl", "wikitext2-xl"])
def test_without_a_limit_it_reads_a_hundred_thousand_tokens(data_dir, name):
    data = find_task(name).load(data_dir)
    assert (len(data.train), len(data.validation), len(data.test)) == (99_999, 19_999, 19_999)
    assert data.train.window == SEGMENT


@pytest.mark.slow
def test_a_few_steps_on_real_text_lower_the_perplexity(data_dir, tmp_path):
    design = Design(
        task=TASK,
        methods=pick(["dropout"], TASK),
        budget=Budget(epochs=4, batch_size=8, learning_rate=3e-3),
        data=str(data_dir),
        limit=2_000,
    )
    record = train(design.setup("dropout", {"rate": 0.1}, 0), tmp_path)
    assert record.curve[-1]["validation_perplexity"] < 0.9 * len(TASK.load(data_dir, 2_000).names)
