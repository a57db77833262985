"""An address without a cluster is named soon, and a long wait says what it is for."""

import socket
import threading
from contextlib import closing

import pytest
import ray

from dropsmith.errors import SearchError
from dropsmith.pattern_search.executors import ray_cluster
from dropsmith.pattern_search.executors.ray_executor import RayExecutor
from pattern_search.small import by_rates


def test_an_address_without_a_cluster_is_named():
    with pytest.raises(SearchError, match="no Ray cluster at 'nonsense'"):
        RayExecutor(by_rates, address="nonsense")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_answers_is_not_asked_for_minutes(scheme, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray waits for minutes"))
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(SearchError, match=rf"at '{address}'\n  nothing answers at 127.0.0.1"):
            ray_cluster.connect(address, 1)


def test_an_address_where_something_else_answers_is_waited_for_with_a_word(monkeypatch, capsys):
    said = threading.Event()

    def slow(**_):
        assert said.wait(60)
        raise RuntimeError("no cluster")

    def heard(*args, **kwargs):
        print(*args, **kwargs)
        said.set()

    monkeypatch.setattr(ray, "init", slow)
    monkeypatch.setattr(ray_cluster, "_SLOW", 0.0)
    monkeypatch.setattr(ray_cluster, "print", heard, raising=False)
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(SearchError, match=f"no Ray cluster at '{address}'\n  no cluster"):
            ray_cluster.connect(address, 1)
    assert f"'{address}' answers; waiting for Ray there" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["auto", "local"])
def test_what_ray_looks_up_itself_is_left_to_it(address, monkeypatch):
    asked = []
    monkeypatch.setattr(ray, "init", lambda **given: asked.append(given["address"]))
    ray_cluster.connect(address, 1)
    assert asked == [address]
