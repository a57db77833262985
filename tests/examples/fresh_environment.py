"""An environment with the wheel of this project, the libraries that it names, and nothing else.

The libraries are those installed where the tests run, by links; the source tree is not there.
"""

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

SCRIPT = """
import contextlib, importlib, json, os, sys, traceback
for name, module, argv in json.load(sys.stdin):
    os.makedirs(name)
    os.chdir(name)
    with open("output.txt", "w") as file, contextlib.redirect_stdout(file):
        with contextlib.redirect_stderr(file):
            try:
                importlib.import_module(module).main(argv)
            except BaseException:
                traceback.print_exc()
    os.chdir("..")
"""


class Environment:
    """A virtual environment, in which commands run in an empty folder and home, and offline.

    Args:
        place: for its folders.
    """

    def __init__(self, place: Path) -> None:
        self.python = place / "env" / "bin" / "python"
        self.home, self.links = place / "home", place / "links"

    @classmethod
    def make(cls, place: Path) -> "Environment":
        """Build the wheel, install it into a new environment, and link the libraries."""
        environment = cls(place)
        environment.home.mkdir()
        venv.create(place / "env", symlinks=True)
        environment._install(place)
        (site,) = (place / "env" / "lib").glob("python*/site-packages")
        (site / "libraries.pth").write_text(f"{environment.links / 'base'}\n")
        return environment

    def _install(self, place: Path) -> None:
        """Build the wheel and install it; link what it requires, and what each extra does."""
        wheels = str(place / "wheels")
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = (place / "wheels").iterdir()
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        options = ["--no-deps", "--no-index", "--no-compile", str(wheel)]
        subprocess.run([*pip, *options], check=True, capture_output=True)
        for name, extra in (("base", ""), ("transformers", "transformers")):
            folder = self.links / name
            folder.mkdir(parents=True)
            for library in required("dropsmith", extra):
                link_library(library, folder)

    def variables(self, *extras: str) -> dict[str, str]:
        """The variables of a process in the environment, with the libraries of extras."""
        return {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(str(self.links / extra) for extra in extras),
        }

    def run(self, command: list[str], folder: Path, *extras: str, text: str | None = None) -> str:
        """What a command prints on standard output; the test fails where the command does."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.variables(*extras),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_examples(
        self, runs: list[tuple[str, str, list[str]]], folder: Path, *extras: str
    ) -> None:
        """Run scripts of `examples/` one after the other in one process, each in its own folder.

        Args:
            runs: the name of a folder, which gets `output.txt`; a script's; and its arguments.
            folder: of the folders.
            extras: of the project.
        """
        begin = f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})"
        command = [str(self.python), "-c", begin + SCRIPT]
        self.run(command, folder, *extras, text=json.dumps(runs))


def required(name: str, extra: str = "") -> set[str]:
    """The names of the libraries that one requires, and those of these."""
    found: set[str] = set()
    waiting = [(name, extra)]
    while waiting:
        name, extra = waiting.pop()
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is not None and not marker.evaluate({"extra": extra}):
                continue
            wanted = [("", requirement.name)] + [(e, requirement.name) for e in requirement.extras]
            for part, library in wanted:
                if (key := f"{library}[{part}]".lower()) not in found:
                    found.add(key)
                    waiting.append((library, part))
    return {key.partition("[")[0] for key in found} - {"dropsmith"}


def link_library(name: str, folder: Path) -> None:
    """Link what a library has put beside the others, its description included."""
    library = distribution(name)
    place = Path(str(library.locate_file("")))
    tops = {path.parts[0] for path in library.files or () if path.parts[0] != ".."}
    for top in tops:
        if not (folder / top).exists() and (place / top).exists():
            (folder / top).symlink_to(place / top)
