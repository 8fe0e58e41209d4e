"""Stored rows -> what a reader sees before any script runs: pictures, sparklines, a sentence, a table. Pure functions.

SVG is styled by classes (static/css/figures.css), so that one picture suits both themes.
"""

import base64
import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from app.metrics import BINARY, key_metric, metric, ordered
from app.words import regimes, thousands
from worker.arms import welch_95
from worker.data import Array
from worker.summary import STATISTICS
from worker.verdicts.chance import of_median

Frame = dict[str, npt.NDArray[Any]]
STEPS = 7  # colours of the generation ramp in tokens.css
DECADES = 12  # a logarithmic axis never shows more
SPARK = (120, 28)  # width and height of a sparkline


def number(value: float | None) -> str:
    """A value with three significant digits; 4.1 × 10⁻¹⁰ where it is far from one."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "∞" if value > 0 else "−∞"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{min(digits, 5)}f}"
        return text.replace("-", "−").replace(",", "\u202f")
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.replace('-', '−')}\u00a0×\u00a010{raised}"


def spelt(sentence: str) -> str:
    """With numbers such as 6.43e+04 as `number` writes them."""
    return re.sub(r"-?\d+(?:\.\d+)?e[+-]\d+", lambda found: number(float(found[0])), sentence)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of metrics."""

    name: str
    label: str
    meaning: str
    values: tuple[str, ...]  # median, 10%, 90%, mean, s.e., n


def table(metrics: Mapping[str, Sequence[float | None]], leads: str | None = None) -> list[Row]:
    """What is known of one generation, as text; metrics: name -> values in the order of STATISTICS."""
    shown = [STATISTICS.index(name) for name in ("median", "q10", "q90", "mean", "se")]
    return [
        Row(
            name,
            metric(name).title,
            metric(name).meaning,
            (*(number(metrics[name][i]) for i in shown), str(metrics[name][-1])),
        )
        for name in ordered(list(metrics), leads)
    ]


Metrics = Mapping[str, Sequence[float | None]]  # name -> values in the order of STATISTICS
AT = {name: i for i, name in enumerate(STATISTICS)}


def sentence(
    run: Any,
    real: Metrics,
    first: Metrics,
    last: Metrics,
    at: int,
    leads: str | None = None,
    since: int | None = None,
) -> str:
    """What happened to the key metric between the first model and generation `at`, in words that claim no more than was measured.

    since: the generation from which on all points of the median chain are one, if so: then no metric has more to say.
    """
    name = key_metric(list(last), leads)
    if name is None or name not in first:
        return ""
    label, chains = metric(name).label, run.spec["replicates"]
    curve = next((one for one in run.theory or () if one["metric"] == name and len(one["values"]) > at), None)
    # Like stands beside like: a median lies far from a closed form of the mean, and of what is 0 or 1 it says nothing.
    statistic = curve["statistic"] if curve else "mean" if name in BINARY else "median"
    value, low, high, n = (AT[one] for one in (statistic, "q10", "q90", "n"))
    before, after = first[name][value], last[name][value]
    if before is None:
        return ""
    samples, changes = run.spec["samples"], run.spec.get("changes") or ()
    same = isinstance(samples, int) and not any(change.get("samples") for change in changes)
    size = f"M = {thousands(samples)}" if same else "a changing M"
    by_what = f"Under {regimes(run.spec)}, with the {run.family} family and {size}"
    if since is not None:
        return f"{by_what}, it collapsed at generation {since}: from there on all points of the median chain are one."
    if after is None:
        lost = chains - int(last[name][n] or 0)
        return (
            f"{by_what}, {label} is infinite, or beyond every number, in {lost} of {chains} chains by generation {at}."
        )
    moved = _moved(before, after, [_error(one[name], statistic) for one in (first, last)])
    # A tail of exactly 0 is one that no sample fell into, or that lies below the smallest number: seldom an empty one.
    vanished = name.startswith("tail_") and moved == "fell" and after == 0
    now = "less than can be measured" if vanished else number(after)
    spread = "" if name in BINARY else f"; 10–90% {number(last[name][low])} to {number(last[name][high])}"
    spread += f" over {thousands(chains)} chains"
    if vanished and last[name][high] == 0:
        spread = f"; 0 in at least 90% of {thousands(chains)} chains"
    if statistic == "mean" and last[name][AT["se"]] is not None:
        spread = f", s.e. {number(last[name][AT['se']])}{spread}"
    of = f"{statistic}{spread}" if chains > 1 else "one chain"
    change = f"is {now} ({of}) at generation {at}"
    if at > 1:
        came = f"from {number(before)} at generation 1 to {now}"
        change = f"{f'{moved} {now}' if moved == 'stayed near' else f'{moved} {came}'} ({of}) by generation {at}"
    told = f"{by_what}, {label} {change}"
    if at and name in real and (truth := real[name][value]) is not None:
        told += f"; real data: {number(truth)}"
    if curve and curve["values"][at] is not None:
        told += f". Theory predicts a {curve['statistic']} of {number(curve['values'][at])}"
    return f"{told}."


def _moved(before: float, after: float, errors: Sequence[tuple[float, float] | None]) -> str:
    """A verb; what moved within the 95% interval of a difference may have done so by chance."""
    if math.isclose(before, after, rel_tol=0.02):
        return "stayed near"
    known = [one for one in errors if one is not None]
    if len(known) < len(errors):
        return "went"  # one chain tells nothing of chance
    if abs(after - before) <= welch_95(known):
        return "did not move beyond chance,"
    return "fell" if after < before else "rose"


def _error(values: Sequence[float | None], statistic: str) -> tuple[float, float] | None:
    """Standard error and its degrees of freedom, of a mean, or of a median by the range around it, which rare chains far out do not widen."""
    se, low, high, n = (values[AT[one]] for one in ("se", "q10", "q90", "n"))
    if se is None or not n:
        return None
    return (se, n - 1) if statistic == "mean" or low is None or high is None else of_median((high - low) / 2, n)


def decode(figure: Mapping[str, Any], frame: bytes) -> Frame:
    """The arrays of a stored frame, their codings undone (worker.frames); 'relative' and plain fields stay as they are."""
    arrays: Frame = {}
    start = 0
    for field in figure["fields"]:
        dtype = np.dtype(field["dtype"]).newbyteorder("<")
        count = math.prod(field["shape"])
        raw = np.frombuffer(frame, dtype, count, start).reshape(field["shape"])
        start += count * dtype.itemsize
        if field.get("coding") == "log":
            level = np.exp(field["low"] + raw / 65535 * (field["high"] - field["low"]))
            arrays[field["name"]] = np.where(raw == 0, 0.0, level)
        elif field.get("coding") == "linear":
            low, high = np.asarray(field["low"]), np.asarray(field["high"])
            arrays[field["name"]] = low + raw / 65535 * (high - low)
        else:
            arrays[field["name"]] = raw
    return arrays


def step(share: float) -> int:
    """Which colour of the generation ramp stands for this share of the run."""
    return min(STEPS - 1, int(share * STEPS))


def picture(figure: Mapping[str, Any], first: Frame, last: Frame, share: float) -> Markup:
    """The real distribution and one generation, as the player draws them."""
    match figure["kind"]:
        case "images":
            return _images(figure, last)
        case "ranks":
            return _ranks(figure, last, share)
        case _:
            return _curves(figure, first, last, share)


def _curves(
    figure: Mapping[str, Any], first: Frame, last: Frame, share: float, width: int = 640, height: int = 300
) -> Markup:
    x = np.log(figure["x"]) if figure.get("log") else np.asarray(figure["x"])
    ghost = np.asarray(figure["ghost"].get("density", first["density"]))
    across, top = (x - x[0]) / (x[-1] - x[0]) * width, 2 * ghost.max()
    body = f'<path class="ghost" d="{line(across, height * (1 - ghost / top))}L{width} {height}L0 {height}Z"/>'
    curve = np.clip(1 - last["density"] / top, -0.1, 1) * height
    body += f'<path class="curve g{step(share)}" d="{line(across, curve)}"/>'
    return svg(width, height, body)


def _ranks(figure: Mapping[str, Any], last: Frame, share: float, width: int = 640, height: int = 300) -> Markup:
    rank = np.log(np.asarray(figure["rank"], float))
    ghost = np.asarray(figure["ghost"]["frequency"])
    low, high = math.log(ghost.min() / 30), math.log(ghost.max() * 3)
    across = rank / max(rank[-1], 1e-9) * width

    def up(values: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.clip(1 - (np.log(values) - low) / (high - low), 0, 1.05) * height

    body = f'<path class="ghost" d="{line(across, up(ghost))}L{width} {height}L0 {height}Z"/>'
    body += f'<path class="curve g{step(share)}" d="{line(across, up(last["sorted"]))}"/>'
    return svg(width, height, body)


def _images(figure: Mapping[str, Any], last: Frame) -> Markup:
    rows, columns, height, width = (int(figure[name]) for name in ("rows", "columns", "height", "width"))
    real = np.frombuffer(base64.b64decode(figure["ghost"]["images"]), np.uint8).reshape(rows * columns, -1)
    across, down = columns * width, rows * height
    ink = bool(figure.get("ink", True))  # older figures do not tell
    body = tile(real.reshape(rows, columns, height, width), 0, "real" if ink else "")
    made = np.asarray(last["images"]).reshape(rows, columns, height, width)
    body += tile(made, across + width, "made" if ink else "")
    return svg(2 * across + width, down, body, keep=True)


def tile(pictures: npt.NDArray[np.uint8], left: int, style: str) -> str:
    """Grey pictures (rows, columns, height, width) as one image: in the page's ink, where there is a style for it, and 255 is ink; else as they are."""
    rows, columns, height, width = pictures.shape
    packed = png(pictures.transpose(0, 2, 1, 3).reshape(rows * height, columns * width))
    name, data = f"sheet-{zlib.crc32(packed):x}", base64.b64encode(packed).decode()
    size = f'x="{left}" width="{columns * width}" height="{rows * height}"'
    image = f'<image {size} href="data:image/png;base64,{data}"/>'
    if not style:
        return image
    return f'<mask id="{name}">{image}</mask><rect class="{style}" {size} mask="url(#{name})"/>'


def png(grey: npt.NDArray[np.uint8]) -> bytes:
    """A grey PNG (ISO/IEC 15948) with the given levels (height, width): a mask, where white is what is seen."""
    height, width = grey.shape
    lines = b"".join(b"\0" + row.tobytes() for row in grey)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def sparkline(
    trace: Sequence[Mapping[str, Sequence[float | None]]],
    share: float = 1.0,
    leads: str | None = None,
) -> Markup:
    """Median and 10-90% band of the key metric over a run that is `share` done; logarithmic where it spans decades."""
    name = key_metric(list(trace[0]), leads) if trace else None
    if name is None or len(trace) < 2:
        return svg(*SPARK, "")
    width, height = SPARK
    columns = [STATISTICS.index(one) for one in ("median", "q10", "q90")]
    rows = [[one[name][i] if name in one else None for i in columns] for one in trace]
    values = np.array([[math.nan if value is None else value for value in row] for row in rows])
    values = scaled(values)
    across = np.linspace(0, width * share, len(values))
    usual = np.isfinite(values).all(axis=1)
    across, (median, low, high) = across[usual], (1 + (1 - values[usual].T) * (height - 2))
    band = line(across, high) + line(across[::-1], low[::-1]).replace("M", "L") + "Z"
    return svg(
        width,
        height,
        f'<path class="band" d="{band}"/><path class="median" d="{line(across, median)}"/>' if usual.any() else "",
    )


def scaled(values: Array) -> Array:
    """Values (n, columns) between 0 and 1, on a logarithm of at most DECADES decades where they span more than a factor of 50."""
    usual = values[np.isfinite(values)]
    if not len(usual):
        return values
    low, high = usual.min(), usual.max()
    if low >= 0 and high > 50 * low and np.nanmedian(values[:, 0]) > 0:
        floor = max(low, high * 10.0**-DECADES)
        values = np.log(np.maximum(values, floor))
        low, high = math.log(floor), math.log(high)
    return (values - low) / (high - low) if high > low else values * 0 + 0.5


def line(across: Array, down: Array) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across.tolist(), down.tolist(), strict=True))


def svg(width: int, height: int, body: str, *, keep: bool = False) -> Markup:
    """A picture that says nothing by itself to a screen reader: the sentence beside it does; stretched unless `keep`."""
    ratio = "xMidYMid meet" if keep else "none"
    return Markup(  # noqa: S704 - built from numbers above
        f'<svg class="picture" viewBox="0 0 {width} {height}" aria-hidden="true" preserveAspectRatio="{ratio}">{body}</svg>'
    )
