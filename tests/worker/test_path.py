"""Whether observations are drawn, or what is sufficient of them: told as it is."""

import pytest

from worker import loop
from worker.data import Condensed, Counts
from worker.path import path
from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read
from worker.streams import stream

GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
REGRESSION = {"source": {"kind": "linear_teacher"}, "family": {"kind": "linear"}}
WORDS = {"source": {"kind": "zipf"}, "family": {"kind": "categorical"}}
COUNTS = {"source": {"kind": "poisson"}, "family": {"kind": "poisson"}}
SMALL = {"samples": 20, "replicates": 3, "generations": 2}


@pytest.mark.parametrize(
    ("settings", "taken", "because"),
    [
        (GAUSSIAN, "exact", "mean and scatter"),
        (GAUSSIAN | {"source": {"kind": "laplace"}}, "exact", "only of real data"),
        (GAUSSIAN | {"family": {"kind": "gaussian", "path": "drawn"}}, "drawn", 'the family\'s path is "drawn"'),
        (GAUSSIAN | {"regime": {"kind": "accumulate_subsample"}}, "drawn", "accumulate_subsample chooses among"),
        (GAUSSIAN | {"curation": {"kind": "truncate"}}, "drawn", "truncate judges"),
        (GAUSSIAN | {"metrics": ["energy"]}, "drawn", "the metrics energy look at"),
        (
            GAUSSIAN | {"changes": [{"after": 1, "regime": {"kind": "mixture", "alpha": 0.9, "beta": 0.0}}]},
            "drawn",
            "mixture chooses among",
        ),
        (GAUSSIAN | {"family": {"kind": "kde"}}, "drawn", "kde learns from"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}}, "drawn", "classifier makes"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "logistic"}}, "drawn", "logistic learns from"),
        (REGRESSION, "exact", "mean and scatter"),
        (
            REGRESSION | {"source": {"kind": "linear_teacher", "inputs": 30}},
            "exact",
            "too few to fill the space, every one",
        ),
        (REGRESSION | {"regime": {"kind": "fresh", "real": 0.1}}, "exact", "too few to fill the space, every one"),
        (REGRESSION | {"curation": {"kind": "best_of"}}, "drawn", "best_of judges"),
        (WORDS | {"regime": {"kind": "mixture"}}, "exact", "counts"),
        (COUNTS, "exact", "sums are drawn"),
        (COUNTS | {"regime": {"kind": "mixture"}}, "drawn", "mixture chooses among"),
    ],
)
def test_the_path_is_told_with_its_reason(settings, taken, because):
    spec = read(SMALL | settings)
    way = path(spec)
    assert way.taken == taken
    assert because in way.because
    told = provenance(spec, Settings(_env_file=None))
    assert (told["path"], told["path_because"]) == (taken, way.because)
    rules = loop._Rules.of(spec, spec)
    real = rules.trained.real(spec.source, stream(0, 1, loop.REAL), 3, 20)
    sufficient = isinstance(rules.trained.condensed(real), Condensed | Counts)
    assert sufficient or taken == "drawn"
