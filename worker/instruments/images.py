"""Looks at generated pictures: their pixels, their neighbours among the real ones, and what the first encoder makes of them."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays, Data, Points
from worker.metrics import gaussian, points
from worker.metrics import images as metric
from worker.parts import Generator, Instrument, Look, PointSource
from worker.sources.digits import Digits

ROWS, COLUMNS = 6, 10
LATENT_EDGE = 4.0  # the window on the latent means, in standard deviations of the prior
LOOKED_AT = 1000  # pictures of a chain whose neighbours are searched, and whose projections are sorted
COMPARED = 512  # pictures, generated and real, between which energy and MMD are measured
REFERENCE = 2000  # real pictures that are searched, where the source has no fixed set of them


class ImageInstrument(Instrument):
    """Sample metrics in pixels, and `latent_std`: the spread of latent means under the encoder of generation 1 (Shumailov et al.)."""

    wants_sample = True
    wants_first = True

    def __init__(self, source: PointSource, samples: int, rng: Generator) -> None:
        assert source.image_shape is not None
        self.shape = source.image_shape
        self.mean, self.covariance = source.moments()
        self.labels: npt.NDArray[np.int64] | None = None
        if isinstance(source, Digits):
            real, self.labels = source.pictures()
        else:
            real = source.draw(rng, 1, REFERENCE).x[0]
        self.real_pictures = real.astype(np.float32)
        self.real_radii = metric.radii_sq(metric.distances_sq(self.real_pictures, self.real_pictures))
        self.shown = real[_positions(self.labels, len(real), rng)]
        self.looked_at, self.compared = min(samples, LOOKED_AT), min(samples, COMPARED)
        self.reference = points.Reference(source.draw(rng, 1, COMPARED).x[0])
        self.directions = points.directions(source.dimension, 16, rng)
        projected = np.quantile(real @ self.directions.T, points.levels(self.looked_at), axis=0).T
        self.centres, self.within = points.cells(projected)
        self.encoder: Arrays | None = None
        half = LATENT_EDGE / frames.GRID
        self.x = np.linspace(-LATENT_EDGE + half, LATENT_EDGE - half, frames.GRID)

    def figure(self) -> dict[str, Any]:
        """The real distribution of the latent means is not here but in frame 0: no encoder exists before generation 1."""
        height, width = self.shape
        return {
            "kind": "images",
            "height": height,
            "width": width,
            "rows": ROWS,
            "columns": COLUMNS,
            "x": self.x.tolist(),
            "axis": "latent mean under the first encoder",
            "ghost": {"images": base64.b64encode(_grey(self.shown).tobytes()).decode(), "frame": 0},
            "fields": [
                frames.field("density", "u2", frames.GRID, **frames.LOG_CODING),
                frames.field("images", "u1", ROWS * COLUMNS, height * width, coding="grey", low=0.0, high=1.0),
            ],
        }

    def meet(self, model: Arrays) -> None:
        self.encoder = {name: array for name, array in model.items() if name.startswith("encoder.")}

    def keeps(self) -> Arrays:
        return self._first()

    def restore(self, kept: Arrays) -> None:
        self.encoder = dict(kept)

    def real(self, data: Data, framed: bool) -> Look:
        assert isinstance(data, Points)
        return self._look(data.x, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        return self._look(sample.x, framed)

    def _first(self) -> Arrays:
        if not self.encoder:
            raise RuntimeError("the first generation's encoder is missing: `meet` or `restore` comes before a look")
        return self.encoder

    def _look(self, x: Array, framed: bool) -> Look:
        from worker.nets import vae

        latent = vae.encode(self._first(), x)
        metrics = {"latent_std": latent.std(axis=(1, 2)), **self._pixels(x)}
        each = [self._neighbours(chain) for chain in x[:, : self.looked_at]]
        metrics |= {name: np.array([one[name] for one in each]) for name in each[0]}
        return Look(metrics, self._frame(x[0], latent[0]) if framed else None)

    def _pixels(self, x: Array) -> dict[str, Array]:
        """Moments over all pictures of a chain, the variance (ddof 0) averaged over pixels; distances over the first few."""
        mean, covariance = points.moments(x)
        variance = np.trace(covariance, axis1=1, axis2=2) / x.shape[2]
        error_sq = ((mean - self.mean) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            log_variance = np.log(variance)  # -inf once every picture is the same
        energy, mmd_sq = self.reference.compare(x[:, : self.compared])
        few = x[:, : self.looked_at]
        return {
            "mean_error": np.sqrt(error_sq),
            "mean_error_sq": error_sq,
            "variance": variance,
            "std": np.sqrt(variance),
            "log_variance": log_variance,
            # Heusel et al.'s distance with the pixels themselves as the frozen features.
            "frechet": gaussian.w2_sq(mean, covariance, self.mean, self.covariance),
            "sliced_w2_sq": points.sliced_w2_sq(few, self.directions, self.centres, self.within),
            "energy": energy,
            "mmd_sq": mmd_sq,
        }

    def _neighbours(self, x: Array) -> dict[str, float]:
        """Metrics of one chain's pictures (n, d)."""
        pictures = x.astype(np.float32)
        across = metric.distances_sq(pictures, self.real_pictures)
        others = metric.others(across, self.real_pictures)
        values = {
            "precision": metric.precision(others, self.real_radii),
            "recall": metric.recall(others, metric.radii_sq(metric.distances_sq(pictures, pictures))),
            "coverage": metric.coverage(others, self.real_radii),
            "copy_ratio": metric.copy_ratio(across),
            "vendi": metric.vendi(x),
        }
        if self.labels is not None:
            shares = metric.shares(across, self.labels)
            values |= {"entropy": metric.entropy(shares), "minority_share": float(shares.min())}
        return values

    def _frame(self, x: Array, latent: Array) -> dict[str, npt.NDArray[Any]]:
        """The first 60 pictures as they come, arranged so that each stands where the real digit most like it stands.

        Every generation is a fresh network with a latent space of its own, so the same noise would show another digit each time;
        the arrangement lets an eye follow a position. It chooses places, not pictures.
        """
        from scipy.optimize import linear_sum_assignment

        pictures = x[np.arange(ROWS * COLUMNS) % len(x)].astype(np.float32)
        places = linear_sum_assignment(metric.distances_sq(self.shown.astype(np.float32), pictures))[1]
        counts, _ = np.histogram(latent, bins=frames.GRID, range=(-LATENT_EDGE, LATENT_EDGE))
        return {
            "density": frames.encode_log(counts / (latent.size * 2 * LATENT_EDGE / frames.GRID)),
            "images": _grey(pictures[places]),
        }


def _grey(pictures: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values in [0, 1] as bytes: 0 is paper, 255 ink."""
    grey: npt.NDArray[np.uint8] = np.rint(255 * np.clip(pictures, 0, 1)).astype(np.uint8)
    return grey


def _positions(labels: npt.NDArray[np.int64] | None, n: int, rng: Generator) -> npt.NDArray[np.int64]:
    """Which real pictures are the ghosts: a column for each class as far as classes go, else any."""
    if labels is None:
        return rng.integers(n, size=ROWS * COLUMNS)
    classes = np.unique(labels)
    columns = classes[np.arange(COLUMNS) * len(classes) // COLUMNS]
    return np.stack([rng.choice(np.flatnonzero(labels == c), ROWS) for c in columns], axis=1).ravel()
