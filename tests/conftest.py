"""Options and fixtures that all tests share."""

import gc
from pathlib import Path

import pytest
import torch

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data",
        metavar="DIR",
        type=Path,
        help="folder of real data that some tests read (default: ../shared/data where it exists)",
    )


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the garbage collector need not look through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of real data; a test that needs it is skipped where there is none."""
    given = request.config.getoption("--data")
    if given is not None and not given.is_dir():
        raise pytest.UsageError(f"--data {given}: no such folder")
    folder = given or BESIDE
    if not folder.is_dir():
        pytest.skip("real data is not here: give its folder with --data DIR")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """One thread: sums then go in one order everywhere, and small models run faster."""
    torch.set_num_threads(1)


@pytest.fixture
def seeded_on_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds given to the generators of GPUs, whether there are any here or not."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    return seeds


@pytest.fixture
def undrawn_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages whose pictures are empty: for tests of their words, since drawing takes seconds."""
    from dropsmith.report import inline_svg

    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt"></svg>'
    monkeypatch.setattr(inline_svg, "svg", lambda figure: empty)
