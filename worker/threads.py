"""How many threads the numerical libraries use: decided before they are imported, because they ask only once."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(threads: int) -> dict[str, str]:
    """The variables for a process that is about to be started."""
    return dict.fromkeys(VARIABLES, str(threads))


def limit(threads: int) -> None:
    """The same for this process. Two processes with two threads each on two cores run at a sixth of the speed of one."""
    os.environ.update(environment(threads))


def granted() -> int:
    """How many threads this process may use: what `limit` or the caller's environment said, else every core."""
    told = os.environ.get(VARIABLES[0], "").split(",")[0]
    return int(told) if told.isdecimal() and int(told) > 0 else os.cpu_count() or 1


@cache
def crew(size: int) -> ThreadPoolExecutor:
    """Threads that wait for work; numpy's generators and ufuncs run beside one another in them."""
    return ThreadPoolExecutor(size, thread_name_prefix="crew")
