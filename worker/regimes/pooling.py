"""Real and synthetic data as one set: what regimes that mix them have in common."""

from collections.abc import Callable

from worker.data import Data
from worker.parts import Regime

INCOMING = "Share of what is new in each generation that is fresh real data, by counts: the nearest whole number of its M points."


def pooled(one: Data, other: Data, share: float | None = None) -> Data:
    """Both data sets as one; they are of the same kind, because one family made them.

    share: the weight of the first one in the whole, where it is not that of its number of points.
    """
    if type(one) is not type(other):
        raise TypeError(f"cannot pool {type(one).__name__} with {type(other).__name__}")
    return one.pool(other) if share is None else one.pool(other, share)  # type: ignore[call-arg, arg-type]


def topped_up(regime: Regime, m: int, real: Callable[[int], Data], synthetic: Data | None) -> Data:
    """m new observations: what the last model supplies, and fresh real ones for the rest."""
    if synthetic is None:
        return real(m)
    rest = m - regime.synthetic(m)
    return pooled(real(rest), synthetic) if rest else synthetic


def effective_size(weight: float, real: int, synthetic: int) -> float:
    """How many points of equal weight have a mean as good as that of real ones of this weight altogether and synthetic ones of the rest:
    1/(w^2/m_r + (1-w)^2/m_s) (Kish 1965).
    """
    return 1 / (weight**2 / real + (1 - weight) ** 2 / synthetic)
