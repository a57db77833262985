"""A model of ours is made again from its class and arguments in JSON, and from nothing else."""

import copy
import json
import pickle

import pytest
import torch
from torch import nn

import dropsmith.models as models
from dropsmith.errors import DataError
from dropsmith.models import DescribedModel, build_described, describe_model
from dropsmith.tasks import TASKS

MADE = {
    "AdaptiveLM": {"words": 60, "width": 8, "heads": 2, "layers": 1, "inner": 8, "cutoffs": (20,)},
    "RecurrentLM": {"words": 20, "embedding_width": 6, "widths": (6, 7), "uniform": 0.1},
    "ResNet": {"classes": 3, "widths": (8, 8), "depths": (1, 1), "stem": 4},
    "SmallConv": {"channels": 3, "size": 12, "classes": 4, "widths": (4, 8)},
    "SmallGPT": {"words": 20, "window": 9, "width": 8, "heads": 2, "layers": 1},
    "SmallLSTM": {"words": 20, "width": 8, "tied": False},
    "SmallMLP": {"features": 5, "outputs": 3, "width": 8},
    "SmallMixed": {"words": 20, "classes": 2, "length": 7, "features": 4, "width": 8, "heads": 2},
    "SmallRegressor": {"words": 20, "width": 8, "cell": "gru"},
    "SmallSeq2Seq": {"words": 20, "width": 8, "heads": 2, "layers": 1, "longest": 16},
    "SmallTransformer": {"words": 20, "classes": 3, "length": 7, "pairs": True},
    "SmallViT": {"channels": 1, "size": 8, "classes": 3, "width": 8, "heads": 2, "layers": 1},
    "TransformerXL": {"words": 9, "width": 8, "heads": 2, "layers": 1, "feed": 8, "memory": 4},
    "WideResNet": {"depth": 10, "width": 1, "classes": 3},
    "ShowAndTell": {"words": 20, "size": [16, 12], "widths": [4, 4], "width": 8, "attention": True},
    "SmallResNet": {"depth": 8, "classes": 3},
}


def test_every_model_of_ours_that_is_described_is_tried_here():
    classes = [value for value in vars(models).values() if isinstance(value, type)]
    described = {c.__name__ for c in classes if issubclass(c, DescribedModel)}
    assert described - {"DescribedModel"} <= set(MADE)


@pytest.mark.parametrize("name", MADE)
def test_a_model_comes_back_from_json_with_the_same_parameters_by_name(name):
    model = getattr(models, name)(**MADE[name])
    again = build_described(json.loads(json.dumps(describe_model(model))))
    assert type(again) is type(model)
    assert str(again) == str(model)
    shapes = [[(n, t.shape) for n, t in m.state_dict().items()] for m in (model, again)]
    assert shapes[0] == shapes[1]
    again.load_state_dict(model.state_dict())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_knows_its_arguments_too(copied):
    model = models.SmallConv(**MADE["SmallConv"])
    assert copied(model).arguments == model.arguments
    assert model.arguments == {**MADE["SmallConv"], "widths": [4, 8], "hidden": 128}


def test_the_models_of_tasks_are_described():
    class Digits:
        classes = 10
        train = TASKS["digits"].load(None, 60).train

    model = TASKS["digits"].model(Digits())
    assert describe_model(model)["name"] == "SmallConv"
    assert describe_model(nn.Linear(2, 1)) is None


def test_a_subclass_is_not_taken_for_its_base():
    class Mine(models.SmallConv):
        def forward(self, image):
            return super().forward(1 - image)

    assert describe_model(Mine(**MADE["SmallConv"])) is None


def test_making_one_draws_nothing_from_the_generator_of_others():
    described = describe_model(models.SmallConv(**MADE["SmallConv"]))
    before = torch.get_rng_state()
    build_described(described)
    assert torch.equal(torch.get_rng_state(), before)


GOOD = {"name": "SmallConv", "arguments": {"channels": 1, "size": 8, "classes": 2}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "SmallConf"}, "no model of dropsmith is called 'SmallConf'\n.*SmallConv"),
        ({"name": "Linear"}, "no model of dropsmith is called"),
        ({"name": 3}, "field name should be a valid string"),
        ({"arguments": {"channels": 1}}, "no SmallConv has these arguments: .*missing"),
        ({"arguments": {"size": 8, "classes": 2, "colour": 1}}, "no SmallConv has these arguments"),
        ({"arguments": {"channels": -1, "size": 8, "classes": 2}}, "no SmallConv has these arg"),
        ({"arguments": {"channels": 1e99, "size": 8, "classes": 2}}, "no SmallConv has these arg"),
        ({"arguments": {"channels": 2**40, "size": 8, "classes": 2}}, "no SmallConv has these arg"),
        ({"arguments": {"channels": {"a": 1}}}, "field arguments.channels"),
        ({"arguments": None}, "field arguments"),
        ({"code": "x"}, "field code is unknown"),
    ],
)
def test_what_describes_no_model_is_refused_in_a_sentence(change, said):
    with pytest.raises(DataError, match=f"(?s){said}"):
        build_described(GOOD | change)


@pytest.mark.parametrize("layers", [10**9, 20_000])
def test_a_model_of_absurd_depth_is_refused_before_it_is_made(layers):
    described = describe_model(models.SmallTransformer(**MADE["SmallTransformer"]))
    described["arguments"]["layers"] = layers
    with pytest.raises(DataError, match="at most 10,000 layers"):
        build_described(described)


def test_sizes_take_no_memory_on_the_meta_device():
    described = describe_model(models.SmallTransformer(**MADE["SmallTransformer"]))
    described["arguments"]["words"] = 2**31
    with torch.device("meta"):
        assert build_described(described).embedding.weight.shape[0] == 2**31
