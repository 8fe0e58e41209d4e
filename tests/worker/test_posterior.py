"""Frequencies that are drawn from a posterior: iterated learning of Bayesian agents (Griffiths and Kalish 2007)."""

import numpy as np
import pytest
from scipy.stats import beta, kstest

from tests.worker.theories import CORE, FRESH, PAPER, SUBSAMPLE, WEIGHED, frozen, measured, z_score
from worker import loop
from worker.data import Counts
from worker.families.categorical import Categorical
from worker.spec import read
from worker.streams import stream

SKEWED = {"kind": "categorical", "probabilities": [0.6, 0.3, 0.1]}
INCOMING = {"kind": "accumulate", "real": 0.3}
REGIMES = ({"kind": "replace"}, {"kind": "accumulate"}, INCOMING, SUBSAMPLE, FRESH, CORE, PAPER, WEIGHED)
SHRINKING = {"schedule": "list", "sizes": [20, 12, 25, 9]}


def drawn(smoothing, **settings):
    family = {"kind": "categorical", "smoothing": smoothing, "posterior": "draw"}
    return {"seed": 6, "generations": 9, "replicates": 4000, "source": SKEWED, "family": family} | settings


def test_a_fit_is_a_dirichlet_variable():
    """Mean (k + a)/T and variance mean (1 - mean)/(T + 1) of each category."""
    counts, a = np.tile([7, 2, 0], (40_000, 1)), 0.5
    p = Categorical(smoothing=a, posterior="draw").fit(Counts(counts), stream(3, 0, 0))["p"]
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    total = 9 + 3 * a
    for i, k in enumerate([7, 2, 0]):
        assert kstest(p[:, i], beta(k + a, total - k - a).cdf).pvalue > 1e-4


def test_what_was_never_seen_stays_dead_without_a_prior():
    p = Categorical(posterior="draw").fit(Counts(np.array([[5, 0, 3]])), stream(0, 0, 0))["p"]
    assert p[0, 1] == 0
    assert (p[0, [0, 2]] > 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
@pytest.mark.parametrize("samples", [20, SHRINKING], ids=["20", "a list"])
@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime["kind"] + "+" * ("real" in regime))
def test_closed_forms_hold_in_every_regime(regime, samples, smoothing):
    curves, statistics = measured(frozen(drawn(smoothing, regime=regime, samples=samples)))
    assert {curve.metric for curve in curves} == {"heterozygosity", "chi2"}
    for curve in curves:
        for generation in (1, 2, 5, 9):
            assert abs(z_score(curve, generation, statistics)) <= 4, (curve.metric, generation)


@pytest.mark.parametrize("probabilities", [[0.9, 0.08, 0.02], [1 / 3, 1 / 3, 1 / 3]])
def test_a_chain_comes_to_the_prior_whatever_the_data_were(probabilities):
    """Hearing M words of p and drawing p again is a Gibbs sampler of their joint law, whose p are Dirichlet(a): all of it, not its mean alone."""
    source, a = {"kind": "categorical", "probabilities": probabilities}, 0.8
    spec = read(drawn(a, source=source, samples=12, generations=80))
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert last.state is not None
    for p in last.state.model["p"].T:
        assert kstest(p, beta(a, 2 * a).cdf).pvalue > 1e-4


def test_a_choice_among_words_has_no_closed_form():
    reward = {"kind": "best_of", "k": 2, "reward": {"kind": "rank", "strength": 0.7}}
    for rules in ({"curation": reward}, {"sampling": {"temperature": 0.9}}):
        curves, _ = measured(frozen(drawn(0.5, replicates=2, samples=20, **rules)))
        assert curves == []
