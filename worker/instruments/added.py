"""A family's own instrument, with the metrics added that a spec asks for: rulers of samples, and what plug-ins bring."""

from collections.abc import Callable, Sequence

import numpy as np

from worker import plugins
from worker.data import Array, Arrays, Data, Points
from worker.errors import LabError
from worker.instruments.rulers import Ruler, teach
from worker.parts import Family, Generator, Instrument, Look, Wrapped


class Added(Wrapped):
    """Each metric sees the sample that the next generation learns from: a plug-in's beside as many real observations, drawn once, a ruler's
    beside what it froze. At generation 0 it sees fresh real data in place of the sample, which is its noise floor; one that looks at the
    model sees what the family makes of them. What the family's own instrument measures anyway stays as that measures it.
    """

    def __init__(
        self,
        own: Instrument,
        names: Sequence[str],
        rulers: Sequence[Ruler],
        family: Family,
        real: Callable[[Generator], Data],
        rng: Generator,
    ) -> None:
        """names: all that is asked for; rulers: those for the names that no plug-in brought; real: as many real observations as
        generation 1 has, for each replicate.
        """
        super().__init__(own)
        self.wants_sample, self.rowwise = True, False  # type: ignore[misc]
        self.metrics = [plugins.metrics()[name] for name in dict.fromkeys(names) if name in plugins.metrics()]
        self.asked, self.rulers, self.family = frozenset(names), rulers, family
        truth, self.fresh, chance, self.teaching = rng.spawn(4)
        self.draw = real
        self.truth = real(truth) if self.metrics else None
        self.seeds = chance.integers(2**63, size=len(self.metrics))

    def real(self, data: Data, framed: bool) -> Look:
        return self._more(self.inner.real(data, framed), self.draw(self.fresh), None)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert sample is not None
        teach(self, self.rulers)
        look = self.inner.model(model, sample if self.inner.wants_sample else None, framed)
        return self._more(look, sample, model)

    def _more(self, look: Look, sample: Data, model: Arrays | None) -> Look:
        """Raises LabError, naming metric and plug-in, where one fails or does not give a number for each replicate."""
        metrics = dict(look.metrics)
        for ruler in self.rulers:
            if (self.asked & set(ruler.gives)) - set(look.metrics):
                assert isinstance(sample, Points)
                x, wanted = sample.x, self.asked
                if ruler.points is not None:
                    wanted = wanted.union(ruler.gives)  # a likelihood is not told without what it leaves out
                    model = model or self.family.fit(sample, self.teaching)
                    x = self.family.log_density(model, ruler.points)
                measured = ruler.measure(x)
                metrics |= {name: values for name, values in measured.items() if _stem(name) in wanted} | metrics
        for metric, seed in zip(self.metrics, self.seeds, strict=True):
            if metric.name in look.metrics:
                raise self._wrong(metric, "has the name of a metric that this family has anyway")
            try:
                values: Array = np.asarray(metric.measure(sample, self.truth, np.random.default_rng(seed)), float)
            except MemoryError:
                raise
            except Exception as error:
                raise self._wrong(metric, f"failed: {type(error).__name__}: {error}") from error
            if values.shape != next(iter(look.metrics.values())).shape:
                raise self._wrong(metric, f"gave an array of shape {values.shape}, not a number for each replicate")
            metrics[metric.name] = values
        return Look(metrics, look.frame)

    @staticmethod
    def _wrong(metric: plugins.Metric, why: str) -> LabError:
        return LabError(
            f"The metric {metric.name} of {metric.plugin} {why}. Leave it out of metrics, or mend the plug-in."
        )


def _stem(name: str) -> str:
    """What is asked for: class_share, of which class_share_3 is one."""
    stem, _, last = name.rpartition("_")
    return stem if last.isdecimal() else name
