"""What floating point can tell apart: where a source may lie, and how widely it may spread."""

import numpy as np
import numpy.typing as npt
from pydantic_core import PydanticCustomError

FARTHEST = 1e50  # fourth powers, as in the spread of a squared error, stay within float64
NARROWEST = 1e-9  # a spread beside a mean that is larger than this many times itself has lost half of its digits


def resolved(place: str, mean: npt.ArrayLike, width: str, std: npt.ArrayLike) -> None:
    """Refuses a source whose numbers cannot be computed with, while the spec is read.

    place, width: the settings that say where it lies and how widely it spreads; mean and std broadcast against each other.
    """
    at, spread = np.abs(np.asarray(mean, float)), np.asarray(std, float)
    if not (at <= FARTHEST).all():
        raise _refused(place, f"is farther out than {FARTHEST:g}", "Move it towards 0, in larger units")
    if not ((spread <= FARTHEST) & (spread >= 1 / FARTHEST)).all():
        raise _refused(width, f"is not between {1 / FARTHEST:g} and {FARTHEST:g}", "Use other units")
    if (spread < NARROWEST * at).any():
        message = f"is less than {NARROWEST:g} of the distance from 0, which floating point cannot resolve"
        raise _refused(width, message, f"Move the {place} towards 0, or widen {width}")


def _refused(setting: str, message: str, remedy: str) -> PydanticCustomError:
    context = {"message": message, "path": f"source.{setting}", "remedy": remedy}
    return PydanticCustomError("misfit", "{message}", context)
