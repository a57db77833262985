"""The options of transformers' `generate`: which of them keep one mask to one sequence."""

import copy
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropsmith.consistency import without_adapters
from dropsmith.errors import NoiseError, did_you_mean, excerpt
from dropsmith.instances import describe

_OF_GENERATE = ("logits_processor", "prefix_allowed_tokens_fn")
"""Options that are functions, and in no configuration."""

_REFUSED = {
    "num_return_sequences": "each sample is one sequence of each prompt: say how many by samples=",
    "guidance_scale": "guidance runs the model twice for each place, and by one mask only once",
    "stop_strings": "sequences end by eos_token_id, by which their tokens are counted",
    "max_time": "where a sequence ends must not depend on the clock",
    "prefill_chunk_size": "the prompt is read in one step",
    "token_healing": "the prompt is read as it is given",
}
_PLAIN = {"num_return_sequences": (None, 1), "guidance_scale": (None, 1, 1.0)}
_CACHES = (None, "dynamic", "dynamic_full", "hybrid")


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """Options of one call of `generate`.

    Args:
        values: as transformers takes them.
        sampled: whether tokens are sampled, by torch's generators.
        eos: the tokens that end a sequence.
        pad: the token that follows the end of a sequence.
        start: the token that a decoder starts from, where it is known.
    """

    values: dict[str, Any]
    sampled: bool
    eos: tuple[int, ...]
    pad: int | None
    start: int | None


def generator_of(model: nn.Module) -> nn.Module:
    """The model whose forward `generate` calls: the one inside PEFT's wrapper, or itself.

    Raises:
        NoiseError: the model has no `generate` of transformers.
    """
    inside = without_adapters(model)
    if not any(base.__name__ == "GenerationMixin" for base in type(inside).__mro__):
        raise NoiseError(
            f"generate is for models of transformers that write sequences, and "
            f"{describe(model)} is none\n"
            "  sample a model of your own with predict, or a forecast with forecast"
        )
    return inside


def read_options(generator: nn.Module, options: dict[str, Any]) -> GenerateOptions:
    """Check the options of a call beside those that the model's own configuration has.

    Raises:
        NoiseError: an option does not exist, or several sequences would share a mask.
    """
    for name, why in _REFUSED.items():
        value = options.get(name, getattr(generator.generation_config, name, None))
        if value not in _PLAIN.get(name, (None, False)):
            raise NoiseError(f"generate takes no {name}={excerpt(value)}: {why}")
    own = {name: options[name] for name in _OF_GENERATE if name in options}
    config: Any = copy.deepcopy(generator.generation_config)
    try:
        unknown = config.update(**{n: v for n, v in options.items() if n not in own})
    except (TypeError, ValueError) as error:
        raise NoiseError(f"transformers takes no such options of generate: {error}") from error
    for name in [*unknown, *(n for n in ("max_length", "max_new_tokens") if n in options)]:
        raise NoiseError(_unknown(name, config))
    if config.cache_implementation not in _CACHES:
        raise NoiseError(
            f"generate takes no cache_implementation={config.cache_implementation!r}: what a step "
            "sees must be the places so far\n  leave it out, or write use_cache=False"
        )
    mode = str(getattr(config.get_generation_mode(), "value", ""))
    if mode not in ("greedy_search", "sample"):
        raise NoiseError(
            f"generate takes greedy search or sampling, and these options mean {mode}: hypotheses "
            "of several masks would be weighed against each other\n"
            "  leave its options out, such as num_beams; for several sequences say samples="
        )
    eos = config.eos_token_id
    ends = tuple(eos) if isinstance(eos, list | tuple) else () if eos is None else (int(eos),)
    pad = config.pad_token_id if config.pad_token_id is not None else next(iter(ends), None)
    values = dict(options)
    if pad is not None:
        values["pad_token_id"] = pad
    start = config.decoder_start_token_id
    start = start if isinstance(start, int) else config.bos_token_id
    return GenerateOptions(values=values, sampled=mode == "sample", eos=ends, pad=pad, start=start)


def _unknown(name: str, config: Any) -> str:
    if name in ("max_length", "max_new_tokens"):
        return (
            f"how long a sequence may be is said by max_new_tokens of generate, and not by {name}"
        )
    if name in ("generation_config", "streamer", "stopping_criteria", "assistant_model"):
        return (
            f"generate takes no {name}\n  give options by name, such as temperature=0.7; those of "
            "model.generation_config hold where none is given"
        )
    names = [*vars(config), *_OF_GENERATE]
    return f"generate of transformers has no option {excerpt(name)}" + did_you_mean(name, names)
