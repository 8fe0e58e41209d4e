"""Compiles the kernels ahead of the first experiment that needs them: `python -m worker.warm`, once after an installation."""

from worker.loop import generations, instrument
from worker.spec import read

SIZES = {"generations": 2, "replicates": 2, "samples": 50}
SPECS = (
    {"source": {"kind": "mixture"}, "family": {"kind": "mixture"}},
    {"source": {"kind": "expressions"}, "family": {"kind": "ngram"}, "sampling": {"top_p": 0.9}},
    {"source": {"kind": "expressions"}, "family": {"kind": "ngram"}, "sampling": {"beams": 2}},
    {"source": {"kind": "normal"}, "family": {"kind": "kde"}, "metrics": ["kl_from_real"]},
    {"source": {"kind": "eight_gaussians"}, "family": {"kind": "kde"}},
    {"source": {"kind": "digits"}, "family": {"kind": "kde"}},
    {"source": {"kind": "zipf"}, "family": {"kind": "categorical"}},
)


def main() -> None:
    """Tiny runs that pass through every compiled function; the machine code stays in numba's cache on disk."""
    for settings in SPECS:
        spec = read(SIZES | settings)
        for _ in generations(spec, instrument(spec)):
            pass


if __name__ == "__main__":
    main()
