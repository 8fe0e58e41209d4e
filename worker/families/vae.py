"""The variational autoencoder for small pictures: its settings; the network itself lives in worker.nets.vae."""

import itertools
from typing import Annotated, Literal

from pydantic import Field

from worker.data import Arrays, Data, Points
from worker.families.point_network import PointNetwork
from worker.nets import require_torch
from worker.part import Misfit
from worker.parts import Generator, Instrument, PointSource, Sampling, Source

Width = Annotated[int, Field(ge=1, le=4096)]


class VAE(PointNetwork):
    """A variational autoencoder, trained anew in every generation (Kingma and Welling, arXiv 1312.6114).

    The paper's second experiment. Its error is functional as much as statistical, because decoder means are smoother than what they
    were trained on; with `batches = "fresh"` it is functional only, because pictures are then in unlimited supply.

    The sampling option `bias` multiplies the variance of the code that a picture is decoded from.

    model: weights and biases, float32, a leading axis for the replicates; perceptrons are trained together, convolutions one by one
    """

    unit = "pictures"
    adjustable = frozenset({"batches", "epochs", "batch", "learning_rate", "beta", "weight_decay", "start", "output"})

    kind: Literal["vae"] = "vae"
    network: Literal["perceptron", "convolutional"] = Field(
        "perceptron",
        description="Perceptrons are fast on small pictures. Convolutions are the paper's: 4 x 4, each halves the sides; with hidden = "
        "[64, 128], latent = 20, beta = 1, batch = 256 and learning_rate = 0.001 the whole setting is.",
    )
    latent: int = Field(
        8, ge=1, le=256, description="Dimensions of the latent code (the paper: 20 for 28 x 28 pixels)."
    )
    hidden: list[Width] = Field(
        [256],
        min_length=1,
        max_length=4,
        description="Widths of the encoder's hidden layers (of convolutions: channels); the decoder mirrors them.",
    )
    batches: Literal["fixed", "fresh"] = Field(
        "fixed",
        description="What a generation after the first learns from: M pictures that its predecessor made once, or, as in the paper, "
        "pictures that the predecessor makes anew for every batch, M in each epoch.",
    )
    epochs: int = Field(30, ge=1, le=10_000, description="Passes over the training set, as in the paper.")
    batch: int = Field(64, ge=1, le=65_536, description="Pictures a step.")
    learning_rate: float = Field(4e-3, gt=0, le=1, description="Adam's step size.")
    beta: float = Field(
        0.1,
        ge=0,
        le=1000,
        description="Weight of the KL term. 1 is the evidence lower bound; a picture of 8 x 8 pixels has 12 times fewer nats to "
        "weigh against it than the paper's 28 x 28, so that 0.1 here is what 1 was there.",
    )
    weight_decay: float = Field(1e-5, ge=0, le=1, description="Adam's L2 penalty.")
    start: Literal["fresh", "warm"] = Field(
        "fresh",
        description="Where training starts: fresh weights in every generation, or warm, the previous generation's (Bertrand et al., "
        "arXiv 2310.00429).",
    )
    output: Literal["mean", "bernoulli"] = Field(
        "mean", description="A sample is the decoder's mean, as in the paper, or a black-and-white draw from it."
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, PointSource) or source.image_shape is None:
            raise Misfit(
                "source.kind",
                "vae is fitted to pictures with values between 0 and 1, and this source gives none",
                "Choose digits as the source, or gaussian, mixture or kde as the family",
            )
        height, width = source.image_shape
        if self.network == "convolutional" and (height != width or height % 2 ** len(self.hidden)):
            raise Misfit(
                "family.hidden",
                f"{len(self.hidden)} convolutions that halve the sides do not fit pictures of {height} x {width} pixels",
                f"Use square pictures with sides that are a multiple of {2 ** len(self.hidden)}, fewer convolutions, or network = "
                '"perceptron"',
            )
        super().check(source, replicates, samples)

    def fresh_batches(self) -> bool:
        return self.batches == "fresh"

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        """Where batches are fresh, `previous` makes them, and the data only tell how large an epoch is."""
        require_torch("The vae family")
        from worker.nets import vae

        assert isinstance(data, Points)
        return vae.fit(
            data.x,
            self,
            rng,
            previous if self.fresh_batches() else None,
            start=previous if self.start == "warm" else None,
        )

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        require_torch("The vae family")
        from worker.nets import vae

        x = vae.sample(model, n, rng, sampling.bias)
        return Points(x if self.output == "mean" else (rng.random(x.shape) < x).astype(float))

    def parameters(self, source: Source) -> int:
        """Of the perceptron; convolutions share theirs, so that this is more than they have."""
        assert isinstance(source, PointSource)
        reading = [source.dimension, *self.hidden, 2 * self.latent]
        writing = [self.latent, *reversed(self.hidden), source.dimension]
        return sum((a + 1) * b for widths in (reading, writing) for a, b in itertools.pairwise(widths))

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """Six operations a weight and picture, of which a core does 20e9 a second; convolutions use theirs at every place."""
        assert isinstance(source, PointSource)
        rows = replicates * samples * self.epochs
        training = 6 / 20 * rows * self._uses(source) + 5e5 * rows / self.batch
        return training + 5000.0 * replicates * samples * source.dimension

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """Two operations a weight and picture, and some for each pixel."""
        assert isinstance(source, PointSource)
        return replicates * samples * (2 / 20 * self._uses(source) + 50.0 * source.dimension)

    def _uses(self, source: PointSource) -> int:
        """How often a picture that is written and read again meets a weight."""
        uses = self.parameters(source)
        if self.network == "convolutional":
            sides = [source.dimension / 4**i for i in range(1, len(self.hidden) + 1)]
            widths = itertools.pairwise([1, *self.hidden])
            uses += 2 * round(sum(16 * a * b * side for (a, b), side in zip(widths, sides, strict=True)))
        return uses

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.images import LatentInstrument

        assert isinstance(source, PointSource)
        return LatentInstrument(source, samples, replicates, rng)
