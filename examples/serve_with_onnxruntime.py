"""Train on handwritten digits, export the model with its dropout, and serve it without torch.

The script starts itself again as the server: a process that has onnxruntime and NumPy, and imports
neither torch nor dropsmith. It reads images and returns the mean of many noisy passes and its
uncertainty, which are compared with those of `dropsmith.predict`.

    pip install 'dropsmith[export]'
    python examples/serve_with_onnxruntime.py
    python examples/serve_with_onnxruntime.py --samples 100 --file digits.onnx
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(argv: Sequence[str] | None = None) -> None:
    """Serve one request; or else train, export and compare."""
    args = arguments(argv)
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        train_and_compare(args, args.file or Path(folder) / "digits.onnx")


def serve(file: Path) -> None:
    """Answer a request: images and a seed in JSON come in, and a prediction goes out."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    request = json.load(sys.stdin)
    inputs = {
        "seed": np.array(request["seed"], np.int32),
        "number": np.array(0, np.int32),
        "image": np.array(request["image"], np.float32),
    }
    mean, _, mutual_information = session.run(None, inputs)
    assert not {"torch", "dropsmith"} & set(sys.modules)
    answer = {"mean": mean.tolist(), "mutual_information": mutual_information.tolist()}
    json.dump(answer, sys.stdout)


def train_and_compare(args: argparse.Namespace, file: Path) -> None:
    """Train, export to a file, ask the server, and compare its answer with `predict`."""
    import torch

    from dropsmith import export, predict
    from dropsmith.tasks import find_task

    torch.manual_seed(args.seed)
    task = find_task("digits")
    data = task.load(limit=args.limit)
    model, plan = task.model(data), task.plan("dropout", args.rate)
    images = data.test.rows(slice(0, args.images))["image"]
    with plan.installed(model, data.train.rows(slice(0, 8)), seed=args.seed):
        train(model, data, args.epochs)
        exported = export(model, {"image": images}, file, samples=args.samples)
        expected = predict(model, {"image": images}, args.samples, seed=args.seed)
    print(f"{file.name}, {file.stat().st_size / 1024:.0f} KiB: {', '.join(exported.outputs)}")

    answer = ask(file, {"image": images.tolist(), "seed": args.seed})
    mean = torch.tensor(answer["mean"])
    for number, (row, doubt) in enumerate(zip(mean, answer["mutual_information"], strict=True)):
        share, digit = row.max(0)
        print(f"image {number}: {digit} ({share:.0%}), mutual information {doubt:.3f}")
    difference = (mean - expected.mean).abs().max()
    print(f"largest difference from dropsmith.predict: {difference:.0e}")


def train(model: Any, data: Any, epochs: int) -> None:
    """An ordinary loop: the noise is in the model."""
    import torch

    from dropsmith.objectives.losses import classification

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.train)).split(50):
            batch = data.train.rows(rows)
            optimizer.zero_grad()
            classification(model(batch["image"]), batch["labels"]).mean.value.backward()
            optimizer.step()


def ask(file: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer of a server, started for one request."""
    command = [sys.executable, __file__, "--serve", str(file)]
    text = json.dumps(request)
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--file", type=Path, help="where to leave the exported model")
    parser.add_argument("--serve", type=Path, metavar="FILE", help="answer a request, and end")
    parser.add_argument("--limit", type=int, help="use only this many training images")
    parser.add_argument("--rate", type=float, default=0.3, help="chance of dropping")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--images", type=int, default=6, help="how many test images to send")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
