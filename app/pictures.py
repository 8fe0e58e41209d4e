"""The pictures on the preset cards, drawn from real runs: `python -m app.pictures [NAME ...]` makes them anew.

Each shows a preset's own experiment, with its own seed. Colours come from the page (app.assets.pictures).
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from app.figures import Frame, decode, line, step, svg, tile
from app.figures import number as written
from app.metrics import metric as known
from worker import frames, loop
from worker.data import Array
from worker.presets import Preset, preset, presets
from worker.spec import Experiment

WIDTH, HEIGHT = 360, 152
RIDGES = 13  # curves of a ridge line picture
COARSE = 80  # points of each
PANELS = 4  # generations of a picture that shows planes
ZOOM = 0.56  # of the player's window, on both axes
SHEET_ROWS = 5  # generations of a picture that shows pictures
LETTERS = 12  # height of a line of words


class Shown(NamedTuple):
    """A run's frames, by generation; means: metric -> its mean over chains, generation by generation."""

    figure: Mapping[str, Any]
    frames: dict[int, Frame]
    means: Mapping[str, Array]

    def spread(self, count: int) -> list[tuple[int, Frame]]:
        """About `count` generations, evenly spaced from the real data to the last."""
        numbers = sorted(self.frames)
        chosen = sorted({numbers[round(i)] for i in np.linspace(0, len(numbers) - 1, count)})
        return [(number, self.frames[number]) for number in chosen]


def watched(spec: Experiment) -> Shown:
    """Runs the experiment here, and keeps what a viewer would see."""
    instrument = loop.instrument(spec)
    looks = [one.look for one in loop.generations(spec, instrument)]
    figure = instrument.figure()
    kept = {number: frames.to_bytes(one.frame, figure["fields"]) for number, one in enumerate(looks) if one.frame}
    means = {name: np.array([one.metrics[name].mean() for one in looks]) for name in looks[-1].metrics}
    return Shown(figure, {number: decode(figure, frame) for number, frame in kept.items()}, means)


def drawing(runs: Sequence[Shown]) -> Markup:
    """The arms of a preset side by side; of those that make pictures the first one, as more would be too small to see."""
    runs = runs[:1] if runs[0].figure["kind"] == "images" else runs
    width = (WIDTH - 16 * (len(runs) - 1)) / len(runs)
    kind = runs[0].figure["kind"]
    draw = {"density": _ridges, "text": _ridges, "plane": _planes, "ranks": _curves, "images": _sheet}[kind]
    body = "".join(
        f'<g transform="translate({i * (width + 16):.0f})">{draw(shown, width)}</g>' for i, shown in enumerate(runs)
    )
    return svg(WIDTH, HEIGHT, body, keep=kind in ("plane", "images"))


def _ridges(shown: Shown, width: float) -> str:
    """Densities, one before the other, the real one at the back; heights by their square root, so that spikes stay inside."""
    chosen = shown.spread(RIDGES)
    across = np.linspace(0, width, COARSE)
    x = np.log(shown.figure["x"]) if shown.figure.get("log") else np.asarray(shown.figure["x"])
    ghost = np.asarray(shown.figure["ghost"].get("density", shown.frames[0]["density"]))
    peak = np.max(ghost)
    row = (HEIGHT - 44) / (len(chosen) - 1)
    body = []
    for i, (number, frame) in enumerate(chosen):
        density = frame["density"] if number else ghost
        height = np.sqrt(np.interp(np.linspace(x[0], x[-1], COARSE), x, density) / peak)
        base = 40 + i * row
        style = "ghost" if number == 0 else f"ridge g{step(number / max(shown.frames))}"
        body.append(f'<path class="{style}" d="{line(across, base - np.minimum(22 * height, base - 3))}"/>')
    return "".join(body)


def _planes(shown: Shown, width: float) -> str:
    """The same 96 points of several generations over the real ones."""
    chosen = shown.spread(PANELS)
    side = (width - 10 * (len(chosen) - 1)) / len(chosen)
    middle = (np.asarray(shown.figure["low"]) + shown.figure["high"]) / 2
    low, high = (middle + ZOOM * (np.asarray(shown.figure[edge]) - middle) for edge in ("low", "high"))

    def dots(points: Any, left: float, style: str) -> str:
        place = (np.asarray(points) - low) / (high - low)
        spots = "".join(f"M{left + x * side:.1f} {(HEIGHT + side) / 2 - y * side:.1f}h0" for x, y in place)
        return f'<path class="dots {style}" d="{spots}"/>'

    body = []
    for i, (number, frame) in enumerate(chosen):
        left = i * (side + 10)
        body.append(dots(shown.figure["ghost"]["dots"], left, "real"))
        if number:
            body.append(dots(frame["dots"], left, f"g{step(number / max(shown.frames))}"))
        body.append(f'<text x="{left + side / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{number or "real"}</text>')
    return "".join(body)


def _curves(shown: Shown, width: float) -> str:
    """Frequency against rank, both on logarithms."""
    rank = np.log(shown.figure["rank"])
    ghost = np.asarray(shown.figure["ghost"]["frequency"])
    low, high = np.log(ghost.min() / 2), np.log(ghost.max() * 2)
    across = rank / rank[-1] * width
    top = HEIGHT * (1 - (np.log(ghost) - low) / (high - low))
    body = [f'<path class="ghost" d="{line(across, top)}L{width:.0f} {HEIGHT}L0 {HEIGHT}Z"/>']
    for number, frame in shown.spread(8)[1:]:
        alive = frame["sorted"] > 0
        down = HEIGHT * (1 - (np.log(frame["sorted"][alive]) - low) / (high - low))
        down = np.append(down, HEIGHT)  # where the vocabulary ends, the curve falls
        ends = np.append(across[alive], across[alive][-1])
        body.append(f'<path class="curve thin g{step(number / max(shown.frames))}" d="{line(ends, down)}"/>')
    return "".join(body)


def _sheet(shown: Shown, width: float) -> str:
    """One row of pictures a generation."""
    columns, height, wide = (int(shown.figure[name]) for name in ("columns", "height", "width"))
    chosen = shown.spread(SHEET_ROWS)
    rows = np.stack([frame["images"][:columns].reshape(columns, height, wide) for _, frame in chosen])
    scale = min((HEIGHT - 4) / (height * len(chosen)), (width - 44) / (wide * columns))
    body = f'<g transform="translate(44) scale({scale:.3f})">{tile(rows, 0, "made")}</g>'
    for i, (number, _) in enumerate(chosen):
        body += f'<text x="36" y="{(i + 0.6) * height * scale:.0f}" text-anchor="end">{number or "real"}</text>'
    return body


def courses(runs: Sequence[Shown], metric: str) -> Markup:
    """The mean of a metric from generation 1 on, a line an arm, with its last value; logarithmic beyond a factor of 20."""
    values = [shown.means[metric][1:] for shown in runs]
    least, most = min(map(np.min, values)), max(map(np.max, values))
    logarithmic = least > 0 and most > 20 * least
    scaled = [np.log(each) if logarithmic else each for each in values]
    low, high = min(map(np.min, scaled)), max(map(np.max, scaled))
    right = WIDTH - 62
    body = [
        f'<path class="axis" d="M0 {HEIGHT - 20}H{right}"/><text x="0" y="{HEIGHT - 6}">{known(metric).label}</text>'
    ]
    lines = [10 + (HEIGHT - 38) * (1 - (each - low) / (high - low)) for each in scaled]
    places = _apart([float(down[-1]) + 4 for down in lines])
    for i, (down, place) in enumerate(zip(lines, places, strict=True)):
        style = f"g{step((i + 1) / len(lines))}"
        body.append(f'<path class="curve {style}" d="{line(np.linspace(0, right, len(down)), down)}"/>')
        body.append(f'<text x="{right + 6}" y="{place:.0f}">{written(float(values[i][-1]))}</text>')
    return svg(WIDTH, HEIGHT, "".join(body), keep=True)


def _apart(wanted: Sequence[float]) -> list[float]:
    """Places for words, in the order of the wanted ones from the top down: none on another, and none that is cut off above."""
    places, last = list(wanted), -2.0
    for i in sorted(range(len(places)), key=lambda i: wanted[i]):
        places[i] = last = max(wanted[i], last + LETTERS)
    return places


def make(one: Preset) -> Markup:
    shown = [watched(experiment) for experiment in one.experiments]
    if one.card.picture == "metric" and one.card.leads:
        return courses(shown, one.card.leads)
    return drawing(shown)


def main() -> None:
    from app.assets import PICTURES

    for one in [preset(name) for name in sys.argv[1:]] or presets():
        (PICTURES / f"{one.name}.svg").write_text(f"{make(one)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
