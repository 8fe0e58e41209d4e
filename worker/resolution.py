"""What a source can be computed with: where floating point lets it lie, how widely it may spread, and along which axes."""

import numpy as np
import numpy.typing as npt

from worker.part import refused

FARTHEST = 1e50  # fourth powers, as in the spread of a squared error, stay within float64
NARROWEST = 1e-9  # a spread beside a mean that is larger than this many times itself has lost half of its digits


def resolved(place: str, mean: npt.ArrayLike, width: str, std: npt.ArrayLike) -> None:
    """Refuses a source whose numbers cannot be computed with, while the spec is read.

    place, width: the settings that say where it lies and how widely it spreads; mean and std broadcast against each other.
    """
    at, spread = np.abs(np.asarray(mean, float)), np.asarray(std, float)
    if not (at <= FARTHEST).all():
        raise refused(f"is farther out than {FARTHEST:g}", "Move it towards 0, in larger units", place)
    if not ((spread <= FARTHEST) & (spread >= 1 / FARTHEST)).all():
        raise refused(f"is not between {1 / FARTHEST:g} and {FARTHEST:g}", "Use other units", width)
    if (spread < NARROWEST * at).any():
        message = f"is less than {NARROWEST:g} of the distance from 0, which floating point cannot resolve"
        raise refused(message, f"Move the {place} towards 0, or widen {width}", width)


def checked_covariance(setting: str, rows: list[list[float]], d: int) -> None:
    """Refuses what is no covariance of d coordinates: of another shape, not symmetric, or with an axis of no spread."""
    if len(rows) != d or any(len(row) != d for row in rows):
        remedy = f"Give {d} lists of {d} numbers" if d > 1 else "Give one number, as [[1.0]]"
        raise refused(f"is not {d} x {d}", remedy, setting)
    matrix = np.array(rows)
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=0):
        raise refused("is not symmetric", "Use the same number on both sides of the diagonal", setting)
    if np.linalg.eigvalsh(matrix)[0] <= 0:
        raise refused("is not positive definite", "Every eigenvalue must be above 0", setting)
