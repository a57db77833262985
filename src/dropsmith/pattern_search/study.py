"""The coordinator of a search: it asks and tells the sampler, and decides about lost trials.

Samplers with state must not live in several workers at once: each would overwrite a part of what
the others learn. Here the sampler is in this process alone. It learns of every trial once, in an
order that is written down, and the same results in that order make the same sampler.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from dropsmith.pattern_search.executors.executor import (
    Event,
    Executor,
    Job,
    ScoreReport,
    TrialEnd,
    TrialFailed,
    TrialFinished,
)
from dropsmith.pattern_search.samplers.sampler import Sampler
from dropsmith.pattern_search.trial import Progress, Trial, Watch, best_of
from dropsmith.pattern_search.trial_log import TrialLog
from dropsmith.rng import Key

_TRIALS = 0x7E57
"""Folded into the seeds of trials, so that they differ from those of the sampler's draws."""


class Study:
    """A search while it runs.

    Args:
        log: the study's rows.
        sampler: new, as it learns the earlier results again.
        total: the number of proposals to try, those of earlier runs among them.
        sign: −1 where lower scores are better, else 1.
        retries: the number of times a trial that ended with its process is tried again.
        watch: is called when a trial begins or ends.
    """

    def __init__(
        self,
        log: TrialLog,
        sampler: Sampler,
        *,
        total: int,
        sign: int = 1,
        retries: int = 2,
        watch: Watch | None = None,
    ) -> None:
        self._log, self._sampler, self._total = log, sampler, total
        self._sign, self._retries, self._watch = sign, retries, watch
        self.trials: dict[int, Trial] = {trial.number: trial for trial in log.read()}
        self._running: set[int] = set()
        self._retry_queue: deque[Trial] = deque()
        self._proposal_count = 1 + max(
            (trial.proposal_index for trial in self.trials.values()), default=-1
        )
        self._next_tell = 1 + max(
            (t.tell_order for t in self.trials.values() if t.tell_order is not None), default=-1
        )
        self._best = best_of(list(self.trials.values()), sign)
        self._start, self._ended_now = monotonic(), 0
        self._replay()

    @property
    def done(self) -> int:
        """Proposals that came to an end."""
        return self._proposal_count - len(self._running) - len(self._retry_queue)

    @property
    def has_trials_left(self) -> bool:
        """True if there is a trial to run."""
        return bool(self._retry_queue) or self._proposal_count < self._total

    def run(self, make_executor: Callable[[], Executor]) -> None:
        """Run the rest; an executor is made only if there is one.

        An interrupt, or any error here, ends every trial, which is written down.
        """
        if not self.has_trials_left:
            return
        try:
            with make_executor() as executor:
                self._run(executor)
        except BaseException as error:
            why = f"the search was ended by {type(error).__name__}"
            for number in sorted(self._running):
                trial = replace(self.trials[number], status="interrupted", why=why)
                self._log.end_once(trial)
            raise

    def _run(self, executor: Executor) -> None:
        self._start = monotonic()
        while True:
            while len(self._running) < executor.slots and self.has_trials_left:
                self._begin(executor)
            if not self._running:
                return
            for event in executor.wait():
                self._handle(executor, event)

    def _begin(self, executor: Executor) -> None:
        trial = self._log.begin(self._retry_queue.popleft() if self._retry_queue else self._ask())
        self.trials[trial.number] = trial
        self._running.add(trial.number)
        executor.submit(Job(trial.number, trial.plan, trial.seed, trial.retry))
        self._notify()

    def _ask(self) -> Trial:
        index, space = self._proposal_count, self._sampler.space
        running = [self.trials[number].tokens for number in sorted(self._running)]
        proposal = self._sampler.ask(index, running)
        self._proposal_count += 1
        return Trial(
            number=-1,
            proposal_index=index,
            tokens=proposal.tokens,
            choices=space.describe(proposal.tokens),
            plan=space.plan(proposal.tokens),
            version=proposal.version,
            log_probability=proposal.log_probability,
            seed=_seed(self._sampler.seed, index),
        )

    def _handle(self, executor: Executor, event: Event) -> None:
        if event.number not in self._running:  # of a trial that was abandoned
            return
        trial = self.trials[event.number]
        if isinstance(event, ScoreReport):
            reports = (*trial.reports, (event.step, event.value))
            self.trials[event.number] = replace(trial, reports=reports)
            executor.answer(event.number, self._log.report(event.number, event.step, event.value))
            return
        self._running.remove(event.number)
        self._end(
            _with_end(trial, event), retriable=isinstance(event, TrialFailed) and event.retriable
        )

    def _end(self, trial: Trial, retriable: bool) -> None:
        """Write down that a trial has ended; then tell the sampler, or try the same again."""
        retry = retriable and trial.retry < self._retries
        if retry:
            trial = replace(trial, status="lost")
        else:
            trial = replace(trial, tell_order=self._next_tell)
            self._next_tell += 1
        self._log.end(trial)
        self.trials[trial.number] = trial
        if retry:
            self._retry_queue.append(_retry(trial, trial.retry + 1))
        else:
            self._sampler.tell(trial.for_sampler(self._sign))
            self._best = best_of([best for best in (self._best, trial) if best], self._sign)
            self._ended_now += 1
        self._notify(trial)

    def _replay(self) -> None:
        """Tell the sampler the results of earlier runs, and find what they left undone."""
        results = [trial for trial in self.trials.values() if trial.tell_order is not None]
        for trial in sorted(results, key=lambda trial: trial.tell_order or 0):
            self._sampler.tell(trial.for_sampler(self._sign))
        latest = {trial.proposal_index: trial for trial in self.trials.values()}
        for trial in latest.values():
            if trial.status == "running":
                why = "the search was killed while it ran"
                self._end(replace(trial, status="failed", why=why), retriable=True)
            elif trial.status in ("lost", "interrupted"):
                self._retry_queue.append(_retry(trial, trial.retry + (trial.status == "lost")))

    def _notify(self, end: Trial | None = None) -> None:
        if self._watch is None:
            return
        average = (monotonic() - self._start) / self._ended_now if self._ended_now else None
        self._watch(
            Progress(
                done=self.done,
                total=self._total,
                running=len(self._running),
                best=self._best,
                last_trial=end,
                seconds_left=None if average is None else average * (self._total - self.done),
            )
        )


def _with_end(trial: Trial, event: TrialEnd) -> Trial:
    cost = {"seconds": event.seconds, "worker": event.worker}
    if isinstance(event, TrialFinished):
        return replace(trial, status="finished", score=event.score, **cost)
    if isinstance(event, TrialFailed):
        return replace(trial, status="failed", why=event.why, **cost)
    return replace(trial, status="stopped", **cost)


def _retry(trial: Trial, retry: int) -> Trial:
    return Trial(
        number=-1,
        proposal_index=trial.proposal_index,
        tokens=trial.tokens,
        choices=trial.choices,
        plan=trial.plan,
        version=trial.version,
        log_probability=trial.log_probability,
        seed=trial.seed,
        retry=retry,
        retry_of=trial.number,
    )


def _seed(seed: int, number: int) -> int:
    first = Key.of(seed).fold(_TRIALS, number).first
    assert isinstance(first, int)
    return first & 0x7FFFFFFF  # other libraries' generators take no negative seeds
