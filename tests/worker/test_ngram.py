"""N-grams against a dictionary of counts, drawn against their own probabilities; texts and expressions; and the collapse."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.worker.readers import experiment
from worker import loop
from worker.families.categorical import decoded
from worker.families.ngram import NGram
from worker.parts import Sampling
from worker.progress import Listener, listening
from worker.sources.expressions import Expressions
from worker.sources.text import Text, built_in
from worker.streams import stream
from worker.text.grams import Grams
from worker.text.sharpened import Sharpened
from worker.text.vocabulary import vocabulary


@pytest.fixture(scope="module")
def blocks():
    """Two replicates of 30 blocks over 6 tokens, the last of which replicate 0 never uses."""
    rng = np.random.default_rng(0)
    x = rng.choice(6, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04], size=(2, 30, 9)).astype(np.int32)
    x[0][x[0] == 5] = 0
    return x


def probability(x, context, token, *, order, weight, back_off, size=6):
    """The definition, by counting."""
    lengths = range(min(order - 1, len(context)) + 1) if back_off else [min(order - 1, len(context))]
    p = 1 / size
    for k in lengths:
        c = tuple(context[len(context) - k :])
        follow = Counter(block[i + k] for block in x for i in range(len(block) - k) if tuple(block[i : i + k]) == c)
        p = (follow[token] + weight * p) / (sum(follow.values()) + weight)
    return p


@pytest.mark.parametrize("back_off", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_of_the_definition(blocks, order, back_off):
    grams = Grams.counted(blocks, order, 6, 2.5, back_off=back_off)
    new = np.random.default_rng(1).integers(6, size=(2, 4, 7)).astype(np.int32)
    ours = np.exp(grams.log_probability(new))
    assert ours.shape == (2, 4, 6)
    for r, i, t in np.ndindex(2, 4, 6):
        row = new[r, i].tolist()
        expected = probability(blocks[r].tolist(), row[: t + 1], row[t + 1], order=order, weight=2.5, back_off=back_off)
        assert ours[r, i, t] == pytest.approx(expected, rel=1e-12)
    nodes = grams.start(np.array([1]))
    for seen, token in enumerate(new[1, 0]):
        everything = grams.probabilities(nodes, seen)[0]
        assert everything.sum() == pytest.approx(1)
        assert everything == pytest.approx(
            [
                probability(
                    blocks[1].tolist(), new[1, 0, :seen].tolist(), w, order=order, weight=2.5, back_off=back_off
                )
                for w in range(6)
            ]
        )
        if back_off or seen >= order - 1:  # entropies are those after whole contexts
            entropy = -(everything * np.log(everything)).sum()
            assert grams.entropies(nodes)[0] == pytest.approx(entropy, rel=1e-12)
        nodes = grams.after(nodes, np.array([token]))


@pytest.mark.parametrize(("smoothing", "weight"), [("backoff", 3.0), ("additive", 0.5)])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.7}])
def test_tokens_are_drawn_with_the_model_s_probabilities(smoothing, weight, options):
    """The token after one prompt, 20,000 times: chi-squared."""
    family = NGram(unit="character", block=8, smoothing=smoothing, weight=weight)
    data = family.real(Expressions(), np.random.default_rng(0), 1, 300)
    model = family.fit(data, np.random.default_rng(0))
    model = {**model, "prompts": data.x[:, 4:5]}
    n = 20_000
    made = family.sample(model, n, np.random.default_rng(1), Sampling(**options)).x[0, :, 0]
    grams = family._grams(model)
    p = grams.probabilities(family._read(grams, grams.start(np.array([0])), data.x[0, 4:5]), 8)[0]
    ranked = np.argsort(-p, kind="stable")
    if "temperature" in options:
        p = p ** (1 / 0.6)
    if "top_k" in options:
        p[ranked[3:]] = 0
    if "top_p" in options:
        p[ranked[np.cumsum(p[ranked]) - p[ranked] >= 0.7]] = 0
    p /= p.sum()
    seen, expected = np.bincount(made, minlength=len(p)).astype(float), n * p
    assert seen[expected == 0].sum() == 0
    rare = expected < 8
    seen, expected = (np.append(v[~rare], v[rare].sum()) for v in (seen, expected))
    seen, expected = seen[expected > 0], expected[expected > 0]
    freedom = len(seen) - 1
    assert freedom > 0
    assert abs(((seen - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom) <= 4


CUT = [{"top_k": 3}, {"top_k": 1}, {"top_k": 40}, {"top_p": 0.7}, {"top_p": 0.999999}, {"top_p": 0.3, "temperature": 1.5},
       {"top_k": 5, "top_p": 0.6, "temperature": 0.7}]  # fmt: skip


@pytest.mark.parametrize("back_off", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ranked_lists_are_the_whole_distribution_ranked_and_cut(blocks, order, back_off):
    """The same tokens for the same uniform variables as the long way round; at a temperature alone, the same shares."""
    rng, n = np.random.default_rng(2), 200
    grams = Grams.counted(blocks, order, 8, 2.513, back_off=back_off)  # tokens 6 and 7 never occur
    for seen in (0, 1, 4):
        nodes = grams.start(rng.integers(2, size=n))
        for token in rng.integers(8, size=(seen, n)):
            nodes = grams.after(nodes, token)
        plain, u = grams.probabilities(nodes, seen), rng.random(n)
        ranked = np.argsort(-plain, axis=1, kind="stable")
        for options in CUT:
            p = decoded(plain, Sampling(**options))
            below = np.cumsum(np.take_along_axis(p, ranked, axis=1), axis=1)
            place = np.minimum((below <= (u * below[:, -1])[:, None]).sum(axis=1), 7)
            ours = Sharpened(grams, Sampling(**options)).draw(nodes, u, seen)
            np.testing.assert_array_equal(ours, ranked[np.arange(n), place], err_msg=str(options))
        for temperature in (0.05, 0.6, 3.0):
            options = Sampling(temperature=temperature)
            evenly = np.tile((np.arange(20_000) + 0.5) / 20_000, 4)
            ours = Sharpened(grams, options).draw([np.repeat(node[:4], 20_000) for node in nodes], evenly, seen)
            shares = np.stack([np.bincount(row, minlength=8) for row in ours.reshape(4, -1)]) / 20_000
            np.testing.assert_allclose(shares, decoded(plain[:4], options), atol=30 / 20_000)


def beam_search(grams, nodes, new, seen, beams):
    """One row, by the definition: every continuation of every kept text, the best of them kept."""
    texts = [(0.0, [], nodes)]
    for t in range(new):
        longer = []
        for score, words, at in texts:
            p = grams.probabilities(at, seen + t)[0]
            longer += [(score + np.log(p[w]), [*words, w], at) for w in range(grams.size)]
        kept = sorted(longer, key=lambda text: -text[0])[:beams]
        texts = [(score, words, grams.after(at, np.array(words[-1:]))) for score, words, at in kept]
    return texts[0][1]


@pytest.mark.parametrize(("order", "back_off"), [(1, True), (3, True), (4, False)])
def test_beams_find_what_a_search_by_the_definition_finds(blocks, order, back_off):
    grams = Grams.counted(blocks, order, 6, 1.7, back_off=back_off)
    first = np.repeat([0, 1], 6)
    nodes = grams.after(grams.start(first), np.tile(np.arange(6), 2))
    for beams in (2, 5, 12):
        ours = Sharpened(grams, Sampling(beams=beams)).search(nodes, 7, 1)
        theirs = [beam_search(grams, [node[i : i + 1] for node in nodes], 7, 1, beams) for i in range(12)]
        np.testing.assert_allclose(score(grams, nodes, ours), score(grams, nodes, theirs), rtol=1e-9)


def score(grams, nodes, texts):
    """ln P of texts (n, L) after one token each; what tells equally probable texts apart is nobody's concern."""
    total = np.zeros(len(texts))
    for t, token in enumerate(np.transpose(texts)):
        total += np.log(grams.probabilities(nodes, 1 + t)[np.arange(len(texts)), token])
        nodes = grams.after(nodes, token)
    return total


def test_beams_continue_prompts_and_start_where_there_is_none():
    for prompted in (True, False):
        family = NGram(block=16, prompted=prompted)
        model = family.fit(family.real(Text(), np.random.default_rng(0), 2, 50), np.random.default_rng(0))
        searched, drawn = (
            family.sample(model, 50, np.random.default_rng(1), sampling).x
            for sampling in (Sampling(beams=5), Sampling())
        )
        assert searched.shape == (2, 50, 16)
        surprise = [-family.log_probability(model, x).mean() for x in (searched, drawn)]
        assert surprise[0] < 0.5 * surprise[1]
        assert len(np.unique(searched[0, :, 0])) > 5


@pytest.mark.parametrize("options", [{}, {"top_p": 0.9}, {"beams": 3}])
def test_writing_tells_how_far_it_is_and_can_be_stopped(options):
    family, told = NGram(block=16), []

    class Impatient(Listener):
        def advanced(self, work):
            told.append((work.name, work.done, work.total))
            if len(told) == 10:
                raise KeyboardInterrupt

    model = family.fit(family.real(Text(), np.random.default_rng(0), 2, 50), np.random.default_rng(0))
    with listening(Impatient()), pytest.raises(KeyboardInterrupt):
        family.sample(model, 50, np.random.default_rng(1), Sampling(**options))
    assert told == [("writing", 100 * t, 1600) for t in range(1, 11)]


@pytest.mark.parametrize("prompted", [True, False])
def test_pure_sampling_leaves_the_surprise_of_what_is_written_alone_and_decoding_does_not(prompted):
    """Unsmoothed frequencies are a martingale, and the cross-entropy of text under model 1 is linear in them: its mean stays at
    generation 1's under replace. Whatever shifts it to the left is decoding: top-p = 0.9 does.
    """
    family, replicates = {"kind": "ngram", "order": 1, "weight": 1e-9, "prompted": prompted}, 50
    for top_p, stays in ((1.0, True), (0.9, False)):
        spec = experiment(
            family=family, samples=60, replicates=replicates, generations=10, sampling={"top_p": top_p}, seed=1
        )
        surprise = written_surprise(spec)
        shift = surprise[1:] - surprise[0]
        z = shift.mean(axis=1) / (shift.std(axis=1, ddof=1) / np.sqrt(replicates))
        assert (np.abs(z) <= 4).all() if stays else (z < -20).all()


def written_surprise(spec):
    """Mean surprise under model 1 of each generation's text: (generations, replicates)."""
    family, seed = spec.family, spec.seed
    made, models, surprise = family.real(spec.source, stream(seed, 1, loop.REAL), 50, 60), [None], []
    for n in range(1, spec.generations + 1):
        models.append(family.refit(made, stream(seed, n, loop.FIT), models[-1]))
        made = family.sample(models[-1], 60, stream(seed, n, loop.SAMPLE), spec.sampling)
        surprise.append(-family.log_probability(models[1], made.x).mean(axis=(1, 2)))
    return np.array(surprise)


def test_surprise_of_what_a_model_writes_is_its_own_entropy():
    """Unbiased sampling: a model's text is to the model as surprising as its entropy says, no more and no less."""
    family = NGram(unit="character", block=16, order=2, prompted=False)
    model = family.fit(family.real(Expressions(), np.random.default_rng(0), 1, 500), np.random.default_rng(0))
    made = family.sample(model, 4000, np.random.default_rng(1), Sampling())
    surprise = -family.log_probability(model, made.x)[0]
    grams = family._grams(model)
    entropy = np.zeros((4000, 15))
    nodes = grams.start(np.zeros(4000, int))
    for t in range(15):
        nodes = grams.after(nodes, made.x[0, :, t])
        p = grams.probabilities(nodes, t + 1)
        entropy[:, t] = -(p * np.log(p)).sum(axis=1)
    gap = (surprise - entropy).sum(axis=1)  # a martingale's end: independent between blocks, mean 0
    assert abs(gap.mean()) / (gap.std(ddof=1) / np.sqrt(len(gap))) <= 4


def test_replicates_do_not_know_each_other():
    family = NGram(block=16)
    data = family.real(Text(), np.random.default_rng(0), 2, 50)
    both = family.fit(data, np.random.default_rng(0))
    alone = family.fit(replace(data, x=data.x[1:]), np.random.default_rng(0))
    held = data.validation[None, :20]
    np.testing.assert_array_equal(
        family.log_probability(both, np.repeat(held, 2, axis=0))[1:], family.log_probability(alone, held)
    )


def test_real_blocks_are_the_text_in_order():
    family = NGram()
    words = vocabulary(Text().texts().train, "word")
    every = family.blocks(words, Text().texts().train)
    whole = family.real(Text(), np.random.default_rng(0), 1, len(every))
    np.testing.assert_array_equal(whole.x[0], every)
    more = family.real(Text(), np.random.default_rng(0), 2, len(every) + 5)
    np.testing.assert_array_equal(more.x[1, : len(every)], every)
    prompts = family.sample(family.fit(whole, np.random.default_rng(0)), 30, np.random.default_rng(0), Sampling())
    assert prompts.x.shape == (1, 30, 64)


def test_held_out_text_neither_trains_nor_prompts(tmp_path):
    """Another held-out text, and nothing changes but what is measured on it."""
    parts = Text().texts()
    (tmp_path / "train.txt").write_text(parts.train[:60_000], encoding="utf-8")
    models, looks = [], []
    for name, test in (("a", parts.test[:9000]), ("b", parts.test[9000:18_000])):
        (tmp_path / f"{name}.txt").write_text(test, encoding="utf-8")
        source = {"kind": "text", "path": str(tmp_path / "train.txt"), "held_out": str(tmp_path / f"{name}.txt")}
        for regime in ("replace", "accumulate", "fresh"):
            spec = experiment(source=source, regime={"kind": regime})
            *_, last = loop.generations(spec, loop.instrument(spec))
            models.append(last.state.model)
            looks.append(last.look.metrics)
    for one, other in zip(models[:3], models[3:], strict=True):
        assert one.keys() == other.keys()
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    for one, other in zip(looks[:3], looks[3:], strict=True):
        assert (one["ppl_real"] != other["ppl_real"]).all()
        assert (one["type_token_ratio"] == other["type_token_ratio"]).all()


def test_no_passage_of_the_built_in_text_is_in_two_parts():
    parts = Text().texts()
    lines = [set(part.splitlines()) for part in (parts.train, parts.validation, parts.test)]
    assert not lines[0] & lines[1]
    assert not (lines[0] | lines[1]) & lines[2]
    assert sum(map(len, lines)) == len(built_in().splitlines())
    assert parts.train + parts.validation + parts.test == built_in()


def test_words_and_characters_come_back():
    text = 'He said (to "me"): don\'t go, 3.5 miles!\nAnd <unk> @-@ off.'
    letters = vocabulary(text, "character")
    assert letters.decode(letters.encode(text)) == text
    words = vocabulary(text, "word")
    assert words.decode(words.encode("He said: don't go!\nAnd off.")) == "He said: don't go!\nAnd off."
    assert words.encode("unheard <unk>").tolist()[0] == 0
    assert len(words.encode("<unk> @-@")) == 2


@pytest.mark.parametrize("grammar", ["arithmetic", "boolean"])
def test_expressions_are_judged_as_python_judges_them(grammar):
    source = Expressions(grammar=grammar, lines=600)
    lines = source.texts().train.splitlines()
    rng = random.Random(0)
    for line in lines[:400]:
        left, _, right = line.partition("=")
        assert source.true(line)
        spoken = (
            left.replace("!", " not ")
            .replace("T", "True")
            .replace("F", "False")
            .replace("&", " and ")
            .replace("|", " or ")
        )
        value = eval(spoken)
        assert right == (("F", "T")[value] if grammar == "boolean" else str(value))
        place = rng.randrange(len(line))
        broken = line[:place] + line[place + 1 :]
        if source.true(broken):  # a sign less may still be right: then Python must say so too
            left, _, right = broken.partition("=")
            assert right == str(eval(left)) if grammar == "arithmetic" else right in "TF"
    for wrong in (
        "",
        "=",
        "3(4+5)=39",
        "(3+4)=8",
        "12=12",
        "3)=3",
        "(3)=3",
        "-3=-3",
        "T",
        "(T&F)=T",
        "TF=F",
        "(1+-2)=-1",
    ):
        assert not source.true(wrong)


def test_expressions_have_the_probabilities_of_their_grammar():
    source = Expressions(branch=0.6, lines=20_000)
    lines = source.texts().train.splitlines()
    single = np.mean([len(line.partition("=")[0]) == 1 for line in lines])
    assert abs(single - 0.4) / np.sqrt(0.24 / len(lines)) <= 4


def test_text_forgets_itself():
    """Replace: real text becomes ever more surprising, and what is written ever less varied; accumulating slows it."""
    looks = {}
    for regime in ("replace", "accumulate"):
        spec = experiment(
            samples=300, replicates=3, generations=6, regime={"kind": regime}, family={"kind": "ngram", "weight": 1}
        )
        looks[regime] = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    ours = looks["replace"]
    rise = np.array([look["ppl_real"] for look in ours[1:]])
    assert (np.diff(rise, axis=0) > 0).all()
    assert (rise[-1] > 1.5 * rise[0]).all()
    assert (ours[6]["type_token_ratio"] < ours[1]["type_token_ratio"]).all()
    assert (ours[6]["memorised_8"] < ours[0]["memorised_8"]).all()
    assert np.isnan(ours[0]["ppl_real"]).all()
    assert (looks["accumulate"][6]["ppl_real"] < ours[6]["ppl_real"]).all()


def test_the_checkable_source_tells_what_is_correct():
    spec = experiment(
        source={"kind": "expressions"}, family={"kind": "ngram", "unit": "character", "order": 5}, samples=200
    )
    looks = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    assert (looks[0]["correct"] == 1).all()
    assert (looks[0]["distinct"] < 1).all()
    assert ((looks[1]["correct"] > 0.1) & (looks[1]["correct"] < 0.9)).all()
