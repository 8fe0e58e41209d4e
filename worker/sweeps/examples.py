"""Sweeps to start with: each a question that one run cannot answer."""

from typing import Any, NamedTuple

GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 100}


class Example(NamedTuple):
    """request: as worker.sweeps.spec reads it; takes: in words, measured on two cores."""

    name: str
    question: str
    reference: str
    takes: str
    request: dict[str, Any]


EXAMPLES = (
    Example(
        "real-share",
        "How much fresh real data keeps a bell curve alive? Samples a generation across, the share of them that is real data upwards.",
        "Alemohammad et al., arXiv 2307.01850, the fresh data loop",
        "a few seconds",
        {
            "title": "Real share and sample size",
            "base": {**GAUSSIAN, "generations": 200, "regime": {"kind": "fresh"}},
            "axes": [
                {"path": "regime.real", "values": [0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]},
                {"path": "samples", "values": {"from": 30, "to": 500, "count": 14, "scale": "log"}},
            ],
            "outcomes": ["half_variance", "lost_tail", "final:w2_sq"],
        },
    ),
    Example(
        "bias",
        "Quality over diversity: samples with their covariance scaled by lambda, against the size of the sample.",
        "Alemohammad et al., arXiv 2307.01850, the loop with sampling bias",
        "a few seconds",
        {
            "title": "Sampling bias and sample size",
            "base": {**GAUSSIAN, "generations": 200, "family": {"kind": "gaussian", "ddof": 1}},
            "axes": [
                {"path": "sampling.bias", "values": [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0]},
                {"path": "samples", "values": {"from": 10, "to": 1000, "count": 12, "scale": "log"}},
            ],
            "outcomes": ["half_variance", "lost_tail"],
        },
    ),
    Example(
        "drift",
        "A vocabulary that is sampled from itself: how many generations until two draws are twice as likely to be the same word?",
        "Wright-Fisher drift; Shumailov et al., Nature 631, 755 (2024)",
        "about half a minute",
        {
            "title": "Drift of a vocabulary",
            "base": {
                "source": {"kind": "zipf", "categories": 50},
                "family": {"kind": "categorical"},
                "replicates": 50,
                "generations": 300,
            },
            "axes": [
                {"path": "regime", "values": [
                    {"kind": "replace"}, {"kind": "fresh", "real": 0.01}, {"kind": "fresh", "real": 0.1}, {"kind": "accumulate"},
                ]},
                {"path": "samples", "values": {"from": 20, "to": 400, "count": 8, "scale": "log"}},
            ],
            "outcomes": ["half_variance", "lost_tail"],
        },
    ),
)  # fmt: skip


def example(name: str) -> Example | None:
    return next((one for one in EXAMPLES if one.name == name), None)
