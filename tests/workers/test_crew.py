"""Workers: what a job asks is answered, and neither death nor silence costs more than the job."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dropsmith.workers import Crew, Died, Done, JobProgress, JobQuestion, Overdue, cores, worker
from workers.errands import Unloadable, errand, stubborn
from workers.processes import gone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def timed():
    """One worker for the tests that leave it as it was: a new process takes seconds to start."""
    with Crew(errand, 1, timeout=2.0) as made:
        yield made


def ends(made, count):
    """The next `count` events that are more than a share of a job."""
    found = []
    while len(found) < count:
        found += [one for one in made.wait(60) if not isinstance(one, JobProgress)]
    return found


def test_a_worker_is_kept_for_the_next_job_and_replaced_when_killed_between_jobs():
    with Crew(errand, 1) as made:
        made.give(0, "who")
        (first,) = ends(made, 1)
        made.give(1, "who")
        (second,) = ends(made, 1)
        assert first.result == second.result
        os.kill(first.result, signal.SIGKILL)
        _reaped(first.result)
        made.give(2, "who")
        (third,) = ends(made, 1)
        assert third.job == 2
        assert third.result != first.result


def test_a_job_that_takes_too_long_is_ended_and_the_others_go_on():
    before = set(multiprocessing.active_children())
    with Crew(errand, 2, timeout=0.5) as made:
        made.give(0, "wait quietly")
        made.give(1, "plain")
        assert set(map(repr, ends(made, 2))) == {
            repr(Done(1, "plain done")),
            repr(Overdue(0, 0.5)),
        }
        made.give(2, "plain")
        assert ends(made, 1) == [Done(2, "plain done")]
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.parametrize(("start", "end"), [(120.0, Done), (-5.5, Overdue)])
def test_a_process_has_time_of_its_own_to_start(monkeypatch, start, end):
    monkeypatch.setattr(worker, "_START_TIMEOUT", start)
    with Crew(errand, 1, timeout=5.0) as made:
        made.give(0, "plain")
        assert isinstance(ends(made, 1)[0], end)
        assert made.free == 1


def test_a_job_waits_for_the_answer_to_what_it_asks_and_this_takes_none_of_its_time(timed):
    timed.give(0, "ask")
    assert timed.wait(60) == [JobQuestion(0, "first")]
    assert timed.wait(3.0) == []
    timed.answer(0, "one")
    assert timed.wait(60) == [JobQuestion(0, "second")]
    timed.answer(0, "two")
    assert timed.wait(60) == [Done(0, ["one", "two"])]


def test_a_job_says_numbers_beside_its_share(timed):
    timed.give(0, "tell numbers")
    assert timed.wait(60) == [JobProgress(0, 0.5, {"task": 0.25})]
    assert timed.wait(60) == [Done(0, "tell numbers done")]


def test_what_was_said_in_time_counts_however_late_it_is_heard(timed):
    timed.give(0, "tell and ask")
    assert timed.wait(60) == [JobProgress(0, 0.5)]
    time.sleep(2.2)  # as where a coordinator waits for its disk
    assert timed.wait(60) == [JobQuestion(0, "now")]
    timed.answer(0, "so late")
    time.sleep(2.2)
    assert timed.wait(60) == [JobProgress(0, 0.75)]
    assert timed.wait(60) == [Done(0, "so late")]


def test_a_job_that_says_more_than_can_be_heard_is_ended_all_the_same():
    with Crew(errand, 1, timeout=0.3) as made:
        made.give(0, "tell for ever")
        assert ends(made, 1) == [Overdue(0, 0.3)]


def test_a_process_that_will_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(worker, "_END_TIMEOUT", 0.3)
    before = set(multiprocessing.active_children())
    with Crew(stubborn, 1) as made:
        made.give(0, "anything")
        assert made.wait(60) == [JobProgress(0, 0.5)]
    assert set(multiprocessing.active_children()) <= before


def test_a_death_is_seen_although_a_child_of_the_dead_holds_its_pipe():
    with Crew(errand, 1) as made:
        made.give(0, "killed, leaving a child")
        (told,) = made.wait(60)
        try:
            assert made.wait(60) == [Died(0, -9)]
        finally:
            os.kill(int(told.share), signal.SIGKILL)


@pytest.mark.parametrize("timeout", [0.5, None])
def test_what_a_job_has_started_ends_when_it_is_ended(timeout):
    with Crew(errand, 1, timeout=timeout) as made:
        made.give(0, "with a child")
        (told,) = made.wait(60)
        if timeout is not None:
            assert ends(made, 1) == [Overdue(0, timeout)]
            gone(told.share)
    gone(told.share)


def test_the_processes_of_a_job_start_as_they_would_here(timed):
    timed.give(0, "how")
    assert ends(timed, 1) == [Done(0, multiprocessing.get_start_method())]


def test_a_worker_has_the_variables_of_its_parent_as_they_are_when_it_starts(monkeypatch, timed):
    monkeypatch.setenv("DROPSMITH_TEST", "here")
    with Crew(errand, 1) as made:
        made.give(0, "variable DROPSMITH_TEST")
        assert ends(made, 1) == [Done(0, "here")]
    monkeypatch.delenv("DROPSMITH_TEST")
    with Crew(errand, 1) as made:
        made.give(0, "variable DROPSMITH_TEST")
        assert ends(made, 1) == [Done(0, None)]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_are_forked_from_one_process_that_is_not_this_one(timed):
    with Crew(errand, 2) as made:
        made.give(0, "parent")
        made.give(1, "parent")
        first, second = ends(made, 2)
    assert first.result == second.result != os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_no_worker_runs_what_lies_in_the_working_directory_under_a_librarys_name(tmp_path):
    for name in ("accelerate", "torch", "random"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    code = """
import sys
sys.path = [place for place in sys.path if place]
from dropsmith.workers import Crew
from workers.errands import errand
if __name__ == "__main__":
    with Crew(errand, 1, libraries=("accelerate",)) as crew:
        crew.give(0, "plain")
        print([event.result for event in crew.wait(60)])
"""
    (tmp_path / "folder").mkdir()
    script = tmp_path / "folder" / "start.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "['plain done']\n", done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_start_by_themselves_where_there_is_none_to_fork_from(monkeypatch, capsys):
    def refuse():
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(worker.forkserver, "ensure_running", refuse)
    assert worker._context(errand, ()).get_start_method() == "spawn"
    assert "libraries itself: AF_UNIX path too long" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_told_from_what_died(capfd, monkeypatch):
    # A process of its own start prints where this test looks; a fork prints where its parent does.
    monkeypatch.setattr(worker, "_context", lambda *_: multiprocessing.get_context("spawn"))
    with Crew(errand, 1) as made:
        made.give(0, Unloadable())
        assert ends(made, 1) == [Died(0, 1, began=False)]
    assert "no number" in capfd.readouterr().err


def test_more_jobs_than_workers_are_refused():
    with Crew(errand, 1) as made:
        made.give(0, "wait")
        with pytest.raises(RuntimeError, match="busy"):
            made.give(1, "plain")


def test_workers_and_what_they_started_end_with_a_parent_that_is_killed(tmp_path):
    code = f"""if __name__ == "__main__":
    import sys
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    from dropsmith.workers import Crew
    from workers.errands import errand
    made = Crew(errand, 2)
    made.give(0, "who")
    (done,) = made.wait()
    print(done.result, flush=True)
    made.give(1, "with a child")
    (told,) = made.wait()
    print(told.share, flush=True)
    made.wait()
"""
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker, child = (int(parent.stdout.readline()) for _ in range(2))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone(worker)
    gone(child)


def test_there_is_at_least_one_core():
    assert cores() >= 1


def _reaped(pid, patience=30.0):
    """Wait until a child's exit code is known: a while after its first thread has ended."""
    until = time.monotonic() + patience
    while any(child.pid == pid for child in multiprocessing.active_children()):
        assert time.monotonic() < until, f"process {pid} is still there"
        time.sleep(0.05)
