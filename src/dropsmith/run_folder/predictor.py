"""A trained model that is ready to predict: with its plan, its preprocessing and its names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.batches import call
from dropsmith.deployment import Exported, Format, export
from dropsmith.errors import (
    DataError,
    DropsmithError,
    ExportError,
    NoNoiseError,
    TaskError,
    excerpt,
)
from dropsmith.measures import reliability
from dropsmith.noise import step
from dropsmith.numbers import check_whole
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.prediction import (
    Prediction,
    join_predictions,
    one_pass,
    predict,
)
from dropsmith.record import Record
from dropsmith.run_folder.description import RunDescription
from dropsmith.run_folder.hub_folder import push_folder
from dropsmith.tasks import USUAL, Bounds, Inputs, Preprocessing, Split, device_of

ROWS = 64
"""Inputs that are predicted at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A trained model that is ready to predict; `dropsmith.load` makes one from a run's folder.

    Args:
        model: in eval mode, with its trained weights; without noise unless it is asked for.
        plan: the noise that it was trained with, which `predict` samples.
        preprocessing: makes the model's inputs of texts, rows or pictures; None where its task
            has none, and then tensors alone are predicted.
        description: names, units and inputs.
        record: of its run.
        folder: that it was read from.
    """

    model: nn.Module
    plan: Plan
    preprocessing: Preprocessing | None
    description: RunDescription
    record: Record
    folder: Path

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the scores; empty for values."""
        return self.description.names

    def predict(
        self,
        source: Any,
        samples: int | Literal["auto"] = 50,
        *,
        tolerance: float | None = None,
        seed: int = 0,
        batch_size: int = ROWS,
        bounds: Bounds = USUAL,
    ) -> Prediction:
        """Predict new inputs, and say how unsure the model is of them.

        Values and their deviations are in the unit of the data. A mask depends on the place of an
        input within its batch, so the last digits of a mean of samples change with `batch_size`.

        Args:
            source: the path of a table, of a picture or of a folder of pictures; rows as a list of
                dictionaries or a DataFrame; or tensors as the model's forward takes them.
            samples: how many noisy passes are averaged, at least 2; `auto` for as many as
                `tolerance` takes, batch by batch, as in `dropsmith.predict`; or 0 for one pass
                without noise. A model whose training had no noise makes one pass.
            tolerance: with `auto`, the standard error that is small enough.
            seed: of the masks.
            batch_size: how many inputs are predicted at a time.
            bounds: the most that is read of a file.

        Returns:
            A prediction whose `mutual_information` is None where there was one pass: `to_frame()`
            makes a table of it. Its `samples` are those of the batch with the fewest.

        Raises:
            DataError: the source cannot be read, or lacks what the model was trained on.
        """
        inputs = self.read(source, bounds)
        return join_predictions(
            list(
                self.predictions(
                    inputs, samples, tolerance=tolerance, seed=seed, batch_size=batch_size
                )
            )
        )

    def read(self, source: Any, bounds: Bounds = USUAL) -> Inputs:
        """The inputs at a source, as `predict` takes it; with labels, where the source has some.

        Raises:
            DataError: it cannot be read, or lacks what the model was trained on.
        """
        if isinstance(source, Tensor | Mapping):
            inputs = self._of_tensors(source)
        elif isinstance(source, str | Path):
            inputs = self._steps("a file").read(Path(source), bounds)
        else:
            inputs = self._steps("rows").inputs(_filled(_rows_of(source)))
        _filled(inputs.names)
        return inputs

    def predictions(
        self,
        inputs: Inputs,
        samples: int | Literal["auto"] = 50,
        *,
        tolerance: float | None = None,
        seed: int = 0,
        batch_size: int = ROWS,
    ) -> Iterator[Prediction]:
        """The predictions of one batch after the other, as `predict` joins them.

        Args:
            inputs: of `read`.
            samples, tolerance, seed, batch_size: as for `predict`.
        """
        if samples != "auto":
            check_whole("samples", samples, 0, TaskError)
        check_whole("batch_size", batch_size, 1, TaskError)
        if samples == 1:
            raise TaskError(
                "one sample shows no spread\n  give samples=50, or samples=0 for one pass without "
                "noise"
            )
        start, noisy = 0, samples != 0
        for part_batch in inputs.part.batches(batch_size):
            batch = {name: c.to(device_of(self.model)) for name, c in part_batch.columns.items()}
            with self._inputs_fit():
                try:
                    prediction = self._samples(batch, samples, tolerance, seed) if noisy else None
                except NoNoiseError:
                    if start:  # there was noise in the batches before
                        raise
                    prediction, noisy = None, False
                prediction = prediction or self._one_pass(batch)
            self._check_classes(prediction)
            names = inputs.names[start : start + len(prediction.mean)]
            start += len(names)
            yield self._in_unit(replace(prediction, names=names, classes=self.names))

    def scores(self, prediction: Prediction, inputs: Inputs) -> dict[str, float]:
        """The scores of a prediction by the labels of its inputs, where these have labels.

        Of classes `accuracy`, `nll` in nats and `calibration_error`; of values `rmse` and `mae` in
        the data's own unit; and `rows`, how many inputs had a label. Empty where none had one.
        """
        if inputs.labels is None:
            return {}
        labels = inputs.labels
        if self.description.kind == "regression":
            known = labels.isfinite()
            truth = self.truths(labels)
            errors = (prediction.mean.cpu().double().view(len(labels), -1).squeeze(1) - truth)[
                known
            ]
            if not len(errors):
                return {}
            rmse, mae = errors.square().mean().sqrt(), errors.abs().mean()
            return {"rows": len(errors), "rmse": float(rmse), "mae": float(mae)}
        known = labels >= 0
        if not known.any():
            return {}
        mean, labels = prediction.mean.cpu()[known], labels[known]
        judged = reliability(mean, labels)
        accuracy = float((mean.argmax(-1) == labels).double().mean())
        scores = {"accuracy": accuracy, "nll": judged.nll, "calibration_error": judged.error}
        return {"rows": len(labels)} | scores

    def truths(self, labels: Tensor) -> Tensor:
        """The labels of inputs in the data's own unit: values in float64, classes as they are."""
        if self.description.kind != "regression":
            return labels
        return labels.double() * self.description.unit + self.description.mean

    def export(
        self,
        source: Any,
        path: str | Path,
        format: Format | None = None,
        *,
        samples: int | None = None,
        bounds: Bounds = USUAL,
    ) -> Exported:
        """Write the model with the noise of its training to a file for another runtime.

        The graph takes the tensors that `preprocessing` makes of new inputs. Values come out as
        the model was trained on them: times `description.unit`, plus `description.mean`, they are
        in the data's own unit.

        Args:
            source: some inputs, as for `predict`; the graph is traced on the first of them.
            path: of the file: `.onnx`, `.pt2`, or `.xml` of OpenVINO.
            format, samples: as for `dropsmith.export`.
            bounds: the most that is read of a file.

        Raises:
            ExportError: the model cannot be exported, or its training had no noise.
            DataError: the source cannot be read, or lacks what the model was trained on.
        """
        if not self.plan.rules:
            raise ExportError(
                "the training of this model had no noise, so there is nothing to sample\n"
                "  torch.onnx.export and torch.export write the model without dropsmith"
            )
        part = self.read(source, bounds).part
        columns = next(iter(part.batches(_EXAMPLES))).columns
        batch = {name: column.to(device_of(self.model)) for name, column in columns.items()}
        with self._with_noise(batch):
            return export(
                self.model, batch, path, format, samples=samples, kind=self.description.kind
            )

    def push_to_hub(
        self, repo: str, *, private: bool = True, token: str | None = None, api: Any = None
    ) -> str:
        """Send the folder to a repository on the Hugging Face Hub, made where there is none.

        Args:
            repo: `USER/NAME`.
            private: whether a repository that is made is seen by its owner alone.
            token: of the Hub; the one of `hf auth login` where None.
            api: a `huggingface_hub.HfApi` to use.

        Returns:
            The address of what was sent.

        Raises:
            DataError: the Hub refuses, or cannot be reached.
        """
        return push_folder(self.folder, repo, private=private, token=token, api=api)

    def _steps(self, what: str) -> Preprocessing:
        if self.preprocessing is None:
            raise DataError(
                f"this model of the task {self.description.task} cannot predict {what}: its folder "
                f"has no steps from new examples to the model's inputs\n"
                f"  give tensors by name: {', '.join(self.description.inputs)}"
            )
        return self.preprocessing

    def _of_tensors(self, source: Tensor | Mapping[str, Any]) -> Inputs:
        columns = self.description.inputs
        if isinstance(source, Tensor):
            if len(columns) != 1:
                raise DataError(
                    f"the model takes {len(columns)} inputs, and one tensor was given\n"
                    f"  give them by name: {', '.join(columns)}"
                )
            source = {next(iter(columns)): source}
        labels = source.get("labels")
        tensors = {name: column for name, column in source.items() if name != "labels"}
        if tensors.keys() != columns.keys():
            raise DataError(
                f"the model takes the inputs {', '.join(columns)}; given were "
                f"{', '.join(map(str, tensors)) or 'none'}"
            )
        for name, column in tensors.items():
            _check_column(name, column, columns[name].zeros(0))
        if len(sizes := {len(column) for column in tensors.values()}) > 1:
            raise DataError(f"the inputs have {' and '.join(map(str, sorted(sizes)))} rows")
        count = sizes.pop()
        names = tuple(str(number) for number in range(1, count + 1))
        return Inputs(names=names, part=Split(dict(tensors)), labels=labels)

    def _samples(
        self,
        batch: Mapping[str, Tensor],
        samples: int | Literal["auto"],
        tolerance: float | None,
        seed: int,
    ) -> Prediction:
        with self._with_noise(batch):
            kind = self.description.kind
            return predict(self.model, batch, samples, tolerance=tolerance, seed=seed, kind=kind)

    @contextmanager
    def _with_noise(self, batch: Mapping[str, Tensor]) -> Iterator[None]:
        """The plan on the model at the end of its training, where rates on a schedule have gone."""
        if not self.plan.rules:
            yield
            return
        with self.plan.installed(self.model, batch):
            step(self.model, self.description.noise_step)
            yield

    def _one_pass(self, batch: Mapping[str, Tensor]) -> Prediction:
        with torch.no_grad():
            logits = logits_of(call(self.model.eval(), batch))
        return one_pass(logits, self.description.kind)

    @contextmanager
    def _inputs_fit(self) -> Iterator[None]:
        """Raise `DataError` where the model fails on inputs: the files may be those of two runs."""
        try:
            yield
        except (DropsmithError, torch.OutOfMemoryError):
            raise
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            raise DataError(
                f"the model of {self.folder} cannot run on these inputs\n  {error}\n"
                "  they have other shapes than in its training, or a file of the folder is of "
                "another run"
            ) from error

    def _check_classes(self, prediction: Prediction) -> None:
        """Raise `DataError` where the model has another number of classes than the folder names."""
        if not self.names or prediction.kind != "classification":
            return
        axis = -1 if prediction.class_axis is None else prediction.class_axis
        count = prediction.mean.shape[axis]
        if count != len(self.names):
            raise DataError(
                f"{self.folder / self.description.file} names {len(self.names)} classes, and the "
                f"model has scores of {count}\n  it is of another run: type the command of this "
                "run again with --again"
            )

    def _in_unit(self, prediction: Prediction) -> Prediction:
        mean, unit = self.description.mean, self.description.unit
        if self.description.kind != "regression" or (mean, unit) == (0.0, 1.0):
            return prediction
        return replace(
            prediction, mean=prediction.mean * unit + mean, variance=prediction.variance * unit**2
        )


_EXAMPLES = 4
"""The rows that a graph is traced on, at most."""


def _rows_of(source: Any) -> Sequence[Mapping[str, Any]]:
    """Rows as dictionaries, from a list of them or from a DataFrame of pandas or Polars."""
    if hasattr(source, "to_dicts"):
        return source.to_dicts()
    if hasattr(source, "to_dict") and hasattr(source, "notna"):
        return source.astype(object).where(source.notna(), None).to_dict("records")
    is_list = isinstance(source, Sequence) and not isinstance(source, bytes)
    if not is_list or not all(isinstance(row, Mapping) for row in source):
        raise DataError(
            f"rows are a list of dictionaries or a DataFrame, got {excerpt(source)}\n"
            '  such as [{"text": "a text to predict"}], or the path of a file'
        )
    return source


def _filled(rows: Sequence[Any]) -> Sequence[Any]:
    if not len(rows):
        raise DataError("there is nothing to predict: the source has no rows")
    return rows


def _check_column(name: str, column: object, like: Tensor) -> None:
    if not isinstance(column, Tensor) or column.ndim != like.ndim:
        shape = " × ".join(("rows", *map(str, like.shape[1:])))
        given = tuple(column.shape) if isinstance(column, Tensor) else excerpt(column)
        raise DataError(f"the input {name} is a tensor of {shape}, got {given}")
    if column.is_floating_point() != like.is_floating_point():
        raise DataError(f"the input {name} is of dtype {like.dtype}, got {column.dtype}")
    if like.is_floating_point() and column.shape[1:] != like.shape[1:]:
        raise DataError(
            f"one example of the input {name} is of shape {tuple(like.shape[1:])}, got "
            f"{tuple(column.shape[1:])}"
        )
