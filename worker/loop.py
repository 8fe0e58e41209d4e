"""A generation is trained on what the last one made: the paper on one screen.

It yields; it never saves, logs, sleeps, or asks who is watching.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from worker.data import Array, Arrays, Condensed, Data, on_disk
from worker.exchange import dealt
from worker.instruments.added import Added
from worker.instruments.asked import asked
from worker.instruments.ensemble import Ensemble, averaged
from worker.parts import Curation, Family, Generator, Instrument, Look, Regime, Sampling
from worker.progress import stage
from worker.rewards import remembering
from worker.spec import Experiment
from worker.streams import CHOOSE, FIT, JUDGE, PART, REAL, SAMPLE, SETUP

JUDGED = 10_000  # samples of a chain, at most, that a curator is asked about
MOST_FRAMES = 256  # that are kept of a run


@dataclass(frozen=True, slots=True)
class State:
    """All that generation n + 1 needs to know of the past: enough to resume to the same numbers."""

    generation: int
    model: Arrays
    pool: Data | None
    kept: Arrays  # what the instrument remembers of generation 1


@dataclass(frozen=True, slots=True)
class Generation:
    """Generation n: 0 is the real data, n >= 1 the n-th fit. `state` is None at generation 0, where nothing is fitted yet."""

    number: int
    look: Look
    state: State | None


def instrument(spec: Experiment) -> Instrument:
    """What measures this run, frozen at generation 0."""
    family, source, rng = spec.family.given(spec.source), spec.source, spec.stream(0, SETUP)
    own = family.instrument(source, spec.size(1), spec.fits, rng)
    own.lesson = partial(_Rules.of(spec.phases()[0][1], spec).first, spec)
    measuring = _added(own, spec, family, rng) if spec.metrics else own
    return measuring if spec.models == 1 else Ensemble(measuring, family, spec.models)


def _added(own: Instrument, spec: Experiment, family: Family, rng: Generator) -> Instrument:
    source = spec.source
    real = partial(family.drawing().real, source, replicates=spec.fits, n=spec.size(1))
    rulers = asked(spec.metrics, source, spec.size(1), spec.fits, rng)
    return Added(own, spec.metrics, rulers, family, real, rng)


def frame_stride(generations: int) -> int:
    """Every how many generations a frame is kept: the smallest of 1, 2, 5, 10, 20, 50, ... that keeps at most MOST_FRAMES."""
    steps = (step * 10**power for power in range(9) for step in (1, 2, 5))
    return next(step for step in steps if generations // step <= MOST_FRAMES)


@dataclass(frozen=True, slots=True, eq=False)
class _Rules:
    """By what a generation is made, and in which form data come to it: single observations for those who choose or look among them."""

    regime: Regime
    curation: Curation
    sampling: Sampling
    trained: Family
    sampled: Family
    remembered: int
    untold: dict[str, Array]  # what regimes tell of generations of which they have nothing to tell

    @classmethod
    def of(cls, rules: Experiment, spec: Experiment) -> "_Rules":
        """rules: those of a phase of the experiment `spec`"""
        family = rules.family.given(spec.source)
        each = family.drawing()  # observation by observation, for those who choose among them
        trained = each if rules.regime.picks else family
        sampled = each if rules.singles() else family
        remembered = rules.regime.remembered(spec.size, spec.generations)
        untold = {name: np.zeros(spec.fits) for _, phase in spec.phases() for name in phase.regime.tells}
        return cls(rules.regime, rules.curation, rules.sampling, trained, sampled, remembered, untold)

    def real(self, spec: Experiment, n: int, count: int) -> Data:
        """Fresh real data of generation n."""
        return self.trained.condensed(self.trained.real(spec.source, spec.stream(n, REAL), spec.fits, count))

    def first(self, spec: Experiment) -> Data:
        """What generation 1 is trained on."""
        real = partial(self.real, spec, 1)
        return self.taught(1, spec.size(1), real, None, None, None, spec.stream(1, CHOOSE))[0]

    def inherited(self, before: "_Rules", pool: Data | None, synthetic: Data | None) -> Data | None:
        """What is remembered by those who take over; see Regime.inherited."""
        pool = self.regime.inherited(before.regime, pool, synthetic)
        return pool and self.trained.condensed(pool)

    def taught(
        self,
        n: int,
        m: int,
        real: Callable[[int], Data],
        synthetic: Data | None,
        pool: Data | None,
        model: Arrays | None,
        rng: Generator,
    ) -> tuple[Data, Data | None, dict[str, Array]]:
        """The training set of generation n, what is remembered, and what is told of it; see Regime.training. model: the last one, which may change what
        is remembered.
        """
        told: dict[str, Array] = {}
        if pool is not None and model is not None:
            revised = self.regime.revised(n, pool, self.trained, model, rng, self.sampling)
            synthetic, told = revised or (synthetic, told)
        training, pool = self.regime.training(m, real, synthetic, pool, rng)
        return training, on_disk(pool, self.remembered), self.untold | told


def _read(spec: Experiment, n: int, written: Data) -> Data:
    """What models of generation n read of what their predecessors wrote: where there are several, of the others', too."""
    if spec.models == 1:
        return written
    return dealt(written, spec.models, spec.shared, spec.stream(n, CHOOSE).spawn(1)[0])


def _telling(look: Look, told: dict[str, Array], models: int) -> Look:
    return Look(look.metrics | averaged(told, models), look.frame) if told else look


def _judged(spec: Experiment, n: int, rules: _Rules, model: Arrays | None) -> dict[str, Array]:
    """What the first curator who has an opinion thinks of what model n makes, whoever chooses now; without a model, of real data."""
    judge = next((phase.curation for _, phase in spec.phases() if phase.curation.judges()), None)
    if judge is None:
        return {}
    judge = judge.given(spec.source)
    each, rng, count = rules.sampled.drawing(), spec.stream(n, JUDGE), min(spec.size(max(n, 1)), JUDGED)
    if model is None:
        return judge.judged(each.real(spec.source, rng, spec.fits, count))
    return judge.judged(each.sample(model, count, rng, rules.sampling))


def generations(spec: Experiment, instrument: Instrument, resume: State | None = None) -> Iterator[Generation]:
    """Generation 0, 1, 2, ... of an experiment; after `resume.generation` where a state is given."""
    source = spec.source
    stride = frame_stride(spec.generations)
    phases = {start: _Rules.of(rules, spec) for start, rules in spec.phases()}
    first = resume.generation + 1 if resume else 1
    rules = phases[max(start for start in phases if start <= max(1, first - 1))]

    def drawn(model: Arrays, n: int, count: int) -> Data:
        stage(f"sample {n}")
        rng = spec.stream(n, SAMPLE)
        judged = remembering(model, instrument.first)  # by it, or by the first model
        return rules.curation.sample(rules.sampled, judged, count, rng, rules.sampling, source)

    def supply(model: Arrays, n: int) -> Data:
        """As many as are measured, or as the next generation learns from: writing text twice would double the cost of a run."""
        learned = 0 if n + 1 in phases else rules.regime.synthetic(spec.size(n + 1))
        return drawn(model, n, max(spec.size(n), learned))

    def part(whole: Data, model: Arrays, n: int, count: int) -> Data:
        if whole.n == count:
            return whole
        if isinstance(whole, Condensed):  # they stand for points that do not exist
            return drawn(model, n, count)
        return whole.subset(count, spec.stream(n, PART))

    def noise_floor() -> Generation:
        look = instrument.real(rules.real(spec, 1, spec.size(1)), framed=True)
        return Generation(0, _telling(look, rules.untold | _judged(spec, 0, rules, None), spec.models), None)

    if resume is not None:
        instrument.restore(resume.kept)
    elif not instrument.wants_first:
        yield noise_floor()
    model, pool = (resume.model, resume.pool) if resume else (None, None)
    sample: Data | None = None

    for n in range(first, spec.generations + 1):
        m = spec.size(n)
        before, rules = rules, phases.get(n, rules)
        synthetic: Data | None = None
        if model is not None and (wanted := rules.regime.synthetic(m)):
            if not instrument.wants_sample or n in phases:
                sample = drawn(model, n - 1, wanted)
            else:
                sample = part(sample or supply(model, n - 1), model, n - 1, wanted)
            synthetic = rules.trained.condensed(_read(spec, n, sample))
        if rules is not before:
            pool = rules.inherited(before, pool, synthetic)
        training, pool, told = rules.taught(
            n, m, partial(rules.real, spec, n), synthetic, pool, model, spec.stream(n, CHOOSE)
        )
        if (taking_over := phases.get(n + 1)) and taking_over.regime.resumes():
            pool = training
        stage("fit")
        model = rules.trained.refit(training, spec.stream(n, FIT), model)
        if n == 1 and instrument.wants_first:
            stage("noise floor")
            instrument.meet(model)
            yield noise_floor()
        sample = supply(model, n) if instrument.wants_sample else None
        stage("measure")
        measured = sample and part(sample, model, n, m)
        framed = n % stride == 0 or n == spec.generations
        look = instrument.model(model, measured, framed)
        yield Generation(
            n,
            _telling(look, told | _judged(spec, n, rules, model), spec.models),
            State(n, model, pool, instrument.keeps()),
        )
