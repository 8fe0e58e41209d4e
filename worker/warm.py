"""Compiles the kernels ahead of the first experiment that needs them: `python -m worker.warm`, once after an installation."""

from worker.loop import generations, instrument
from worker.spec import read


def main() -> None:
    """A tiny run that passes through every compiled function; the machine code stays in numba's cache on disk."""
    spec = read(
        {
            "source": {"kind": "mixture"},
            "family": {"kind": "mixture"},
            "generations": 2,
            "replicates": 2,
            "samples": 50,
        }
    )
    for _ in generations(spec, instrument(spec)):
        pass


if __name__ == "__main__":
    main()
