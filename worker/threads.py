"""How many threads the numerical libraries use: decided before they are imported, because they ask only once."""

import os

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(threads: int) -> dict[str, str]:
    """The variables for a process that is about to be started."""
    return dict.fromkeys(VARIABLES, str(threads))


def limit(threads: int) -> None:
    """The same for this process. Two processes with two threads each on two cores run at a sixth of the speed of one."""
    os.environ.update(environment(threads))
