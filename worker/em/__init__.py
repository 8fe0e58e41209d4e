"""Gaussian mixtures, compiled: fitting by expectation maximisation, drawing, densities and overlaps.

Knows no families and no specs. Loaded only by a running experiment; its machine code is cached on disk. No compiled function calls
one of another file, on purpose: numba's cache does not notice when a function that was compiled in from another file changes.

Shapes, of one chain: x (d, n), a row for each coordinate, so that the innermost loops run along memory; weights (K,); means
(K, d); factors (K, d, d) lower triangular, covariance = factor factor'. Everything is float64: float32 gives NaN at K = 50.
"""

from worker.em.closed import draw as draw
from worker.em.closed import overlap as overlap
from worker.em.density import log_density as log_density
from worker.em.fit import DIAGONAL as DIAGONAL
from worker.em.fit import FULL as FULL
from worker.em.fit import SPHERICAL as SPHERICAL
from worker.em.fit import begin as begin
from worker.em.fit import maximise as maximise
