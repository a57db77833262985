"""`dropsmith push`: a finished run's folder on the Hugging Face Hub."""

from typing import Annotated

import typer


def push(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The folder of a finished run, such as runs/TASK/ID."),
    ],
    repo: Annotated[
        str,
        typer.Argument(
            metavar="USER/REPO", help="The repository, which is created if it does not exist."
        ),
    ],
    public: Annotated[
        bool,
        typer.Option("--public", help="Make the repository public, if it is created now."),
    ] = False,
) -> None:
    """Send the model of a finished run to the Hugging Face Hub, with its card.

    dropsmith.load("hf://USER/REPO") and dropsmith predict hf://USER/REPO then use it; a model of
    transformers is also loaded by its from_pretrained.
    The Hub's own command logs in first: hf auth login

    Example: dropsmith push runs/digits/ID USER/REPO
    """
    from dropsmith.run_folder import push_folder, run_folder

    print(push_folder(run_folder(run), repo, private=not public))
