"""Pretrained Transformers by name, through transformers, returning scores and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DropsmithError, MissingExtra, TaskError, excerpt
from dropsmith.hub import retries_said_once
from dropsmith.models.minilm import checkpoint_folder
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, Gaussian, TorchDropout, WordDropout
from dropsmith.plans import Plan, rule, select


class PretrainedClassifier(nn.Module):
    """A pretrained encoder with a new head that scores a text or a pair, without noise of its own.

    A head of the checkpoint with as many scores is kept.

    Args:
        checkpoint: a name on the Hub such as `bert-base-cased`, or a folder with its files.
        classes: how many scores to return; 1 for a value.

    Raises:
        TaskError: the Hub cannot be reached or has no such model.
        MissingExtra: transformers is not installed.
    """

    def __init__(self, checkpoint: str, classes: int) -> None:
        super().__init__()
        self.net = without_noise(load_text_encoder(checkpoint, classes))

    @classmethod
    def around(cls, net: Any) -> "PretrainedClassifier":
        """The same around a model of transformers that is there already."""
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.net = without_noise(net)
        return model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Scores `[batch, classes]`; the arguments are what the model's own tokeniser makes."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.net(input_ids=input_ids, attention_mask=attention_mask, **segments).logits


def load_text_encoder(checkpoint: str, outputs: int) -> Any:
    """A pretrained encoder of transformers with a head of so many outputs, new where it has to be.

    Raises:
        TaskError: the Hub cannot be reached, has no such model, or its files do not fit together.
        MissingExtra: transformers is not installed.
    """
    library_class = transformers_library(checkpoint).AutoModelForSequenceClassification
    net, found = load_pretrained(
        checkpoint,
        library_class.from_pretrained,
        num_labels=outputs,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # Of a head, only the number of outputs may differ.
    for name, there, here in found["mismatched_keys"]:
        if tuple(there[1:]) != tuple(here[1:]) or here[0] != outputs:
            raise TaskError(
                f"the weights of the pretrained model {checkpoint} are not those of its "
                f"configuration: {name} is {tuple(there)} there and {tuple(here)} here\n"
                "  give a folder whose files belong together"
            )
    return net


@lru_cache(maxsize=4)
def pretrained_upper_half(checkpoint: str) -> str | None:
    """The first layer of the upper half in `PretrainedClassifier`; no weights are read."""
    library = transformers_library(checkpoint)
    config = load_pretrained(checkpoint, library.AutoConfig.from_pretrained)
    with torch.device("meta"):
        net = library.AutoModelForSequenceClassification.from_config(config)
    layer = upper_half(net)
    return None if layer is None else f"net.{layer}"


def without_noise(net: Any) -> Any:
    """A model of transformers with all of its own dropout at rate 0: where noise is, a plan says.

    Its modules have rates of their own and numbers that their functions read, layer drop included.
    """
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return net


def transformers_library(checkpoint: str) -> Any:
    """The library; `MissingExtra` where it is not installed."""
    try:
        import transformers as library
    except ImportError:
        needs = f"the pretrained model {checkpoint}"
        raise MissingExtra(needs, "transformers", "transformers") from None
    return library


def load_pretrained(checkpoint: str, fetch: Callable[..., Any], **options: Any) -> Any:
    """The result of a `from_pretrained` of transformers, or an error that says what to do.

    Code that comes with a model is not run. The library's bars, and its report of a head whose
    weights are new, are not printed: they would stand between the lines of every run.
    """
    with pretrained_faults(checkpoint), retries_said_once(), _only_errors(checkpoint):
        return fetch(checkpoint_folder(checkpoint), trust_remote_code=False, **options)


@contextmanager
def _only_errors(checkpoint: str) -> Iterator[None]:
    """Within it, transformers prints errors alone; afterwards what it printed before."""
    logs = transformers_library(checkpoint).utils.logging
    verbosity, has_bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if has_bars:
            logs.enable_progress_bar()


@contextmanager
def pretrained_faults(checkpoint: str) -> Iterator[None]:
    """Within it, whatever goes wrong is a `TaskError` that says what to give instead."""
    try:
        yield
    except DropsmithError:
        raise
    except Exception as error:  # of a file in a folder, the library takes everything for right
        reason = str(error).strip().partition("\n")[0]
        verb = f"read the pretrained model in the folder {checkpoint}"
        if not Path(checkpoint).is_dir():
            verb = f"fetch the pretrained model {excerpt(checkpoint)} from the Hub"
        raise TaskError(
            f"cannot {verb}\n  {type(error).__name__}: {reason}\n"
            "  give a folder that holds its files (--model DIR), or train the task's own small "
            "model: leave --model out\n  a recipe, which takes no other model, has a small one in "
            "its preset for a CPU: leave --preset out"
        ) from None


def check_tokens(checkpoint: str, largest: int) -> None:
    """Raise `TaskError` where a tokeniser's largest number is none that its model has."""
    library = transformers_library(checkpoint)
    config = load_pretrained(checkpoint, library.AutoConfig.from_pretrained)
    size = getattr(config, "vocab_size", None)
    if isinstance(size, int) and largest >= size:
        raise TaskError(
            f"the tokeniser of {checkpoint} has a token {largest}, and its model only {size:,} "
            "tokens\n  give a folder whose files belong together"
        )


_DROPOUT, _TABLE = select(kind="dropout"), "**.word_embeddings"

PRETRAINED_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule(_DROPOUT, Bernoulli(rate=rate)),
        rule(select(kind="attention"), TorchDropout(rate=rate)),
    ),
    "gaussian": lambda rate: (rule(_DROPOUT, Gaussian(rate=rate)),),
    "locked": lambda rate: (rule(_TABLE, Bernoulli(rate=rate, shared="time")),),
    "words": lambda rate: (rule(_TABLE, WordDropout(rate=rate)),),
}

PRETRAINED_NOISES = tuple(PRETRAINED_PLACES)


def pretrained_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in an encoder of the BERT family.

    >>> pretrained_plan("words", 0.1).rules
    (rule('**.word_embeddings', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout` in every dropout module and in attention; `gaussian` in the modules alone;
            `locked` (one mask for all tokens of a text) and `words` (token types) on the table of
            words.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(PRETRAINED_PLACES, noise, rate, "a pretrained encoder")


def upper_half(model: nn.Module) -> str | None:
    """The name of the middle layer of a model's longest stack; None where it has no stack.

    A stack is a list of at least two modules of one class. Of equally long ones it is the last: in
    an encoder-decoder that of the decoder, so that the encoder is below.

    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> upper_half(nn.TransformerEncoder(layer, 4))
    'layers.2'
    >>> upper_half(nn.Sequential(nn.Linear(3, 3), nn.ReLU())) is None
    True
    """
    stacks = [
        (name, len(module))
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential) and _is_stack(module)
    ]
    if not stacks:
        return None
    name, count = max(reversed(stacks), key=lambda stack: stack[1])
    return f"{name}.{count // 2}" if name else str(count // 2)


def _is_stack(module: nn.ModuleList | nn.Sequential) -> bool:
    return len(module) > 1 and len({type(layer) for layer in module}) == 1
