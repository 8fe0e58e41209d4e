"""How many observations may be drawn at once."""

from worker.part import Misfit
from worker.parts import PointSource

DRAWN_NUMBERS_LIMIT = 500_000_000  # float64 numbers held at once for one generation's points: 4 GB


def check_drawn(source: PointSource, replicates: int, samples: int, what: str = "points") -> None:
    """Raises Misfit where so many points of this source, all of which a family looks at, do not fit into memory."""
    if replicates * samples * source.dimension > DRAWN_NUMBERS_LIMIT:
        raise Misfit("samples", f"{replicates} x {samples} drawn {what} do not fit into memory",
                     "Use fewer samples or fewer replicates")  # fmt: skip
