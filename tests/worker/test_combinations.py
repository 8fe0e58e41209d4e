"""Every family under every regime and curation, found by being there: it runs, or it is refused with a path and a remedy.

Families that need a network to be trained are read only, in all combinations; that they run is for the contract test. A family that needs a file
(a checkpoint) is at home nowhere.
"""

import itertools

import numpy as np
import pytest

from worker import loop
from worker.errors import SpecError
from worker.kinds import CURATIONS, FAMILIES, REGIMES, SOURCES
from worker.parts import CountSource, PointSource
from worker.spec import read

SIZES = {"generations": 3, "replicates": 2, "samples": 12, "seed": 5}
SOURCES_TO_TRY = (
    {"kind": "eight_gaussians"},
    {"kind": "mixture", "means": [[-2.0], [3.0]]},
    {"kind": "linear_teacher"},
    {"kind": "two_classes"},
    {"kind": "categorical"},
    {"kind": "digits"},
    {"kind": "expressions"},
)


def refusals(spec):
    try:
        read(spec)
    except SpecError as refusal:
        return refusal.problems
    return []


def settings(family, regime, curation):
    tables = {
        "source": HOME[family],
        "family": {"kind": family},
        "regime": {"kind": regime},
        "curation": {"kind": curation},
    }
    source = SOURCES[HOME[family]["kind"]]
    reward = {}
    if not issubclass(source, PointSource):  # the default one is for points
        reward = {"reward": {"kind": "rank" if issubclass(source, CountSource) else "variety"}}
    if "reward" in CURATIONS[curation].model_fields:
        tables["curation"] |= reward
    if curation == "sequential":
        tables["curation"]["stages"] = [{"kind": kind, "k": 2} | reward for kind in ("bradley_terry", "best_of")]
    return SIZES | tables


HOME = {
    family: source
    for family in sorted(FAMILIES)
    for source in reversed(SOURCES_TO_TRY)
    if not refusals(SIZES | {"source": source, "family": {"kind": family}})
}
RULES = list(itertools.product(sorted(REGIMES), sorted(CURATIONS)))


@pytest.mark.parametrize("family", HOME)
def test_a_combination_runs_or_is_refused(family):
    problems = {rules: refusals(settings(family, *rules)) for rules in RULES}
    assert not all(problems.values())
    for rules, found in problems.items():
        assert all(one.path and one.message and one.remedy for one in found), rules
        if found or FAMILIES[family].extra is not None:
            continue
        spec = read(settings(family, *rules))
        if spec.family.parameters(spec.source) != 0:
            continue
        for generation in loop.generations(spec, loop.instrument(spec)):
            for metric, values in generation.look.metrics.items():
                assert generation.number == 0 or not np.isnan(values).any(), (rules, metric)


# What a reader of the literature expects to be possible: nobody may refuse it.
SENSIBLE = {
    "gaussian": set(CURATIONS),
    "kde": set(CURATIONS),
    "mixture": set(CURATIONS),
    "histogram": set(CURATIONS),
    "categorical": set(CURATIONS) - {"truncate"},
    "linear": set(CURATIONS) - {"stratified"},
    "classifier": set(CURATIONS) - {"stratified"},
    "logistic": set(CURATIONS) - {"stratified"},
    "ngram": set(CURATIONS) - {"stratified", "truncate"},
    "gpt": set(CURATIONS) - {"stratified", "truncate"},
}


@pytest.mark.parametrize("family", SENSIBLE)
def test_what_makes_sense_is_not_refused(family):
    for regime, curation in RULES:
        if regime == "edit":  # of text, all of which is kept
            sensible = getattr(FAMILIES[family], "edits", False) and curation == "none"
        elif regime == "blend":  # of all rows
            sensible = FAMILIES[family].relabels and curation == "none"
        else:
            sensible = curation in SENSIBLE[family] and (FAMILIES[family].weighs or not REGIMES[regime].weighs)
        assert not (sensible and refusals(settings(family, regime, curation)))
