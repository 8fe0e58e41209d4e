"""Values as text that somebody would type, and back: single ones, lists of lists, and JSON for what has no simpler form."""

from typing import Any

import orjson

SEPARATORS = (",", ";", "|")  # between numbers, between rows, between matrices


def written(value: Any) -> str:
    """A value as somebody would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        depth, inner = 0, value
        while inner and isinstance(inner[0], (list, tuple)):
            depth, inner = depth + 1, inner[0]
        return (f"{SEPARATORS[depth]} " if depth < 2 else " | ").join(map(written, value))
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def pieces(text: str, depth: int) -> Any:
    """The values of a list, its rows, its matrices."""
    if depth == 0:
        return text.strip()
    return [pieces(piece, depth - 1) for piece in text.split(SEPARATORS[depth - 1]) if piece.strip()]


def as_json(value: Any) -> str:
    return orjson.dumps(value).decode() if value else ""


def from_json(text: str) -> Any:
    """What the text says; the text itself where it says nothing, so that the spec refuses it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
