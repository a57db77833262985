"""A study loses nothing: it is ended before and after each of its writes, and goes on the same."""

from dataclasses import replace

import optuna
import pytest
import torch
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    Controller,
    Executor,
    Learning,
    RandomSampler,
    ScoreReport,
    TrialFailed,
    TrialFinished,
    TrialStopped,
    search,
    study,
)
from pattern_search.small import SPACE, by_rates, reporting

pytestmark = pytest.mark.slow

WRITES = (
    "create_new_study",
    "set_study_user_attr",
    "create_new_trial",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_state_values",
)
TRIALS = 5


class Cut(BaseException):
    """The power goes off."""


def journal(folder):
    return JournalStorage(JournalFileBackend(str(folder / "study.log")))


def cut_at(storage, count, after):
    """This storage until write number `count`, before or after which everything ends."""
    left = [count]

    def wrap(write):
        def wrapped(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0 or (left[0] == 0 and not after):
                raise Cut
            made = write(*args, **kwargs)
            if left[0] == 0:
                raise Cut
            return made

        return wrapped

    for name in WRITES:
        setattr(storage, name, wrap(getattr(storage, name)))
    return storage


def run(storage, *, trials=TRIALS, score=reporting, seed=0, **settings):
    learner = Controller(SPACE, seed=seed, learning=Learning(warmup=2))
    asked = {"sampler": learner, "executor": "serial", "storage": storage} | settings
    return search(score, SPACE, trials=trials, seed=seed, **asked)


def course(result):
    """All that must be the same however often a study was ended: what was asked, told and found."""
    told = sorted(
        (one for one in result.trials if one.tell_order is not None), key=lambda one: one.tell_order
    )
    return [
        (
            one.proposal_index,
            one.tokens,
            one.version,
            one.log_probability,
            one.seed,
            one.score,
            one.reports,
        )
        for one in told
    ]


@pytest.fixture(scope="module")
def uninterrupted():
    return course(run(InMemoryStorage()))


def test_the_same_seed_gives_the_same_study_and_another_seed_another(uninterrupted):
    assert course(run(InMemoryStorage())) == uninterrupted
    assert course(run(InMemoryStorage(), seed=1)) != uninterrupted
    assert [one[2] for one in uninterrupted] != [0] * TRIALS  # the controller has learned by then


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_ended_at_any_write_it_goes_on_as_if_nothing_had_been(after, tmp_path, uninterrupted):
    ends = []
    for count in range(1, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        try:
            run(cut_at(journal(folder), count, after))
        except Cut:
            found = run(journal(folder))
            assert course(found) == uninterrupted, f"ended at write {count}"
            assert [one.status for one in found.trials].count("finished") == TRIALS
            assert len(found.trials) <= TRIALS + 1
            ends.append(len(found.trials))
        else:
            break
    assert count > 5 * TRIALS  # each trial is created, reports twice, and ends in two writes
    assert set(ends) == {TRIALS, TRIALS + 1}  # some kills cost a try, and none a proposal


def test_ended_again_and_again_it_still_comes_to_the_same(tmp_path, uninterrupted):
    for count in range(1, 100):
        try:
            found = run(cut_at(journal(tmp_path), 6 + count % 4, after=count % 2 == 0), retries=99)
        except Cut:
            continue
        assert course(found) == uninterrupted
        assert max(one.retry for one in found.trials) >= 1
        return
    raise AssertionError("it never came to an end")


def test_a_trial_that_ends_the_search_each_time_is_given_up_after_its_retries(tmp_path):
    folder = tmp_path
    for _ in range(3):
        with pytest.raises(Cut):
            run(cut_at(journal(folder), 4, after=True), sampler="random", retries=2)
    found = run(journal(folder), sampler="random", retries=2)
    first = [one for one in found.trials if one.proposal_index == 0]
    assert [one.status for one in first] == ["lost", "lost", "failed"]
    assert [one.retry_of for one in first] == [None, first[0].number, first[1].number]
    assert "killed" in first[-1].why
    assert [one.status for one in found.trials if one.proposal_index > 0] == ["finished"] * (
        TRIALS - 1
    )


def test_more_trials_go_on_from_where_fewer_ended(uninterrupted):
    storage = InMemoryStorage()
    run(storage, trials=2)
    heard = []
    assert course(run(storage, progress=heard.append)) == uninterrupted
    assert [one.done for one in heard if one.last_trial] == [3, 4, 5]
    assert course(run(storage)) == uninterrupted  # nothing is left to do


class Scripted(Executor):
    """Says of each trial what a list has for it, in turn."""

    slots = 1

    def __init__(self, *script):
        self.script, self.jobs, self.answers = list(script), [], []

    def set_score(self, score):
        self.score = score

    def submit(self, job):
        self.jobs.append(job)

    def wait(self, timeout=None):
        said = self.script.pop(0)
        if isinstance(said, BaseException):
            raise said
        return [replace(said, number=self.jobs[-1].number)]

    def answer(self, number, go_on):
        self.answers.append((number, go_on))

    def close(self):
        self.script = None


class Crowded(Scripted):
    """Four trials at a time, of which the last to begin ends first."""

    slots = 4

    def __init__(self):
        super().__init__()
        self.running, self.twice = [], 0

    def submit(self, job):
        self.twice += any(job.plan == other.plan for other in self.running)
        self.running.append(job)

    def wait(self, timeout=None):
        job = self.running.pop()
        return [TrialFinished(job.number, by_rates(job.plan), 1.0)]


def test_of_several_workers_no_two_try_the_same_plan_at_once():
    """Of the space all but six plans are tried."""
    executor, learner = Crowded(), Controller(SPACE, learning=Learning(entropy=0.0))
    trials = SPACE.size - 6
    found = search(
        by_rates,
        SPACE,
        trials=trials,
        sampler=learner,
        executor=executor,
        storage=InMemoryStorage(),
    )
    assert executor.twice == 0
    assert len({one.tokens for one in found.trials}) == trials


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_score_in_this_process_has_the_threads_that_torch_has_there():
    asked = random({"executor": "serial"})
    assert search(lambda plan: torch.get_num_threads(), SPACE, trials=1, **asked).score == 2
    assert torch.get_num_threads() == 2


def test_an_executor_that_does_not_exist_is_said_before_a_study_is_made():
    storage = InMemoryStorage()
    with pytest.raises(SearchError, match="did you mean 'local'"):
        search(by_rates, SPACE, trials=1, sampler="random", executor="lcoal", storage=storage)
    assert optuna.get_all_study_names(storage) == []


DIED = TrialFailed(0, "its process ended with signal 9", retriable=True)


def random(settings):
    return {"sampler": "random", "storage": InMemoryStorage()} | settings


def scripted(*script, **settings):
    executor = Scripted(*script)
    return executor, search(by_rates, SPACE, executor=executor, **random(settings))


def test_a_lost_trial_is_tried_again_with_the_same_plan_and_seed():
    executor, found = scripted(
        DIED, DIED, TrialFinished(0, 0.5, 1.0), TrialFinished(0, 0.25, 1.0), trials=2
    )
    assert [job.retry for job in executor.jobs] == [0, 1, 2, 0]
    assert len({(repr(job.plan), job.seed) for job in executor.jobs[:3]}) == 1
    assert executor.jobs[3].seed != executor.jobs[0].seed
    assert [one.retry_of for one in found.trials] == [None, 0, 1, None]
    assert [one.tell_order for one in found.trials] == [None, None, 0, 1]


def test_a_fault_of_its_own_is_not_tried_again_and_carries_no_reward():
    storage = InMemoryStorage()
    sampler = Heard(SPACE)
    failed = TrialFailed(0, "ValueError: no", seconds=2.0)
    _, found = scripted(
        failed, TrialFinished(0, 0.5, 1.0), sampler=sampler, storage=storage, trials=2
    )
    assert [one.status for one in found.trials] == ["failed", "finished"]
    assert (found.trials[0].why, found.trials[0].seconds) == ("ValueError: no", 2.0)
    assert [(told.number, told.score) for told in sampler.heard] == [(0, None), (1, 0.5)]
    (study,) = optuna.get_all_study_names(storage)
    states = [one.state for one in optuna.load_study(study_name=study, storage=storage).trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


class Heard(RandomSampler):
    """Keeps what it was told."""

    def __init__(self, space, seed=0):
        super().__init__(space, seed=seed)
        self.heard = []

    def tell(self, told):
        self.heard.append(told)
        super().tell(told)


def test_where_lower_is_better_the_sampler_is_told_the_opposite_and_the_lowest_is_best():
    sampler = Heard(SPACE)
    script = [TrialFinished(0, score, 1.0) for score in (3.0, 1.0, 2.0)]
    _, found = scripted(*script, sampler=sampler, trials=3, direction="minimise")
    assert found.score == 1.0
    assert found.plan == found.trials[1].plan
    assert [told.score for told in sampler.heard] == [-3.0, -1.0, -2.0]


def test_an_interrupt_ends_what_runs_and_the_same_call_goes_on():
    storage = InMemoryStorage()
    script = [TrialFinished(0, 0.5, 1.0), KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt) as interrupt:
        scripted(*script, storage=storage, trials=3)
    (said,) = interrupt.value.__notes__
    assert said.startswith("interrupted after 1 of 3 trials")
    assert "the same search goes on" in said
    executor, found = scripted(*[TrialFinished(0, 0.5, 1.0)] * 2, storage=storage, trials=3)
    assert [one.status for one in found.trials] == ["finished", "interrupted"] + ["finished"] * 2
    assert executor.jobs[0].retry == 0  # nobody's fault: it costs none of the retries
    assert found.trials[2].retry_of == 1


@pytest.mark.parametrize("pruner", [None, "median", "asha", "hyperband"])
def test_a_pruner_stops_trials_that_report_less_than_others(pruner):
    """Of twelve trials, each says less than the one before, at each of 30 steps."""
    found = search(by_rates, SPACE, trials=12, executor=Falling(), pruner=pruner, **random({}))
    stopped = [one for one in found.trials if one.status == "stopped"]
    assert bool(stopped) == (pruner is not None)
    assert found.trials[0].status == "finished"
    assert len(found.trials[0].reports) == 30
    assert all(0 < len(one.reports) <= 30 and one.score is None for one in stopped)


def test_a_pruner_of_your_own_may_stop_them_all_and_that_is_said():
    strict = optuna.pruners.ThresholdPruner(lower=0.5)
    storage = InMemoryStorage()
    with pytest.raises(SearchError, match="none of 4 trials has a score"):
        search(
            by_rates,
            SPACE,
            trials=4,
            executor=Falling(),
            pruner=strict,
            **random({"storage": storage}),
        )
    (study,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=study, storage=storage).trials
    assert [(one.state, one.value) for one in trials] == [
        (TrialState.PRUNED, one.intermediate_values[1]) for one in trials
    ]


class Falling(Scripted):
    """Each trial reports less than the one before."""

    def __init__(self):
        super().__init__()
        self.step, self.go_on = 0, True

    def submit(self, job):
        super().submit(job)
        self.step, self.go_on = 0, True

    def answer(self, number, go_on):
        super().answer(number, go_on)
        self.go_on = go_on

    def wait(self, timeout=None):
        number, value = self.jobs[-1].number, -len(self.jobs) / 10
        if not self.go_on:
            return [TrialStopped(number, 1.0)]
        if self.step == 30:
            return [TrialFinished(number, value, 1.0)]
        self.step += 1
        return [ScoreReport(number, self.step, value)]


def test_the_watch_hears_of_the_best_so_far_and_of_the_time_that_is_left(monkeypatch):
    now, heard = [100.0], []
    monkeypatch.setattr(study, "monotonic", lambda: now[0])

    def watch(progress):
        now[0] += 0 if progress.last_trial else 10  # a trial has begun, and takes so long
        heard.append(progress)

    script = [TrialFinished(0, score, 1.0) for score in (0.2, 0.5, 0.4)]
    scripted(*script, trials=3, progress=watch)
    ended = [one for one in heard if one.last_trial]
    assert [one.best.score for one in ended] == [0.2, 0.5, 0.5]
    assert [one.last_trial.score for one in ended] == [0.2, 0.5, 0.4]
    assert [(one.done, one.total, one.running) for one in ended] == [(n, 3, 0) for n in (1, 2, 3)]
    assert [one.running for one in heard if not one.last_trial] == [1, 1, 1]
    assert [one.seconds_left for one in ended] == [20, 10, 0]
    assert heard[0].seconds_left is None
