"""A study on a PostgreSQL server, begun for these tests and ended with them."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from dropsmith.errors import SearchError
from dropsmith.files import waiting
from dropsmith.pattern_search import search
from dropsmith.pattern_search.storage import parse_location
from dropsmith.pattern_search.storage_backends import open_storage
from pattern_search.small import SPACE, by_rates, reporting

pytestmark = pytest.mark.slow

pytest.importorskip("psycopg", reason="needs dropsmith[postgresql]")


class Server:
    """A server of its own, which nobody reaches but through a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user = folder, "postgres" if os.getuid() == 0 else None
        if self.user is not None:  # it refuses to run for root
            shutil.chown(folder, self.user)
        self._command("initdb", "-D", folder / "data", "-U", "me", "-A", "trust", "--no-sync")

    @property
    def address(self) -> str:
        return f"postgresql://me@/postgres?host={self.folder}"

    def start(self) -> None:
        listening = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self._command("pg_ctl", *self._data, "-l", self.folder / "log", "-o", listening, "start")

    def kill(self) -> None:
        self._command("pg_ctl", *self._data, "-m", "immediate", "stop")

    @property
    def _data(self) -> tuple[object, ...]:
        return "-D", self.folder / "data", "-w"

    def _command(self, *words: object) -> None:
        subprocess.run([*map(str, words)], check=True, user=self.user, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def server():
    if shutil.which("pg_ctl") is None or shutil.which("initdb") is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        made = Server(Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.kill()


def run(server, name, score=reporting, trials=3):
    asked = {"sampler": "controller", "executor": "serial", "storage": server.address}
    return search(score, SPACE, trials=trials, name=name, **asked)


def course(found):
    return [
        (one.proposal_index, one.tokens, one.seed, one.score, one.reports) for one in found.trials
    ]


def test_a_study_goes_on_where_it_was_and_several_stand_beside_each_other(server):
    first = run(server, "one")
    assert run(server, "one", score=by_rates) == first  # which is not called
    more = run(server, "one", trials=5)
    assert more.trials[:3] == first.trials
    assert course(run(server, "two", trials=5)) == course(more)


def test_a_second_coordinator_of_the_same_study_is_refused(server):
    place = parse_location(server.address)
    with open_storage(place, "held"):
        with pytest.raises(SearchError, match="another process is running the search 'held'"):
            run(server, "held")
        run(server, "another")
    run(server, "held")


def test_a_server_that_goes_away_is_waited_for_and_nothing_is_lost(server, monkeypatch, capsys):
    waited = []

    def sleep(seconds):
        """Meanwhile somebody starts the server again."""
        waited.append(seconds)
        server.start()

    def score(plan, trial):
        if trial.number == 2 and not waited:
            server.kill()
        return reporting(plan, trial)

    monkeypatch.setattr(waiting, "sleep", sleep)
    found = run(server, "lost", score=score, trials=5)
    assert waited
    assert "cannot write to postgresql+psycopg://me@/postgres" in capsys.readouterr().err
    assert course(found) == course(run(server, "whole", trials=5))
    assert run(server, "lost", trials=5) == found
