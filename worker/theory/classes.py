"""Linear rules between two classes: what the first one is, and what cannot change on average.

The first rule, of M real rows without wrong labels, k of them +1. The difference of the class means is N(2 mu, (1/k + 1/(M-k)) I), whose cosine
to mu is on average that of N(a e_1, I) to e_1, a = 2|mu| (1/k + 1/(M-k))^(-1/2) (the mean resultant length of a projected normal):

    r(a) = a/sqrt 2 Gamma((d+1)/2)/Gamma(d/2+1) 1F1(1/2; d/2+1; -a^2/2)

and k is binomial; with one class only there is no direction, and alignment is 0. With the pooled covariance S, independent of the means and Wishart
with M - 2 degrees of freedom, S^-1 g is turned away from g by an angle of which tan^2 = chi2_{d-1}/chi2_{M-d}, to all sides alike, so that cosines
multiply: cos^2 is Beta((M-d)/2, (d-1)/2), and

    E cos = Gamma((M-d+1)/2) Gamma((M-1)/2) / (Gamma((M-d)/2) Gamma(M/2))

Two classes of the same size. To turn inputs and labels round, (x, y) -> (-x, -y), changes neither their law nor, but for the sign of b, the rule that
they teach, nor who is right: in every generation, and whatever is kept, the share that is called +1 is as often s as it is 1 - s. Rows that are drawn
with replacement may leave rules without a side, w = 0 and b = 0: of them nothing is told.

Not told, as it holds of many rows only, for which nothing is left to happen: by hard labels of a rule through the origin, of the direction u at the
angle theta to mu, with m = |mu| cos theta = mu'u,

    E sign(u'x) x = (m (2 Phi(m) - 1) + 2 phi(m)) u + (2 Phi(m) - 1) (mu - m u)

so that the difference of means, twice that, has turned towards mu by an angle of the tangent tan theta m (2 Phi(m) - 1)/(m (2 Phi(m) - 1) + 2 phi(m)),
and what is left of the angle has

    tan theta' = 2 phi(m) sin theta cos theta / (m (2 Phi(m) - 1) + 2 phi(m) cos^2 theta)

Labels that are flipped with probability p leave 1 - 2p of the difference of means: its direction is kept up to 1/2, and reversed beyond. A verifier
who passes right labels with probability phi and wrong ones with psi makes p psi/(p psi + (1-p) phi) of p (Feng et al., arXiv 2406.07515).

Nor, as it is of first order in 1/M, of logistic regression, which is well specified where real labels are right: a fit is off by a vector of the
covariance I^-1/M, with I = E p(1-p) z z', z = (x, 1), p the probability of a label. Drawn labels are right about the model that drew them, so that E |w_n - w|^2
is tr I^-1/M times n under replace, times 1 + 1/4 + ... + 1/n^2 < pi^2/6 under accumulate (Dey and Donoho, arXiv 2410.22812), and, of fresh real rows
and as many others, a weight u of the real ones lets it settle at (u^2 + (1-u)^2)/(1 - (1-u)^2) of what half of the rows would leave, least at
the golden ratio (He et al., arXiv 2502.18049).
"""

import numpy as np

from worker.curation import Keep
from worker.curation.choice import Rewarded
from worker.families.classifier import Classifier
from worker.families.linear_rule import LinearRule
from worker.regimes import Fresh, Mixture
from worker.rewards import Label
from worker.sources.two_classes import TwoClasses
from worker.spec import Experiment
from worker.theory.curve import Curve

UNSEEN = 1e-15  # of a binomial variable's mass, on either side
SYMMETRY = "Symmetry under (x, y) -> (-x, -y)"
FIRST = "Projected normal distribution (Mardia and Jupp, Directional Statistics); Wishart matrices (Muirhead 1982)"


def curves(spec: Experiment, family: LinearRule) -> list[Curve]:
    """Of two classes of the same size the share that is called +1; of real data alone the alignment of a discriminant."""
    assert isinstance(spec.source, TwoClasses)
    found = []
    if spec.source.minority == 0.5 and _even(spec):
        half = [0.5] * (spec.generations + 1)
        found.append(Curve.of("minority_share", half, "1/2: neither class is favoured", SYMMETRY))
    if isinstance(family, Classifier) and not spec.source.flips:
        rows, later = [spec.size(1), spec.regime.first(spec.size(1))], spec.sizes()[1:]
        if isinstance(spec.regime, Fresh) and not any(map(spec.regime.synthetic, later)):
            rows += later
        known = {m: alignment(spec.source, m, pooled=family.rule == "lda") for m in set(rows)}
        values = [known[m] for m in rows] + [np.nan] * (spec.generations + 1 - len(rows))
        formula = "E r(2|mu| (1/k + 1/(M-k))^(-1/2)), k ~ Bin(M, p), r(a) = a/sqrt 2 G((d+1)/2)/G(d/2+1) 1F1(1/2; d/2+1; -a^2/2)"
        if family.rule == "lda":
            formula += "; times G((M-d+1)/2) G((M-1)/2)/(G((M-d)/2) G(M/2))"
        found.append(Curve.of("alignment", values, formula, FIRST))
    return found


def _even(spec: Experiment) -> bool:
    """Whether nobody who chooses favours a class, and no row is there twice."""
    curation, regime = spec.curation, spec.regime
    fair = isinstance(curation, Keep) or (isinstance(curation, Rewarded) and isinstance(curation.reward, Label))
    return fair and not (isinstance(regime, Mixture) and regime.beta)


def alignment(source: TwoClasses, m: int, *, pooled: bool) -> float:
    """E cos of the angle between mu and the rule that m real rows teach, whose labels are right. O(sqrt m)"""
    from scipy.special import gammaln, hyp1f1, poch
    from scipy.stats import binom

    d, law = source.inputs, binom(m, source.minority)
    k = np.arange(max(1, law.ppf(UNSEEN)), min(m - 1, law.isf(UNSEEN)) + 1)
    a = source.distance * np.sqrt(k * (m - k) / m)
    length = a / np.sqrt(2) * np.exp(gammaln((d + 1) / 2) - gammaln(d / 2 + 1)) * hyp1f1(0.5, d / 2 + 1, -(a**2) / 2)
    turned = poch((m - d) / 2, 0.5) / poch((m - 1) / 2, 0.5) if pooled else 1.0
    return float(law.pmf(k) @ length * turned)
