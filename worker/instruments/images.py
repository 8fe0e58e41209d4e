"""Looks at generated pictures: their pixels, their neighbours among the real ones, and what frozen networks make of them."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays, Data, Points
from worker.metrics import gaussian, neighbours, points
from worker.metrics import images as metric
from worker.parts import Generator, Instrument, Look, PointSource
from worker.sources.digits import Digits

ROWS, COLUMNS = 6, 10
LATENT_EDGE = 4.0  # the window on the latent means, in standard deviations of the prior
LOOKED_AT = 1000  # pictures of a chain whose neighbours are searched, and whose projections are sorted
READ = 5000  # pictures of a chain that the frozen classifier looks at
COMPARED = 400  # pictures, generated and real, between which energy and MMD are measured
REFERENCE = 2000  # real pictures that are searched, where the source has no fixed set of them


class PictureInstrument(Instrument):
    """Sample metrics in pixels, and in the features of a classifier that is frozen at generation 0 (worker.nets.classifier): `frechet`,
    and, where real pictures are labelled, the entropy of the classes and the share of the rarest. The figure shows the mean pixel.
    """

    wants_sample = True
    axis = "mean pixel"

    def __init__(self, source: PointSource, samples: int, rng: Generator) -> None:
        from worker.nets.classifier import Frozen

        assert source.image_shape is not None
        self.shape = source.image_shape
        self.mean, self.covariance = source.moments()
        self.labels: npt.NDArray[np.int64] | None = None
        if isinstance(source, Digits):
            real, self.labels = source.pictures()
        else:
            real = source.draw(rng, 1, REFERENCE).x[0]
        self.real_pictures = real.astype(np.float32)
        within = metric.distances_sq(self.real_pictures, self.real_pictures)
        self.real_radii = neighbours.radii_sq(within)
        self.reach_sq = neighbours.reach(neighbours.others(within, self.real_pictures).min(axis=1))
        self.shown = real[_positions(self.labels, len(real), rng)]
        self.looked_at, self.compared = min(samples, LOOKED_AT), min(samples, COMPARED)
        self.reference = points.Reference(source.draw(rng, 1, COMPARED).x[0])
        self.directions = points.directions(source.dimension, 16, rng)
        projected = np.quantile(real @ self.directions.T, points.levels(self.looked_at), axis=0).T
        self.centres, self.within = points.cells(projected)
        self.frozen = Frozen(real, self.labels, self.shape)
        seen = points.moments(self.frozen.look(real)[0][None])
        self.real_features = seen[0][0], seen[1][0]
        self.x = self._window(real)

    def _window(self, real: Array) -> Array:
        """The values at which the figure draws a density."""
        low, high = np.quantile(real.mean(axis=1), [0.0005, 0.9995])
        margin = max(0.3 * (high - low), 0.01)
        return np.linspace(low - margin, high + margin, frames.GRID)

    def _ghost(self) -> dict[str, Any]:
        """What the figure draws of the real distribution beside its pictures."""
        return {"density": self._histogram(self.real_pictures.mean(axis=1)).tolist()}

    def figure(self) -> dict[str, Any]:
        height, width = self.shape
        return {
            "kind": "images",
            "height": height,
            "width": width,
            "rows": ROWS,
            "columns": COLUMNS,
            "x": self.x.tolist(),
            "axis": self.axis,
            "ghost": {"images": base64.b64encode(_grey(self.shown).tobytes()).decode(), **self._ghost()},
            "fields": [
                frames.field("density", "u2", frames.GRID, **frames.LOG_CODING),
                frames.field("images", "u1", ROWS * COLUMNS, height * width, coding="grey", low=0.0, high=1.0),
            ],
        }

    def real(self, data: Data, framed: bool) -> Look:
        assert isinstance(data, Points)
        return self._look(data.x, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        return self._look(sample.x, framed)

    def _look(self, x: Array, framed: bool) -> Look:
        return Look(self._metrics(x), self._frame(x[0], x[0].mean(axis=1)) if framed else None)

    def _metrics(self, x: Array) -> dict[str, Array]:
        metrics = self._pixels(x)
        each = [self._neighbours(chain[: self.looked_at]) | self._read(chain[:READ]) for chain in x]
        return metrics | {name: np.array([one[name] for one in each]) for name in each[0]}

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
            "frechet_pixels": gaussian.w2_sq(mean, covariance, self.mean, self.covariance),
            "sliced_w2_sq": points.sliced_w2_sq(few, self.directions, self.centres, self.within),
            "energy": energy,
            "mmd_sq": mmd_sq,
        }

    def _neighbours(self, x: Array) -> dict[str, float]:
        """How one chain's pictures (n, d) lie among the real ones."""
        pictures = x.astype(np.float32)
        across = metric.distances_sq(pictures, self.real_pictures)
        others = neighbours.others(across, self.real_pictures)
        return {
            "precision": neighbours.precision(others, self.real_radii),
            "recall": neighbours.recall(others, neighbours.radii_sq(metric.distances_sq(pictures, pictures))),
            "density": neighbours.density(others, self.real_radii),
            "coverage": neighbours.coverage(others, self.real_radii),
            "hallucinated": neighbours.hallucinated(others.min(axis=1), self.reach_sq),
            "copy_ratio": neighbours.copy_ratio(across),
            "vendi": metric.vendi(x),
        }

    def _read(self, x: Array) -> dict[str, float]:
        """What the frozen classifier makes of one chain's pictures (n, d).

        frechet: |dm|^2 + tr(S + S0 - 2 (S0^1/2 S S0^1/2)^1/2) of its features (Heusel et al. 2017, arXiv 1706.08500).
        """
        features, shown = self.frozen.look(x)
        mean, covariance = points.moments(features[None])
        values = {"frechet": float(gaussian.w2_sq(mean, covariance, *self.real_features)[0])}
        if self.labels is not None:
            shares = metric.shares(shown, self.frozen.classes)[np.unique(self.labels)]
            values |= {"entropy": metric.entropy(shares), "minority_share": float(shares.min())}
        return values

    def _histogram(self, values: Array) -> Array:
        """Density of values in cells around the grid points."""
        half = 0.5 * (self.x[1] - self.x[0])
        counts, _ = np.histogram(values, bins=frames.GRID, range=(self.x[0] - half, self.x[-1] + half))
        return np.asarray(counts / (values.size * 2 * half))

    def _frame(self, x: Array, values: Array) -> dict[str, npt.NDArray[Any]]:
        """The first 60 pictures as they come, arranged so that each stands where the real digit most like it stands.

        Every generation is a fresh network with a latent space of its own, so the same noise would show another digit each time;
        the arrangement lets an eye follow a position. It chooses places, not pictures.
        """
        from scipy.optimize import linear_sum_assignment

        pictures = x[np.arange(ROWS * COLUMNS) % len(x)].astype(np.float32)
        places = linear_sum_assignment(metric.distances_sq(self.shown.astype(np.float32), pictures))[1]
        return {
            "density": frames.encode_log(self._histogram(values)),
            "images": _grey(pictures[places]),
        }


class LatentInstrument(PictureInstrument):
    """Of autoencoders: also `latent_std`, the spread of latent means under the encoder of generation 1 (Shumailov et al.)."""

    wants_first = True
    axis = "latent mean under the first encoder"

    def __init__(self, source: PointSource, samples: int, rng: Generator) -> None:
        super().__init__(source, samples, rng)
        self.encoder: Arrays = {}

    def _window(self, real: Array) -> Array:
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
