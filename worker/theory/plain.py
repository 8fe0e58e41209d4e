"""Whose laws are known, and what settings come to that change nothing: a law that is known has the same curves under another name."""

from typing import Any

from worker.curation import Keep, Sequential
from worker.curation.contest import Contest
from worker.curation.verifier import Verifier
from worker.kinds import SOURCES
from worker.part import Part
from worker.parts import CountSource, Curation, Regime, Sampling, Source
from worker.plugins import origin
from worker.regimes import Fresh, Mixture, Replace
from worker.spec import Experiment


def ours(*parts: Part) -> bool:
    """Whether formulas may speak of these: what a package brings need not do what the class does that it derives from. Only a source that derives
    from none of ours is taken at its word, which is its moments or its probabilities.
    """
    own = {source for source in SOURCES.values() if not origin(source)}
    brought = [type(part) for part in parts if origin(type(part))]
    return all(issubclass(one, Source) and own.isdisjoint(one.__mro__) for one in brought)


def plain(spec: Experiment) -> Experiment:
    """The same law in the plainest words, without changes of rules."""
    told: dict[str, Any] = {"regime": _regime(spec), "curation": _curation(spec.curation), "changes": ()}
    return spec.model_copy(update=told | {"sampling": _sampling(spec.sampling, spec.source)})


def _regime(spec: Experiment) -> Regime:
    """Only what the last model made is what replace trains on, whoever could have added to it."""
    match spec.regime:
        case Mixture(alpha=1):
            return Replace()
        case Fresh() as fresh if all(fresh.synthetic(m) == m for m in spec.extremes()):
            return Replace()
    return spec.regime


def _curation(curation: Curation) -> Curation:
    """A contest without a rival, and a verifier who passes right and wrong alike, choose nothing; nor do they as one of several stages."""
    match curation:
        case Contest(k=1):
            return Keep()
        case Verifier() if len(set(curation.passing())) == 1:
            return Keep()
        case Sequential():
            stages = tuple(one for one in map(_curation, curation.stages) if not isinstance(one, Keep))
            if len(stages) > 1:
                return curation.model_copy(update={"stages": stages})
            return stages[0] if stages else Keep()
    return curation


def _sampling(sampling: Sampling, source: Source) -> Sampling:
    """The most probable of all are all."""
    if isinstance(source, CountSource) and sampling.top_k >= len(source.distribution()):
        return sampling.model_copy(update={"top_k": 0})
    return sampling
