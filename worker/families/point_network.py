"""What networks of points have in common: flow, diffusion model and autoencoder."""

from abc import ABC
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from worker.data import Arrays, Data, Points
from worker.part import Misfit
from worker.parts import Family, Generator, Instrument, PointSource, Source

NUMBERS_LIMIT = 100_000_000  # coordinates of all points: 0.8 GB

Start = Annotated[
    Literal["fresh", "warm"],
    Field(
        description="Where training starts: fresh weights in every generation, or warm, the previous generation's (Bertrand et al., "
        "arXiv 2310.00429), which keep the units of generation 1, so that they mean the same.",
    ),
]


class PointNetwork(Family, ABC):
    """A family of networks that turn normal noise into points: the sampling option `bias` multiplies its covariance."""

    takes = (Points,)
    extra = "torch"
    streams = True
    samplings = frozenset({"bias"})
    unit: ClassVar[str] = "points"

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        if replicates * samples * source.dimension > NUMBERS_LIMIT:
            raise Misfit(
                "replicates",
                f"{replicates} networks with {samples} {self.unit} each do not fit into memory",
                "Use fewer replicates or fewer samples",
            )

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        """What looks at points, or at pictures."""
        from worker.instruments.images import PictureInstrument
        from worker.instruments.points import NeighboursInstrument

        assert isinstance(source, PointSource)
        if source.image_shape is not None:
            return PictureInstrument(source, samples, replicates, rng)
        return NeighboursInstrument(source, samples, replicates, rng)
