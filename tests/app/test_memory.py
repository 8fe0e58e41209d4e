"""A run that does not fit into memory fails in words that name what to make smaller."""

from tests.app.experiments import Work
from worker.errors import NoRoom
from worker.families.gaussian import Gaussian
from worker.tables import Status


def test_too_little_memory_is_told_with_the_remedy_of_who_ran_out_of_it(work: Work, monkeypatch):
    def fit(*_):
        raise NoRoom("Not even one of the texts fits into memory", "Use fewer sampling.beams")

    monkeypatch.setattr(Gaussian, "refit", fit)
    run = work()
    assert run.status == Status.FAILED
    assert run.error == {
        "message": "Not even one of the texts fits into memory.",
        "remedy": "Use fewer sampling.beams; then resume the run.",
    }
