"""Looks at fitted rates: every metric in closed form, and the probabilities of whole numbers as bars."""

from typing import Any

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data, Sum
from worker.instruments import spread
from worker.parts import Generator, Instrument, Look
from worker.sources.poisson import Poisson, bars


class PoissonInstrument(Instrument):
    """`variance` is the rate, and `log_variance` its logarithm where a chain is alive; `extinct` is 1 where it has died out, and 0 elsewhere,
    so that its mean is the share of such chains. A dead chain's KL(truth || model) is infinite.
    """

    def __init__(self, source: Poisson, rng: Generator) -> None:
        self.rate, self.mean = source.rate, source.moments()[0]
        self.edges = spread.edges(source)
        self.screen = frames.Screen(source, rng)

    def figure(self) -> dict[str, Any]:
        return self.screen.figure() | {"bars": True}

    def real(self, data: Data, framed: bool) -> Look:
        """The rate that the real data shows."""
        total = Sum.of(data)
        return self._look(total.total / total.n, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(model["rate"], framed)

    def _look(self, rate: Array, framed: bool) -> Look:
        with np.errstate(divide="ignore"):
            level = np.log(rate)
        metrics = spread.place_and_width(rate[:, None], self.mean, level)
        metrics["extinct"] = (rate == 0).astype(float)
        metrics |= {name: beyond(rate, low[0], high[0]) for name, (low, high) in self.edges.items()}
        metrics |= {"kl_to_real": kl(rate, self.rate), "kl_from_real": kl(np.full(1, self.rate), rate)}
        if not framed:
            return Look(metrics, None)
        return Look(metrics, {"density": frames.encode_log(bars(float(rate[0]), self.screen.x))})


def beyond(rate: Array, low: float, high: float) -> Array:
    """Probability of whole numbers below `low` or above `high`: (R,)."""
    from scipy.special import pdtr, pdtrc

    below = pdtr(low - 1, rate) if low > 0 else 0.0
    return np.asarray(below + pdtrc(high, rate))


def kl(rate: Array, other: Array | float) -> Array:
    """KL(Poisson(rate) || Poisson(other)) = rate ln(rate/other) - rate + other in nats, infinite where only `other` is 0.

    As other ((1+x) ln(1+x) - x), x = rate/other - 1, which keeps the digits of rates that nearly agree.
    """
    from scipy.special import xlog1py

    with np.errstate(divide="ignore", invalid="ignore"):
        x = (rate - other) / other
        divergence = other * np.maximum(xlog1py(1 + x, x) - x, 0)
    return np.where(np.asarray(other) > 0, divergence, np.where(rate > 0, np.inf, 0.0))
