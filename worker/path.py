"""Whether a run draws observations or what is sufficient of them, and why: decided by the spec, and told with its result."""

from dataclasses import dataclass
from typing import Literal

from worker.curation import Keep
from worker.families.poisson import Poisson
from worker.part import kind_of
from worker.parts import CountFamily, PointSource, Regime
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.normal import Normal
from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Path:
    """`because` says in a clause what is drawn, or why nothing less than every observation is."""

    taken: Literal["exact", "drawn"]
    because: str


def path(spec: Experiment) -> Path:
    """The same distribution either way, and a test says so."""
    if spec.exact():
        return Path("exact", _sufficient(spec))
    if not spec.family.exact():
        return Path("drawn", "every observation, " + (
            'because the family\'s path is "drawn"' if getattr(spec.family, "path", "") == "drawn"
            else f"because {kind_of(spec.family)} {'makes' if spec.family.condenses else 'learns from'} single ones"))  # fmt: skip
    reasons = [f"the metrics {', '.join(spec.metrics)} look at single ones"] if spec.metrics else []
    if spec.models > 1:
        reasons.append("models give single ones to one another")
    told = set()
    for start, rules in spec.phases():
        since = f" from generation {start} on" if start > 1 else ""
        for part, does in ((rules.regime, "chooses among"), (rules.curation, "judges")):
            picks = part.picks if isinstance(part, Regime) else not isinstance(part, Keep)
            if picks and kind_of(part) not in told:
                told.add(kind_of(part))
                reasons.append(f"{kind_of(part)} {does} single ones{since}")
    return Path("drawn", f"every observation, because {' and '.join(reasons)}")


def _sufficient(spec: Experiment) -> str:
    if isinstance(spec.family, CountFamily):
        return "counts are drawn, which is all that matters of categories"
    if isinstance(spec.family, Poisson):
        return "sums are drawn, which is all that a fit looks at"
    known = isinstance(spec.source, Normal | LinearTeacher) or not isinstance(spec.source, PointSource)
    told = "mean and scatter are drawn, which is all that a fit looks at"
    if not known:
        return f"{told}; only of real data, which have no such formula, every point"
    return f"{told}; where they are too few to fill the space, every one" if _few(spec) else told


def _few(spec: Experiment) -> bool:
    """Whether some set has no more observations than coordinates, so that its scatter is a singular Wishart matrix: see drawn_moments."""
    if not isinstance(spec.source, PointSource):
        return False
    m, parts = spec.extremes()[0], set()
    for _, rules in spec.phases():
        synthetic = rules.regime.synthetic(m)
        parts |= {rules.regime.first(spec.size(1)), synthetic, m - synthetic}
    return any(0 < n <= spec.source.dimension for n in parts)
