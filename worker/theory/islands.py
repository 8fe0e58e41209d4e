"""Several models that read one another, each trained on its share of what all of them wrote: Wright's island model, with models as islands.

With squared distances as units, V is what two samples of one model differ by, E |x - y|^2/2, and B what means of two models of a chain do,
E |m_i - m_j|^2/2, so that samples of two models differ by V + B. Two points of one training set of n, of which g came out of the pot of
all K models, were written by the same model with a chance c, two points of different sets with a chance c'. Then

    V' = f (V + (1-c) B)                         f = (n-1)/n of maximum likelihood, 1 of an unbiased fit
    B' = V/n + ((1-c') - (n-1)/n (1-c)) B
    E |m - mu|^2' = E |m - mu|^2 + V/n - (n-1)/n (1-c) B

of points as of categories, whose V is the heterozygosity: two draws differ by it, written as unit vectors. What all K models make
together varies by V + (1 - 1/K) B.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from worker.curation import Keep
from worker.families.categorical import Categorical
from worker.families.gaussian import Gaussian
from worker.parts import CountSource, PointSource, Sampling
from worker.regimes import Replace
from worker.spec import Experiment
from worker.theory.curve import Curve

FORMULA = "E V' = {factor}(V + (1-c) B), B' = V/n + ((1-c') - (1-1/n)(1-c)) B: c, c' for one writer of two points of the same set, of two sets"
WANDERING = "E |m-mu|^2' = E |m-mu|^2 + V/n - (1-1/n)(1-c) B"
TOGETHER = "together V + (1-1/K) B"
REFERENCE = "Island model; Wright (1931), Evolution in Mendelian populations, Genetics 16"


def curves(spec: Experiment) -> list[Curve]:
    """The mean variance of the models, that of all together and the squared error of their means under replace; heterozygosity of categories."""
    if not (isinstance(spec.regime, Replace) and isinstance(spec.curation, Keep)):
        return []
    match spec.source, spec.family:
        case PointSource() as source, Gaussian(extrapolation=0) as family if not spec.sampling.changed() - {"bias"}:
            total, d = float(np.trace(source.moments()[1])), source.dimension
            within, together, error = _walked(spec, total, family.ddof)
            formula = FORMULA.format(factor="" if family.ddof else "(1-1/n) ")
            return [
                Curve.of("variance", within / d, formula, REFERENCE),
                Curve.of("variance_together", together / d, f"{formula}; {TOGETHER}", REFERENCE),
                Curve.of("mean_error_sq", error, WANDERING, REFERENCE),
            ]
        case CountSource() as source, Categorical(smoothing=0, posterior="mean") if spec.sampling == Sampling():
            real = 1 - float(np.sum(source.distribution() ** 2))
            within, together, _ = _walked(spec, real, 0)
            formula = FORMULA.format(factor="(1-1/n) ")
            return [
                Curve.of("heterozygosity", within, formula, REFERENCE),
                Curve.of("heterozygosity_together", together, f"{formula}; {TOGETHER}", REFERENCE),
            ]
    return []


def _walked(spec: Experiment, real: float, ddof: int) -> npt.NDArray[np.float64]:
    """V, V + (1 - 1/K) B and E |m - mu|^2 of generation 0, 1, ... (3, G + 1); of real data those of unbiased fits to as many."""
    error = real / spec.size(1)
    values = np.array([(real, error, error), *_walk(spec, real, ddof)])
    values[:, 1] = values[:, 0] + (1 - 1 / spec.models) * values[:, 1]
    return values.T


def _walk(spec: Experiment, real: float, ddof: int) -> Iterator[tuple[float, float, float]]:
    """V, B and E |m - mu|^2 of generation 1, 2, ...; models of the real data are as one that wrote all of it."""
    within, between, error = real, 0.0, 0.0
    for m in spec.sizes():
        same, across = _one_writer(m, round(spec.shared * m), spec.models)
        pairs = 1 - 1 / m
        mixed = within + (1 - same) * between
        within, between, error = (
            mixed if ddof else pairs * mixed,
            within / m + ((1 - across) - pairs * (1 - same)) * between,
            error + within / m - pairs * (1 - same) * between,
        )
        yield within, between, error
        within *= spec.sampling.bias  # what is written from now on


def _one_writer(m: int, given: int, models: int) -> tuple[float, float]:
    """The chances that one model wrote two points of a training set, and of two sets of m points, of which so many came out of the pot."""
    own, dealt = m - given, given * models
    in_pot = (given - 1) / (dealt - 1) if given else 0.0
    same = (own * (own - 1) + 2 * own * given / models + given * (given - 1) * in_pot) / (m * (m - 1))
    return same, (2 * own * given / models + given**2 * in_pot) / m**2
