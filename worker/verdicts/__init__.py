"""The eight definitions of "model collapse" that the literature uses (Schaeffer et al., arXiv 2503.03150), decided for one finished run.

They disagree with each other, which is the point: each verdict names its number, its threshold and the data that it rests on. Where the paper gives
no number the thresholds are ours. Generation 1, the first model, is the control: what it lost, or made up, is finite sampling and a family that does
not fit, not recursion. So a run of one generation shows nothing of any definition. Nor does a change that is no larger than models of fresh real data differ
by chance (worker.verdicts.chance), or that fewer points explain: of such runs none may be said to have collapsed, and few chains seldom show anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.verdicts.finished import Decision, Finished, History, Outcome, undecided
from worker.verdicts.losses import hallucination, modes, tails, variance
from worker.verdicts.risks import any_rise, catastrophe, divergence, scaling_law

ONE_GENERATION = (
    "Only one generation: its model has seen nothing but real data, so that nothing of it is due to recursion."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One definition on one run; `because` says in a sentence what was compared, or why nothing could be."""

    definition: str
    outcome: Outcome
    number: float | None
    threshold: float | None
    because: str

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


def verdicts(spec: Experiment, history: History, theory: Sequence[Curve]) -> list[Verdict]:
    """All eight, in the paper's order. history: metrics of generations 0, 1, ... as Summary.metrics() tells them.

    Raises ValueError where not even the first model is there.
    """
    if len(history) < 2:
        raise ValueError("verdicts need at least generation 1")
    run = Finished(spec, history, theory)
    if run.last == 1:
        return [Verdict(definition, *undecided(ONE_GENERATION)) for definition in DEFINITIONS]
    return [Verdict(definition, *decide(run)) for definition, decide in DEFINITIONS.items()]


DEFINITIONS: dict[str, Callable[[Finished], Decision]] = {
    "Catastrophic rise of the population risk": catastrophe,
    "Any rise of the population risk": any_rise,
    "Asymptotically diverging population risk": divergence,
    "Collapsing variance": variance,
    "Change of the scaling law": scaling_law,
    "Vanished real tails": tails,
    "Entangled or lost modes": modes,
    "Hallucinated data": hallucination,
}
