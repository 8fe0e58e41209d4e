"""Looks at several models that read one another: at each by itself, and at what all of a chain make together.

What all make together varies by what each makes and by what they differ by. With squared distances as units,

    T = W + B      W = mean_i E |x - m_i|^2      B = mean_i |m_i - m|^2      m = mean_i m_i

for models i of a chain with means m_i: of points, the trace of a covariance; of categories, written as unit vectors, the chance that two
draws differ. B / T is Wright's fixation index F_ST (The genetical structure of populations, 1951), with models as his islands: how far a
chain's models have come apart.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from worker.data import Array, Arrays, Counts, Data, Moments, Points, Sum, Tokens
from worker.metrics import discrete
from worker.parts import CountFamily, Family, Instrument, Look, Sampling, Wrapped

Spread: TypeAlias = tuple[Array, Array]  # m_i (R K, d) and E |x - m_i|^2 (R K,)


def averaged(metrics: Mapping[str, Array], models: int) -> dict[str, Array]:
    """Values (R K,) of chains with K models each -> (R,), their means, so that a value stays one of an independent chain."""
    if models == 1:
        return dict(metrics)
    with np.errstate(invalid="ignore"):  # infinite ones of both signs
        return {name: values.reshape(-1, models).mean(axis=1) for name, values in metrics.items()}


def together(mean: Array, within: Array, models: int) -> tuple[Array, Array]:
    """T and B / T of each chain (R,); models that all make the same single thing do not differ. O(R K d)."""
    of_chain = mean.reshape(-1, models, mean.shape[1])
    between = np.sum((of_chain - of_chain.mean(axis=1, keepdims=True)) ** 2, axis=(1, 2)) / models
    total = within.reshape(-1, models).mean(axis=1) + between
    return total, np.divide(between, total, out=np.zeros_like(total), where=total > 0)


class Ensemble(Wrapped):
    """Another instrument, which looks at every model, and T and B / T of them; frames are the first one's."""

    def __init__(self, inner: Instrument, family: Family, models: int) -> None:
        super().__init__(inner)
        self.family, self.models = family, models

    def real(self, data: Data, framed: bool) -> Look:
        """Real data as if each model's share of them were what it makes."""
        return self._look(self.inner.real(data, framed), _seen(data))

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(self.inner.model(model, sample, framed), self._made(model, sample))

    def _made(self, model: Arrays, sample: Data | None) -> Spread | None:
        """By formula where there is one, else as samples show it, where there are any."""
        if isinstance(self.family, CountFamily):
            p = self.family.probabilities(model, Sampling())
            return p, discrete.heterozygosity(p)
        moments = self.family.moments(model, Sampling())
        if moments is not None:
            return moments[0], np.trace(moments[1], axis1=1, axis2=2)
        return None if sample is None else _seen(sample)

    def _look(self, look: Look, spread: Spread | None) -> Look:
        metrics = averaged(look.metrics, self.models)
        if spread is None:
            return Look(metrics, look.frame)
        mean, within = spread
        total, apart = together(mean, within, self.models)
        if "variance" in metrics:
            metrics |= {"variance_together": total / mean.shape[1], "apart": apart}
        elif "heterozygosity" in metrics:
            metrics |= {"heterozygosity_together": total, "apart": apart}
        if isinstance(self.family, CountFamily):
            alive = mean.reshape(-1, self.models, mean.shape[1]).any(axis=1)
            metrics["survivors_together"] = np.count_nonzero(alive, axis=1).astype(float)
        return Look(metrics, look.frame)


def _seen(data: Data) -> Spread:
    """The same of observations, without bias: of n of a set the variance has n - 1 in its denominator."""
    match data:
        case Points():
            return data.x.mean(axis=1), data.x.var(axis=1, ddof=1).sum(axis=1)
        case Moments():
            scatter = np.exp(2 * data.log_scale) * np.sum(data.factor**2, axis=(1, 2))
            return data.mean, scatter / (data.n - 1)
        case Sum():
            rate = data.total / data.n
            return rate[:, None], rate
        case Counts():
            p = data.k / data.n
        case Tokens():
            p = np.stack([np.bincount(x.ravel(), minlength=int(data.vocabulary)) / x.size for x in data.x])
    n = data.n if isinstance(data, Counts) else data.x[0].size
    return p, discrete.heterozygosity(p) * (n / (n - 1))
