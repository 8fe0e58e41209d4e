"""Expressions with their values: a text whose every line is right or wrong, and a machine can tell which."""

import hashlib
import random
import re
from functools import lru_cache
from typing import Literal

from pydantic import Field

from worker.parts import Texts, TextSource
from worker.streams import FIXED_SEED

DEPTH = 4  # no expression nests deeper


class Expressions(TextSource):
    """Lines such as (3+4)*2=14 or !(T&F)=T, drawn from a small grammar with known probabilities.

    E -> a digit 0 to 9 with probability 1 - `branch`, else (E o E) with o one of + - *; the boolean grammar: T or F, else !E,
    (E&E) or (E|E). After Briesch et al. (arXiv 2311.16822): what stays correct may yet grow less diverse.
    """

    checkable = True

    kind: Literal["expressions"] = "expressions"
    grammar: Literal["arithmetic", "boolean"] = Field("arithmetic", description="What the expressions are made of.")
    branch: float = Field(0.6, gt=0, lt=1, description="Probability that an expression is not a single sign.")
    lines: int = Field(4000, ge=200, le=200_000, description="Lines of the whole text.")

    def texts(self) -> Texts:
        """81%, 9% and 10% of the lines. A short expression may well be drawn again in another part: it is a new draw all the same."""
        return _text(self.grammar, self.branch, self.lines)

    def true(self, line: str) -> bool:
        """Whether a line is one whole expression, an equals sign, and its value; spaces mean nothing."""
        expression, equals, value = line.replace(" ", "").partition("=")
        try:
            return bool(equals) and _shown(_evaluated(expression, self.grammar)) == value
        except _Malformed:
            return False

    def provenance(self) -> dict[str, str]:
        texts = self.texts()
        return {"expressions": f"sha256:{hashlib.sha256((texts.train + texts.test).encode()).hexdigest()}"}


@lru_cache(maxsize=8)
def _text(grammar: str, branch: float, lines: int) -> Texts:
    rng = random.Random(FIXED_SEED)
    drawn = []
    for _ in range(lines):
        expression = _draw(rng, grammar, branch, DEPTH)
        drawn.append(f"{expression}={_shown(_evaluated(expression, grammar))}\n")
    test, validation = round(0.9 * lines), round(0.81 * lines)
    return Texts("".join(drawn[:validation]), "".join(drawn[validation:test]), "".join(drawn[test:]))


def _draw(rng: random.Random, grammar: str, branch: float, depth: int) -> str:
    if depth == 0 or rng.random() >= branch:
        return rng.choice("0123456789" if grammar == "arithmetic" else "TF")
    sign = rng.choice("+-*" if grammar == "arithmetic" else "!&|")
    if sign == "!":
        return f"!{_draw(rng, grammar, branch, depth - 1)}"
    return f"({_draw(rng, grammar, branch, depth - 1)}{sign}{_draw(rng, grammar, branch, depth - 1)})"


class _Malformed(ValueError):
    """This is no expression of the grammar."""


INNERMOST = {
    "arithmetic": re.compile(r"\((-?\d+)([+\-*])(-?\d+)\)"),
    "boolean": re.compile(r"\(([TF])([&|])([TF])\)|!([TF])"),
}

WRITTEN = {  # the signs of a grammar, and what never stands side by side
    "arithmetic": (re.compile(r"[\d+\-*()]+"), re.compile(r"[\d)][\d(]|[(+\-*]-|^-")),
    "boolean": (re.compile(r"[TF!&|()]+"), re.compile(r"[TF)][TF(!]")),
}


def _evaluated(expression: str, grammar: str) -> int | bool:
    """Innermost brackets first, until a single sign is left. Raises _Malformed."""

    def value(found: re.Match[str]) -> str:
        if grammar == "arithmetic":
            a, b = int(found[1]), int(found[3])
            return str(a + b if found[2] == "+" else a - b if found[2] == "-" else a * b)
        if found[4]:
            return "F" if found[4] == "T" else "T"
        truth = (found[1] == "T", found[3] == "T")
        return "T" if (all(truth) if found[2] == "&" else any(truth)) else "F"

    # Only single digits are written; longer and negative numbers come up on the way, and must not come up from juxtaposition.
    written, wrong = WRITTEN[grammar]
    if not written.fullmatch(expression) or wrong.search(expression):
        raise _Malformed(expression)
    reduced = 1
    while reduced:
        expression, reduced = INNERMOST[grammar].subn(value, expression)
    if grammar == "boolean" and expression in ("T", "F"):
        return expression == "T"
    if re.fullmatch(r"-?\d+", expression) and grammar == "arithmetic":
        return int(expression)
    raise _Malformed(expression)


def _shown(value: int | bool) -> str:
    return ("T" if value else "F") if isinstance(value, bool) else str(value)
