import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dropsmith.errors import CheckpointError, TaskError
from dropsmith.models import Scores, SmallLSTM
from dropsmith.objectives import ExpectationLinear, Fraternal, TaskLoss, TwoSample
from dropsmith.plans.plan import Plan
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Budget, Stream, find_task
from dropsmith.train import Setup, evaluate, steps_of, task_and_data, train
from dropsmith.train.checkpoint import FILE, Checkpoint, Saving, write
from dropsmith.train.state import State
from dropsmith.train.step import Stepper

pytestmark = pytest.mark.slow

IDENTITY = {"config": {"seed": 1, "sizes": (2, 3)}, "data_sha256": "ab"}


VALUES = {
    "step": 3,
    "loss": [0.1, 2.0],
    "beside": {"agreement": [0.1 + 0.2, 2.0]},
    "curve": [{"step": 1, "validation_nll": float("inf")}],
    "best_nll": 0.1 + 0.2,
    "worse": 0,
    "seconds": 1.5,
    "processor_seconds": float("nan"),
    "peak_bytes": 1e9,
    "noise_step": 3,
    "groups": [{"lr": 0.1, "params": [0]}],
    "carried": {"dict": {}},
}


def checkpoint(step=3, **change):
    tensors = {"model/w": torch.arange(4.0).view(2, 2), "generator/cpu": torch.get_rng_state()}
    values = VALUES | {"step": step}
    return Checkpoint(**{"identity": IDENTITY, "values": values, "tensors": tensors} | change)


def test_what_is_loaded_is_what_was_saved_to_the_bit(tmp_path):
    saved = checkpoint()
    saved.save(tmp_path)
    loaded = Checkpoint.load(tmp_path, IDENTITY)
    assert repr(loaded.values) == repr(saved.values)  # with what is no number
    assert loaded.tensors.keys() == saved.tensors.keys()
    for name, tensor in saved.tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoint.load(tmp_path / "gone", IDENTITY) is None


def test_tied_and_strided_tensors_are_written_in_full(tmp_path):
    table = torch.arange(6.0).view(2, 3)
    write(tmp_path / "t.safetensors", {"a": table, "b": table, "c": table.T})
    from safetensors.torch import load_file

    loaded = load_file(tmp_path / "t.safetensors")
    assert torch.equal(loaded["a"], loaded["b"])
    assert torch.equal(loaded["c"], table.T)


def test_a_write_that_breaks_off_leaves_the_older_one_whole(tmp_path, monkeypatch):
    checkpoint(step=3).save(tmp_path)

    def breaks(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr("dropsmith.files.tensor_files.save_file", breaks)
    with pytest.raises(CheckpointError, match=r"cannot write[\s\S]*disk full"):
        checkpoint(step=4).save(tmp_path)
    assert Checkpoint.load(tmp_path, IDENTITY).values["step"] == 3


def test_who_reads_while_it_is_replaced_reads_the_older_one_whole(tmp_path):
    path = checkpoint(step=3).save(tmp_path)
    older = path.read_bytes()
    with path.open("rb", buffering=0) as reader:
        half = reader.read(20)
        checkpoint(step=4).save(tmp_path)
        assert half + reader.read() == older
    assert [one.name for one in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"config": {"seed": 2, "sizes": [2, 3]}, "data_sha256": "ab"}, "its config differ"),
        ({"config": IDENTITY["config"], "data_sha256": "cd"}, "its data_sha256 differ"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, message):
    checkpoint().save(tmp_path)
    with pytest.raises(CheckpointError, match=message + r"[\s\S]*resume=False"):
        Checkpoint.load(tmp_path, other)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match=r"cannot read[\s\S]*delete it"):
        Checkpoint.load(tmp_path, IDENTITY)
    save_file({"w": torch.ones(1)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="is not a checkpoint of dropsmith"):
        Checkpoint.load(tmp_path, IDENTITY)
    header = {"format": "dropsmith.checkpoint", "version": 99}
    save_file({"w": torch.ones(1)}, tmp_path / FILE, {"dropsmith": json.dumps(header)})
    with pytest.raises(CheckpointError, match="of version 99"):
        Checkpoint.load(tmp_path, IDENTITY)


def test_a_checkpoint_of_the_version_before_is_refused_with_what_to_do(tmp_path):
    header = {"format": "dropsmith.checkpoint", "version": 1, "identity": IDENTITY, "values": {}}
    save_file({"w": torch.ones(1)}, tmp_path / FILE, {"dropsmith": json.dumps(header)})
    with pytest.raises(
        CheckpointError, match=r"of version 1, read here is 2\n  to train from the start: del"
    ):
        Checkpoint.load(tmp_path, IDENTITY)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"step": -1}, "field values.step should be greater than or equal to 0, but is -1"),
        ({"step": 1.0}, "field values.step should be a valid integer, but is 1.0"),
        ({"loss": [1.0]}, "field values.loss "),
        ({"beside": {"a": 1}}, "field values.beside.a should be a valid list, but is 1"),
        ({"curve": [{"step": "1"}]}, "field values.curve.0.step should be a valid number"),
        ({"other": 1}, "field values.other is unknown"),
    ],
)
def test_a_field_that_cannot_be_is_named_beside_the_file(values, says, tmp_path):
    path = checkpoint(values=VALUES | values).save(tmp_path)
    with pytest.raises(CheckpointError, match=rf"cannot read {path}\n  {says}[\s\S]*the start"):
        Checkpoint.load(tmp_path, IDENTITY)


def test_a_field_that_is_missing_is_named(tmp_path):
    values = {name: value for name, value in VALUES.items() if name != "groups"}
    checkpoint(values=values).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"field values\.groups is missing"):
        Checkpoint.load(tmp_path, IDENTITY)


def test_a_bit_that_flipped_in_a_tensor_is_seen(tmp_path):
    path = checkpoint().save(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="it has changed since it was written"):
        Checkpoint.load(tmp_path, IDENTITY)


def test_a_tensor_that_no_file_holds_is_refused_on_saving(tmp_path):
    tensors = {"w": torch.eye(2).to_sparse()}
    with pytest.raises(CheckpointError, match=r"cannot write[\s\S]*sparse"):
        checkpoint(tensors=tensors).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_goes_by_time_or_by_steps():
    assert not Saving().due(100, 19.9)
    assert Saving().due(100, 20.0)
    assert [Saving(steps=3).due(step, 1e9) for step in (1, 2, 3, 6)] == [False, False, True, True]


BUDGET = Budget(epochs=2, batch_size=3, learning_rate=2e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text of 15 words, 600 of them to train on: six windows an epoch and a short one."""
    where = tmp_path_factory.mktemp("text")
    generator = torch.Generator().manual_seed(0)
    for part, lines in (("train", 100), ("valid", 12), ("test", 12)):
        rows = torch.randint(0, 14, (lines, 5), generator=generator).tolist()
        text = "\n".join(" ".join(f"w{i}" for i in row) for row in rows)
        (where / f"ptb.{part}.txt").write_text(text + "\n")
    return where


def setup(folder, **change):
    settings = {
        "task": "penn-treebank",
        "method": "any",
        "plan": find_task("penn-treebank").plan("dropout", 0.3),
        "objective": TaskLoss(),
        "budget": BUDGET,
        "seed": 0,
        "data": str(folder),
    }
    return Setup(**settings | change)


class Stop(Exception):
    pass


def stop_at(share):
    def progress(done, /):
        if done >= share:
            raise Stop

    return progress


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.6])
@pytest.mark.parametrize(
    "objective", [TaskLoss(), Fraternal(kappa=0.1), ExpectationLinear(kappa=0.1)]
)
@pytest.mark.parametrize("noise", ["dropout", "weights", "variational"])
def test_a_run_stopped_in_the_middle_of_an_epoch_goes_on_with_the_state_it_had(
    tmp_path, folder, objective, noise, share
):
    plan = find_task("penn-treebank").plan(noise, 0.3)
    one = setup(folder, objective=objective, plan=plan)
    whole = train(one, tmp_path / "whole")
    with pytest.raises(Stop):
        train(one, tmp_path / "cut", progress=stop_at(share), saving=Saving(steps=1))
    assert {"carried/0", "carried/1"} <= load_file(tmp_path / "cut" / FILE).keys()
    resumed = train(one, tmp_path / "cut")
    weights = [load_file(tmp_path / name / WEIGHTS) for name in ("whole", "cut")]
    assert same(*weights)
    assert whole.scores == resumed.scores
    assert [row["train_loss"] for row in whole.curve] == [
        row["train_loss"] for row in resumed.curve
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda steps: {"step": steps + 1}, "field step should be at most"),
        (lambda steps: {"step": steps, "curve": []}, "field curve has no row"),
    ],
)
def test_a_run_does_not_go_on_from_a_step_that_it_has_not(folder, tmp_path, change, says):
    one = setup(folder)
    with pytest.raises(Stop):
        train(one, tmp_path, progress=stop_at(0.1), saving=Saving(steps=1))
    identity = {"config": one.to_json(), "data_sha256": task_and_data(one)[1].sha256}
    saved = Checkpoint.load(tmp_path, identity)
    tensors = {k: v for k, v in saved.tensors.items() if not k.startswith("best/")}
    replace(saved, values=saved.values | change(steps_of(one)), tensors=tensors).save(tmp_path)
    with pytest.raises(CheckpointError, match=rf"cannot resume from[\s\S]*{says}"):
        train(one, tmp_path)


class Plain:
    """Stands in for Accelerate where nothing is to be moved."""

    device = torch.device("cpu")

    @staticmethod
    def backward(loss):
        loss.backward()


class Counter(nn.Module):
    """Remembers the states it was given and returned: tokens read so far, and noise of its own."""

    def __init__(self):
        super().__init__()
        self.scale, self.drop = nn.Parameter(torch.ones(())), nn.Dropout(0.5)
        self.log = SimpleNamespace(given=[], returned=[])

    def forward(self, tokens, state=None):
        trains = torch.is_grad_enabled()  # without gradients a few rows are tried
        self.log.given += [state] * trains
        before = 0.0 if state is None else state[0]
        read = before + tokens.shape[1] * self.scale * torch.ones(len(tokens), 1, 1)
        scores = self.drop(torch.ones(*tokens.shape, 9)) * self.scale
        state = read, self.drop(torch.ones(len(tokens), 1, 64)) * self.scale
        self.log.returned += [state] * trains
        return Scores(scores, state)


def made(objective=None):
    """A counter, its state before training, and what takes steps on `TEXT`."""
    model = Counter()
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    one = setup("", plan=Plan(), objective=objective or TaskLoss())
    return model, state, Stepper(one, find_task("penn-treebank"), TEXT, Plain())


TEXT = Stream(torch.arange(31) % 9, window=4)  # three rows of ten: windows of 4, 4 and 2


@pytest.mark.parametrize("objective", [TaskLoss(), TwoSample(), ExpectationLinear(kappa=0.1)])
def test_every_view_starts_from_the_state_of_view_0_and_an_epoch_from_none(tmp_path, objective):
    model, state, stepper = made(objective)
    for _ in range(4):
        stepper.take(state, 0.0, tmp_path)
    views = objective.views_at(1)
    passes = 1 if not objective.noise_free else views
    given = [model.log.given[i : i + passes] for i in range(0, 4 * passes, passes)]
    returned = model.log.returned[::passes]
    for step, read in ((1, 4), (2, 8)):
        for state in given[step]:
            assert state[0].unique().tolist() == [read]
            # Stacked or one after the other, every view is given the rows of the first.
            for rows in state[1].split(3):
                assert torch.equal(rows, returned[step - 1][1][:3])
            assert not any(part.requires_grad for part in state)
    for step in (0, 3):
        assert given[step] == [None] * passes


def left(seed, chance, steps=600):
    """In which steps a long text's windows begin without a state."""
    model = Counter()
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    one = setup("", plan=Plan(), seed=seed, budget=replace(BUDGET, reset=chance))
    text = Stream(torch.arange(3 * steps * 2 + 4) % 9, window=2)
    stepper = Stepper(one, find_task("penn-treebank"), text, Plain())
    for _ in range(steps):
        stepper.take(state, 0.0, Path())
    return [step for step, given in enumerate(model.log.given) if given is None]


@pytest.mark.slow
def test_a_state_is_left_behind_as_often_as_the_budget_says_and_alike_each_time():
    assert left(seed=0, chance=0.0) == [0]
    assert left(seed=0, chance=1.0) == list(range(600))
    found = left(seed=0, chance=0.2)
    # Four standard deviations of a count of 599 coins.
    assert abs(len(found) - 1 - 599 * 0.2) < 4 * (599 * 0.2 * 0.8) ** 0.5
    assert found == left(seed=0, chance=0.2)
    assert found != left(seed=1, chance=0.2)


def test_a_chance_that_is_none_is_refused():
    with pytest.raises(TaskError, match=r"got 1\.5"):
        replace(BUDGET, reset=1.5)


def test_the_learning_rate_of_a_step_is_scaled_by_its_windows_length(tmp_path):
    _, state, stepper = made()
    rates = []
    for _ in range(3):
        stepper.take(state, 0.5, tmp_path)
        rates.append(state.optimizer.param_groups[0]["lr"])
    assert rates == [0.5, 0.5, 0.25]


def test_a_stream_is_scored_as_if_it_were_read_at_once():
    task = find_task("penn-treebank")
    torch.manual_seed(0)
    net = SmallLSTM(words=9, width=8)
    tokens = torch.randint(0, 9, (101,), generator=torch.Generator().manual_seed(1))
    log_p = net.eval()(tokens[None, :-1]).logits.log_softmax(-1).squeeze(0)
    nll = -float(log_p[torch.arange(100), tokens[1:]].mean().detach())
    for window in (7, 35, 200):
        found = evaluate(net, task, Stream(tokens, window=window))
        assert found["nll"] == pytest.approx(nll, abs=1e-6)
        assert found["perplexity"] == pytest.approx(math.exp(nll), rel=1e-5)


def test_a_run_sees_as_many_examples_as_there_are_tokens_to_predict(tmp_path, folder):
    record = train(setup(folder), tmp_path)
    tokens = len(find_task("penn-treebank").load(folder).train)
    assert record.cost["example_views"] == 2 * tokens
    assert [row["epoch"] for row in record.curve] == [1.0, 2.0]


def test_a_run_may_end_with_the_mean_of_samples_beside_the_one_pass(tmp_path, folder):
    plain, sampled = (train(setup(folder, samples=n), tmp_path / str(n)).scores for n in (0, 4))
    assert {name: sampled[name] for name in plain} == plain
    assert sampled["test_mc_nll"] != sampled["test_nll"]
    assert math.log(sampled["test_mc_perplexity"]) == pytest.approx(sampled["test_mc_nll"])


def test_a_model_of_the_users_own_without_a_state_reads_windows_by_themselves(
    tmp_path, folder, monkeypatch
):
    (tmp_path / "stateless_test_model.py").write_text(
        "from torch import nn\n"
        "def make(data):\n"
        "    return nn.Sequential(nn.Embedding(data.classes, 4), nn.Linear(4, data.classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    record = train(setup(folder, plan=Plan(), model="stateless_test_model:make"), tmp_path / "run")
    assert record.scores["test_perplexity"] < 20
