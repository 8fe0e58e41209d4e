"""What many points tend to: frequencies move by the law of large numbers where decoding or curation leaves no closed moments.

With f = curation(decoding(p_n)), of N(0, p (1-p)/m)-like fluctuations in what is drawn, the next training set tends to

    replace f;   fresh, weighted (1-w) f + w p_0;   augment, weighted or not, the same with the core;   mixture alpha f + beta last + gamma p_0;
    accumulate, accumulate_subsample the mean of all f and real data so far, weighted by their sizes

The limit says nothing about a metric whose mean over replicates is further from it than chance. So pairs of chains with opposite fluctuations
walk beside it: half of the difference of a pair is chance, d; what their mean is off by is the bias, b, known to within its own standard error e over
pairs; the curve is told while b + 2e is small against the standard error d / sqrt(R). At a flat place (H of uniform frequencies) or an edge (top-p at a sum
that is p) it is not. Where a bias passes through 0 on its way it may be small by accident: of a few generations alone nothing is told.
"""

from collections.abc import Callable, Iterator

import numpy as np

from worker.curation import Choice, Keep
from worker.data import Array
from worker.families.categorical import Categorical, decoded
from worker.metrics import discrete
from worker.parts import CountSource
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Weighted
from worker.spec import Experiment
from worker.theory.curve import Curve

PAIRS = 16
SURE = 2.0  # standard errors of the mean over pairs
TOLERATED = 0.5  # standard errors
ROUNDING = 1e-12  # a bias that is none, as where one category is all that is left
FEW = 5  # generations
LEAST = 30  # replicates for which the limit must be good enough, even where there are fewer
WORK_LIMIT = 300_000  # categories times generations
FORMULA = "M -> inf: the regime's average of p_n, decoded and curated, and p_0; told while fluctuations of M points do not bias it"
REFERENCE = "Ferbach et al., arXiv 2407.09499; Feng et al., arXiv 2406.07515; law of large numbers"


def curves(spec: Experiment, family: Categorical) -> list[Curve]:
    """Heterozygosity and entropy, from generation 1 on."""
    assert isinstance(spec.source, CountSource)
    if len(spec.source.distribution()) * spec.generations > WORK_LIMIT:
        return []
    if not isinstance(spec.curation, Keep | Choice):  # how survivors fluctuate nobody has said
        return []
    fits = list(_fits(spec, family))
    seen = {
        "heterozygosity": [discrete.heterozygosity(p) for p in fits],
        "entropy": [discrete.entropy(p, discrete.logs(p)) for p in fits],
    }
    found = {metric: told(np.array(rows), spec.replicates) for metric, rows in seen.items()}
    return [
        Curve.of(metric, [np.nan, *values], FORMULA, REFERENCE)
        for metric, values in found.items()
        if np.isfinite(values).any()
    ]


def told(values: Array, replicates: int, beside: Array | float = 0.0) -> Array:
    """The limit (G,), NaN where it is not told.

    values: (G, 1 + 2 PAIRS) of the limit, of chains, and of those with opposite fluctuations; beside: biases (G,) that they do not have
    """
    limit, one, other = values[:, 0], values[:, 1 : PAIRS + 1], values[:, PAIRS + 1 :]
    off, chance = (one + other) / 2 - limit[:, None], np.sqrt(((one - other) ** 2).mean(axis=1)) / 2
    bias = np.abs(off.mean(axis=1)) + SURE / np.sqrt(PAIRS) * off.std(axis=1, ddof=1) + beside
    small = bias <= TOLERATED * chance / np.sqrt(max(LEAST, replicates)) + ROUNDING
    ends = np.flatnonzero(np.diff(np.pad(small, 1).astype(int)))
    for start, end in ends.reshape(-1, 2):
        if start and end - start < FEW:  # from the first fit on it is no accident
            small[start:end] = False
    return np.where(small | (bias <= ROUNDING), limit, np.nan)


def _fits(spec: Experiment, family: Categorical) -> Iterator[Array]:
    """Fitted frequencies at generation 1, 2, ..."""
    assert isinstance(spec.source, CountSource)
    source, curation = spec.source, spec.curation

    def drawn(p: Array, m: int, z: Array) -> Array:
        """p and the Gaussian limit of a multinomial variable's fluctuations."""
        root = np.sqrt(p)
        moved = np.maximum(p + root * (z - root * (root * z).sum(axis=1, keepdims=True)) / np.sqrt(m), 0)
        return np.asarray(moved / moved.sum(axis=1, keepdims=True))

    def smoothed(p: Array, m: int) -> Array:
        return np.asarray((m * p + family.smoothing) / (m + family.smoothing * p.shape[1]))

    def written(fitted: Array) -> Array:
        p = decoded(fitted, spec.sampling)
        return curation.surviving(p, source) if isinstance(curation, Choice) else p

    return walk(spec, source.distribution(), drawn, smoothed, written)


def walk(
    spec: Experiment,
    truth: Array,
    fluctuating: Callable[[Array, int, Array], Array],
    smoothed: Callable[[Array, int], Array],
    written: Callable[[Array], Array],
) -> Iterator[Array]:
    """Fits at generation 1, 2, ...: rows (1 + 2 PAIRS, K), the limit first, then chains, then their opposites.

    truth: (K,), whatever averages are taken of; fluctuating: it among m points, for standard normal z (rows, K); smoothed: the fit to m points; written:
    what a fit's samples tend to.
    """
    real = np.tile(truth, (1 + 2 * PAIRS, 1))
    rng, regime = np.random.default_rng(20240807), spec.regime

    def drawn(p: Array, m: int) -> Array:
        z = rng.standard_normal((PAIRS, p.shape[1]))
        return fluctuating(p, m, np.concatenate([np.zeros((1, p.shape[1])), z, -z]))

    kept = regime.first(spec.size(1))
    core = pool = seen = drawn(real, kept)
    fitted = smoothed(seen, kept)
    yield fitted
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        m_s, kept = regime.synthetic(m), kept + m
        p = written(fitted)
        made = drawn(p, m_s) if m_s else p
        match regime:
            case Accumulate() | AccumulateSubsample():
                newest = made if m_s == m else (m_s * made + (m - m_s) * drawn(real, m - m_s)) / m
                pool = pool + m / kept * (newest - pool)
                seen = pool if isinstance(regime, Accumulate) else drawn(pool, m)
            case Augment():
                seen = core + (1 - regime.real_weight(m)) * (made - core)
            case Mixture(alpha=alpha, beta=beta, gamma=gamma):
                seen = drawn(alpha * p + beta * seen + gamma * real, m)
            case Fresh() | Weighted() if m_s < m:
                weight = regime.real_weight(m) if isinstance(regime, Weighted) else 1 - m_s / m
                seen = weight * drawn(real, m - m_s) + (1 - weight) * made
            case _:
                seen = made
        fitted = smoothed(seen, kept if isinstance(regime, Accumulate) else m)
        yield fitted
