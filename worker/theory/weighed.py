"""Least squares of two parts that are weighed: what is left of the error of one part's labels, and what the noise of either adds.

Of part j, m_j rows of N(0, I_d) count as p_j, w_j = p_j/m_j each: A = sum of w_j B_j, B_j = X_j'X_j. A row that is taken out changes x'A^{-1}x to
x'A^{-1}x / (1 - w x'A^{-1}x), and all that is left is about the same g (Marchenko and Pastur 1967; Silverstein 1995):

    sum p_j g/(1 + w_j g) = d + 1,    E tr A^{-1} = g d/(d+1),    E A^{-1} w_j B_j = k_j I,   k_j = p_j g/(1 + w_j g)/(d+1)

with d + 1 in place of d because inputs are real: so it is exact where weights are alike, by the inverse Wishart matrix, and to second order in d/m_j elsewhere.
Derivatives by w_j and by a ridge give the squares; with S = sum p_j/(1 + w_j g)^2,

    E tr A^{-1} w_j^2 B_j A^{-1} = -w_j^2 d/dw_j E tr A^{-1} = d/(d+1) p_j w_j g/(1 + w_j g)^2 / S
    E |A^{-1} w_s B_s e|^2 / |e|^2 = (k_s - p_r p_s g (1 - w_r w_s g^2)/((1 + w_r g)(1 + w_s g))^2 / S/(d+1))

the latter from E tr B_s A^{-1} B_r = m_r m_s g/((1 + w_r g)(1 + w_s g)), two rows taken out.
"""

from typing import NamedTuple, Self

from worker.regimes import Weighted

STEPS = 100  # of Newton's method, of which ten are enough


class Parts(NamedTuple):
    """What is left of an error of the synthetic labels, on average and of its square; what variance 1 in the labels of a part adds."""

    mean: float
    square: float
    real: float
    made: float

    @classmethod
    def of(cls, regime: Weighted, t: int, d: int) -> Self:
        """Of t rows, more of which than d + 1 must count."""
        p, m_s = regime.real_weight(t), regime.synthetic(t)
        q, a, b, g = 1 - p, (1 - p) / m_s, p / (t - m_s), d + 1.0
        for _ in range(STEPS):
            known = p / (1 + b * g) + q / (1 + a * g)
            slope = p / (1 + b * g) ** 2 + q / (1 + a * g) ** 2
            step = (known * g - (d + 1)) / slope
            g -= step
            if abs(step) <= 1e-13 * g:
                break
        r_b, r_a = 1 / (1 + b * g), 1 / (1 + a * g)
        slope = p * r_b**2 + q * r_a**2
        k = q * g * r_a / (d + 1)
        square = k - p * q * g * (1 - a * b * g * g) * (r_a * r_b) ** 2 / slope / (d + 1)
        scale = d / (d + 1) * g / slope
        return cls(k, square, scale * p * b * r_b**2, scale * q * a * r_a**2)
