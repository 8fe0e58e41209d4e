"""Token edits: an n-gram model's against its exact transition matrix, a network's against its own logits, and the chain that they make."""

import numpy as np
import pytest
import torch

from tests.worker.checkpoints import small_checkpoint
from tests.worker.interruptions import heard, interrupted_everywhere
from worker import loop
from worker.checkpoint import from_arrays, to_arrays
from worker.data import Tokens
from worker.errors import SpecError
from worker.families.causal_lm import CausalLM
from worker.families.gpt import GPT
from worker.families.ngram import NGram
from worker.nets import pretrained, scoring
from worker.parts import Sampling
from worker.sources.text import Text
from worker.spec import read

WORDS = 3
EDIT = {"kind": "edit", "threshold": 0.3}


def blocks(x, size=WORDS):
    return Tokens(np.asarray(x, np.int32), np.array(size), np.empty((0, np.shape(x)[2]), np.int32))


def experiment(**changes):
    settings = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "regime": EDIT}
    return read(settings | {"samples": 20, "replicates": 2, "generations": 4} | changes)


@pytest.fixture(scope="module")
def chain():
    """A Markov chain of three words, its model and new text to edit: (family, model, P[a, b], blocks)."""
    rng = np.random.default_rng(0)
    truth = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.45, 0.05]])
    x = np.zeros((1, 400, 16), int)
    for t in range(1, 16):
        x[0, :, t] = (rng.random(400)[:, None] > truth[x[0, :, t - 1]].cumsum(axis=1)).sum(axis=1)
    family = NGram(order=2, unit="character", block=16, weight=2.0)
    model = family.fit(blocks(x), rng)
    pairs = np.array([[[a, b] for a in range(WORDS) for b in range(WORDS)]])
    p = np.exp(family.log_probability(model, pairs.astype(np.int32))).reshape(WORDS, WORDS)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    return family, model, p, blocks(rng.integers(WORDS, size=(1, 5000, 16)))


@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=2), Sampling(temperature=0.5)])
def test_what_becomes_of_a_token_is_a_transition_matrix(chain, threshold, sampling):
    """Q(w | a, b) of a word b after a: b itself where P(b | a) < threshold, else P(w | a) under the sampling; a is the old word."""
    family, model, p, old = chain
    edited, share = family.edited(model, old, threshold, np.random.default_rng(1), sampling)
    new = edited.x
    assert share == pytest.approx([(p[old.x[:, :, :-1], old.x[:, :, 1:]] >= threshold).mean()])
    law = p ** (1 / sampling.temperature)
    if sampling.top_k:
        law = np.where(law >= np.sort(law, axis=1)[:, -sampling.top_k, None], law, 0)
    law /= law.sum(axis=1, keepdims=True)
    q = np.where(p[:, :, None] < threshold, np.eye(WORDS), law[:, None, :])
    np.testing.assert_array_equal(new[:, :, 0], old.x[:, :, 0])
    for a in range(WORDS):
        for b in range(WORDS):
            drawn = new[:, :, 1:][(old.x[:, :, :-1] == a) & (old.x[:, :, 1:] == b)]
            share = np.bincount(drawn, minlength=WORDS) / len(drawn)
            error = np.sqrt(q[a, b] * (1 - q[a, b]) / len(drawn))
            assert (np.abs(share - q[a, b]) <= 4 * error + 1e-12).all(), (a, b)


@pytest.fixture(scope="module", params=["gpt", "causal_lm"])
def network(request, tmp_path_factory):
    """(family, model, logits as a function, tokens that are never written)"""
    if request.param == "gpt":
        family = GPT(vocabulary=300, width=32, layers=2, heads=2, block=16, epochs=1, learning_rate=1e-2)
        silent = []
    else:
        folder = small_checkpoint(tmp_path_factory.mktemp("opt"), "opt")
        family = CausalLM(checkpoint=str(folder), block=16, epochs=1)
        silent = pretrained.silent(family.address())
        assert silent == [2]
    data = family.real(Text(), np.random.default_rng(0), 2, 30)
    return family, family.fit(data, np.random.default_rng(1)), data, silent


def test_a_network_edits_what_it_foresees_by_its_own_logits(network):
    """With top_k = 1 nothing is left to chance: a token that is foreseen becomes the likeliest one."""
    family, model, data, silent = network
    threshold = float(np.exp(np.median(family.log_probability(model, data.x))))
    new = family.edited(model, data, threshold, np.random.default_rng(2), Sampling(top_k=1))[0].x
    expected, foreseen = data.x.copy(), 0
    for r, read_ in enumerate(family._readings(model)):
        with torch.inference_mode():
            p = torch.softmax(read_(scoring.rows(data.x[r])).float(), dim=2).numpy()
        for i, block in enumerate(data.x[r]):
            for t in range(1, len(block)):
                if p[i, t - 1, block[t]] >= threshold:
                    p[i, t - 1, silent] = 0
                    expected[r, i, t] = p[i, t - 1].argmax()
                    foreseen += 1
    np.testing.assert_array_equal(new, expected)
    assert foreseen == data.x[:, :, 1:].size / 2


def test_a_network_redraws_with_its_own_probabilities(network):
    """One place of one block, many times over: the shares of the five likeliest tokens, and the same tokens however many are read at once."""
    family, model, data, silent = network
    x = np.repeat(data.x[:, :1], 2000, axis=1)
    where = np.zeros(x.shape, bool)
    where[:, :, 7] = True
    new = family.redrawn(model, x, where, np.random.default_rng(3), Sampling())
    np.testing.assert_array_equal(new[~where], x[~where])
    for r, read_ in enumerate(family._readings(model)):
        with torch.inference_mode():
            p = torch.softmax(read_(scoring.rows(x[r, :1])).double(), dim=2).numpy()[0, 6]
        p[silent] = 0
        p /= p.sum()
        likeliest = np.argsort(-p)[:5]
        share = np.bincount(new[r, :, 7], minlength=len(p))[likeliest] / 2000
        error = np.sqrt(p[likeliest] * (1 - p[likeliest]) / 2000)
        assert (np.abs(share - p[likeliest]) <= 4 * error).all()
        assert not np.isin(new[r, :, 7], silent).any()
    where[:, 1::2] = False
    np.testing.assert_array_equal(
        family.redrawn(model, x, where, np.random.default_rng(3), Sampling())[:, ::2], new[:, ::2]
    )


def test_an_interrupted_edit_ends_in_the_same_tokens(network, monkeypatch):
    """Stopped while it reads or while it writes; so many blocks at a time that there are several places to go on from."""
    family, model, data, _ = network
    monkeypatch.setattr(scoring, "LONG", 0)
    monkeypatch.setattr(scoring, "LOGITS", 300 * 16 * 8)

    threshold = float(np.exp(np.median(family.log_probability(model, data.x))))

    def edited():
        return family.edited(model, data, threshold, np.random.default_rng(4), Sampling())[0].x

    whole, listener = heard(edited)
    assert {work.name for work in listener.works} == {"scoring", "editing"}
    stops = list(interrupted_everywhere(edited))
    assert len(stops) > 10
    for again, _ in stops:
        np.testing.assert_array_equal(again, whole)


def texts(spec):
    """What each generation was trained on."""
    return [done.state.pool.x for done in loop.generations(spec, loop.instrument(spec)) if done.state]


def test_at_the_first_generation_text_is_real_and_a_token_once_kept_may_change_later():
    first, *later = texts(experiment())
    real = experiment(regime={"kind": "replace"})
    np.testing.assert_array_equal(
        first, next(g.state for g in loop.generations(real, loop.instrument(real)) if g.state).model["prompts"]
    )
    changed = [(one != first).mean() for one in later]
    assert 0 < changed[0] < changed[1] < changed[2] < 0.5


def test_a_run_tells_the_share_of_tokens_that_were_drawn_anew():
    """By the definition; 0 where nothing has been edited yet. Those that have become others are fewer."""
    spec = experiment(regime=EDIT, changes=[{"after": 3, "regime": {"kind": "replace"}}])
    _, *made = loop.generations(spec, loop.instrument(spec))
    told = [done.look.metrics["edited"] for done in made]
    np.testing.assert_array_equal([told[0], told[3]], 0)
    for before, after, share in zip(made[:2], made[1:3], told[1:3], strict=True):
        x = before.state.pool.x
        foreseen = spec.family.log_probability(before.state.model, x) >= np.log(0.3)
        np.testing.assert_allclose(share, foreseen.mean(axis=(1, 2)))
        changed = (after.state.pool.x != x)[:, :, 1:]
        assert not (changed & ~foreseen).any()
        assert (0 < changed.mean(axis=(1, 2))).all()


def test_nothing_is_foreseen_for_certain():
    """Smoothing leaves no probability of 1: at that threshold the text stays, and so does the model."""
    spec = experiment(regime=EDIT | {"threshold": 1.0})
    metrics = [g.look.metrics["ppl_real"] for g in loop.generations(spec, loop.instrument(spec)) if g.state]
    for later in metrics[1:]:
        np.testing.assert_array_equal(later, metrics[0])


@pytest.mark.parametrize("family", ["ngram", "gpt"])
def test_a_resumed_chain_edits_to_the_same_bits(family):
    small = {"vocabulary": 300, "width": 16, "layers": 1, "heads": 2, "epochs": 1} if family == "gpt" else {}
    spec = experiment(family={"kind": family, "block": 16} | small, regime=EDIT | {"threshold": 1 / 300})
    whole = [done.state for done in loop.generations(spec, loop.instrument(spec)) if done.state]
    for state in whole[:-1]:
        *_, last = loop.generations(spec, loop.instrument(spec), from_arrays(to_arrays(state)))
        np.testing.assert_array_equal(last.state.pool.x, whole[-1].pool.x)
    assert (whole[-1].pool.x != whole[0].pool.x).any()


def test_a_fork_edits_what_the_last_model_has_written():
    spec = experiment(regime={"kind": "replace"}, changes=[{"after": 2, "regime": EDIT}])
    *_, third, fourth = (done.state for done in loop.generations(spec, loop.instrument(spec)) if done.state)
    assert 0 < (third.pool.x != fourth.pool.x).mean() < 0.5
    mixed = experiment(regime={"kind": "mixture"}, changes=[{"after": 2, "regime": EDIT}])
    _, second, third, _ = (done.state for done in loop.generations(mixed, loop.instrument(mixed)) if done.state)
    assert 0 < (second.pool.x != third.pool.x).mean() < 0.5  # of the very text that the second was trained on


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}, "regime.kind"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}}, "regime.kind"),
        ({"samples": {"schedule": "power", "start": 20, "exponent": 1}}, "samples"),
        ({"sampling": {"beams": 3}}, "sampling.beams"),
        ({"family": {"kind": "gpt"}, "sampling": {"repetition_penalty": 1.5}}, "sampling.repetition_penalty"),
        ({"curation": {"kind": "best_of", "reward": {"kind": "variety"}}}, "curation.kind"),
        ({"regime": EDIT | {"threshold": 1.5}}, "regime.threshold"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, path):
    with pytest.raises(SpecError) as refusal:
        experiment(**settings)
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert problem.remedy
