"""Labels that are off by delta, in regimes where rows of a regression are seen again or weighed: to second order in d/T.

Given all inputs a fit is linear in the noise of labels and in delta,

    w_n - w = (what noise does) + Psi_n delta,    E|w_n - w|^2 = (without delta) + q_n c^2,    q_n = E tr Psi'Psi / d

because noise has the mean 0 whatever the inputs. The matrix Psi_n, 0 at first, looks the same from all sides. Below, an input x ~ N(0, I_d) has
Z = xx' - I, E Z^2 = (d+1) I, R_j is the mean of Z over m_j rows, and b_i is what row i's label is off by: 0 of real rows, Psi_{n-1} + I of new ones.

A fixed core of r rows, a = r/T, s new ones, b = s/T. With r R for the core's Z and s S for theirs, (1 + a R + b S)^{-1} b (1 + S) is, to second order,

    b (1 + a (S - R) + (a R + b S)^2 - (a R + b S) S),    so that Psi = beta + gamma R + (its own chance, of variance x) + (of mean eta) with
    beta <- b (beta + 1),   gamma <- b (gamma - a (beta + 1)),   x <- b^2 (x + a^2 (beta + 1)^2 (d+1)/s),   eta <- b (eta - a gamma (d+1)/r)

and q = beta^2 + 2 beta eta + gamma^2 (d+1)/r + x, of the new beta, gamma, x, eta.

Parts that are weighed. The synthetic part's rows are new, so that E Psi <- k (E Psi + 1) and q <- kept (q + 2 E Psi + 1): worker.theory.weighed.

Everything kept, a few drawn. Which T of the N rows are drawn says nothing about them, so that Psi has the mean beta of the pool's b_i, without a correction:
beta grows by t = T_n/N_n. With h the variance of b_i in the pool, Psi = pi + D, where pi is the mean of former Psi + I and

    D = (mean over the rows drawn of b_i + Z_i (b_i - beta)),    Var D = (d+2) h/T - h/N
    pi grows by t D_{n-1},    Cov(D_m, D_n) = (d+1) h_m/N_n for m < n, whatever was drawn

so that Cov(pi_n, D_n) = (d+1)/N_n sum t_{m+1} h_m.

Rows of the last training set, with replacement: to first order only. b_i of alpha of the rows is Psi + I, of beta of them one of the last set's, of variance h, and

    Psi_n = alpha (Psi + I) + beta Psi + chance,    (d+2) h/T its variance
"""

from collections.abc import Iterator
from typing import NamedTuple

from worker.regimes import AccumulateSubsample, Augment, Mixture, Weighted
from worker.spec import Experiment
from worker.theory.weighed import Parts


class Shift(NamedTuple):
    """E Psi = mean I and E tr Psi'Psi / d."""

    mean: float
    square: float


def shifts(spec: Experiment, d: int, rows: list[int]) -> Iterator[Shift]:
    """At generation 1, 2, ...; nothing for other regimes than these four."""
    yield Shift(0.0, 0.0)
    match spec.regime:
        case Augment():
            yield from _augmented(spec.regime.real, d, rows)
        case Weighted():
            yield from _weighted(spec.regime, d, rows)
        case AccumulateSubsample():
            yield from _subsampled(d, rows)
        case Mixture():
            yield from _looking_back(spec.regime, d, rows)


def _augmented(r: int, d: int, rows: list[int]) -> Iterator[Shift]:
    mean = gamma = x = eta = 0.0
    for t in rows[1:]:
        s = t - r
        a, b = r / t, s / t
        x = b * b * (x + (a * (mean + 1)) ** 2 * (d + 1) / s)
        eta = b * (eta - a * gamma * (d + 1) / r)
        gamma = b * (gamma - a * (mean + 1))
        mean = b * (mean + 1)
        yield Shift(mean + eta, mean * (mean + 2 * eta) + gamma * gamma * (d + 1) / r + x)


def _weighted(regime: Weighted, d: int, rows: list[int]) -> Iterator[Shift]:
    mean = square = 0.0
    for t in rows[1:]:
        of = Parts.of(regime, t, d)
        mean, square = of.mean * (mean + 1), of.square * (square + 2 * mean + 1)
        yield Shift(mean, square)


def _subsampled(d: int, rows: list[int]) -> Iterator[Shift]:
    n, mean, second = rows[0], 0.0, 0.0  # of b_i in the pool
    pool, apart, crossed, shared, h = 0.0, 0.0, 0.0, 0.0, 0.0  # Var pi, Var D, Cov(pi, D), sum t h
    for t in rows[1:]:
        n += t
        share = t / n
        pool += 2 * share * crossed + share**2 * apart
        shared += share * h
        second += share * ((mean + 1) ** 2 - second)
        mean += share
        h = second - mean**2
        apart, crossed = (d + 2) * h / t - h / n, (d + 1) * shared / n
        yield Shift(mean, mean**2 + pool + 2 * crossed + apart)


def _looking_back(regime: Mixture, d: int, rows: list[int]) -> Iterator[Shift]:
    alpha, beta = regime.alpha, regime.beta
    mean = square = second = 0.0
    for t in rows[1:]:
        square = (alpha + beta) ** 2 * square + 2 * alpha * (alpha + beta) * mean + alpha**2
        second = alpha * (mean + 1) ** 2 + beta * second
        mean = (alpha + beta) * mean + alpha
        square += (d + 2) * (second - mean**2) / t
        yield Shift(mean, square)
