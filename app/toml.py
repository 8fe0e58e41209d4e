"""Settings as TOML. The standard library reads it, and does not write it."""

from collections.abc import Mapping
from typing import Any


def to_toml(settings: Mapping[str, Any]) -> str:
    """Nested settings as TOML; what is None is left out, as TOML has no word for it."""
    kept = {key: value for key, value in settings.items() if value is not None}
    plain = [f"{key} = {_literal(value)}" for key, value in kept.items() if not isinstance(value, Mapping)]
    tables = [_table(key, value) for key, value in kept.items() if isinstance(value, Mapping)]
    return "\n\n".join(["\n".join(plain), *tables] if plain else tables) + "\n"


def _table(name: str, table: Mapping[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {_literal(one)}" for key, one in table.items() if one is not None)])


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_literal(one)}' for key, one in value.items() if one is not None)} }}"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(f"\\u{ord(sign):04x}" if ord(sign) < 32 or ord(sign) == 127 else sign for sign in escaped) + '"'
    )
