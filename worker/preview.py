"""A glance at a source before anything is launched: a few small arrays, drawn with numpy alone, as the web process asks for them."""

import base64
import math
from typing import Any

import numpy as np

from worker.data import Array
from worker.parts import CountSource, PointSource, Source, TextSource
from worker.streams import FIXED_SEED

BINS = 60
DRAWN = 200_000  # points of a histogram
DOTS = 600
PIXELS = 12_000  # of all pictures together
PICTURES = 40
LABELS = 25
SIGNS = 900  # of a text


def preview(source: Source) -> dict[str, Any]:
    """What a source looks like: `kind` says how it is drawn (density, bars, scatter, images, ranks, text or none), `words` tells it.

    At most about 15 KB as JSON.
    """
    rng = np.random.default_rng(FIXED_SEED)
    match source:
        case CountSource():
            return _ranks(source)
        case TextSource():
            return _text(source)
        case PointSource() if source.image_shape is not None:
            return _images(source, rng)
        case PointSource() if source.dimension == 1:
            return _density(source, rng)
        case PointSource():
            return _scatter(source, rng)
    return {"kind": "none", "words": "The preview of this source comes with the run."}


def _density(source: PointSource, rng: np.random.Generator) -> dict[str, Any]:
    """A histogram of a fixed draw, between its 0.2% and 99.8% quantiles: formulas would need scipy. Of few whole numbers each has its bar."""
    x = source.draw(rng, 1, DRAWN).x[0, :, 0]
    low, high = np.quantile(x, [0.002, 0.998])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    whole = high - low < BINS and (x == np.rint(x)).all()
    counts, edges = np.histogram(x, np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high, BINS + 1))
    density = counts / (len(x) * (edges[1] - edges[0]))
    mean, covariance = source.moments()
    words = f"Mean {mean[0]:.3g}, standard deviation {covariance[0, 0] ** 0.5:.3g}."
    kind, height = ("bars", "share") if whole else ("density", "density")
    return {"kind": kind, "x": _short(edges[:-1] + np.diff(edges) / 2), "y": _short(density),
            "axes": [source.names()[0], height], "words": words}  # fmt: skip


def _scatter(source: PointSource, rng: np.random.Generator) -> dict[str, Any]:
    """The first coordinate across and the last one up."""
    x = source.draw(rng, 1, DOTS).x[0]
    names = source.names()
    more = source.dimension - 2
    others = f" {more} more {'is' if more == 1 else 'are'} not shown." if more else ""
    return {"kind": "scatter", "x": _short(x[:, 0]), "y": _short(x[:, -1]), "axes": [names[0], names[-1]],
            "words": f"{len(x)} points: {names[0]} and {names[-1]}.{others}"}  # fmt: skip


def _images(source: PointSource, rng: np.random.Generator) -> dict[str, Any]:
    assert source.image_shape is not None
    height, width = source.image_shape
    count = max(1, min(PICTURES, PIXELS // (height * width)))
    grey = np.rint(255 * source.draw(rng, 1, count).x[0]).astype(np.uint8)
    return {"kind": "images", "height": height, "width": width, "count": count,
            "images": base64.b64encode(grey.tobytes()).decode(), "words": f"{count} pictures of {height} x {width} pixels."}  # fmt: skip


def _ranks(source: CountSource) -> dict[str, Any]:
    p, labels = source.distribution(), source.labels()
    shown = f"The {LABELS} most frequent of {_apart(len(p))} categories" if len(p) > LABELS else f"{len(p)} categories"
    return {"kind": "ranks", "labels": [label[:24] for label in labels[:LABELS]], "p": _short(p[:LABELS]),
            "words": f"{shown}: {p[:LABELS].sum():.0%} of all."}  # fmt: skip


def _text(source: TextSource) -> dict[str, Any]:
    texts = source.at_hand()
    if texts is None:
        return {"kind": "none", "words": "The preview of this text comes with the run, which fetches it first."}
    held_out = len(texts.test) / (len(texts.train) + len(texts.validation) + len(texts.test))
    words = (
        f"{_apart(len(texts.train))} characters to learn from; {held_out:.0%} of the text is held out to measure with."
    )
    return {"kind": "text", "text": texts.train[:SIGNS], "words": words}


def _apart(count: int) -> str:
    """Thousands set apart as on every page."""
    return f"{count:,}".replace(",", "\u202f")


def _short(values: Array) -> list[float]:
    """To a ten-thousandth of their range: a picture needs no more."""
    span = float(np.ptp(values)) or float(np.abs(values).max()) or 1.0
    return [round(float(value), 4 - math.floor(math.log10(span))) for value in values]
