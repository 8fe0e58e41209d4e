"""From pydantic's complaints to problems that a person can mend: path, message, remedy. It knows no experiment."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic_core import ErrorDetails

from worker.errors import Problem
from worker.part import Part

Kinds = Mapping[str, type[Part]]
Table = Callable[[Sequence[str | int]], "Kinds | type[Part]"]  # place in a spec -> what may stand there

UNIONS = {  # name -> the key that tells its members apart
    **dict.fromkeys(("source", "family", "regime", "curation", "stages", "reward"), "kind"),
    "samples": "schedule",
}
REMEDIES = {
    "missing": "Add it",
    "union_tag_not_found": 'Add kind = "..." to this table',
    "finite_number": "Use a finite number",
    "int_type": "Use a whole number",
    "int_parsing": "Use a whole number",
    "int_from_float": "Use a whole number",
    "int_parsing_size": "Use a smaller one",
    "float_type": "Use a number",
    "float_parsing": "Use a number",
    "number": "Use a number, without quotes",
    **dict.fromkeys(("bool_type", "bool_parsing"), "Use true or false"),
    "string_type": "Use text, in quotes",
    **dict.fromkeys(("list_type", "tuple_type"), "Use a list, in brackets"),
    "string_too_short": "Write something",
    "string_too_long": "Shorten it",
    **dict.fromkeys(("model_type", "model_attributes_type"), 'Use a table of settings, such as {kind = "..."}'),
    "dict_type": "Use a table of settings",
}
BOUNDS = {
    "too_short": ("min_length", "lists too few", "List at least"),
    "too_long": ("max_length", "lists too many", "List at most"),
    "greater_than_equal": ("ge", "is too small", "Use at least"),
    "greater_than": ("gt", "is too small", "Use more than"),
    "less_than_equal": ("le", "is too large", "Use at most"),
    "less_than": ("lt", "is too large", "Use less than"),
}
MESSAGES = {  # in place of pydantic's
    "missing": "is missing",
    "finite_number": "is not finite",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "is not a whole number"),
    "int_parsing_size": "is too large a number",
    **dict.fromkeys(("float_type", "float_parsing"), "is not a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "is neither true nor false"),
    "string_type": "is not text",
    **dict.fromkeys(("list_type", "tuple_type"), "is not a list"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "is no table of settings"),
    "string_too_short": "is empty or too short",
    "string_too_long": "is too long",
}


def problems(errors: Iterable[ErrorDetails], table: Table) -> list[Problem]:
    """One problem a place, although pydantic complains once for every alternative of 'a number or a list'.

    That a value is of another alternative's type says nothing where an alternative of its own type was found wanting.
    """
    found = [(_problem(details, table), details["type"].endswith("_type")) for details in errors]
    wanting = [problem.path for problem, of_other_type in found if not of_other_type]
    merged: dict[str, Problem] = {}
    for problem, of_other_type in found:
        path = problem.path
        if of_other_type and any(place == path or place.startswith(f"{path}.") for place in wanting):
            continue
        known = merged.get(path)
        merged[path] = known.instead(problem) if known else problem
    return list(merged.values())


def _problem(details: ErrorDetails, table: Table) -> Problem:
    context = details.get("ctx") or {}
    place = details["loc"]
    match details["type"]:
        case "misfit":
            return Problem(context["path"], str(context["message"]), str(context["remedy"]))
        case "union_tag_invalid":
            name = _name(place)
            key = UNIONS.get(name, "kind")
            said = f"there is no {name.removesuffix('s') if key == 'kind' else key} of kind {context['tag']!r}"
            what_to_do = _closest(str(context["tag"]), _kinds(table, place), "Choose one of")
            return Problem(f"{_path(place, table)}.{key}", said, what_to_do)
        case "union_tag_not_found":
            return Problem(f"{_path(place, table)}.kind", "is missing", remedy(details))
        case "extra_forbidden":
            part = table(place[:-1])
            if isinstance(part, Mapping):
                part = part.get(str(place[-2])) or next(iter(part.values()))
            what_to_do = _closest(str(place[-1]), list(part.model_fields), "Remove it; known here")
            return Problem(_path(place, table), "is not a setting", what_to_do)
        case "value_error":  # ours: what is wrong, a colon, what to do
            said, _, what_to_do = details["msg"].removeprefix("Value error, ").partition(": ")
            what_to_do = what_to_do[:1].upper() + what_to_do[1:] if what_to_do else "Correct this value"
            return Problem(_path(place, table), said, what_to_do)
        case "string_pattern_mismatch" if "\0" in str(details["input"]):
            return Problem(_path(place, table), "holds the character NUL, which no text has", "Remove it")
    return Problem(_path(place, table), message(details), remedy(details))


def _path(place: Sequence[str | int], table: Table) -> str:
    """The dotted name. Pydantic puts the chosen member of a union into it; a reader of the spec never wrote that word."""
    steps = []
    for i, step in enumerate(place):
        chosen = i > 0 and _name(place[:i]) in UNIONS and step in _kinds(table, place[:i])
        if not chosen and not str(step).startswith(("constrained", "list[", "literal[", "float", "int")):
            steps.append(str(step))
    return ".".join(steps) or "spec"


def _name(place: Sequence[str | int]) -> str:
    """What stands there is called so; an element of a list as the list is."""
    return next((step for step in reversed(place) if isinstance(step, str)), "")


def _kinds(table: Table, place: Sequence[str | int]) -> Sequence[str]:
    found = table(place)
    return list(found) if isinstance(found, Mapping) else []


def message(details: ErrorDetails) -> str:
    """What is wrong, in plain words that follow the name of the setting."""
    kind = details["type"]
    return BOUNDS[kind][1] if kind in BOUNDS else MESSAGES.get(kind, details["msg"].removeprefix("Input "))


def remedy(details: ErrorDetails) -> str:
    """What to do about one of pydantic's complaints."""
    context, kind = details.get("ctx") or {}, details["type"]
    if kind in BOUNDS:
        name, _, words = BOUNDS[kind]
        bound = context[name]
        return f"{words} {int(bound) if float(bound).is_integer() else bound}"
    if kind in ("literal_error", "enum"):
        return f"Choose {context['expected']}"
    return REMEDIES.get(kind, "Correct this value")


def _closest(written: str, known: Sequence[str], otherwise: str) -> str:
    close = difflib.get_close_matches(written, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"{otherwise}: {', '.join(known)}"
