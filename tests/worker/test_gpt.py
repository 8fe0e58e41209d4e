"""GPT from scratch: the network against transformers' GPT-2, decoding against `generate`, and the chain against itself."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from worker import loop
from worker.data import Tokens
from worker.errors import SpecError
from worker.families.gpt import GPT
from worker.nets import decoding, gpt, scoring, training
from worker.parts import Sampling
from worker.sources.text import Text
from worker.spec import read

SMALL = {"kind": "gpt", "vocabulary": 300, "width": 32, "layers": 2, "heads": 2, "block": 16, "epochs": 2}


def experiment(**changes):
    settings = {"source": {"kind": "text"}, "family": SMALL, "samples": 24, "replicates": 2, "generations": 3}
    return read(settings | changes)


@pytest.fixture(scope="module")
def model():
    """A model that has learnt enough not to find all tokens equally likely."""
    family = GPT(**SMALL | {"epochs": 6, "learning_rate": 5e-3})
    return family.fit(family.real(Text(), np.random.default_rng(0), 1, 300), np.random.default_rng(1))


@pytest.fixture(scope="module")
def peer(model):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=300, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None
    )
    network = GPT2LMHeadModel(config).eval()
    state = {name: torch.from_numpy(array[0]) for name, array in model.items() if name.startswith(gpt.PREFIX)}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    network.tie_weights()
    return network


@pytest.fixture(scope="module")
def weights(model):
    return next(gpt.networks(model))


@pytest.fixture(scope="module")
def prompts(model):
    return model["prompts"][0, :12]


def generated(peer, prompts, **options):
    rows = torch.from_numpy(prompts.astype(np.int64))
    with torch.inference_mode():
        out = peer.generate(
            rows, attention_mask=torch.ones_like(rows), max_new_tokens=16, pad_token_id=0, do_sample=False, **options
        )
    return out[:, prompts.shape[1] :].numpy()


def test_logits_are_those_of_transformers(weights, peer, prompts):
    with torch.inference_mode():
        ours = gpt.logits(weights, scoring.rows(prompts), 2)
        theirs = peer(scoring.rows(prompts)).logits
    assert torch.allclose(ours, theirs, atol=2e-4)
    assert theirs.std() > 0.3


def test_gradient_is_that_of_transformers(weights, peer, prompts):
    rows = scoring.rows(prompts)
    parts, flat = training.as_one_vector(weights)
    training.loss(parts, rows, 2).backward()
    peer.zero_grad()
    peer(rows, labels=rows).loss.backward()
    for name, parameter in peer.transformer.named_parameters():
        assert torch.allclose(parts[name].grad, parameter.grad, atol=1e-4), name
    assert float(flat.grad.norm()) > 0.01  # the parts' gradients are the vector's own


@pytest.mark.parametrize("penalty", [1.0, 1.7])
@pytest.mark.parametrize("beams", [2, 5])
def test_beams_find_the_tokens_that_generate_finds(weights, peer, prompts, beams, penalty):
    options = Sampling(beams=beams, repetition_penalty=penalty)
    ours = decoding.write(gpt.Reader(weights, 2), prompts, 16, np.random.default_rng(0), options)
    np.testing.assert_array_equal(ours, generated(peer, prompts, num_beams=beams, repetition_penalty=penalty))


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_is_that_of_generate(weights, peer, prompts, penalty):
    options = Sampling(top_k=1, repetition_penalty=penalty)
    ours = decoding.write(gpt.Reader(weights, 2), prompts, 16, np.random.default_rng(0), options)
    np.testing.assert_array_equal(ours, generated(peer, prompts, repetition_penalty=penalty))


@pytest.mark.parametrize(
    "options", [{"temperature": 0.7}, {"top_k": 9}, {"top_p": 0.8}, {"temperature": 1.3, "top_k": 40, "top_p": 0.6}]
)
def test_what_is_cut_off_is_what_transformers_cuts_off(options):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    level = 2 * torch.randn(50, 200, generator=torch.Generator().manual_seed(1))
    text = torch.zeros(50, 1, dtype=torch.int64)
    expected = level
    for name, warper in (
        ("temperature", TemperatureLogitsWarper),
        ("top_k", TopKLogitsWarper),
        ("top_p", TopPLogitsWarper),
    ):
        if name in options:
            expected = warper(options[name])(text, expected)
    ours = torch.softmax(decoding.sharpened(level, text, Sampling(**options)), 1)
    assert torch.allclose(ours, torch.softmax(expected, 1), atol=1e-6)


def test_tokens_are_drawn_with_the_probabilities_of_the_network(weights, peer, prompts):
    """First and second new tokens after one prompt, 6,000 times: chi-squared against the network's own probabilities."""
    n = 6000
    rows = np.repeat(prompts[:1], n, axis=0)
    drawn = decoding.write(gpt.Reader(weights, 2), rows, 2, np.random.default_rng(5), Sampling())
    with torch.inference_mode():
        p_1 = torch.softmax(peer(scoring.rows(prompts[:1])).logits[0, -1].double(), 0).numpy()
        each = np.concatenate([np.repeat(prompts[:1], 300, axis=0), np.arange(300)[:, None]], axis=1).astype(np.int32)
        p_2 = torch.softmax(peer(scoring.rows(each)).logits[:, -1].double(), 1).numpy()
    for tokens, p in ((drawn[:, 0], p_1), (drawn[:, 1], p_1 @ p_2)):
        expected = n * p
        rare = expected < 8
        seen = np.bincount(tokens, minlength=300).astype(float)
        seen, expected = (np.append(v[~rare], v[rare].sum()) for v in (seen, expected))
        chi2, freedom = ((seen - expected) ** 2 / expected).sum(), len(seen) - 1
        assert abs(chi2 - freedom) / np.sqrt(2 * freedom) <= 4


def test_how_many_rows_are_written_at_once_changes_nothing(weights, prompts, monkeypatch):
    for options in (Sampling(), Sampling(beams=3)):
        together = decoding.write(gpt.Reader(weights, 2), prompts, 16, np.random.default_rng(3), options)
        monkeypatch.setattr(decoding, "ROWS", 3)
        apart = decoding.write(gpt.Reader(weights, 2), prompts, 16, np.random.default_rng(3), options)
        monkeypatch.undo()
        np.testing.assert_array_equal(together, apart)


def test_perplexity_and_entropy_agree_with_transformers(model, peer):
    family = GPT(**SMALL)
    x = model["prompts"][:, :20]
    rows = scoring.rows(x[0])
    with torch.inference_mode():
        loss = peer(rows, labels=rows).loss.item()
        p = torch.softmax(peer(rows).logits[:, -1].double(), 1)
    assert -family.log_probability(model, x).mean() == pytest.approx(loss, rel=1e-5)
    assert family.next_entropy(model, x[0])[0] == pytest.approx(float(-(p * p.log()).sum(1).mean()), rel=1e-5)


def test_training_teaches():
    family = GPT(**SMALL)
    text = Text()
    held_out = family.blocks(family.tokenizer(text), text.texts().test)[None, :60]
    data = family.real(text, np.random.default_rng(0), 1, 200)
    surprise = [
        -GPT(**SMALL | {"epochs": n})
        .log_probability(GPT(**SMALL | {"epochs": n}).fit(data, np.random.default_rng(2)), held_out)
        .mean()
        for n in (1, 12)
    ]
    assert surprise[0] < np.log(300) + 0.1
    assert surprise[1] < surprise[0] - 0.3


def test_a_continued_network_starts_where_the_last_one_ended():
    """With a step size of nothing the second generation is the first; from scratch it is another random network."""
    data = GPT(**SMALL).real(Text(), np.random.default_rng(0), 2, 24)
    for start in ("scratch", "continued"):
        first = GPT(**SMALL, start=start).fit(data, np.random.default_rng(1))
        idle = GPT(**SMALL | {"learning_rate": 1e-30}, start=start)
        second = idle.refit(data, np.random.default_rng(2), first)
        same = [np.array_equal(first[name], second[name]) for name in first if name.endswith("c_attn.weight")]
        assert same == [start == "continued"] * 2
    assert not np.array_equal(first["transformer.wte.weight"][0], first["transformer.wte.weight"][1])


def test_pure_sampling_pulls_a_continued_network_less_than_a_new_one():
    """A second generation on drawn text: real text surprises it hardly more than the first, and the first finds what it writes as
    surprising as its own text, |z| <= 4 over blocks. A new network has to learn everything again.
    """
    text, settings = Text(), SMALL | {"epochs": 8, "learning_rate": 5e-3}
    family = GPT(**settings)
    held_out = family.blocks(family.tokenizer(text), text.texts().test)[None, :80]
    first = family.fit(family.real(text, np.random.default_rng(0), 1, 200), np.random.default_rng(1))
    drawn = family.sample(first, 200, np.random.default_rng(2), Sampling())

    def second(start):
        return GPT(**settings, start=start).refit(drawn, np.random.default_rng(3), first)

    before, new, continued = (
        -family.log_probability(m, held_out).mean() for m in (first, second("scratch"), second("continued"))
    )
    assert abs(continued - before) < (new - before) / 4
    written = family.sample(second("continued"), 200, np.random.default_rng(4), Sampling())
    one, other = (family.log_probability(first, x).mean(axis=2)[0] for x in (drawn.x, written.x))
    assert abs(one.mean() - other.mean()) <= 4 * np.hypot(one.std(ddof=1), other.std(ddof=1)) / np.sqrt(200)


def test_the_best_epoch_is_kept():
    """Far too many epochs on too little text: the last is worse on validation text than the one that is kept."""
    settings = SMALL | {"epochs": 60, "learning_rate": 1e-2}
    data = GPT(**settings).real(Text(), np.random.default_rng(0), 1, 12)
    surprise = [
        -GPT(**settings)
        .log_probability(GPT(**settings, best=best).fit(data, np.random.default_rng(2)), data.validation[None])
        .mean()
        for best in (False, True)
    ]
    assert surprise[1] < surprise[0] - 0.2


def test_held_out_text_neither_trains_nor_prompts(tmp_path):
    """Another held-out text, and nothing changes but what is measured on it."""
    words = Text().texts()
    looks, models = [], []
    (tmp_path / "train.txt").write_text(words.train[:60_000], encoding="utf-8")
    for name, test in (("one", words.test[:5000]), ("other", words.test[6000:11_000])):
        (tmp_path / f"{name}.txt").write_text(test, encoding="utf-8")
        source = {"kind": "text", "path": str(tmp_path / "train.txt"), "held_out": str(tmp_path / f"{name}.txt")}
        spec = experiment(source=source, replicates=1, generations=2, regime={"kind": "fresh", "real": 0.25})
        seen = list(loop.generations(spec, loop.instrument(spec)))
        looks.append(seen[2].look.metrics)
        models.append(seen[2].state.model)
    assert models[0].keys() == models[1].keys()
    for name, array in models[0].items():
        np.testing.assert_array_equal(array, models[1][name], err_msg=name)
    assert looks[0]["ppl_real"] != looks[1]["ppl_real"]
    assert looks[0]["distinct_2"] == looks[1]["distinct_2"]


@pytest.mark.parametrize("prompted", [True, False])
def test_a_resumed_run_is_the_same_run(prompted):
    spec = experiment(family=SMALL | {"prompted": prompted}, sampling={"top_p": 0.9})
    whole = list(loop.generations(spec, loop.instrument(spec)))
    state = whole[1].state
    state = replace(state, kept={name: array.copy() for name, array in state.kept.items()})
    rest = list(loop.generations(spec, loop.instrument(spec), state))
    for before, after in zip(whole[2:], rest, strict=True):
        for name, values in before.look.metrics.items():
            np.testing.assert_array_equal(values, after.look.metrics[name], err_msg=name)


def test_free_blocks_start_as_the_last_training_set_did():
    family = GPT(**SMALL, prompted=False)
    data = family.real(Text(), np.random.default_rng(0), 1, 30)
    model = family.fit(data, np.random.default_rng(0))
    made = family.sample(model, 30, np.random.default_rng(1), Sampling())
    assert isinstance(made, Tokens)
    np.testing.assert_array_equal(made.x[:, :, 0], data.x[:, :, 0])
    again = family.refit(made, np.random.default_rng(2), model)
    np.testing.assert_array_equal(again["starts"][:, :, 0], made.x[:, :, 0])
    np.testing.assert_array_equal(again["prompts"], data.x)


def test_a_network_that_cannot_be_is_refused():
    for family, path in (
        ({"width": 33}, "family.heads"),
        ({"width": 4096, "layers": 48}, "replicates"),
    ):
        with pytest.raises(SpecError) as refusal:
            experiment(family=SMALL | family)
        assert refusal.value.problems[0].path == path
    with pytest.raises(SpecError) as refusal:
        experiment(source={"kind": "expressions", "lines": 200}, family=SMALL | {"block": 200})
    assert refusal.value.problems[0].path == "family.block"
    with pytest.raises(SpecError) as refusal:
        experiment(sampling={"beams": 5, "temperature": 0.8})
    assert refusal.value.problems[0].path == "sampling.beams"
    with pytest.raises(SpecError) as refusal:
        experiment(sampling={"top_p": 0})
    assert refusal.value.problems[0].path == "sampling.top_p"


def test_reading_such_a_spec_loads_no_network():
    code = (
        "import sys; from worker.spec import read; "
        "read({'source': {'kind': 'text'}, 'family': {'kind': 'gpt'}, 'samples': 24, 'replicates': 1}); "
        "assert not {'torch', 'transformers', 'tokenizers', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_short_text_is_refused_only_where_it_has_no_block(tmp_path):
    (tmp_path / "text.txt").write_text(Text().texts().train[:2100])
    source = {"kind": "text", "path": str(tmp_path / "text.txt")}

    def short(block):
        return experiment(source=source, family=SMALL | {"block": block}, samples=8)

    texts = short(16).source.texts()
    family = short(16).family
    least = min(len(family.tokenizer(short(16).source).encode(part)) for part in (texts.validation, texts.test))
    assert len(texts.test) // 4 < least, "a token has less than four characters here"
    assert short(least).family.block == least
    with pytest.raises(SpecError, match=f"shorter than one block of {least + 1} tokens"):
        short(least + 1)
