"""The models of this library by name, described in JSON and made again from that."""

from typing import Any

import torch
from torch import nn

from dropsmith.errors import DataError, DropsmithError, did_you_mean, excerpt
from dropsmith.files import check
from dropsmith.models.adaptive_lm import AdaptiveLM
from dropsmith.models.described import DescribedModel, StoredModel
from dropsmith.models.recurrent_lm import RecurrentLM
from dropsmith.models.resnet import ResNet
from dropsmith.models.show_and_tell import ShowAndTell
from dropsmith.models.small_conv import SmallConv
from dropsmith.models.small_gpt import SmallGPT
from dropsmith.models.small_lstm import SmallLSTM
from dropsmith.models.small_mixed import SmallMixed
from dropsmith.models.small_mlp import SmallMLP
from dropsmith.models.small_regressor import SmallRegressor
from dropsmith.models.small_resnet import SmallResNet
from dropsmith.models.small_seq2seq import SmallSeq2Seq
from dropsmith.models.small_transformer import SmallTransformer
from dropsmith.models.small_vit import SmallViT
from dropsmith.models.transformer_xl import TransformerXL
from dropsmith.models.wide_resnet import WideResNet

_CLASSES: tuple[type[DescribedModel], ...] = (
    AdaptiveLM,
    RecurrentLM,
    ResNet,
    ShowAndTell,
    SmallConv,
    SmallGPT,
    SmallLSTM,
    SmallMixed,
    SmallMLP,
    SmallRegressor,
    SmallSeq2Seq,
    SmallTransformer,
    SmallViT,
    TransformerXL,
    SmallResNet,
    WideResNet,
)

_DEEP, _DEPTHS = {"layers", "depth"}, range(10_001)


def describe_model(model: nn.Module) -> StoredModel | None:
    """The class and arguments of a model of this library; None for any other.

    >>> from dropsmith.models import SmallConv
    >>> describe_model(SmallConv(channels=1, size=8, classes=10))["arguments"]["widths"]
    [32, 64]
    >>> describe_model(nn.Linear(2, 1)) is None
    True

    Args:
        model: as it was made; a part that was put in another's place is not seen.
    """
    if type(model) not in _CLASSES:
        return None
    assert isinstance(model, DescribedModel)
    return {"name": type(model).__name__, "arguments": model.arguments}


def build_described(values: Any) -> nn.Module:
    """The model of a description, its weights drawn anew; torch's generator stays as it was.

    Under `torch.device("meta")` it takes no memory, whatever sizes the description names.

    Raises:
        DataError: the values describe no model of this library.
    """
    stored = check(values, StoredModel)
    classes = {model_class.__name__: model_class for model_class in _CLASSES}
    if stored["name"] not in classes:
        raise DataError(
            f"no model of dropsmith is called {excerpt(stored['name'])}\n"
            f"  there are: {', '.join(classes)}" + did_you_mean(stored["name"], classes)
        )
    if any(
        stored["arguments"].get(name) not in _DEPTHS for name in _DEEP & stored["arguments"].keys()
    ):
        raise DataError(f"a {stored['name']} has at most {max(_DEPTHS):,} layers")
    try:
        with torch.random.fork_rng(devices=[]):
            return classes[stored["name"]](**stored["arguments"])
    except (DropsmithError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"no {stored['name']} has these arguments: {reason}") from None
