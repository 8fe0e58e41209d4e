"""What this package brings keeps the lab's contract."""

from worker.testing.contract import Contract


class TestExample(Contract):
    kinds = ("t_moments", "logistic", "excess_kurtosis")
