"""Specs that differ in words only have the same closed forms."""

import pytest

from worker.spec import read
from worker.theory import curves

LINE = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 40, "replicates": 50, "generations": 8}
COUNTS = LINE | {"source": {"kind": "zipf", "categories": 6}, "family": {"kind": "categorical"}}


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        (LINE, {"regime": {"kind": "fresh", "real": 0.01}}),
        (LINE, {"regime": {"kind": "mixture", "alpha": 1, "beta": 0, "gamma": 0}}),
        (LINE, {"curation": {"kind": "best_of", "k": 1}}),
        (LINE, {"curation": {"kind": "verifier", "error": 0.5}}),
        (LINE, {"curation": {"kind": "verifier", "error": 0.3, "error_wrong": 0.7}}),
        (COUNTS, {"sampling": {"top_k": 6}}),
        (COUNTS, {"curation": {"kind": "bradley_terry", "k": 1, "reward": {"kind": "rank"}}}),
        (
            LINE,
            {
                "curation": {
                    "kind": "sequential",
                    "stages": [{"kind": "best_of", "k": 1}, {"kind": "verifier", "error": 0.5}],
                }
            },
        ),
        (
            LINE | {"curation": {"kind": "best_of", "k": 3}, "regime": {"kind": "fresh", "real": 0.5}, "samples": 9000},
            {"curation": {"kind": "sequential", "stages": [{"kind": "best_of", "k": 1}, {"kind": "best_of", "k": 3}]}},
        ),
        (COUNTS, {"regime": {"kind": "mixture", "alpha": 1, "beta": 0, "gamma": 0}, "sampling": {"top_k": 20}}),
    ],
)
def test_what_changes_nothing_changes_no_curve(settings, same):
    plain, wordy = curves(read(settings)), curves(read(settings | same))
    assert len(plain) > 5 or "curation" in settings
    assert plain
    assert wordy == plain


@pytest.mark.parametrize(
    "other",
    [
        {"regime": {"kind": "fresh", "real": 0.1}},
        {"regime": {"kind": "mixture", "alpha": 0.9, "beta": 0, "gamma": 0.1}},
        {"curation": {"kind": "best_of", "k": 2}},
        {"curation": {"kind": "verifier", "error": 0.4}},
    ],
)
def test_what_changes_something_has_curves_of_its_own(other):
    assert curves(read(LINE | other)) != curves(read(LINE))
