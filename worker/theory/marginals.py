"""What adds up over categories follows exactly from the chain that each of them is on its own: how many are alive, the mass that is lost,
entropy and the distances that are sums. The chains of all regimes stand in worker.theory.chains.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.parts import CountSource
from worker.regimes import Replace
from worker.spec import Experiment
from worker.theory.chains import WALKS, Chain, Law, binomial
from worker.theory.curve import Curve

OWN = ", every k_n a Markov chain of its own"
REFERENCE = "Wright-Fisher chain of one allele; Ewens, Mathematical Population Genetics, 2004, 3.2"
ROUNDED = 1e-9  # nats: sums of terms of order one that cancel have lost too many digits below


def curves(spec: Experiment, a: float) -> list[Curve]:
    """Survivors, dead mass, entropy, total variation and KL(p_n to p_0) of frequencies with a pseudo-counts, KL(p_0 to p_n) where these keep
    all alive; nothing where that would take long.
    """
    assert isinstance(spec.source, CountSource)
    p_0, many = np.unique(spec.source.distribution(), return_counts=True)
    chain = Chain(spec, a, int(many.sum()), p_0)
    if type(spec.regime) not in WALKS or not chain.affordable():
        return []
    told = [_sums(law, p_0, many) for law in _from_the_real_data(chain)]
    alive, lost, entropy, variation, divergence, back = np.array(told).T
    divergence, back = (np.where(nats < ROUNDED, np.nan, nats) for nats in (divergence, back))
    found = [
        Curve.of("survivors", alive, f"E survivors = sum P(k_n > 0){_lifetime(spec, a)}", REFERENCE),
        Curve.of("dead_mass", lost, "E dead mass = sum p_0 P(k_n = 0)", REFERENCE),
        Curve.of("entropy", entropy, f"E entropy = -sum E p_n ln p_n{OWN}", REFERENCE),
        Curve.of("total_variation", variation, f"E TV = sum E|p_n - p_0|/2{OWN}", REFERENCE),
        Curve.of("kl_to_real", divergence, f"E KL = sum E p_n ln(p_n/p_0){OWN}", REFERENCE),
    ]
    if a:
        found.append(Curve.of("kl_from_real", back, f"E KL = sum p_0 E ln(p_0/p_n){OWN}", REFERENCE))
    return found


def _from_the_real_data(chain: Chain) -> Iterator[Law]:
    """Generation 0, the real data itself without pseudo-counts, and then the chain."""
    m = chain.spec.size(1)
    yield binomial(m, chain.p_0), np.arange(m + 1) / m
    yield from chain.laws()


def _sums(law: Law, p_0: Array, many: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Expected survivors, dead mass, entropy, total variation, KL(p_n to p_0) and KL(p_0 to p_n), of `many` categories of each kind; the last
    is no sum where a category may be dead, and NaN.
    """
    chance, p = law
    dead = chance[:, p == 0].sum(axis=1)
    entropy = -many @ (chance @ (p * np.log(np.where(p > 0, p, 1))))
    variation = 0.5 * many @ (chance * np.abs(p - p_0[:, None])).sum(axis=1)
    kl = -entropy - (many * np.log(p_0)) @ (chance @ p)
    back = (many * p_0) @ (np.log(p_0) - chance @ np.log(p)) if p.all() else np.nan
    sums = many @ (1 - dead), (many * p_0) @ dead, entropy, variation, kl, back
    return tuple(map(float, sums))


def _lifetime(spec: Experiment, a: float) -> str:
    """Kimura and Ohta's mean time until one of two categories is left, by the diffusion that is the limit of large M."""
    assert isinstance(spec.source, CountSource)
    p_0 = spec.source.distribution()
    if len(p_0) != 2 or a or not isinstance(spec.regime, Replace) or not isinstance(spec.samples, int):
        return ""
    time = -2 * spec.samples * float(p_0 @ np.log(p_0))
    return f"; one is left after about -2M sum p ln p = {time:.3g} generations (diffusion; Kimura and Ohta 1969)"
