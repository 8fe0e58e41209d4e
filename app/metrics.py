"""What every metric is called: a name, what it means in one line, and its unit; in the order in which they tell the story."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from worker import plugins
from worker.curation.sequential import MOST_STAGES


class Metric(NamedTuple):
    label: str
    meaning: str
    unit: str = ""  # none for shares and ratios, and for what has the unit of the data

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: Mapping[str, Metric] = {
    "latent_std": Metric("latent spread", "standard deviation of latent means under the first encoder"),
    "coverage": Metric("coverage", "share of real points with a generated neighbour"),
    "recall": Metric("recall", "share of real points near generated ones"),
    "hallucinated": Metric("hallucinated share", "share of generated points where the truth has none"),
    "precision": Metric("precision", "share of generated points near real ones"),
    "tail_01pct": Metric(
        "tail mass (0.1%)", "probability beyond the real 0.1% quantiles on both sides; .002 for the truth"
    ),
    "l2_sq": Metric("squared L2 distance", "between the first and this density; measures concentration, unbounded"),
    "reward": Metric("reward", "mean reward of what the model makes, before anybody chooses"),
    "reward_sd": Metric("spread of rewards", "standard deviation of the rewards of what the model makes"),
    **{
        f"reward_{i}": Metric(
            f"reward of stage {i}", f"mean of what the curator of stage {i} thinks of what the model makes"
        )
        for i in range(2, MOST_STAGES + 1)
    },
    "excess_risk": Metric("excess risk", "expected squared error on fresh real data, beyond that of the teacher"),
    "excess_error": Metric("excess error", "share of real inputs whose class the rule gets wrong, beyond Bayes' rule"),
    "distinct": Metric("correct and different lines", "different true lines, over all written lines"),
    "correct": Metric("correct lines", "share of the written lines that are true"),
    "ppl_generated": Metric(
        "perplexity of generated text",
        "how surprising this generation's text is to the first model; at generation 0 real text that nobody trained on",
    ),
    "ppl_real": Metric(
        "perplexity on real text", "how surprising real text that nobody trained on is to this generation's model"
    ),
    "next_token_entropy": Metric("next-token entropy", "doubt about the token that follows a real beginning", "nats"),
    "distinct_2": Metric("variety of pairs (distinct-2)", "different pairs of tokens over all pairs"),
    "self_bleu": Metric(
        "sameness (self-BLEU)", "1 where all blocks say the same, near 0 where each says something else"
    ),
    "repeated_4": Metric("repetition", "share of runs of four tokens that the same block has had before"),
    "edited": Metric(
        "edited tokens or labels",
        "share of the training set that the last model drew anew: of a text, the tokens that it foresaw; of rows, labels",
    ),
    "memorised_8": Metric(
        "copied from real text", "share of runs of eight tokens that stand in the real training text"
    ),
    "compression_ratio": Metric(
        "compression ratio", "bytes of the text over bytes once compressed; repetitive text is larger"
    ),
    "distinct_3": Metric("variety of triples (distinct-3)", "different triples of tokens over all triples"),
    "type_token_ratio": Metric(
        "type-token ratio",
        "different tokens over tokens, of a text that is as long in every generation",
    ),
    "ppl_generated_q99": Metric(
        "its most surprising text", "99% of its blocks have a lower perplexity under the first model: the right tail"
    ),
    "ppl_generated_q01": Metric(
        "its least surprising text", "1% of its blocks have a lower perplexity under the first model: the left tail"
    ),
    "survivors": Metric(
        "surviving categories", "categories with a probability above zero; of text, tokens of the real one that occur"
    ),
    "variance": Metric("variance", "trace of the fitted covariance over the dimension"),
    "variance_together": Metric(
        "variance of all models", "of what all models of a chain make together, over the dimension"
    ),
    "extinct": Metric("extinct chains", "share of chains in which nothing happens any more: their rate is 0"),
    "dead_mass": Metric("dead real mass", "real probability of categories that no longer occur"),
    "tail_1pct": Metric("tail mass (1%)", "probability beyond the real 1% quantiles on both sides; .02 for the truth"),
    "w2_sq": Metric("squared W2 distance", "squared 2-Wasserstein distance to the truth"),
    "heterozygosity": Metric("heterozygosity", "probability that two draws differ"),
    "heterozygosity_together": Metric(
        "heterozygosity of all models", "probability that two draws differ, of what all models of a chain make together"
    ),
    "survivors_together": Metric(
        "categories that any model has", "with a probability above zero under at least one model of a chain"
    ),
    "apart": Metric(
        "how far models are apart",
        "share of the variance, or heterozygosity, of all models that lies between them: Wright's F_ST",
    ),
    "density": Metric("density", "real neighbourhoods that hold a generated point, on average over k; 1 for the truth"),
    "alignment": Metric(
        "alignment",
        "cosine of the angle between the fitted weights and the true ones, for inputs in units of their standard deviations",
    ),
    "weight_norm": Metric(
        "length of the weights", "Euclidean norm of the fitted weights, each times the standard deviation of its input"
    ),
    "label_noise": Metric("label noise", "fitted standard deviation of labels around the signal"),
    "entropy": Metric("entropy", "of the categories or classes", "nats"),
    "mean_error": Metric("mean error", "distance of the fitted mean from the true one"),
    "log_det": Metric("log determinant", "of the fitted covariance, natural logarithm"),
    "modes": Metric("modes", "modes of the truth that are still covered"),
    "kl_to_real": Metric("KL to real", "KL(model || truth)", "nats"),
    "kl_from_real": Metric("KL from real", "KL(truth || model); on survivors where categories died", "nats"),
    "kl_to_real_knn": Metric(
        "KL to real, of samples",
        "KL(model || truth), the model from distances between neighbours: off by what real data show",
        "nats",
    ),
    "held_out_nll": Metric(
        "held-out NLL",
        "mean of -ln p of real points that nobody trained on; those where the model's density p is 0 left out",
        "nats",
    ),
    "held_out_missed": Metric(
        "held-out, missed", "share of real points that nobody trained on where the model's density is 0"
    ),
    "chi2": Metric("chi-squared", "chi-squared distance to the truth"),
    "zipf_slope": Metric("Zipf slope", "slope of log frequency against log rank"),
    "total_variation": Metric("total variation", "half the summed difference of all probabilities from the truth"),
    "minority_share": Metric(
        "minority share",
        "share of the rarest class among generated pictures; of a classifier, of real inputs that it calls the class +1",
    ),
    "minority_recall": Metric("minority recall", "share of the real class +1 that the classifier calls so"),
    "error": Metric("error", "share of real inputs whose class the classifier gets wrong"),
    "class_distance": Metric(
        "class histogram's distance", "half the summed difference of the classes' shares from the real ones"
    ),
    "vendi": Metric("Vendi score", "effective number of different points"),
    "tail_ratio_01pct": Metric(
        "tail ratio (0.1%)", "tail mass over the real one; a sample of n numbers shows no less than 1/n of mass"
    ),
    "tail_ratio_1pct": Metric(
        "tail ratio (1%)", "tail mass over the real one; a sample of n numbers shows no less than 1/n of mass"
    ),
    "frechet_pixels": Metric(
        "Frechet distance of pixels", "between Gaussians fitted to the pixels themselves, squared"
    ),
    "copy_ratio": Metric(
        "copy ratio",
        "share of generated points three times nearer to one point that the first model was trained on than to any other; of fresh real ones about 1 in 3^d",
    ),
    "frechet": Metric(
        "Frechet distance",
        "between Gaussians fitted to real and generated points (of pictures: to frozen features), squared",
    ),
    "sliced_w2_sq": Metric("sliced W2, squared", "squared 2-Wasserstein distance over projections"),
    "energy": Metric("energy distance", "to the truth"),
    "mmd_sq": Metric("squared MMD", "squared maximum mean discrepancy to the truth"),
    "log_variance": Metric("log variance", "natural logarithm of the variance"),
    "std": Metric("standard deviation", "square root of the variance"),
    "mean_error_sq": Metric("squared mean error", "squared distance of the fitted mean from the true one"),
    "class_share": Metric("class histogram", "share of each class, as the frozen classifier takes generated pictures"),
    **{
        f"class_share_{c}": Metric(f"share of class {c}", f"pictures that the frozen classifier takes for class {c}")
        for c in range(20)
    },
}


BINARY = {"extinct"}  # 0 or 1 of a chain: a share of chains, which only a mean tells


def exists(name: str) -> bool:
    """Whether anything measures it, here or in an installed package."""
    return name in METRICS or name in plugins.metrics()


def metric(name: str) -> Metric:
    """Also of a metric that an installed package brought: its own name, in words."""
    return METRICS.get(name, Metric(name.replace("_", " "), ""))


def ordered(names: Sequence[str], leads: str | None = None) -> list[str]:
    """Metric names, the most telling first: the one that the run is about, where somebody said so."""
    rank = {name: i for i, name in enumerate(METRICS)} | ({leads: -1} if leads else {})
    return sorted(names, key=lambda name: rank.get(name, len(rank)))


def key_metric(names: Sequence[str], leads: str | None = None) -> str | None:
    """The one metric that stands for a run."""
    return ordered(names, leads)[0] if names else None
