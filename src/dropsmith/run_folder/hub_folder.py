"""A run's folder on the Hugging Face Hub: sent there, and fetched from there."""

import re
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, excerpt
from dropsmith.hub import HUB, retries_said_once
from dropsmith.models import CONFIGURATION_FILES
from dropsmith.run_folder.description import (
    CONFIG,
    CONFIG_BESIDE,
    RunDescription,
    describes_run,
)
from dropsmith.run_folder.weights import WEIGHTS
from dropsmith.run_folder.write import CARD, PLAN, PREPROCESSING, RECORD
from dropsmith.tasks import TOKENISER_FILES

_REPO = re.compile(r"[\w.-]+/[\w.-]+")

_ADDRESS = re.compile(rf"{HUB}(?P<repo>{_REPO.pattern})(?:@(?P<revision>[\w./-]+))?")

LEFT_OUT = (".*", "checkpoint.safetensors", "step_*.safetensors", "*.partial", "*.lock")
"""Files of a run's folder that are not sent: unfinished work, and what a process holds it by."""

FETCHED = (
    *(WEIGHTS, CONFIG, CONFIG_BESIDE, PREPROCESSING, PLAN, RECORD, CARD),
    *CONFIGURATION_FILES,
    *TOKENISER_FILES,
)
"""The files that are fetched of a repository, where it has them; none of them is code."""


def push_folder(
    folder: Path, repo: str, *, private: bool = True, token: str | None = None, api: Any = None
) -> str:
    """Send a run's folder to a repository on the Hub; see `Predictor.push_to_hub`.

    Raises:
        DataError: the folder holds no run, the name is none, or the Hub refuses.
    """
    RunDescription.load(folder)
    if not isinstance(repo, str) or _REPO.fullmatch(repo) is None:
        raise DataError(f"{excerpt(repo)} is no name of a repository on the Hub\n  it is USER/NAME")
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi(token=token)
    try:
        with retries_said_once():
            api.create_repo(repo, repo_type="model", private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=str(folder),
                repo_type="model",
                commit_message="Upload a model trained by dropsmith",
                ignore_patterns=list(LEFT_OUT),
            )
    except Exception as error:  # the kinds of refusal are many, and not its own to list
        reason = str(error).strip().partition("\n")[0]
        raise DataError(
            f"cannot send {folder} to {repo} on the Hub\n  {type(error).__name__}: {reason}\n"
            "  to log in: hf auth login"
        ) from None
    return str(getattr(commit, "commit_url", None) or f"https://huggingface.co/{repo}")


def is_hub_address(place: object) -> bool:
    """True if a run is given by its address on the Hub, be it a good one or not."""
    return isinstance(place, str) and place.startswith(HUB)


def fetch_folder(address: str) -> Path:
    """The folder of a run on the Hub, as the Hub's client keeps it; fetched where it is not there.

    Args:
        address: `hf://USER/REPO`, or `hf://USER/REPO@REVISION` for a branch, tag or commit.

    Raises:
        DataError: it is no such address, the Hub cannot be reached or has no such repository, or
            there is no run in it.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise DataError(
            f"{excerpt(address)} is not the address of a run on the Hub\n"
            "  it is hf://USER/REPO, or hf://USER/REPO@REVISION"
        )
    folder = _fetch(match["repo"], match["revision"])
    if not describes_run(folder):
        raise DataError(
            f"the repository {match['repo']} on the Hub holds no run of dropsmith\n"
            f"  dropsmith push RUN {match['repo']} sends one; a pretrained model is used by "
            f"--model {match['repo']}"
        )
    return folder


def _fetch(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        with retries_said_once():
            return Path(snapshot_download(repo, revision=revision, allow_patterns=list(FETCHED)))
    except RevisionNotFoundError:
        raise DataError(
            f"the repository {repo} on the Hub has no branch, tag or commit {excerpt(revision)}"
        ) from None
    except RepositoryNotFoundError:
        raise DataError(
            f"the Hub has no repository {repo} that you may see\n"
            "  to see a private one, log in: hf auth login"
        ) from None
    except Exception as error:  # the kinds of failure offline are many, and not its own to list
        reason = str(error).strip().partition("\n")[0]
        raise DataError(
            f"cannot fetch the repository {repo} from the Hub\n  {type(error).__name__}: {reason}\n"
            "  where the Hub cannot be reached, give the folder of a run"
        ) from None
