"""AWD-LSTM with everything that changes as it goes: carried state, average, trigger, windows."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks.optimisers import TriggeredASGD
from dropsmith.train import Saving, train
from dropsmith_recipes import RECIPES
from recipes.texts import language_folder


class Stop(Exception):
    pass


def stopping(at):
    steps = iter(range(1, 1000))

    def progress(share, /):
        if next(steps) == at:
            raise Stop

    return progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A short run whose averaging begins in its middle, and its folder."""
    folder = language_folder(tmp_path_factory.mktemp("texts"))
    setup = RECIPES["penn-treebank/awd-lstm"].setup("cpu", data=str(folder))
    budget = replace(
        setup.budget,
        epochs=4,
        batch_size=4,
        learning_rate=30.0,
        window=35,
        optimiser=TriggeredASGD(nonmono=1),
    )
    setup = replace(setup, limit=700, budget=budget)
    return setup, folder, train(setup, folder / "whole")


@pytest.mark.slow
def test_the_run_averages_from_its_middle_on(whole):
    setup, _, record = whole
    losses = [row["validation_nll"] for row in record.curve]
    assert setup.budget.optimiser.trigger(losses) == 2
    assert len(losses) == 4


@pytest.mark.slow
@pytest.mark.parametrize("place", ["within the first epoch", "before it averages", "after"])
def test_it_resumes_to_the_bit_in_the_middle_of_an_epoch(whole, place, tmp_path):
    setup, folder, record = whole
    ends = [row["step"] for row in record.curve]
    at = {"within the first epoch": 2, "before it averages": ends[1] + 2, "after": ends[2] + 3}[
        place
    ]
    assert at not in ends
    with pytest.raises(Stop):
        train(setup, tmp_path, progress=stopping(at), saving=Saving(steps=1))
    resumed = train(setup, tmp_path)
    ours, theirs = load_file(folder / "whole" / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)
    assert resumed.scores == record.scores
    assert [row["train_loss"] for row in resumed.curve] == [
        row["train_loss"] for row in record.curve
    ]
