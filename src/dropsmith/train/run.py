"""The steps, evaluations and final scores of a run."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dropsmith.files import keep_trying
from dropsmith.noise import find_noise
from dropsmith.record import Record, validation_loss
from dropsmith.run_folder import WEIGHTS, FinishedRun
from dropsmith.tasks import Budget, Data, GenerationScores, device_of
from dropsmith.train.accounting import cost, forget_peak, peak_bytes, surroundings
from dropsmith.train.checkpoint import FILE, Checkpoint, Saving, write
from dropsmith.train.constant_predictor import constant_scores
from dropsmith.train.environment import HASHES
from dropsmith.train.evaluation import evaluate, evaluating
from dropsmith.train.length import Length, learning_rate
from dropsmith.train.optimisers import after_evaluation, evaluation_weights
from dropsmith.train.progress import EvaluationListener, Progress, TermsListener
from dropsmith.train.state import State
from dropsmith.train.step import Stepper


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, from its present state to its end.

    Args:
        identity: configuration and hashes; a checkpoint with others is refused.
        stepper: computes the steps.
        data: of the run.
        folder: for its files.
        length: the number of steps and the evaluations.
        state: the state of the run.
    """

    identity: dict[str, Any]
    stepper: Stepper
    data: Data
    folder: Path
    length: Length
    state: State

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint.

        Raises:
            CheckpointError: it does not fit this run.
        """
        self.state.resume(checkpoint)
        steps, state = self.length.steps, self.state
        if state.step > steps:
            raise checkpoint.fault(f"field step should be at most {steps}, but is {state.step}")
        if state.step == steps and not state.curve:
            raise checkpoint.fault("field curve has no row, although the run has made all steps")

    def complete(
        self,
        progress: Progress,
        saving: Saving,
        on_evaluation: EvaluationListener,
        on_terms: TermsListener,
    ) -> Record:
        """Run the remaining steps, then the final scores."""
        state, last_save = self.state, time.monotonic()
        forget_peak(self._device)
        self._score_start(on_evaluation)
        while state.step < self.length.steps and not self._gives_up():
            self._step()
            on_terms(state.mean_terms)
            if self.length.evaluates(state.step):
                self._evaluate()
                on_evaluation(state.curve[-1])
            if saving.due(state.step, time.monotonic() - last_save):
                self._remember_peak()
                keep_trying(partial(state.checkpoint(self.identity).save, self.folder), self.folder)
                last_save = time.monotonic()
            progress(state.step / self.length.steps)
        return self._write_record()

    def _score_start(self, on_evaluation: EvaluationListener) -> None:
        """Score start weights, which are the best until the validation loss is lower."""
        setup, state = self.stepper.setup, self.state
        if setup.start is None or setup.whole or state.step:
            return
        row = {"step": 0, "epoch": 0.0, "views": 0, "seconds": 0.0}
        state.curve.append(row | self._update_best())
        on_evaluation(state.curve[-1])

    @property
    def _device(self) -> torch.device:
        return device_of(self.state.model)

    @property
    def _budget(self) -> Budget:
        return self.stepper.setup.budget

    def _gives_up(self) -> bool:
        patience, schedule = self._budget.patience, self._budget.schedule
        worse = patience is not None and self.state.worse >= patience
        return worse or schedule.ends(self.state.losses)

    def _step(self) -> None:
        state, clock, processor_clock = self.state, time.perf_counter(), time.process_time()
        rate = learning_rate(state.step + 1, self.length, self._budget, state.losses)
        task = self.stepper.take(state, rate, self.folder)
        state.loss = (state.loss[0] + float(task.sum), state.loss[1] + float(task.count))
        state.seconds += time.perf_counter() - clock
        state.processor_seconds += time.process_time() - processor_clock

    def _evaluate(self) -> None:
        state = self.state
        with evaluation_weights(state.optimizer):
            scores = self._update_best()
        total, count = state.loss
        other_losses = {
            f"train_{name}": term_sum / max(items, 1)
            for name, (term_sum, items) in state.other_terms.items()
        }
        state.loss, state.other_terms = (0.0, 0.0), {}
        row = {
            "step": state.step,
            "epoch": self.length.epoch(state.step),
            "views": self.length.views[state.step],
            "train_loss": total / (count or 1),
            "seconds": state.seconds,
        }
        state.curve.append(row | other_losses | scores)
        self._react()

    def _update_best(self) -> dict[str, float]:
        """Score the validation examples, and keep the weights if the loss is the lowest."""
        if self.stepper.setup.whole:
            self.state.keep_last()
            return {}
        scores = self._scores("validation")
        self.state.keep_best(validation_loss(scores))
        return scores

    def _react(self) -> None:
        """Update optimiser and schedule after an evaluation."""
        state = self.state
        after_evaluation(state.optimizer, self._budget, state.losses)
        if self._budget.schedule.returns(state.losses):
            state.model.load_state_dict(state.best)

    def _scores(self, part: str, all_scores: bool = False) -> dict[str, float]:
        scores = evaluate(
            self.state.model, self.stepper.task, getattr(self.data, part), all_scores=all_scores
        )
        return {f"{part}_{name}": value for name, value in scores.items()}

    def _sample_scores(self) -> dict[str, float]:
        """Test scores of the mean over noisy passes, if the setup has samples."""
        setup, task = self.stepper.setup, self.stepper.task
        if not setup.samples:
            return {}
        scores = evaluate(
            self.state.model,
            task,
            self.data.test,
            setup.samples,
            seed=setup.seed,
            without=setup.samples_without,
            all_scores=True,
        )
        return {f"test_mc_{name}": value for name, value in scores.items()}

    def _test_scores(self) -> tuple[GenerationScores, dict[str, float]]:
        """Generated texts for the test examples, without noise, and all test scores."""
        with evaluating(self.state.model):
            generation = self.stepper.task.score_generation(self.state.model, self.data)
        generation_scores = {f"test_{name}": value for name, value in generation.scores.items()}
        scores = self._scores("test", all_scores=True) | self._sample_scores()
        constant = constant_scores(self.stepper.task, self.data)
        return generation, scores | generation_scores | constant

    def _remember_peak(self) -> None:
        self.state.peak_bytes = max(self.state.peak_bytes, peak_bytes(self._device))

    def _write_record(self) -> Record:
        state = self.state
        self._remember_peak()
        state.model.load_state_dict(state.best)
        generation, test_scores = (
            self._test_scores() if self.stepper.setup.score_test else (GenerationScores(), {})
        )
        scores = ({} if self.stepper.setup.whole else self._scores("validation")) | test_scores
        record = Record(
            config=self.identity["config"],
            environment=surroundings(self.stepper.setup, state, self.data, generation.signatures)
            | {name: value for name, value in self.identity.items() if name in HASHES},
            curve=tuple(state.curve),
            scores=scores,
            cost=cost(state, self.length.views[state.step]),
        )
        self._write_folder(record, generation)
        (self.folder / FILE).unlink(missing_ok=True)
        return record

    def _write_folder(self, record: Record, generation: GenerationScores) -> None:
        """Write the record and the files for using the model; in tuning only record and weights."""
        setup, state = self.stepper.setup, self.state
        if not setup.score_test:
            keep_trying(partial(write, self.folder / WEIGHTS, state.best), self.folder)
            keep_trying(partial(record.save, self.folder), self.folder)
            return
        noise = find_noise(state.model)
        FinishedRun(
            record=record,
            kind=self.stepper.task.kind,
            data=self.data,
            plan=setup.plan,
            model=state.model,
            weights=state.best,
            noise_step=0 if noise is None else noise.step,
            generation=generation,
        ).write(self.folder)
