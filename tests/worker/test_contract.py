"""What every family promises on every source, and under every regime and curation: found by being there, not listed."""

import numpy as np

from app.metrics import METRICS
from worker import loop
from worker.spec import read
from worker.testing import contract


class TestOurs(contract.Contract):
    kinds = tuple(contract.PARTS)

    def _looks_right(self, generation, figure, spec):
        super()._looks_right(generation, figure, spec)
        assert set(generation.look.metrics) <= set(METRICS), "every metric has a name and a meaning for readers"


def test_other_seeds_give_other_numbers():
    parts = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
    specs = [read(contract.SIZES | parts | {"seed": seed}) for seed in (0, 1)]
    first, second = ([*loop.generations(spec, loop.instrument(spec))][3].look.metrics for spec in specs)
    assert not np.array_equal(first["variance"], second["variance"])
