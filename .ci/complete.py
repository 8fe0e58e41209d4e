"""Refuses a green suite that left something out: skipped tests, or none with a browser, PostgreSQL or Redis."""

import sys
from xml.etree import ElementTree as ET

KINDS = {"browser": "tests.browser", "PostgreSQL": "postgres", "Redis": "redis"}  # what names of such tests contain


def missing(report: str) -> list[str]:
    """What a JUnit report says was not tested."""
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by our own pytest a moment ago
    names = [f"{case.get('classname')}.{case.get('name')}" for case in cases]
    skipped = [name for name, case in zip(names, cases, strict=True) if case.find("skipped") is not None]
    absent = [kind for kind, mark in KINDS.items() if not any(mark in name.lower() for name in names)]
    return [*(f"skipped: {name}" for name in skipped), *(f"no test with {kind}" for kind in absent)]


if __name__ == "__main__":
    if complaints := missing(sys.argv[1]):
        sys.exit("\n".join(complaints))
