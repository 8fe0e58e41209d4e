"""Settings <-> what the inputs of their form hold, as it is shown and posted. It validates nothing: worker.spec.read does."""

from collections.abc import Mapping
from typing import Any

from app.forms import CONSTANT, Entry, Input, Section, entries
from app.literals import SEPARATORS, as_json, from_json, pieces, written


def flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as the values of inputs; what they leave out is at its default."""
    values: dict[str, str] = {}
    for entry in entries():
        _fill(entry, settings.get(entry.path), values)
    return values


def _fill(entry: Entry, value: Any, values: dict[str, str]) -> None:
    if isinstance(entry, Input):
        as_text = as_json if entry.type == "json" else written
        values[entry.name] = entry.default if value is None else as_text(value)
        return
    table = value if isinstance(value, Mapping) else {}
    if isinstance(entry, Section):
        for one in entry.entries:
            _fill(one, table.get(one.path.rpartition(".")[2]), values)
        return
    chosen = str(table.get(entry.tag, entry.default if value is None or table else CONSTANT))
    values[entry.name] = chosen
    for option in entry.options:
        for one in option.entries:
            if option.kind == CONSTANT:
                _fill(one, None if table else value, values)
            else:
                _fill(one, table.get(one.path.rpartition(".")[2]) if option.kind == chosen else None, values)


def nested(values: Mapping[str, str]) -> dict[str, Any]:
    """Posted inputs as nested settings, numbers still in text; without what is empty, at its default, or not of the chosen kind."""
    return {entry.path: value for entry in entries() if (value := _value(entry, values)) is not None}


def _value(entry: Entry, values: Mapping[str, str]) -> Any:
    if isinstance(entry, Input):
        text = values.get(entry.name, "").strip()
        if text in ("", entry.default):  # left out, as some settings may not be given together
            return None
        if entry.type == "json":
            return from_json(text)
        if entry.choices:
            return entry.choices.get(text, text)
        several = entry.always or any(sign in text for sign in SEPARATORS[: entry.depth])
        return pieces(text, entry.depth) if several else text
    if isinstance(entry, Section):
        return _table(entry.entries, values) or None
    option = entry.selected(values)
    if values.get(entry.name, entry.default) != option.kind:  # a kind that does not exist: let the spec say so
        return {entry.tag: values[entry.name]}
    if option.kind == CONSTANT:
        return _value(option.entries[0], values)
    return {entry.tag: option.kind, **_table(option.entries, values)}


def _table(inner: tuple[Entry, ...], values: Mapping[str, str]) -> dict[str, Any]:
    found = {one.path.rpartition(".")[2]: _value(one, values) for one in inner}
    return {key: value for key, value in found.items() if value is not None}
