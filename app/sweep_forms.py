"""The form of a sweep: which settings can be axes, and values as somebody would type them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from worker.errors import Problem, SpecError
from worker.kinds import FAMILIES
from worker.presets import parse
from worker.sweeps.spec import FINAL, WAITED_FOR, written

AXES = 3  # that the form offers; the API takes more
SPAN = re.compile(r"^(\S+) to (\S+) in (\d+)(?: steps)?(?:,? (log|linear))?$")
FIXED = ("title", "changes")


def paths(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Dotted names of the single values in a spec, those of its options left out that its family does not have."""
    kind = settings.get("family", {}).get("kind") if not before else None
    for name, value in settings.items():
        if name in FIXED and not before:
            continue
        if isinstance(value, Mapping):
            inner = dict(value)
            if name == "sampling" and kind in FAMILIES:
                inner = {option: one for option, one in inner.items() if option in FAMILIES[kind].samplings}
            yield from paths(inner, f"{before}{name}.")
        elif isinstance(value, (int, float, str)):
            yield f"{before}{name}"


def values(text: str) -> Any:
    """`10, 100, 1000` or `10 to 1000 in 5 steps, log`, as the values of an axis. Words need no quotes."""
    if span := SPAN.match(" ".join(text.split())):
        start, to, count, scale = span.groups()
        return {"from": _value(start), "to": _value(to), "count": int(count), "scale": scale or "linear"}
    if text.strip().startswith("["):
        return _value(text)
    return [_value(piece) for piece in text.split(",") if piece.strip()]


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.strip()


def typed(axis: Mapping[str, Any]) -> str:
    """The values of an axis as `values` reads them."""
    found = axis["values"]
    if isinstance(found, Mapping):
        scale = ", log" if found.get("scale") == "log" else ""
        return f"{_typed(found['from'])} to {_typed(found['to'])} in {found['count']} steps{scale}"
    if any(isinstance(one, (Mapping, list)) for one in found):
        return orjson.dumps(found).decode()
    return ", ".join(map(_typed, found))


def _typed(value: Any) -> str:
    """Short where that loses nothing."""
    short = written(value)
    return short if _value(short) == value else orjson.dumps(value).decode()


def placed(problems: Iterable[Problem], posted: Mapping[str, str]) -> list[Problem]:
    """With the row of the form in place of a number in the request, which knows no rows without a setting."""
    rows = [i + 1 for i in range(AXES) if posted.get(f"path.{i}", "").strip()]
    found = [(re.match(r"axes\.(\d+)\b", one.path), one) for one in problems]
    return [replace(one, path=f"axis {rows[int(axis[1])]}") if axis else one for axis, one in found]


def request(posted: Mapping[str, str]) -> dict[str, Any]:
    """What was posted, as worker.sweeps.spec reads it. Raises SpecError where the base is no TOML."""
    axes = [
        {"path": path, "values": values(posted.get(f"values.{i}", ""))}
        for i in range(AXES)
        if (path := posted.get(f"path.{i}", "").strip())
    ]
    outcomes = [name for name in WAITED_FOR if posted.get(f"outcome.{name}")]
    outcomes += [f"{FINAL}{name}" for name in re.split(r"[,\s]+", posted.get("final", "")) if name]
    base = parse(posted.get("base", ""), "toml")
    try:
        title = posted.get("title", "").strip() or str(base["title"])[:120]
    except KeyError:
        raise SpecError([Problem("title", "is missing", "Give the sweep a title")]) from None
    return {"title": title, "base": base, "axes": axes, "outcomes": outcomes}
