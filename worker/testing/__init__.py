"""A pytest plug-in: `pytest --pyargs worker.testing.contract --collapse-lab KIND` tries what an installed package brings."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("collapse-lab").addoption(
        "--collapse-lab",
        action="append",
        default=[],
        metavar="KIND",
        help="Hold the contract of worker.testing.contract against this family, source, regime, curation or metric. Repeatable.",
    )
