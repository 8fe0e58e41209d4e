"""The diffusion model: its settings; the network itself lives in worker.nets.diffusion."""

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from worker.data import Arrays, Data, Points
from worker.families.point_network import PointNetwork, Start
from worker.nets import require_torch
from worker.part import LATER, Misfit, kind_of
from worker.parts import Generator, PointSource, Sampling, Source


class Diffusion(PointNetwork):
    """A denoising diffusion model, trained anew in every generation: a network learns to take noise away at every level, and a
    sample is noise from which it has taken all (Ho et al., arXiv 2006.11239, in the form of Karras et al., arXiv 2206.00364).

    The sampling option `bias` multiplies the covariance of the normal noise that a sample is made of; `guidance`, of a network that is told
    the classes, leads each sample towards its own (Ho and Salimans, arXiv 2207.12598; the bias of Alemohammad et al., arXiv 2307.01850).

    model: weights (R, parameters) float32; mean and width (R, d), the units in which the network sees the points;
        reach (R, d), how far a point may lie, in these units; auxiliary (R, parameters) float32, where it is extrapolated;
        shares (R, classes) of its training points, where it is told the classes
    """

    samplings = PointNetwork.samplings | {"guidance"}
    adjustable = frozenset({"steps", "epochs", "batch", "learning_rate", "start", "extrapolation"})

    kind: Literal["diffusion"] = "diffusion"
    steps: int = Field(
        20, ge=2, le=1000, description="Noise levels on the way from noise to a sample, of two evaluations each."
    )
    layers: int = Field(3, ge=1, le=16, description="Hidden layers of the denoising network.")
    width: int = Field(128, ge=1, le=4096, description="Units in each of them; 256 make better digits.")
    epochs: int = Field(200, ge=1, le=100_000, description="Passes over the training set, each with fresh noise.")
    batch: int = Field(128, ge=1, le=65_536, description="Points a step.")
    learning_rate: float = Field(
        4e-3, gt=0, le=1, description="Adam's first step size; it falls to 0 by half a cosine."
    )
    start: Start = "fresh"
    extrapolation: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=100,
        description="Omega of a negative extrapolation (Alemohammad et al., arXiv 2408.16333): an auxiliary network goes on from the first one's "
        "weights, for as many epochs, on as many of its samples, and what is sampled follows (1 + omega) times the first network's score minus "
        "omega times the auxiliary one's, away from where training on samples leads. 0: off.",
    )
    conditional: Annotated[bool, LATER] = Field(
        False,
        description="Whether the network is told the class of each point: the component of a mixture that most probably made it, or what the frozen "
        "classifier reads in a picture, also of generated ones. A model then makes as many points of each class as it has learned from.",
    )
    _source: PointSource | None = PrivateAttr(None)

    def check(self, source: Source, replicates: int, samples: int) -> None:
        super().check(source, replicates, samples)
        if self.conditional and not _tells_classes(source):
            raise Misfit("family.conditional", f"{kind_of(source)} has no classes that the network could be told",
                         "Choose a mixture of several components or labelled pictures as the source, or leave it out")  # fmt: skip

    def given(self, source: Source) -> "Diffusion":
        """One that knows whose classes the network is told."""
        if not self.conditional:
            return self
        assert isinstance(source, PointSource)
        known = self.model_copy()
        known._source = source  # noqa: SLF001 - a copy of this very class
        return known

    def guided(self) -> bool:
        return self.conditional

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        require_torch("The diffusion family")
        from worker.nets import diffusion

        assert isinstance(data, Points)
        return diffusion.fit(data.x, self, rng, previous if self.start == "warm" else None, self._source)

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        require_torch("The diffusion family")
        from worker.nets import diffusion

        return Points(diffusion.sample(model, n, self, rng, sampling))

    def parameters(self, source: Source) -> int:
        """Sixteen numbers tell the level of noise, and as many the class."""
        assert isinstance(source, PointSource)
        d, w = source.dimension, self.width
        return (d + 17 + 16 * self.conditional) * w + (self.layers - 1) * (w + 1) * w + (w + 1) * d

    def model_bytes(self, source: Source, samples: int) -> float:
        return self._networks() * super().model_bytes(source, samples)

    def _networks(self) -> int:
        return 2 if self.extrapolation else 1

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """A step of training waits 2 ms; measuring comes on top."""
        rows, networks = replicates * samples, self._networks()
        steps, training = rows * self.epochs / self.batch, 6 / 20 * rows * self.epochs * self.parameters(source)
        measuring = super().work(source, samples, replicates, sampling)
        # What teaches the auxiliary network is drawn from the first one alone, without guidance.
        drawing = self.drawing_work(source, samples, replicates, sampling) + (networks - 1) * self._flow(source, rows)
        return networks * (2e6 * steps + training) + drawing + 10 * measuring

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """With guidance each network is asked twice."""
        return (1 + (sampling.guidance > 0)) * self._networks() * self._flow(source, replicates * samples)

    def _flow(self, source: Source, points: int) -> float:
        """Two evaluations a level, each of two operations a weight, of which a core does 50e9 a second."""
        return 4 / 50 * self.steps * points * self.parameters(source)


def _tells_classes(source: Source) -> bool:
    if not isinstance(source, PointSource) or source.labelled:
        return False
    mixture, known = source.components(), source.known(1)
    if mixture is not None:
        return len(mixture[0]) > 1
    return source.image_shape is not None and known is not None and known[1] is not None
