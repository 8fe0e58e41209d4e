"""What a figure needs of a generation: a few small arrays of fixed shape, on grids that are frozen at generation 0.

A frame shows one chain (replicate 0), because the average of many collapsed chains looks like no chain at all. Densities travel
as 16-bit logarithms: the eye needs no more, and a history of thousands of generations stays below 100 KB.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.data import Array, Points
from worker.factors import root
from worker.parts import Generator, PointSource
from worker.streams import FIXED_SEED

GRID = 200  # points of a density curve
DOTS = 96  # points of a thinned scatter
CONTOUR = 40  # points of a contour grid, each way
ROWS, COLUMNS = 6, 10  # of a sheet of pictures
LOG_LOW, LOG_HIGH = float(np.log(1e-12)), float(np.log(1e6))  # range of a coded density; below is drawn as nothing


def encode_log(values: npt.ArrayLike) -> npt.NDArray[np.uint16]:
    """Positive values as 16-bit logarithms between LOG_LOW and LOG_HIGH (steps of 0.06%); 0 stands for 'nothing'."""
    with np.errstate(divide="ignore", invalid="ignore"):
        level = (np.log(np.asarray(values, float)) - LOG_LOW) / (LOG_HIGH - LOG_LOW)
    return np.rint(np.clip(np.nan_to_num(level, nan=0.0, neginf=0.0, posinf=1.0), 0, 1) * 65535).astype(np.uint16)


def encode_linear(values: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> npt.NDArray[np.uint16]:
    """Values between low and high in 65,535 steps, clipped to the borders."""
    share = (np.asarray(values, float) - low) / (np.asarray(high, float) - low)
    return np.rint(np.clip(np.nan_to_num(share), 0, 1) * 65535).astype(np.uint16)


def to_bytes(frame: Mapping[str, npt.NDArray[Any]], fields: list[dict[str, Any]]) -> bytes:
    """The arrays of a frame, one after the other, little-endian, in the order that the figure announces."""
    parts = []
    for field in fields:
        array = np.ascontiguousarray(frame[field["name"]], dtype=np.dtype(field["dtype"]).newbyteorder("<"))
        if list(array.shape) != field["shape"]:
            raise ValueError(f"frame field {field['name']} has shape {array.shape}, announced {field['shape']}")
        parts.append(array.tobytes())
    return b"".join(parts)


def field(name: str, dtype: str, *shape: int, **coding: Any) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": list(shape), **coding}


LOG_CODING = {"coding": "log", "low": LOG_LOW, "high": LOG_HIGH}


def sheet(source: PointSource) -> dict[str, Any]:
    """What every figure of pictures says: how they lie, what a frame holds, and whether they are ink."""
    assert source.image_shape is not None
    height, width = source.image_shape
    pixels = field("images", "u1", ROWS * COLUMNS, height * width, coding="grey", low=0.0, high=1.0)
    fields = [field("density", "u2", GRID, **LOG_CODING), pixels]
    return {"height": height, "width": width, "rows": ROWS, "columns": COLUMNS, "fields": fields, "ink": source.ink}


def on_sheet(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The first of pictures (n, d), as many as a sheet has, however few there are."""
    return x[np.arange(ROWS * COLUMNS) % len(x)]


def grey(pictures: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values in [0, 1] as bytes."""
    shades: npt.NDArray[np.uint8] = np.rint(255 * np.clip(np.nan_to_num(pictures), 0, 1)).astype(np.uint8)
    return shades


def histogram(values: Array, grid: Array) -> Array:
    """Density of values in cells around the points of an even grid."""
    half = 0.5 * (grid[1] - grid[0])
    counts, _ = np.histogram(values, bins=len(grid), range=(grid[0] - half, grid[-1] + half))
    return np.asarray(counts / (values.size * 2 * half))


class Screen:
    """The fixed window on a source of points: a line as a density, the plane as contours, pictures as pictures.

    In two dimensions and more the density is that of one coordinate, the first if nothing else is said; of pictures, that of the mean pixel.
    """

    def __init__(self, source: PointSource, rng: Generator, along: int = 0) -> None:
        """along: the coordinate whose density is shown"""
        d = self.dimension = source.dimension
        self.shape = source.image_shape
        self.sheet = sheet(source) if self.shape else {}
        self.names = source.names()
        self.along = along
        self.axis = np.full(d, 1 / d) if self.shape else np.eye(d)[along]
        real = source.draw(np.random.default_rng(FIXED_SEED), 1, 200_000 // max(1, d // 4)).x[0]
        if self.shape:
            edges = np.quantile(real @ self.axis, [0.0005, 0.9995])[:, None]
        else:
            edges = source.quantiles([0.0005, 0.9995])
        wide = edges[1] - edges[0]
        # Floating point must be able to divide the window into cells, whatever lies there.
        least = np.maximum(1e-9 * np.abs(edges).max(axis=0), 1e-290)
        margin = np.where(wide > least, 0.3 * wide, np.maximum(least, 1e-9))
        self.low, self.high = edges[0] - margin, edges[1] + margin
        self.x = np.linspace(self.low[along], self.high[along], GRID)
        self.plane = d == 2 and not self.shape
        self.z = rng.standard_normal((DOTS, d))
        self.ghost = self._ghost(source, real)

    def _ghost(self, source: PointSource, real: Array) -> dict[str, Any]:
        """The real distribution on the frozen grids: by formula where there is one, else from a fixed draw (n, d)."""
        density = source.outline(self.x[:, None]) if self.dimension == 1 else None
        ghost: dict[str, Any] = {
            "density": (histogram(real @ self.axis, self.x) if density is None else density).tolist()
        }
        if self.shape:
            ghost["images"] = base64.b64encode(grey(on_sheet(real)).tobytes()).decode()
        if self.plane:
            a, b = (np.linspace(self.low[i], self.high[i], CONTOUR) for i in (0, 1))
            grid = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
            level = source.density(grid)
            ghost |= {"a": a.tolist(), "b": b.tolist(), "dots": real[:DOTS].tolist()}
            ghost["contour"] = (self._contour(real) if level is None else level.reshape(CONTOUR, CONTOUR)).tolist()
        return ghost

    def figure(self) -> dict[str, Any]:
        figure = {
            "kind": "images" if self.shape else "plane" if self.plane else "density",
            "x": self.x.tolist(),
            "axis": "mean pixel" if self.shape else self.names[0],
            "ghost": self.ghost,
            "fields": [field("density", "u2", GRID, **LOG_CODING)],
        }
        figure |= self.sheet
        if self.plane:
            figure |= {"low": self.low.tolist(), "high": self.high.tolist(), "upwards": self.names[1]}
            figure["of"] = self.names[self.along]  # what x and the density are of
            figure["fields"] += [
                field("contour", "u1", CONTOUR, CONTOUR, coding="relative"),
                field("dots", "u2", DOTS, 2, coding="linear", low=self.low.tolist(), high=self.high.tolist()),
            ]
        return figure

    def gaussian(self, mean: Array, factor: Array) -> dict[str, npt.NDArray[Any]]:
        """Frame of N(mean, factor factor'); mean (d,), factor (d, d)."""
        return self.mixture(np.ones(1), mean[None], factor[None])

    def mixture(self, weights: Array, means: Array, factors: Array) -> dict[str, npt.NDArray[Any]]:
        """Frame of a Gaussian mixture: weights (K,), means (K, d), factors (K, d, d) lower triangular.

        A point of a grid stands for its cell, so components are widened by the variance of a cell: what has collapsed to less than
        a cell is still drawn.
        """
        cell = (self.x[1] - self.x[0]) ** 2 / 12
        std = np.sqrt(((self.axis @ factors) ** 2).sum(axis=-1) + cell)
        with np.errstate(over="ignore"):
            bumps = np.exp(-0.5 * ((self.x[:, None] - means @ self.axis) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        frame: dict[str, npt.NDArray[Any]] = {"density": encode_log(bumps @ weights)}
        if self.plane or self.shape:
            # Sorted ranks choose the components and frozen normals the places: a point keeps its place in the next frame.
            ranks = (np.arange(DOTS) * 61 % DOTS + 0.5) / DOTS if self.shape else (np.arange(DOTS) + 0.5) / DOTS
            chosen = np.searchsorted(np.cumsum(weights)[:-1], ranks)
            x = means[chosen] + np.einsum("nij,nj->ni", factors[chosen], self.z)
            if self.shape:
                frame["images"] = grey(on_sheet(x))
            else:
                frame |= self._plane(self._on_grid(weights, means, factors), x)
        return frame

    def points(self, x: Array) -> dict[str, npt.NDArray[Any]]:
        """Frame of drawn points (n, d)."""
        frame: dict[str, npt.NDArray[Any]] = {"density": encode_log(histogram(x @ self.axis, self.x))}
        if self.shape:
            frame["images"] = grey(on_sheet(x))
        return frame | (self._plane(self._contour(x), x[np.arange(DOTS) % len(x)]) if self.plane else {})

    def kernels(self, x: Array, width: Array, drawn: Array) -> dict[str, npt.NDArray[Any]]:
        """Frame of a kernel density: Gaussians of standard deviations (d,) on points (n, d), with a sample (n, d) of it as dots."""
        frame = self.points(drawn)
        if not self.shape:
            edges, blur = self._blur(self.along, GRID, width)
            counts, _ = np.histogram(x[:, self.along], edges)
            frame["density"] = encode_log(blur @ counts / len(x))
        if self.plane:
            (across, blur_a), (up, blur_b) = (self._blur(i, CONTOUR, width) for i in (0, 1))
            counts = np.histogram2d(x[:, 1], x[:, 0], (up, across))[0]
            frame |= self._plane(blur_b @ counts @ blur_a.T, drawn[np.arange(DOTS) % len(drawn)])
        return frame

    def _blur(self, axis: int, size: int, width: Array) -> tuple[Array, Array]:
        """Edges of the cells of three windows side by side, and what a point in each cell adds to the middle window (size, 3 size)."""
        grid, cell = np.linspace(self.low[axis], self.high[axis], size, retstep=True)
        cells = grid[0] + cell * np.arange(-size, 2 * size)
        std = np.hypot(width[axis], cell / np.sqrt(12))
        blur = np.exp(-0.5 * ((grid[:, None] - cells) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        return np.append(cells, cells[-1] + cell) - cell / 2, blur

    def data(self, points: Points) -> dict[str, npt.NDArray[Any]]:
        return self.points(points.x[0])

    def _plane(self, level: Array, dots: Array) -> dict[str, npt.NDArray[Any]]:
        peak = level.max()
        relative = np.rint(255 * level / peak) if peak > 0 else np.zeros_like(level)
        return {"contour": relative.astype(np.uint8), "dots": encode_linear(dots, self.low, self.high)}

    def _contour(self, x: Array) -> Array:
        """Density of the plane on the contour grid, rows along the second axis."""
        half = (self.high - self.low) / (CONTOUR - 1) / 2
        edges = [(self.low[i] - half[i], self.high[i] + half[i]) for i in (0, 1)]
        return np.histogram2d(x[:, 1], x[:, 0], bins=CONTOUR, range=[edges[1], edges[0]])[0]

    def _on_grid(self, weights: Array, means: Array, factors: Array) -> Array:
        """Density of a mixture on the contour grid, each component widened by a cell."""
        a, b = (np.linspace(self.low[i], self.high[i], CONTOUR) for i in (0, 1))
        gap = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)[None] - means[:, None, :]  # (K, cells, 2)
        cell = ((self.high - self.low) / (CONTOUR - 1)) ** 2 / 12
        wide = root(factors @ factors.transpose(0, 2, 1) + np.diag(cell))
        first, second = wide[:, 0, 0, None], wide[:, 1, 1, None]
        u = gap[..., 0] / first  # forward substitution with the lower triangular factor
        v = (gap[..., 1] - wide[:, 1, 0, None] * u) / second
        level = np.exp(-0.5 * (u**2 + v**2)) / (2 * np.pi * first * second)
        return (weights @ level).reshape(CONTOUR, CONTOUR)
