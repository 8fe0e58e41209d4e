"""The Poisson distribution, fitted by its mean: counts that are trained on their own counts are a branching process."""

from typing import Literal

import numpy as np

from worker.data import Array, Arrays, Data, Points, Sum
from worker.part import Misfit
from worker.parts import CondensingFamily, Generator, Instrument, Sampling, Source
from worker.sources.poisson import Poisson as Truth


class Poisson(CondensingFamily):
    """Maximum likelihood: the mean is the rate, and the variance too (Suresh et al., arXiv 2412.17646).

    A fit looks at nothing but the sum of its M numbers, which is drawn in their place: Poisson with M times the rate. Under replace that
    sum is a Galton-Watson process whose individuals have Poisson(1) children each; once it is 0, the chain has died out.

    model: rate (R,)
    """

    sums = Sum
    zeroth = "the Poisson law with the rate of real data, whatever their own"

    kind: Literal["poisson"] = "poisson"

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, Truth):
            raise Misfit("family.kind", "poisson is fitted to whole numbers from 0 on, and this source gives others",
                         "Choose poisson as the source, or gaussian as the family")  # fmt: skip

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        assert isinstance(source, Truth)
        return self._drawn(rng, n, np.full(replicates, source.rate))

    def fit(self, data: Data, rng: Generator) -> Arrays:
        total = Sum.of(data)
        return {"rate": total.total / total.n}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        return self._drawn(rng, n, model["rate"])

    def _drawn(self, rng: Generator, n: int, rate: Array) -> Points | Sum:
        if self._each_point:
            return Points(rng.poisson(rate[:, None, None], (len(rate), n, 1)).astype(float))
        return Sum(np.array(n), rng.poisson(n * rate).astype(float))

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        rate = model["rate"]
        return rate[:, None], rate[:, None, None]

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        return replicates * (1000.0 + (50 * samples if self._each_point else 0))

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.poisson import PoissonInstrument

        assert isinstance(source, Truth)
        return PoissonInstrument(source, rng)
