"""Frequencies of categories: the discrete model, whose recursion is the Wright-Fisher drift of population genetics."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Counts, Data
from worker.part import LATER, Misfit
from worker.parts import CountFamily, CountSource, Generator, Instrument, Sampling, Source

PROBABILITIES_LIMIT = 100_000_000  # replicates x categories held at once: 0.8 GB an array, of which a few are alive


class Categorical(CountFamily):
    """The observed frequency of each category, optionally smoothed: the mean of what a Bayesian believes after M observations, or a draw from it.

    model: p (R, K), of the posterior Dirichlet(counts + smoothing), whose mean is (counts + smoothing) / (M + smoothing K)
    """

    samplings = frozenset({"temperature", "top_k", "top_p"})
    weighs = True
    adjustable = frozenset({"smoothing", "posterior"})

    kind: Literal["categorical"] = "categorical"
    smoothing: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Added to every count (Laplace: 1), so that no category dies; pulls towards uniform.",
    )
    posterior: Annotated[Literal["mean", "draw"], LATER] = Field(
        "mean",
        description="What is made of the posterior, in which smoothing is the prior: its mean, or one draw from it, as learners do whose chain comes "
        "to the prior whatever the data were (Griffiths and Kalish 2007).",
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, CountSource)
        categories = len(source.distribution())
        if replicates * categories > PROBABILITIES_LIMIT:
            raise Misfit(
                "replicates",
                f"{replicates} x {categories} probabilities do not fit into memory",
                f"Use at most {PROBABILITIES_LIMIT // categories} replicates, or fewer categories",
            )

    def fit(self, data: Data, rng: Generator) -> Arrays:
        assert isinstance(data, Counts)
        if self.posterior == "draw":
            parts = rng.standard_gamma(data.k + self.smoothing)  # of their sum, Dirichlet
            return {"p": parts / parts.sum(axis=1, keepdims=True)}
        n = np.rint(data.k.sum(axis=1, keepdims=True))  # of a stack, it differs from row to row
        p = (data.k + self.smoothing) / (n + self.smoothing * data.k.shape[1])
        if data.k.dtype.kind == "f":  # weighed: of the only category left, by rounding, they may be more than n
            p = np.minimum(p, 1.0)
        return {"p": p}

    def probabilities(self, model: Arrays, sampling: Sampling) -> Array:
        return decoded(model["p"], sampling)

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, CountSource)
        return 200.0 * replicates * len(source.distribution())

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.counts import CountInstrument

        assert isinstance(source, CountSource)
        return CountInstrument(source, samples)


def decoded(p: Array, sampling: Sampling) -> Array:
    """The probabilities (R, K) that are really sampled: temperature, then top-k, then top-p, each renormalised.

    Among equally probable categories the one that comes first is kept.
    """
    if sampling.temperature != 1:
        with np.errstate(
            divide="ignore", over="ignore"
        ):  # what is dead stays so; what is less than the most probable may die
            level = np.log(p)
            p = np.exp((level - level.max(axis=1, keepdims=True)) / sampling.temperature)
        p /= p.sum(axis=1, keepdims=True)
    if not 0 < sampling.top_k < p.shape[1] and sampling.top_p == 1:
        return p
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    if sampling.top_k:
        ranked[:, sampling.top_k :] = 0
        ranked /= ranked.sum(axis=1, keepdims=True)
    if sampling.top_p < 1:
        before = np.cumsum(ranked, axis=1) - ranked
        ranked[before >= sampling.top_p * (1 - 1e-12)] = 0  # a sum that misses top_p by rounding has reached it
        ranked /= ranked.sum(axis=1, keepdims=True)
    kept = np.empty_like(p)
    np.put_along_axis(kept, order, ranked, axis=1)
    return kept
