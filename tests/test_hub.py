"""That the Hub does not answer is said once, by whatever asks it, and nothing else is hidden."""

import logging
import socket
from contextlib import closing

import datasets
import huggingface_hub
import pytest
from huggingface_hub.utils import http_backoff

from dropsmith.errors import DataError, TaskError
from dropsmith.hub import retries_said_once
from dropsmith.models.pretrained import load_pretrained
from dropsmith.plans.plan import Plan
from dropsmith.tasks import find_task

CLIENT = logging.getLogger("huggingface_hub.utils._http")
WORD = "no answer from the Hub: it is asked again"


@pytest.fixture
def heard(caplog, monkeypatch):
    """What the client says, and an asking that has no answer, as the client itself does it."""
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    return caplog


def in_vain(*_, **__):
    """Ask an address where nothing answers, three times."""
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        try:
            http_backoff("GET", address, max_retries=2, base_wait_time=0.0)
        except Exception as error:
            raise OSError("no route") from error


def test_the_client_says_each_retry_where_it_is_let(heard):
    with pytest.raises(OSError, match="no route"):
        in_vain()
    assert len(heard.messages) >= 4


def test_one_line_stands_for_all_retries_and_other_lines_stay(heard, capsys):
    with retries_said_once():
        with pytest.raises(OSError, match="no route"):
            in_vain()
        CLIENT.warning("your token is old")
    assert capsys.readouterr().err.count(WORD) == 1
    assert heard.messages == ["your token is old"]
    assert CLIENT.filters == []


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: Plan.load("hf://user/repo/plan.json"), DataError),
        (lambda: find_task("cola").load(), DataError),
        (lambda: load_pretrained("bert-base-cased", in_vain), TaskError),
    ],
    ids=["plan", "data", "model"],
)
def test_whatever_asks_says_it_once(ask, error, heard, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", in_vain)
    monkeypatch.setattr(datasets, "load_dataset", in_vain)
    with pytest.raises(error, match="no route"):
        ask()
    assert capsys.readouterr().err.count(WORD) == 1
    assert heard.messages == []
