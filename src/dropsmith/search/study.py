"""The coordinator: the one who asks and tells, and who decides what a lost trial means.

Samplers with state must not live in several workers at once: of what those learn, a part is
overwritten. Here the sampler is in this process alone. It is told of every trial once, in an order
that is written down, and telling it again in that order makes the same sampler.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from dropsmith.rng import Key
from dropsmith.search.executor import Ended, Event, Executor, Failed, Finished, Job, Reported
from dropsmith.search.ledger import Ledger
from dropsmith.search.sampler import Sampler
from dropsmith.search.trial import Progress, Trial, Watch, best_of

_TRIALS = 0x7E57
"""Folded into the seeds of trials, so that they are not those of the sampler's own draws."""


class Study:
    """A search while it runs.

    Args:
        ledger: the study's rows.
        sampler: new, as it is told again what it knew.
        total: how many proposals to try, those of earlier runs among them.
        sign: −1 where lower scores are better, else 1.
        retries: how often a trial that went down with its process is tried again.
        watch: is told what happens.
    """

    def __init__(
        self,
        ledger: Ledger,
        sampler: Sampler,
        *,
        total: int,
        sign: int = 1,
        retries: int = 2,
        watch: Watch | None = None,
    ) -> None:
        self._ledger, self._sampler, self._total = ledger, sampler, total
        self._sign, self._retries, self._watch = sign, retries, watch
        self.trials: dict[int, Trial] = {trial.number: trial for trial in ledger.read()}
        self._running: set[int] = set()
        self._again: deque[Trial] = deque()
        self._asked = 1 + max((trial.asked for trial in self.trials.values()), default=-1)
        self._told = 1 + max(
            (t.told for t in self.trials.values() if t.told is not None), default=-1
        )
        self._best = best_of(list(self.trials.values()), sign)
        self._start, self._ended_here = monotonic(), 0
        self._remember()

    @property
    def done(self) -> int:
        """Proposals that came to an end."""
        return self._asked - len(self._running) - len(self._again)

    @property
    def left(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._again) or self._asked < self._total

    def run(self, make: Callable[[], Executor]) -> None:
        """Run what is left; an executor is made only if anything is.

        An interrupt, or any error here, ends every trial, which is written down.
        """
        if not self.left:
            return
        try:
            with make() as executor:
                self._run(executor)
        except BaseException as error:
            why = f"the search was ended by {type(error).__name__}"
            for number in sorted(self._running):
                trial = replace(self.trials[number], status="interrupted", why=why)
                self._ledger.end_once(trial)
            raise

    def _run(self, executor: Executor) -> None:
        self._start = monotonic()
        while True:
            while len(self._running) < executor.slots and self.left:
                self._begin(executor)
            if not self._running:
                return
            for event in executor.wait():
                self._hear(executor, event)

    def _begin(self, executor: Executor) -> None:
        trial = self._ledger.begin(self._again.popleft() if self._again else self._ask())
        self.trials[trial.number] = trial
        self._running.add(trial.number)
        executor.submit(Job(trial.number, trial.plan, trial.seed, trial.retry))
        self._say()

    def _ask(self) -> Trial:
        number, space = self._asked, self._sampler.space
        running = [self.trials[one].tokens for one in sorted(self._running)]
        proposal = self._sampler.ask(number, running)
        self._asked += 1
        return Trial(
            number=-1,
            asked=number,
            tokens=proposal.tokens,
            chosen=space.describe(proposal.tokens),
            plan=space.plan(proposal.tokens),
            version=proposal.version,
            log_probability=proposal.log_probability,
            seed=_seed(self._sampler.seed, number),
        )

    def _hear(self, executor: Executor, event: Event) -> None:
        if event.number not in self._running:  # word from a trial that was given up
            return
        trial = self.trials[event.number]
        if isinstance(event, Reported):
            reports = (*trial.reports, (event.step, event.value))
            self.trials[event.number] = replace(trial, reports=reports)
            executor.answer(
                event.number, self._ledger.report(event.number, event.step, event.value)
            )
            return
        self._running.remove(event.number)
        self._end(_ended(trial, event), lost=isinstance(event, Failed) and event.lost)

    def _end(self, trial: Trial, lost: bool) -> None:
        """Write down that a trial has ended; then tell the sampler, or try the same again."""
        again = lost and trial.retry < self._retries
        if again:
            trial = replace(trial, status="lost")
        else:
            trial, self._told = replace(trial, told=self._told), self._told + 1
        self._ledger.end(trial)
        self.trials[trial.number] = trial
        if again:
            self._again.append(_retry(trial, trial.retry + 1))
        else:
            self._sampler.tell(trial.for_sampler(self._sign))
            self._best = best_of([one for one in (self._best, trial) if one], self._sign)
            self._ended_here += 1
        self._say(trial)

    def _remember(self) -> None:
        """Tell the sampler what it was told in earlier runs, and find what they left undone."""
        told = [trial for trial in self.trials.values() if trial.told is not None]
        for trial in sorted(told, key=lambda one: one.told or 0):
            self._sampler.tell(trial.for_sampler(self._sign))
        last = {trial.asked: trial for trial in self.trials.values()}
        for trial in last.values():
            if trial.status == "running":
                why = "the search was killed while it ran"
                self._end(replace(trial, status="failed", why=why), lost=True)
            elif trial.status in ("lost", "interrupted"):
                self._again.append(_retry(trial, trial.retry + (trial.status == "lost")))

    def _say(self, ended: Trial | None = None) -> None:
        if self._watch is None:
            return
        each = (monotonic() - self._start) / self._ended_here if self._ended_here else None
        self._watch(
            Progress(
                done=self.done,
                total=self._total,
                running=len(self._running),
                best=self._best,
                ended=ended,
                seconds_left=None if each is None else each * (self._total - self.done),
            )
        )


def _ended(trial: Trial, event: Ended) -> Trial:
    ran = {"seconds": event.seconds, "worker": event.worker}
    if isinstance(event, Finished):
        return replace(trial, status="finished", score=event.score, **ran)
    if isinstance(event, Failed):
        return replace(trial, status="failed", why=event.why, **ran)
    return replace(trial, status="stopped", **ran)


def _retry(trial: Trial, retry: int) -> Trial:
    return Trial(
        number=-1,
        asked=trial.asked,
        tokens=trial.tokens,
        chosen=trial.chosen,
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
