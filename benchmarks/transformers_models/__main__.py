"""Runs the sweep: one child process and one JSON line for each model class, then a table.

`python -m benchmarks.transformers_models [--only REGEX] [--limit N] [--out FOLDER]`, from the root
of the repository. Classes that FOLDER has a line for are not run again.
"""

import argparse
import json
import os
import re
import resource
import signal
import time
import warnings
from pathlib import Path
from typing import Any

SECONDS = 120
"""Of a processor for one class; and ten times as long by the clock, as others may use it too."""


def main() -> None:
    """Run what the command line asks for."""
    asked = _parser().parse_args()
    _import_once()
    from benchmarks.transformers_models.classes import model_classes
    from benchmarks.transformers_models.table import write_table

    asked.out.mkdir(parents=True, exist_ok=True)
    lines = asked.out / "classes.jsonl"
    done = {line["name"] for line in read(lines)}
    kinds = [one for one in model_classes() if re.search(asked.only, one.name)]
    for kind in [one for one in kinds if one.name not in done][: asked.limit]:
        line = in_a_child(kind, lines)
        print(line["name"], line.get("reason") or _verdicts(line), flush=True)
    write_table(read(lines), asked.out / "README.md")


def read(lines: Path) -> list[dict[str, Any]]:
    """The classes that were run."""
    return [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []


def in_a_child(kind: Any, lines: Path) -> dict[str, Any]:
    """Run one class in a process of its own, so that a crash or a hang costs no other."""
    before, start = len(read(lines)), time.monotonic()
    child = os.fork()
    if child == 0:
        _run(kind, lines)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() - start > 10 * SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.02)
    if len(read(lines)) == before:
        _append(lines, _line(kind) | {"reason": f"crashed or ran for more than {SECONDS} s"})
    return read(lines)[-1]


def _run(kind: Any, lines: Path) -> None:
    from benchmarks.transformers_models.checks import run_checks
    from benchmarks.transformers_models.models import Subject

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    start, line = time.process_time(), _line(kind)
    try:
        subject = Subject.of(kind)
    except BaseException as error:
        text = (str(error).strip().splitlines() or [""])[0][:200]
        line |= {"reason": f"{type(error).__name__}: {text}"}
    else:
        line |= {"inputs": list(subject.batch), "checks": run_checks(subject)}
    _append(lines, line | {"seconds": round(time.process_time() - start, 1)})
    os._exit(0)


def _line(kind: Any) -> dict[str, Any]:
    return {"name": kind.name, "family": kind.family, "labels": kind.labels}


def _append(lines: Path, line: dict[str, Any]) -> None:
    with lines.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _verdicts(line: dict[str, Any]) -> str:
    return " ".join(f"{check['check']}:{check['verdict']}" for check in line["checks"])


def _import_once() -> None:
    """What every class needs, before the first child is forked."""
    warnings.simplefilter("ignore")
    import benchmarks.transformers_models.checks  # noqa: F401
    import torch
    import torch._dynamo
    import transformers
    from transformers import LlamaForCausalLM, ViTModel  # noqa: F401

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transformers_models")
    parser.add_argument("--only", default="", help="a regular expression that class names match")
    parser.add_argument("--limit", type=int, help="how many classes, at most")
    out = Path(__file__).resolve().parents[2] / "results" / "transformers-models"
    parser.add_argument("--out", type=Path, default=out, help="folder for lines and table")
    return parser


if __name__ == "__main__":
    main()
