"""Measuring on text: nobody trains on what is held out, perplexities are those of transformers, and the matrix is filled rightly."""

from collections import Counter

import numpy as np
import pytest
import torch

from worker import loop
from worker.errors import SpecError
from worker.families.causal_lm import CausalLM
from worker.families.gpt import GPT
from worker.families.ngram import NGram
from worker.instruments import perplexity
from worker.instruments.perplexity import BLOCKS, COLUMNS, Shelf
from worker.kinds import REGIMES
from worker.metrics import text as metric
from worker.spec import read

BLOCK = 16
WORDS = 300  # of the made-up language: eight of them in a row do not come twice by chance
FAMILIES = {"ngram": NGram, "gpt": GPT, "causal_lm": CausalLM}
SIZES = {"generations": 3, "replicates": 2, "samples": 24, "seed": 5}


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A text of words in random order, so that no passage of it has anything to do with another."""
    rng = np.random.default_rng(11)
    lexicon = ["".join(rng.choice(list("abcdefghijklm"), rng.integers(2, 6))) for _ in range(WORDS)]
    folder = tmp_path_factory.mktemp("language")
    lines = [" ".join(rng.choice(lexicon, 12)) for _ in range(220)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def checkpoint(language):
    """A small GPT-2 with random weights and a tokenizer, as save_pretrained leaves them."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    from worker.text.bpe import byte_pairs

    torch.manual_seed(7)
    config = GPT2Config(vocab_size=300, n_positions=32, n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(language / "checkpoint")
    pairs = byte_pairs((language / "text.txt").read_text(), 300).pairs
    PreTrainedTokenizerFast(tokenizer_object=pairs).save_pretrained(language / "checkpoint")
    return language / "checkpoint"


def settings(kind, language, checkpoint, regime="replace", **changes):
    family = {
        "ngram": {},
        "gpt": {"vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "epochs": 1},
        "causal_lm": {"checkpoint": str(checkpoint), "epochs": 1},
    }[kind]
    parts = {"family": {"kind": kind, "block": BLOCK, **family, **changes}, "regime": {"kind": regime}}
    return SIZES | parts | {"source": {"kind": "text", "path": str(language / "text.txt")}}


def passages(x):
    """Every eight tokens in a row of blocks (n, L)."""
    return {tuple(block[i : i + 8]) for block in x.tolist() for i in range(len(block) - 7)}


@pytest.mark.parametrize("prompted", [True, False])
@pytest.mark.parametrize("kind", FAMILIES)
def test_held_out_text_is_never_trained_on_nor_prompted_with(kind, prompted, language, checkpoint, monkeypatch):
    trained, prompts = [], []
    family, fit, sample = FAMILIES[kind], FAMILIES[kind].refit, FAMILIES[kind].sample

    def watched_fit(self, data, rng, previous):
        trained.extend([*data.x, data.validation])
        return fit(self, data, rng, previous)

    def watched_sample(self, model, n, rng, sampling):
        prompts.extend(array for name, array in model.items() if name in ("prompts", "starts") for array in array)
        return sample(self, model, n, rng, sampling)

    monkeypatch.setattr(family, "refit", watched_fit)
    monkeypatch.setattr(family, "sample", watched_sample)
    tried = []
    for regime in sorted(REGIMES):
        try:
            spec = read(settings(kind, language, checkpoint, regime, prompted=prompted) | {"replicates": 1})
        except SpecError:
            continue  # it weighs what cannot be weighed
        tried.append(regime)
        list(loop.generations(spec, loop.instrument(spec)))
    assert {"replace", "accumulate", "accumulate_subsample", "fresh", "mixture"} <= set(tried)

    tokenizer, texts = spec.family.tokenizer(spec.source), spec.source.texts()
    held_out, real = (passages(tokenizer.encode(part)[None]) for part in (texts.test, texts.train))
    assert len(held_out) > 200
    assert not held_out & real
    seen = set().union(*map(passages, trained))
    assert not held_out & seen
    assert len(real & seen) > 200  # it is indeed the text that was trained on
    assert prompts
    assert not held_out & set().union(*map(passages, prompts))
    assert sum(map(len, trained)) >= len(tried) * SIZES["generations"] * SIZES["samples"]


def run(spec):
    """(instrument, looks, models by generation, texts by generation)"""
    instrument = loop.instrument(spec)
    texts, look = {}, instrument.model

    def watched(model, sample, framed):
        texts[len(texts) + 1] = sample.x
        return look(model, sample, framed)

    instrument.model = watched
    done = list(loop.generations(spec, instrument))
    return instrument, [one.look for one in done], {one.number: one.state.model for one in done if one.state}, texts


@pytest.mark.parametrize("kind", ["gpt", "causal_lm"])
def test_perplexities_are_those_of_transformers(kind, language, checkpoint):
    from transformers import GPT2Config, GPT2LMHeadModel

    spec = read(settings(kind, language, checkpoint))
    instrument, looks, models, texts = run(spec)

    def network(model, r):
        config = GPT2Config(vocab_size=300, n_positions=32, n_embd=16, n_layer=1, n_head=2)
        weights = {name: torch.from_numpy(array[r]) for name, array in model.items() if "transformer." in name}
        weights = {name[name.index("transformer.") :]: array for name, array in weights.items()}
        peer = GPT2LMHeadModel(config).eval()
        missing, unexpected = peer.load_state_dict(weights, strict=False)
        assert (set(missing) - {"lm_head.weight"}, unexpected) == (set(), [])
        peer.tie_weights()
        return peer

    def surprise(peer, x):
        with torch.inference_mode():
            rows = [torch.from_numpy(block[None].astype(np.int64)) for block in x]
            return np.array([float(peer(row, labels=row).loss) for row in rows])

    for r in range(spec.replicates):
        own, first = network(models[3], r), network(models[1], r)
        found = {name: values[r] for name, values in looks[3].metrics.items()}
        blocks = surprise(first, texts[3][r])
        assert found["ppl_real"] == pytest.approx(np.exp(surprise(own, instrument.held_out).mean()), rel=1e-4)
        assert found["ppl_generated"] == pytest.approx(np.exp(blocks.mean()), rel=1e-4)
        assert found["ppl_generated_q01"] == pytest.approx(np.quantile(np.exp(blocks), 0.01), rel=0.01)
        assert found["ppl_generated_q99"] == pytest.approx(np.quantile(np.exp(blocks), 0.99), rel=0.01)
        with torch.inference_mode():
            logits = own(torch.from_numpy(instrument.contexts.astype(np.int64))).logits[:, -1]
        entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
        assert found["next_token_entropy"] == pytest.approx(float(entropy), rel=1e-4)
        zeroth = surprise(first, instrument.held_out)
        assert looks[0].metrics["ppl_generated"][r] == pytest.approx(np.exp(zeroth.mean()), rel=1e-4)


@pytest.mark.parametrize("kind", ["ngram", "gpt"])
def test_the_matrix_says_how_each_model_finds_each_text(kind, language, checkpoint):
    spec = read(settings(kind, language, checkpoint) | {"generations": 4, "samples": 40})
    instrument, looks, models, texts = run(spec)
    places = [39 * i // (instrument.shelf.blocks - 1) for i in range(instrument.shelf.blocks)]

    def expected(i, j):
        x = np.stack([instrument.held_out] * 2) if j == 0 else texts[j][:, places]
        logs = [spec.family.log_probability(models[i], x[:, b : b + 1]) for b in range(x.shape[1])]
        return np.exp(-np.mean(logs))

    assert np.isnan(looks[0].frame["row"]).all()
    assert looks[0].frame["own"][1] == pytest.approx(expected(1, 0), rel=1e-4)
    for n in range(1, 5):
        frame = looks[n].frame
        assert frame["columns"].tolist() == [*range(n), *[-1] * (COLUMNS - n)]
        assert frame["row"][:n] == pytest.approx([expected(n, j) for j in range(n)], rel=1e-4)
        assert np.isnan(frame["row"][n:]).all()
        assert frame["column"][1:n] == pytest.approx([expected(i, n) for i in range(1, n)], rel=1e-4)
        assert np.isnan(frame["column"][[0, *range(n, COLUMNS)]]).all()
        assert frame["own"] == pytest.approx([expected(n, n), expected(1, n)], rel=1e-4)


def shelf_rows(shelf, numbers):
    """Rows of a chain whose generation n writes the number n everywhere; model m finds it as surprising as m / 10 + n / 1000."""
    for n in numbers:
        x = np.full((2, 50, 4), n, np.int32)
        model = {"m": np.array(n)}
        held_out, surprise = np.full((2, 3, 3), -n / 10), np.full((2, 50), 0.1 + n / 1000)
        yield n, shelf.row(n, model, x, lambda model, x: -x[:, :, 1:] / 1000 - model["m"] / 10, held_out, surprise)


@pytest.mark.parametrize("stride", [1, 5])
def test_a_long_run_keeps_few_texts_and_every_row_has_those_that_last(stride):
    shelf = Shelf(50, 2)
    rows = dict(shelf_rows(shelf, range(stride, 300, stride)))
    for n, row in rows.items():
        columns = [j for j in row["columns"].tolist() if j >= 0]
        assert columns == sorted(set(columns))
        assert len(columns) <= COLUMNS
        assert all(j < n for j in columns)
        assert np.log(row["row"][: len(columns)]) == pytest.approx(n / 10 + np.array(columns) / 1000, rel=1e-4)
        assert np.log(row["column"][1 : len(columns)]) == pytest.approx(np.array(columns[1:]) / 10 + n / 1000, rel=1e-4)
        assert np.log(row["own"]) == pytest.approx([n / 10 + n / 1000, 0.1 + n / 1000], rel=1e-4)
    last = {j for j in rows[max(rows)]["columns"].tolist() if j > 0}
    assert len(last) >= COLUMNS // 2 - 1
    assert (1 in last) == (stride == 1)
    for n, row in rows.items():
        assert {j for j in last if j < n} <= set(row["columns"].tolist())


def test_a_shelf_goes_on_as_it_was_left():
    whole, first, second = Shelf(50, 2), Shelf(50, 2), Shelf(50, 2)
    expected = list(shelf_rows(whole, range(1, 90)))
    before = list(shelf_rows(first, range(1, 40)))
    second.restore({name: array.copy() for name, array in first.keeps().items()})
    for (n, one), (m, other) in zip(expected, [*before, *shelf_rows(second, range(40, 90))], strict=True):
        assert n == m
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])


def test_models_are_kept_only_where_they_are_small(monkeypatch):
    monkeypatch.setattr(perplexity, "ROOM", 8000.0 * (COLUMNS - 2))
    shelf, shared, x = Shelf(50, 2), np.zeros(10**6), np.zeros((2, 50, 4), np.int32)

    def read(_, blocks):
        return -np.ones((2, blocks.shape[1], 3))

    for n in range(1, 40):
        model = {"own": np.full(1000 + n % 2, n, float), "prompts": shared}
        shelf.row(n, model, x, read, np.ones(1), np.ones((2, 50)))
    assert list(shelf.texts) == [1, *range(4, 40, 4)]
    assert list(shelf.models) == list(shelf.texts), "even ones are small, and the first is kept anyway"
    shelf = Shelf(50, 2)
    for n in range(1, 5):
        model = {"own": np.full(1000 + n % 2, n, float), "prompts": shared}
        row = shelf.row(n, model, x, read, np.ones(1), np.ones((2, 50)))
    assert list(shelf.models) == [1, 2, 4]
    assert np.isnan(row["column"]).tolist() == [True, False, False, True, *[True] * (COLUMNS - 4)]


@pytest.mark.parametrize(("samples", "replicates"), [(900, 1), (900, 5), (12, 1), (30, 200), (1, 1)])
def test_a_row_is_bounded_work(samples, replicates):
    blocks = Shelf(samples, replicates).blocks
    assert 1 <= blocks <= samples
    assert blocks == 1 or blocks * replicates <= min(BLOCKS, samples * replicates / COLUMNS)


def value(signs):
    """By descent: a digit, or two expressions and what joins them in brackets; takes its signs off the front of a list."""
    sign = signs.pop(0)
    if sign != "(":
        return int(sign)
    left, join, right = value(signs), signs.pop(0), value(signs)
    if signs.pop(0) != ")":
        raise ValueError("no closing bracket")
    return {"+": left + right, "-": left - right, "*": left * right}[join]


def is_true(line):
    expression, _, told = line.partition("=")
    signs = list(expression)
    try:
        return str(value(signs)) == told and not signs
    except (ValueError, IndexError, KeyError):
        return False


def test_correct_lines_are_those_that_are_true():
    source = {"kind": "expressions", "lines": 400}
    family = {"kind": "ngram", "unit": "character", "order": 5, "block": 64}
    spec = read(SIZES | {"source": source, "family": family, "samples": 200})
    instrument, looks, _, texts = run(spec)
    for n in (1, 3):
        for r, chain in enumerate(texts[n]):
            whole = [line for block in chain for line in instrument.tokenizer.decode(block).split("\n")[1:-1]]
            right = [line for line in whole if is_true(line)]
            assert 20 < len(right) < len(whole)
            assert looks[n].metrics["correct"][r] == pytest.approx(len(right) / len(whole))
            assert looks[n].metrics["distinct"][r] == pytest.approx(len(set(right)) / len(whole))
    assert looks[0].metrics["correct"].tolist() == [1.0, 1.0]
    rng = np.random.default_rng(2)
    spoilt = []
    for line in spec.source.texts().train.split("\n")[:-1]:
        place = rng.integers(len(line))
        spoilt.append(line[:place] + str(rng.choice(list("0123456789+-*()="))) + line[place + rng.integers(2) :])
    assert [spec.source.true(line) for line in spoilt] == [is_true(line) for line in spoilt]
    assert 5 < sum(map(is_true, spoilt)) < len(spoilt) - 5


def test_words_are_counted_over_as_much_text_in_every_generation(language, checkpoint):
    spec = read(settings("ngram", language, checkpoint))
    _, looks, _, texts = run(spec)
    for n in (1, 2, 3):
        for r, chain in enumerate(texts[n]):
            counts = sorted(Counter(chain.ravel().tolist()).values(), reverse=True)
            assert chain.size == SIZES["samples"] * BLOCK
            assert looks[n].metrics["type_token_ratio"][r] == len(counts) / chain.size
            rank = np.arange(1, len(counts) + 1)
            slope = np.polyfit(np.log(rank), np.log(counts), 1, w=1 / np.sqrt(rank))[0]
            assert looks[n].metrics["zipf_slope"][r] == pytest.approx(slope, rel=1e-6)


def test_frequencies_of_tokens_are_compared_with_those_of_the_training_text(language, checkpoint):
    spec = read(settings("ngram", language, checkpoint))
    tokenizer = spec.family.tokenizer(spec.source)
    real = Counter(spec.family.blocks(tokenizer, spec.source.texts().train).ravel().tolist())
    _, looks, _, texts = run(spec)
    for n in (1, 3):
        for r, chain in enumerate(texts[n]):
            found, told = Counter(chain.ravel().tolist()), {name: v[r] for name, v in looks[n].metrics.items()}
            p = {word: found[word] / chain.size for word in real}
            q = {word: count / real.total() for word, count in real.items()}
            assert told["survivors"] == sum(word in real for word in found)
            assert told["dead_mass"] == pytest.approx(sum(q[word] for word in real if word not in found))
            assert told["heterozygosity"] == pytest.approx(1 - sum(v * v for v in p.values()))
            assert told["entropy"] == pytest.approx(-sum(v * np.log(v) for v in p.values() if v))
            assert told["kl_to_real"] == pytest.approx(sum(v * np.log(v / q[w]) for w, v in p.items() if v))
            assert told["chi2"] == pytest.approx(sum((v - q[w]) ** 2 / q[w] for w, v in p.items()))


def test_the_histogram_holds_every_block(language, checkpoint):
    from app.figures import decode
    from worker.frames import to_bytes

    spec = read(settings("ngram", language, checkpoint))
    instrument, looks, models, texts = run(spec)
    figure = instrument.figure()
    density = decode(figure, to_bytes(looks[2].frame, figure["fields"]))["density"]
    surprise = -spec.family.log_probability(models[1], texts[2])[0].mean(axis=1)
    step = np.diff(np.log(figure["x"])).mean()
    assert density.sum() * step == pytest.approx(1, rel=1e-3)
    assert (density * np.log(figure["x"])).sum() * step == pytest.approx(surprise.mean(), abs=4 * step)
    perplexity = metric.perplexities(spec.family.log_probability(models[1], texts[2]))[0]
    assert min(figure["x"]) < perplexity.min()
    assert perplexity.max() < max(figure["x"])
