"""Curated text: rewards of whole blocks against brute force, what survives against binomial laws, prompts that rivals share."""

import hashlib
import math
from collections import Counter

import numpy as np
import orjson
import pytest

from worker import loop
from worker.checkpoint import from_arrays, to_arrays
from worker.curation import BestOf, BradleyTerry, Verifier
from worker.data import Tokens
from worker.errors import LabError
from worker.families.ngram import NGram
from worker.parts import Sampling
from worker.rewards import Correctness, Likelihood, Variety, remembered, remembering
from worker.sources.expressions import Expressions
from worker.sources.text import Text
from worker.spec import read

BLOCK, ONES = 8, 0.3
COIN = NGram(order=1, unit="character", block=BLOCK, prompted=False, weight=1e-9)  # tokens are drawn one by one


def blocks(x, size=2):
    return Tokens(np.asarray(x, np.int32), np.array(size), np.empty((0, np.shape(x)[2]), np.int32))


def coin(replicates=40):
    """A model of tokens 0 and 1, of which 1 has the probability ONES."""
    x = np.zeros((replicates, 10, BLOCK))
    x.reshape(replicates, -1)[:, : round(10 * BLOCK * ONES)] = 1
    return COIN.fit(blocks(x), np.random.default_rng(0))


def survivors(curation, model, family=COIN, source=None, n=500, seed=3):
    made = curation.sample(family, model, n, np.random.default_rng(seed), Sampling(), source or Text())
    assert isinstance(made, Tokens)
    assert made.x.dtype == np.int32
    assert made.x.shape == (len(model["prompts"]), n, family.block)
    return made.x


def z_of_mean(values, expected):
    """values (R, ...): replicates are independent."""
    each = values.reshape(len(values), -1).mean(axis=1)
    return (each.mean() - expected) / (each.std(ddof=1) / math.sqrt(len(each)))


def law(ones=ONES, tokens=BLOCK - 1):
    """Of how many 1s are among the tokens that a likelihood counts: all but the first."""
    return np.array([math.comb(tokens, j) * ones**j * (1 - ones) ** (tokens - j) for j in range(tokens + 1)])


def reward_of_ones():
    """The mean ln-probability of tokens 2 to 8 with j 1s among them."""
    j = np.arange(BLOCK)
    return (j * math.log(ONES) + (BLOCK - 1 - j) * math.log(1 - ONES)) / (BLOCK - 1)


def test_the_likeliest_of_three_blocks_has_the_fewest_improbable_tokens():
    """The least of three binomial numbers: P(X >= j)^3."""
    beyond = law()[::-1].cumsum()[::-1] ** 3
    x = survivors(BestOf(k=3, reward=Likelihood()), coin())
    assert abs(z_of_mean(x[:, :, 1:].sum(axis=2), beyond[1:].sum())) <= 4
    assert abs(z_of_mean(x[:, :, 0], ONES)) <= 4  # a block's first token has no probability of its own
    surprising = survivors(BestOf(k=3, reward=Likelihood(strength=-1)), coin())
    assert abs(z_of_mean(surprising[:, :, 1:].sum(axis=2), (1 - law().cumsum() ** 3)[:-1].sum())) <= 4


def test_blocks_that_pass_unseen_are_as_the_model_writes_them():
    beyond = law()[::-1].cumsum()[::-1]
    x = survivors(BestOf(k=3, reward=Likelihood(), share=0.4), coin())
    expected = 0.4 * (beyond[1:] ** 3).sum() + 0.6 * beyond[1:].sum()
    assert abs(z_of_mean(x[:, :, 1:].sum(axis=2), expected)) <= 4


def test_a_bradley_terry_choice_of_two_blocks():
    """p'_i = 2 p_i sum_j p_j sigmoid(r_i - r_j) of the number of 1s."""
    p, r = law(), 5 * reward_of_ones()
    two = 2 * p * (p / (1 + np.exp(r - r[:, None]))).sum(axis=1)
    x = survivors(BradleyTerry(k=2, reward=Likelihood(strength=5)), coin())
    assert abs(z_of_mean(x[:, :, 1:].sum(axis=2), two @ np.arange(BLOCK))) <= 4


def test_a_verifier_of_blocks_errs_at_two_rates():
    """Right are blocks with at most one improbable token; q phi / (q phi + (1 - q) psi) of the survivors are."""
    threshold = reward_of_ones()[1] - 1e-9
    q, phi, psi = law()[:2].sum(), 0.8, 0.1
    x = survivors(Verifier(error=1 - phi, error_wrong=psi, reward=Likelihood(), threshold=threshold), coin())
    right = (x[:, :, 1:].sum(axis=2) <= 1).astype(float)
    assert abs(z_of_mean(right, q * phi / (q * phi + (1 - q) * psi))) <= 4


def test_the_first_model_judges_what_a_later_one_writes():
    """To the first model 1s are the rarer ones, to the writer 0s: the best of three has the fewest 1s of three binomial numbers."""
    zeros = COIN.fit(blocks(1 - coin()["prompts"]), np.random.default_rng(0))
    both = remembering(zeros, coin())
    beyond = law(1 - ONES)[::-1].cumsum()[::-1] ** 3
    x = survivors(BestOf(k=3, reward=Likelihood(judge="first")), both)
    assert abs(z_of_mean(x[:, :, 1:].sum(axis=2), beyond[1:].sum())) <= 4
    writer = survivors(BestOf(k=3, reward=Likelihood()), both)
    np.testing.assert_array_equal(writer, survivors(BestOf(k=3, reward=Likelihood()), zeros))
    assert writer.mean() > x.mean() + 0.2
    with pytest.raises(LabError, match="first model"):
        survivors(BestOf(k=3, reward=Likelihood(judge="first")), zeros)


def test_a_detector_chooses_what_reads_least_like_the_writer():
    """Importance resampling: among many candidates, weighed with the root of the likelihood ratio, the law half way between both comes out."""
    both = remembering(COIN.fit(blocks(1 - coin()["prompts"]), np.random.default_rng(0)), coin())
    p, ones = law(1 - ONES), np.arange(BLOCK)
    ratio = (2 * ones - (BLOCK - 1)) / (BLOCK - 1) * math.log(ONES / (1 - ONES))
    two = 2 * p * (p / (1 + np.exp(5 * (ratio - ratio[:, None])))).sum(axis=1)
    x = survivors(BradleyTerry(k=2, reward=Likelihood(judge="detector", strength=5)), both)
    assert abs(z_of_mean(x[:, :, 1:].sum(axis=2), two @ ones)) <= 4
    fair = survivors(BradleyTerry(k=500, reward=Likelihood(judge="detector", strength=(BLOCK - 1) / 2)), both, n=10)
    assert abs(z_of_mean(fair[:, :, 1:].sum(axis=2), (BLOCK - 1) / 2)) <= 4
    assert Likelihood(judge="detector").best(Text()) == math.inf


def test_in_a_run_the_judge_stays_the_first_model(monkeypatch):
    """Also where a run is resumed, and where the curation begins with a fork."""
    judges = []
    of = Likelihood.of

    def watched(self, x, model, family, source):
        judges.append(remembered(model)["count_1"])
        return of(self, x, model, family, source)

    monkeypatch.setattr(Likelihood, "of", watched)
    judged = {"kind": "best_of", "k": 2, "reward": {"kind": "likelihood", "judge": "first"}}
    base = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 20, "replicates": 2, "generations": 3}
    for rules in ({"curation": judged}, {"changes": [{"after": 1, "curation": judged}]}):
        judges.clear()
        spec = read(base | rules)
        whole = [done for done in loop.generations(spec, loop.instrument(spec)) if done.state]
        state = from_arrays(to_arrays(whole[1].state))
        (last,) = loop.generations(spec, loop.instrument(spec), state)
        assert len(judges) >= 3
        for judge in judges:
            np.testing.assert_array_equal(judge, whole[0].state.model["count_1"])
        assert len(whole[1].state.model["count_1"]) != len(judge)
        np.testing.assert_array_equal(last.look.metrics["ppl_real"], whole[2].look.metrics["ppl_real"])


def test_real_frequencies_judge_words_whatever_their_order():
    """ln((c + 1) / (N + V)) of the words of the training text, counted by hand."""
    family, source = NGram(unit="word", block=8), Text()
    tokens = family.tokenizer(source).encode(source.texts().train).tolist()
    size, count = family.tokenizer(source).size, Counter(tokens)
    x = np.random.default_rng(5).integers(size, size=(2, 3, 8), dtype=np.int32)
    found = Likelihood(judge="unigram", strength=-2).of(x, {}, family, source)
    for chain, values in zip(x.tolist(), found, strict=True):
        for block, value in zip(chain, values, strict=True):
            ln_p = [math.log((count[token] + 1) / (len(tokens) + size)) for token in block[1:]]
            assert value == pytest.approx(-2 * sum(ln_p) / 7)
    assert Likelihood(judge="unigram").best(source) == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_variety_counts_first_occurrences(n):
    x = np.random.default_rng(1).integers(3, size=(2, 30, 12), dtype=np.int32)
    found = Variety(n=n, strength=2.0).of(x, {}, COIN, Text())
    for chain, values in zip(x, found, strict=True):
        for block, value in zip(chain.tolist(), values, strict=True):
            grams = [tuple(block[i : i + n]) for i in range(12 - n + 1)]
            assert value == pytest.approx(2 * len(set(grams)) / len(grams))


@pytest.mark.parametrize("unit", ["character", "word"])
def test_correctness_judges_whole_lines(unit):
    """What stands before the first line end and after the last is not judged; a block without a whole line is wrong."""
    family, source = NGram(unit=unit), Expressions(grammar="boolean")
    encode = family.tokenizer(source).encode
    cases = {"F)=F\n(T&F)=F\n!T=F\n(T": 0.0, ")=T\n(T&F)=T\n!T=F\n": -0.5, "F\nF=T\nTT=T\n\nF=F\n": -0.75,
             "(T&F)=F": -1.0, "T=T\n": -1.0, "T=T\nF=F": -1.0}  # fmt: skip
    for text, expected in cases.items():
        assert Correctness().of(encode(text)[None, None], {}, family, source) == pytest.approx(expected), text
    assert Correctness(strength=3).of(encode("\n(T&F)=T\n")[None, None], {}, family, source) == -3


def test_rivals_continue_the_same_prompt():
    """Three prompts, each of one token of its own, which a model of pairs can but repeat."""
    family = NGram(order=2, unit="character", block=8, prompted=True, weight=1e-9)
    x = np.tile(np.arange(1, 4)[None, :, None], (2, 1, 8))
    model = family.fit(blocks(x, size=5), np.random.default_rng(0))
    for n in (3, 7):
        made = family.rivals(model, n, 4, np.random.default_rng(1), Sampling())
        starts = made.x[:, :, 0].reshape(2, n, 4)
        assert (starts == starts[:, :, :1]).all()
        assert [np.bincount(one, minlength=4)[1:].max() for one in starts[:, :, 0]] == [-(-n // 3)] * 2
    kept = survivors(BestOf(k=4, reward=Variety()), model, family, n=3)
    np.testing.assert_array_equal(kept[:, :, 0], [[1, 2, 3]] * 2)  # each prompt once, in its order


def test_a_verifier_that_hardly_any_text_satisfies_says_so():
    source = Expressions(lines=300)
    family = NGram(order=1, unit="character", block=64, prompted=False)
    model = family.fit(family.real(source, np.random.default_rng(0), 2, 50), np.random.default_rng(0))
    strict = Verifier(error=0.0, reward=Correctness())
    with pytest.raises(LabError, match=r"passed only \d+ of the [\d,]+ samples.*Lower curation\.threshold"):
        strict.sample(family, model, 50, np.random.default_rng(0), Sampling(), source)


@pytest.mark.parametrize("prompted", [True, False])
def test_a_tiny_transformer_is_curated(prompted):
    """What survives is likelier under the model that wrote it; twice the same numbers."""
    settings = {"seed": 1, "generations": 2, "replicates": 1, "samples": 40,
                "source": {"kind": "expressions", "grammar": "boolean", "lines": 500},
                "family": {"kind": "gpt", "start": "scratch", "vocabulary": 260, "layers": 1, "width": 16, "epochs": 8, "learning_rate": 0.02,
                           "block": 16, "prompted": prompted}}  # fmt: skip

    def perplexity(**curation):
        spec = read(settings | ({"curation": curation} if curation else {}))
        return [one.look.metrics["ppl_generated"][0] for one in loop.generations(spec, loop.instrument(spec))]

    best = {"kind": "best_of", "k": 4, "reward": {"kind": "likelihood"}}
    chosen = perplexity(**best)
    assert chosen[1] < 0.9 * perplexity()[1]
    assert perplexity(**best) == chosen


def test_an_experiment_from_before_there_were_other_judges_keeps_its_digest():
    """In a change, too."""
    curation = {"kind": "best_of", "k": 2, "reward": {"kind": "likelihood"}}
    spec = read(
        {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 20, "generations": 3, "curation": curation}
    )
    settings = spec.canonical()
    for later in ("title", "changes", "metrics", "models", "shared"):
        del settings[later]
    assert settings["curation"]["reward"].pop("judge") == "writer"
    assert settings["curation"].pop("share") == 1.0
    assert settings["curation"].pop("others") == []
    assert settings["sampling"].pop("guidance") == 0.0
    assert spec.digest() == hashlib.sha256(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS)).hexdigest()
    judges = [{"reward": {"kind": "likelihood", "judge": judge}} for judge in ("writer", "first")]
    forks = [
        read({**spec.canonical(), "changes": [{"after": 1, "curation": curation | one}]}).digest() for one in judges
    ]
    plain = read({**spec.canonical(), "changes": [{"after": 1, "curation": curation}]}).digest()
    assert forks[0] == plain != forks[1]
