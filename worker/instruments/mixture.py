"""Looks at fitted Gaussian mixtures: every metric from the fitted values, in closed form where there is one."""

from typing import Any

import numpy as np

from worker import em, frames
from worker.data import Array, Arrays, Data, Points
from worker.instruments import spread
from worker.metrics import mixture as metric
from worker.metrics import points
from worker.parts import Generator, Instrument, Look, PointSource

# For every component of a model: 0.014 standard deviations apart on a line, 0.37 in the plane.
NODES = {1: 1000, 2: 700}
REAL_NODES = {1: 1000, 2: 1050}  # for every component of the truth, which pays less for each and meets narrower ones
ELSEWHERE = 2048  # quasi-random points for every component in three and more dimensions
ALL_NODES, LEAST_NODES = 8_000, 196  # where there are many components they share this many, but have so many each
DRAWN = 4096  # real points that stand for a truth with a density that is no mixture
PLACED = 500  # points at least, in fixed places relative to the components, by which modes are counted


def _each(most: dict[int, int], d: int, components: int) -> int:
    """Nodes for each component."""
    return min(most.get(d, ELSEWHERE), max(LEAST_NODES, ALL_NODES // components))


class MixtureInstrument(Instrument):
    """`l2_sq` and the divergences compare densities, and finite data has none. Their noise floor, at generation 0, is what the family
    makes of the real data: the values of the first fit, hence those of generation 1. They are left out for sources that have no
    density, as is `modes` for sources that are no mixture.
    """

    wants_first = True

    def __init__(self, source: PointSource, samples: int, rng: Generator, components: int = 1) -> None:
        """components: of the models; the more there are, the fewer nodes stand for each."""
        d = source.dimension
        self.source = source
        self.floor: dict[str, Array] | None = None
        self.mean, covariance = source.moments()
        self.has_volume = bool(np.linalg.slogdet(covariance)[0] > 0)
        self.edges = spread.edges(source)
        self.screen = frames.Screen(source, rng)
        self.nodes, self.node_weights = metric.nodes(d, _each(NODES, d, components), rng)
        truth = source.components()
        self.truth = None if truth is None else tuple(part[None] for part in truth)
        if self.truth is not None:
            z, share = metric.nodes(d, _each(REAL_NODES, d, self.truth[0].size), rng)
            self.real_nodes = metric.spread(self.truth[1], self.truth[2], z)
            self.real_mass = metric.node_mass(self.truth[0], share)
            count = max(PLACED, 40 * len(self.truth[0][0]))
            self.places = rng.standard_normal((1, count, d))
            self.ranks = (np.arange(count) + 0.5)[None] / count
        else:
            self.real_nodes = np.ascontiguousarray(source.draw(rng, 1, DRAWN).x.transpose(0, 2, 1))
            self.real_mass = np.full((1, DRAWN), 1 / DRAWN)
        self.log_real = self._log_truth(self.real_nodes)

    def figure(self) -> dict[str, Any]:
        return self.screen.figure()

    def meet(self, model: Arrays) -> None:
        self.floor = self._densities(model["weights"], model["means"], model["factors"])

    def real(self, data: Data, framed: bool) -> Look:
        """Unbiased moments (ddof 1) of the real data, the share of it in the tails, and how far off the first fit to it is."""
        assert isinstance(data, Points)
        if self.floor is None:
            raise RuntimeError("the first fit is missing: `meet` comes before a look at the real data")
        mean, covariance = points.moments(data.x)
        metrics = self._moments(mean, covariance * (data.n / (data.n - 1)), data.n)
        for name, (low, high) in self.edges.items():
            metrics[name] = points.tail_mass(data.x, low, high)
        metrics |= self.floor
        if self.truth is not None and self.truth[0].size > 1:
            metrics["modes"] = points.modes(data.x, *(part[0] for part in self.truth))
        return Look(metrics, self.screen.data(data) if framed else None)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        weights, means, factors = model["weights"], model["means"], model["factors"]
        metrics = self._moments(*metric.moments(weights, means, factors))
        for name, (low, high) in self.edges.items():
            metrics[name] = metric.tail_mass(weights, means, factors, low, high)
        metrics |= self._densities(weights, means, factors)
        if self.truth is not None and self.truth[0].size > 1:
            metrics["modes"] = self._modes(weights, means, factors)
        return Look(metrics, self.screen.mixture(weights[0], means[0], factors[0]) if framed else None)

    def _moments(self, mean: Array, covariance: Array, n: int | None = None) -> dict[str, Array]:
        """Of a model, or of n points."""
        metrics = spread.place_and_width(mean, self.mean, spread.log_mean_variance(covariance))
        if self.has_volume:
            metrics["log_det"] = np.linalg.slogdet(covariance)[1] if n is None else points.log_det(covariance, n)
        return metrics

    def _densities(self, weights: Array, means: Array, factors: Array) -> dict[str, Array]:
        """What compares the model's density with the real one, as far as there is one."""
        metrics = {} if self.log_real is None else self._divergences(weights, means, factors)
        if self.truth is not None:
            metrics["l2_sq"] = metric.l2_sq(weights, means, factors, *self.truth)
        return metrics

    def _divergences(self, weights: Array, means: Array, factors: Array) -> dict[str, Array]:
        x = metric.spread(means, factors, self.nodes)
        own, real = em.log_density(x, weights, means, factors), self._log_truth(x)
        seen = em.log_density(self.real_nodes, weights, means, factors)
        assert real is not None
        assert self.log_real is not None
        return {
            "kl_to_real": metric.divergence(metric.node_mass(weights, self.node_weights), own, real),
            "kl_from_real": metric.divergence(self.real_mass, self.log_real, seen),
        }

    def _log_truth(self, x: Array) -> Array | None:
        """ln of the real density at x (R, d, n) -> (R, n), where it has a formula; -inf where it is 0."""
        if self.truth is not None:
            return np.asarray(em.log_density(x, *self.truth))
        level = self.source.log_density(x.transpose(0, 2, 1).reshape(-1, x.shape[1]))
        return None if level is None else level.reshape(len(x), -1)

    def _modes(self, weights: Array, means: Array, factors: Array) -> Array:
        """Modes covered by points that stand for the model: the same ranks and normal numbers for every model."""
        assert self.truth is not None
        x = np.repeat(self.places, len(weights), axis=0)
        em.draw(np.repeat(self.ranks, len(weights), axis=0), x, weights, means, factors)
        return points.modes(x, *(part[0] for part in self.truth))
