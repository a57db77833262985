"""A run's folder on the Hugging Face Hub."""

import re
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, excerpt
from dropsmith.hub import retries_said_once
from dropsmith.run_folder.description import RunDescription

_REPO = re.compile(r"[\w.-]+/[\w.-]+")

LEFT_OUT = (".*", "checkpoint.safetensors", "step_*.safetensors", "*.partial", "*.lock")
"""Files of a run's folder that are not sent: unfinished work, and what a process holds it by."""


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
