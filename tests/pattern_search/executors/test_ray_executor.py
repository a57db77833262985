"""The same promises on a Ray cluster, which these tests start for themselves, once."""

import os
import sys
import time

import pytest
import ray
from optuna.storages import InMemoryStorage

from dropsmith.errors import MissingExtra
from dropsmith.pattern_search import Job, ScoreReport, TrialFailed, search
from dropsmith.pattern_search.executors import ray_mailbox
from dropsmith.pattern_search.executors.ray_executor import RayExecutor, end
from dropsmith.testing import ExecutorContract
from pattern_search.small import SPACE, by_rates, endless, killed_once, reporting

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One cluster for all tests here, as this is what takes the time."""
    with pytest.MonkeyPatch.context() as patch:
        # Ray's processes look where they were started; the scores of these tests lie in `tests`.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        before = dict(os.environ)
        with RayExecutor(by_rates, 2) as first:
            assert {n: v for n, v in os.environ.items() if n not in before and "AUTH" in n} == {}
            yield first
    assert not ray.is_initialized()


class TestRay(ExecutorContract):
    def make(self, score, timeout=None):
        return RayExecutor(score, 1, timeout=timeout)


def test_it_has_as_many_slots_as_the_cluster_has_room_for(cluster):
    assert cluster.slots == 2
    with RayExecutor(by_rates) as other:
        assert other.slots == 2
    with RayExecutor(by_rates, cpus=2) as other:
        assert other.slots == 1


def test_a_search_loses_nothing_when_a_task_is_killed(tmp_path):
    found = search(
        killed_once(tmp_path),
        SPACE,
        trials=6,
        sampler="random",
        executor="ray",
        workers=2,
        storage=tmp_path / "study.db",
    )
    assert ray.is_initialized()  # it was there before
    finished = [one for one in found.trials if one.status == "finished"]
    assert sorted(one.proposal_index for one in finished) == list(range(6))
    (lost,) = [one for one in found.trials if one.status == "lost"]
    (again,) = [one for one in found.trials if one.retry_of is not None]
    assert again.retry_of == lost.number
    assert (again.tokens, again.seed, again.retry) == (lost.tokens, lost.seed, 1)
    assert all(one.score == by_rates(one.plan) for one in finished)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "dropsmith.pattern_search.executors.ray_executor")
    with pytest.raises(MissingExtra, match=r"needs ray[\s\S]*dropsmith\[ray\]"):
        search(by_rates, SPACE, trials=1, executor="ray", storage=InMemoryStorage())


def test_what_was_said_in_time_counts_although_another_was_heard_first(cluster):
    with RayExecutor(reporting, 2, timeout=2.0) as executor:
        for number in range(2):
            executor.submit(Job(number, SPACE.plan((0, 0, 0)), 0))
            assert [one.number for one in executor.wait(120)] == [number]
        for number, pause in enumerate((0.5, 2.2)):  # what is taken first holds but the first
            executor.answer(number, go_on=True)
            time.sleep(pause)
        heard = executor.wait(120)
        assert sorted((one.number, one.step) for one in heard) == [(0, 2), (1, 2)]


def test_a_report_that_overtakes_the_word_of_its_beginning_stops_the_clock_all_the_same(cluster):
    with RayExecutor(by_rates, 1, timeout=1e-9) as executor:
        (report,) = executor._read(0, (1, 0.5), 0.0)
        assert (report.step, report.value) == (1, 0.5)
        assert executor._read(0, None, 0.0) == []
        assert not executor._due  # its time stands still until it is answered


def test_a_trial_whose_report_goes_down_with_the_mailbox_is_lost_and_the_next_is_heard(cluster):
    with RayExecutor(reporting, 1) as executor:
        executor.submit(Job(0, SPACE.plan((0, 0, 0)), 0))
        assert [type(one) for one in executor.wait(120)] == [ScoreReport]
        ray.kill(executor._receiver.mailbox, no_restart=False)
        (ended,) = executor.wait(120)
        assert isinstance(ended, TrialFailed)
        assert ended.retriable
        assert ended.why.startswith("its report was lost with Actor")
        executor.answer(0, go_on=True)  # which nobody waits for
        executor.submit(Job(1, SPACE.plan((0, 0, 0)), 0, retry=1))
        assert [(one.number, one.step) for one in executor.wait(120)] == [(1, 1)]


def test_a_trial_whose_first_word_is_lost_is_not_left_without_a_clock(cluster):
    with RayExecutor(endless, 1, timeout=0.5) as executor:
        ray.kill(executor._receiver.mailbox)  # for good
        job = Job(0, SPACE.plan((0, 0, 0)), 0)
        executor.submit(job)
        lost = TrialFailed(0, "the message of its beginning may be lost", retriable=True)
        assert executor.wait(120) == [lost]
        executor.submit(job)
        assert executor.wait(120) == [TrialFailed(0, "it took longer than 0.5 s", seconds=0.5)]


def test_a_mark_that_the_mailbox_has_forgotten_is_made_again(cluster, monkeypatch):
    monkeypatch.setattr(ray_mailbox, "_MARK_INTERVAL", 0.1)
    made = ray_mailbox.ReportReceiver()
    ray.get(made.mailbox.begin.remote(3))
    monkeypatch.setattr(made.mailbox.mark, "remote", _once_into_nothing(made.mailbox.mark.remote))
    assert (3, None, 0.0) in made.take_all()
    made.close()


def test_a_mailbox_that_stays_silent_is_not_asked_for_ever(cluster, monkeypatch):
    monkeypatch.setattr(ray_mailbox, "_MARK_INTERVAL", 0.1)
    monkeypatch.setattr(ray_mailbox, "_MARK_TIMEOUT", 0.3)
    made = ray_mailbox.ReportReceiver()
    monkeypatch.setattr(made, "_mark", lambda: 1)
    assert made.take_all() == []
    made.close()


def _once_into_nothing(send):
    sent = []

    def remote(number):
        sent.append(number)
        return send(number) if len(sent) > 1 else None

    return remote


def test_a_task_that_does_not_hear_that_it_is_to_end_is_told_again(monkeypatch):
    told = []

    def wait(tasks, **how):
        deaf = [task for task in tasks if told.count(task) < 3]
        return [task for task in tasks if task not in deaf], deaf

    monkeypatch.setattr(ray, "cancel", lambda task, force: told.append(task))
    monkeypatch.setattr(ray, "wait", wait)
    end(["one", "two"])
    assert told == 3 * ["one", "two"]
