"""A tracked run sends its curve and scores to its trackers, and is the run that it would be."""

import sys
from functools import partial
from types import SimpleNamespace

import pytest
from accelerate.tracking import GeneralTracker

from dropsmith.compare import make_record, run, stored_record
from dropsmith.errors import TrackerError
from dropsmith.record import Record
from dropsmith.train import Saving, check_trackers, train
from dropsmith.train import tracking as module
from dropsmith.train.tracking import Tracking, flat
from dropsmith.workers import Done
from train.setups import digits

NEVER = Saving(seconds=1e9)


class Kept(GeneralTracker):
    """A tracker that keeps what it is told."""

    name, requires_logging_directory = "kept", False

    def __init__(self, fails=None):
        super().__init__()
        self.fails, self.rows, self.configuration, self.is_finished = fails, [], None, False

    @property
    def tracker(self):
        return self

    def store_init_configuration(self, values):
        self.configuration = values

    def log(self, values, step=None, **settings):
        print("a line of a tracker's own")
        if self.fails == "log":
            raise ConnectionError("no network\nand more")
        self.rows.append((step, values))

    def finish(self):
        self.is_finished = True

    def start(self):
        if self.fails == "start":
            raise ValueError("no key is given")


def without_seconds(record):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in record.curve], record.scores


def test_a_tracker_is_told_the_configuration_each_row_of_the_curve_and_the_scores(tmp_path, capsys):
    kept, broken, setup, heard = Kept(), Kept("log"), digits(), []
    record = train(
        setup,
        tmp_path / "run",
        saving=NEVER,
        on_evaluation=lambda row: heard.append(dict(row)),
        trackers=[broken, kept],
    )
    assert heard == list(record.curve)
    *rows, final = [({"step": step} | values) for step, values in kept.rows]
    assert rows == list(record.curve)
    assert {name.removeprefix("best_"): value for name, value in final.items()} == {
        "step": record.curve[-1]["step"]
    } | record.scores
    assert not rows[0].keys() & final.keys() - {"step"}  # best weights are not the last ones
    assert "train_consistency" in rows[0]
    assert kept.configuration is not None
    assert kept.configuration == flat(setup.to_json())
    assert kept.configuration["objective.alpha"] == 1.0
    assert kept.is_finished
    printed = capsys.readouterr()
    assert printed.out == ""
    said = [line for line in printed.err.splitlines() if "tracker's own" not in line]
    assert said == [
        "dropsmith: the run goes on without the tracker kept, which failed: "
        "ConnectionError: no network"
    ]
    plain = train(setup, tmp_path / "plain", saving=NEVER)
    assert without_seconds(plain) == without_seconds(record)
    assert plain.id == record.id


def test_a_run_that_fails_lets_its_trackers_finish(tmp_path):
    kept = Kept()
    with pytest.raises(ZeroDivisionError), Tracking([kept], digits(), tmp_path / "run"):
        raise ZeroDivisionError
    assert kept.is_finished


def test_a_tracker_that_does_not_start_is_one_sentence_and_the_others_finish(tmp_path):
    first = Kept()
    with pytest.raises(TrackerError, match="kept did not start: ValueError: no key is given\n"):
        train(digits(), tmp_path / "run", trackers=[first, Kept("start")])
    assert first.is_finished


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ZeroDivisionError, "FAILED"), (KeyboardInterrupt, "KILLED")],
)
def test_a_run_ends_in_mlflow_and_wandb_as_it_ended_here(error, status, tmp_path, monkeypatch):
    ends = []
    end_run = lambda status="FINISHED": ends.append(status)  # noqa: E731
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(end_run=end_run))

    class Mlflow(Kept):
        name = "mlflow"

        def finish(self):
            end_run()

    class Wandb(Kept):
        name = "wandb"

        def finish(self, exit_code=0):
            ends.append(exit_code)

    try:
        with Tracking([Mlflow(), Wandb()], digits(), tmp_path / "run"):
            if error is not None:
                raise error
    except (ZeroDivisionError, KeyboardInterrupt):
        pass
    assert ends == [status, int(error is not None)]


@pytest.mark.parametrize("is_resumed", [True, False])
def test_only_a_run_that_is_resumed_adds_to_the_files_of_trackers(is_resumed, tmp_path):
    files, others = (tmp_path / "tracking" / run / "events" for run in ("run", "another"))
    for file in (files, others):
        file.parent.mkdir(parents=True)
        file.touch()
    with Tracking([Kept()], digits(), tmp_path / "run", is_resumed=is_resumed):
        assert files.exists() == is_resumed
    assert others.exists()


@pytest.mark.parametrize("resume", [True, False])
def test_training_says_whether_a_run_is_resumed(resume, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(*_args, is_resumed):
        assert is_resumed == resume
        raise Stop

    def interrupt(row):
        raise Stop

    folder = tmp_path / "run"
    with pytest.raises(Stop):
        train(digits(), folder, saving=Saving(steps=1), on_evaluation=interrupt)
    monkeypatch.setattr("dropsmith.train.loop.Tracking", stop)
    with pytest.raises(Stop):
        train(digits(), folder, resume=resume)


@pytest.mark.parametrize("has_record", [True, False])
def test_a_tracker_that_does_not_start_makes_no_record_and_removes_none(
    has_record, tmp_path, monkeypatch
):
    def spread(work, jobs, processes, libraries=()):
        yield from (Done(index, work(job, lambda *_: None)) for index, job in enumerate(jobs))

    monkeypatch.setattr("dropsmith.compare.runs.spread", spread)
    setup = digits()
    if has_record:
        Record(config=setup.to_json(), scores={"test_accuracy": 1.0}).save(tmp_path)
    make = partial(make_record, trackers=[Kept("start")])
    before = stored_record(setup, tmp_path)
    assert (before is not None) == has_record
    with pytest.raises(TrackerError, match="did not start"):
        run([setup], tmp_path, processes=1, make=make, again=True)
    assert stored_record(setup, tmp_path) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorbord", "did you mean 'tensorboard'"),
        ("all", "no tracker is called 'all'"),
        ("", "no tracker is called ''"),
        (3, "no tracker is called 3"),
    ],
)
def test_a_tracker_that_there_is_not_is_refused(name, words):
    with pytest.raises(TrackerError, match=words):
        check_trackers([Kept(), name])


def test_a_tracker_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    for name, library in (("wandb", "wandb"), ("comet_ml", "comet-ml"), ("trackio", "trackio")):
        with pytest.raises(TrackerError) as caught:
            check_trackers([name])
        assert str(caught.value) == (
            f"the tracker {name} needs the library {library}, which is not installed\n"
            f"  pip install {library}"
        )


def test_a_tracker_of_a_name_gets_the_name_of_the_run_and_its_place(tmp_path, monkeypatch):
    import accelerate.tracking

    made = []

    class Board(Kept):
        name, requires_logging_directory = "tensorboard", True

        def __init__(self, project, place, **settings):
            super().__init__()
            made.append((project, place, settings))

    class Bias(Kept):
        name = "wandb"

        def __init__(self, project, **settings):
            super().__init__()
            made.append((project, settings))

    names = {"tensorboard": Board, "wandb": Bias}
    monkeypatch.setattr(
        "accelerate.tracking.get_available_trackers",
        lambda: [accelerate.utils.LoggerType(name) for name in names],
    )
    for place in ("accelerate.accelerator", "accelerate.tracking"):
        monkeypatch.setattr(f"{place}.LOGGER_TYPE_TO_CLASS", names)
    with Tracking(list(names), digits(), tmp_path / "abc123") as tracking:
        tracking({"step": 1, "train_loss": 0.5})
        assert [tracker.rows for tracker in tracking.trackers] == [[(1, {"train_loss": 0.5})]] * 2
    board, bias = made
    assert board == (module.PROJECT, str(tmp_path / "tracking" / "abc123"), {})
    assert bias == (
        module.PROJECT,
        {"name": "digits r-drop seed 0", "id": "abc123", "resume": "allow"},
    )


def test_settings_are_flat_short_numbers_and_texts():
    values = flat({"a": {"b": {"c": True}}, "d": [1, 2], "e": "x" * 1000, "f": None})
    assert values == {"a.b.c": True, "d": "[1, 2]", "e": "x" * 250, "f": "None"}
