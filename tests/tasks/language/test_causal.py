import math

import pytest
import torch

from dropsmith.compare import Design, pick
from dropsmith.tasks import Budget, find_task
from dropsmith.train import evaluate, train

pytest.importorskip("transformers")
TASK = find_task("wikitext2-transformer")


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 60), ("valid", 30), ("test", 33)):
        text = "\n".join(f"the w{i % 7} w{i % 5} follows" for i in range(count))
        (tmp_path / f"wiki.{part}.tokens").write_text(text + "\n")
    return tmp_path


def test_the_perplexity_is_that_of_every_window_read_by_itself(folder):
    data = TASK.load(folder, 300)
    torch.manual_seed(0)
    net = TASK.model(data).eval()
    found = evaluate(net, TASK, data.test)
    count, total = 0, 0.0
    for batch in data.test.batches(1):
        assert batch.columns["tokens"].shape[1] <= 64
        for row, labels in zip(batch.columns["tokens"], batch.columns["labels"], strict=True):
            with torch.no_grad():
                log_p = net(row.unsqueeze(0))[0].log_softmax(-1)
            for place, label in enumerate(labels.tolist()):
                if label != -100:
                    total, count = total - float(log_p[place, label]), count + 1
    assert count == len(data.test)
    assert found["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_without_a_limit_it_reads_a_hundred_thousand_tokens(data_dir):
    data = TASK.load(data_dir / "wikitext2")
    assert (len(data.train), len(data.validation), len(data.test)) == (99_999, 19_999, 19_999)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dropout", "r-drop"])
def test_a_few_steps_on_real_text_lower_the_perplexity(data_dir, tmp_path, method):
    design = Design(
        task=TASK,
        methods=pick([method], TASK),
        budget=Budget(epochs=4, batch_size=8, learning_rate=3e-3),
        data=str(data_dir / "wikitext2"),
        limit=2_000,
    )
    setting = {"rate": 0.1} | ({"alpha": 1.0} if method == "r-drop" else {})
    record = train(design.setup(method, setting, 0), tmp_path)
    assert record.curve[-1]["validation_perplexity"] < 0.9 * len(TASK.load(data_dir, 2_000).names)
    assert {"test_perplexity", "test_nll"} <= set(record.scores)
