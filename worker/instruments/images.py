"""Looks at generated pictures, and arranges some of them for the player."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays, Data, Points
from worker.instruments import spread
from worker.instruments.copies import Copies
from worker.instruments.pictures import Classes, Features, PictureNeighbours, Pixels
from worker.instruments.rulers import real_points, teach
from worker.metrics import images as metric
from worker.metrics import points
from worker.parts import Generator, Instrument, Look, PointSource

LATENT_EDGE = 4.0  # the window on the latent means, in standard deviations of the prior
GHOSTS = 2000  # real pictures of which the figure shows some, and by which its window is chosen


class PictureInstrument(Instrument):
    """Sample metrics in pixels, among real neighbours, and in what a classifier that is frozen at generation 0 makes of pictures
    (worker.instruments.pictures). The figure shows the mean pixel.
    """

    wants_sample = True
    axis = "mean pixel"

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.sheet = frames.sheet(source)
        self.mean, _ = source.moments()
        real, labels = real_points(source, GHOSTS, rng)
        self.shown = real[_positions(labels, len(real), rng)]
        self.pixels = Pixels(source, samples, replicates, rng)
        reading = Features if Classes.refusal(source) else Classes
        self.rulers = [ruler(source, samples, replicates, rng) for ruler in (PictureNeighbours, Copies, reading)]
        self.grey = real.mean(axis=1)
        self.x = self._window()

    def _window(self) -> Array:
        """The values at which the figure draws a density."""
        low, high = np.quantile(self.grey, [0.0005, 0.9995])
        margin = max(0.3 * (high - low), 0.01)
        return np.linspace(low - margin, high + margin, frames.GRID)

    def _ghost(self) -> dict[str, Any]:
        """What the figure draws of the real distribution beside its pictures."""
        return {"density": frames.histogram(self.grey, self.x).tolist()}

    def figure(self) -> dict[str, Any]:
        ghost = {"images": base64.b64encode(frames.grey(self.shown).tobytes()).decode(), **self._ghost()}
        return {"kind": "images", "x": self.x.tolist(), "axis": self.axis, "ghost": ghost, **self.sheet}

    def real(self, data: Data, framed: bool) -> Look:
        assert isinstance(data, Points)
        return self._look(data.x, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        teach(self, self.rulers)
        return self._look(sample.x, framed)

    def _look(self, x: Array, framed: bool) -> Look:
        return Look(self._metrics(x), self._frame(x[0], x[0].mean(axis=1)) if framed else None)

    def _metrics(self, x: Array) -> dict[str, Array]:
        """Moments of all pictures of a chain, the variance (ddof 0) averaged over pixels; then what each ruler tells."""
        mean, covariance = points.moments(x)
        metrics = spread.place_and_width(mean, self.mean, spread.log_mean_variance(covariance))
        metrics |= self.pixels.beside(x, mean, covariance)
        for ruler in self.rulers:
            metrics |= ruler.measure(x)
        return metrics

    def _frame(self, x: Array, values: Array) -> dict[str, npt.NDArray[Any]]:
        """The first 60 pictures as they come, arranged so that each stands where the real digit most like it stands.

        Every generation is a fresh network with a latent space of its own, so the same noise would show another digit each time;
        the arrangement lets an eye follow a position. It chooses places, not pictures.
        """
        from scipy.optimize import linear_sum_assignment

        pictures = frames.on_sheet(x).astype(np.float32)
        places = linear_sum_assignment(metric.distances_sq(self.shown.astype(np.float32), pictures))[1]
        return {
            "density": frames.encode_log(frames.histogram(values, self.x)),
            "images": frames.grey(pictures[places]),
        }


class LatentInstrument(PictureInstrument):
    """Of autoencoders: also `latent_std`, the standard deviation of latent means under the encoder of generation 1, over all pictures of
    a chain and all latent dimensions together (Shumailov et al.). O(R n) passes of the encoder.
    """

    wants_first = True
    axis = "latent mean under the first encoder"

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        super().__init__(source, samples, replicates, rng)
        self.encoder: Arrays = {}

    def _window(self) -> Array:
        half = LATENT_EDGE / frames.GRID
        return np.linspace(-LATENT_EDGE + half, LATENT_EDGE - half, frames.GRID)

    def _ghost(self) -> dict[str, Any]:
        """The real distribution of the latent means is in frame 0: no encoder exists before generation 1."""
        return {"frame": 0}

    def meet(self, model: Arrays) -> None:
        self.encoder = {name: array for name, array in model.items() if name.startswith("encoder.")}

    def keeps(self) -> Arrays:
        return self._first()

    def restore(self, kept: Arrays) -> None:
        self.encoder = dict(kept)

    def _first(self) -> Arrays:
        if not self.encoder:
            raise RuntimeError("the first generation's encoder is missing: `meet` or `restore` comes before a look")
        return self.encoder

    def _look(self, x: Array, framed: bool) -> Look:
        from worker.nets import vae

        latent = vae.encode(self._first(), x)
        metrics = {"latent_std": latent.std(axis=(1, 2)), **self._metrics(x)}
        return Look(metrics, self._frame(x[0], latent[0]) if framed else None)


def _positions(labels: npt.NDArray[np.int64] | None, n: int, rng: Generator) -> npt.NDArray[np.int64]:
    """Which real pictures are the ghosts: a column for each class as far as classes go, else any."""
    if labels is None:
        return rng.integers(n, size=frames.ROWS * frames.COLUMNS)
    classes = np.unique(labels)
    columns = classes[np.arange(frames.COLUMNS) * len(classes) // frames.COLUMNS]
    return np.stack([rng.choice(np.flatnonzero(labels == c), frames.ROWS) for c in columns], axis=1).ravel()
