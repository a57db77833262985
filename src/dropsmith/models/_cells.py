"""The recurrent layers that a model can be asked for by name."""

from dropsmith.errors import TaskError, did_you_mean
from dropsmith.recurrent import GRU, LSTM

CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}


def cell_named(name: str) -> type[LSTM] | type[GRU]:
    """The layer of a name.

    Raises:
        TaskError: there is no such cell.
    """
    if name not in CELLS:
        raise TaskError(
            f"no recurrent cell is called {name!r}\n  there are: {', '.join(CELLS)}"
            + did_you_mean(name, CELLS)
        )
    return CELLS[name]
