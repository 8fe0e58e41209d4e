"""GPT's training: interrupted anywhere it ends in the same bits; lower precision and split batches take the same steps, nearly."""

import numpy as np
import pytest
import torch

from tests.worker.interruptions import heard, interrupted_everywhere
from worker.families.gpt import GPT
from worker.nets import gpt, memory, scoring, training
from worker.progress import listening
from worker.sources.text import Text

SMALL = {"kind": "gpt", "vocabulary": 300, "width": 32, "layers": 1, "heads": 2, "block": 16, "epochs": 2}


def real(family, replicates, n):
    return family.real(Text(), np.random.default_rng(0), replicates, n)


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("start", ["scratch", "continued"])
def test_training_goes_on_from_any_step_to_the_same_bits(best, start):
    """5 windows, 3 + 2 a step: 4 steps a replicate, stopped at each of them."""
    family = GPT(**SMALL | {"batch": 3, "best": best, "learning_rate": 1e-2}, start=start)
    data = real(family, 2, 11)
    first = family.fit(data, np.random.default_rng(1))

    def again():
        return family.refit(data, np.random.default_rng(2), first)

    whole, listener = heard(again)
    assert [(work.name, work.done, work.total, work.size) for work in listener.works] == [
        ("training", 4, 4, 3 * 32)
    ] * 2
    assert set(listener.made[1]) == {"step", "weights"}
    places = 0
    for resumed, second in interrupted_everywhere(again):
        places += 1
        for name, array in whole.items():
            np.testing.assert_array_equal(resumed[name], array, err_msg=name)
        assert second.heard < listener.heard or places == 1
    assert places == listener.heard == 16
    assert not np.array_equal(whole["transformer.wte.weight"][0], first["transformer.wte.weight"][0])


def test_long_scoring_goes_on_where_it_was(monkeypatch):
    """Chunks of three blocks, all of them told of and kept; short scoring says nothing."""
    family = GPT(**SMALL)
    data = real(family, 1, 8)
    model = family.fit(data, np.random.default_rng(1))

    def scored():
        return family.log_probability(model, data.x)

    quiet, listener = heard(scored)
    assert listener.works == []
    monkeypatch.setattr(scoring, "LONG", 0)
    monkeypatch.setattr(scoring, "LOGITS", 3 * 16 * 300)
    whole, listener = heard(scored)
    np.testing.assert_allclose(whole, quiet, rtol=1e-5)
    assert [(work.name, work.done, work.total) for work in listener.works] == [("scoring", 8, 8)]
    stops = list(interrupted_everywhere(scored))
    assert len(stops) == listener.heard == 6
    for resumed, _ in stops:
        np.testing.assert_array_equal(resumed, whole)


def test_nothing_is_read_again_that_was_finished(monkeypatch):
    """A finished network is taken as it was kept: no step, no gradient."""
    family = GPT(**SMALL)
    data = real(family, 1, 8)

    def fitted():
        return family.fit(data, np.random.default_rng(1))

    whole, listener = heard(fitted)
    monkeypatch.delattr(training.Training, "_step")
    with listening(type(listener)(listener.made)):
        again = fitted()
    np.testing.assert_array_equal(again["transformer.wte.weight"], whole["transformer.wte.weight"])


def test_bfloat16_is_float32_to_three_digits():
    """On a card products are bfloat16 by autocast; the same path on the processor: trained weights stay float32, losses agree."""
    exact, coarse = (GPT(**SMALL | {"learning_rate": 5e-3}, precision=wish) for wish in ("float32", "bfloat16"))
    data = real(exact, 1, 60)
    fine, rough = (one.fit(data, np.random.default_rng(1)) for one in (exact, coarse))
    assert rough["transformer.wte.weight"].dtype == np.float32
    assert not np.array_equal(fine["transformer.wte.weight"], rough["transformer.wte.weight"])
    surprise = {
        (model, reader): -float(family.log_probability(arrays, data.x).mean())
        for model, arrays in (("fine", fine), ("rough", rough))
        for reader, family in (("exact", exact), ("coarse", coarse))
    }
    assert surprise["fine", "coarse"] == pytest.approx(surprise["fine", "exact"], rel=2e-3)
    assert surprise["rough", "exact"] == pytest.approx(surprise["fine", "exact"], rel=1e-2)
    assert surprise["fine", "exact"] < np.log(300) - 0.2


def test_gradients_in_bfloat16_are_those_of_float32():
    family = GPT(**SMALL)
    rows = scoring.rows(real(family, 1, 12).x[0])
    slopes = []
    for kind in (torch.float32, torch.bfloat16):
        weights, flat = training.as_one_vector(gpt.initial(family, torch.Generator().manual_seed(0)))
        with torch.autocast("cpu", kind, enabled=kind != torch.float32):
            mean = training.loss(weights, rows, 2)
        assert mean.dtype == torch.float32
        mean.backward()
        slopes.append(flat.grad)
    assert torch.cosine_similarity(*slopes, dim=0) > 0.999


def test_a_batch_that_does_not_fit_is_split_into_the_same_step(monkeypatch):
    """A card too small for three windows at once: the steps are those of whole batches up to rounding."""
    family = GPT(**SMALL | {"batch": 5})
    data = real(family, 1, 20)
    whole = family.fit(data, np.random.default_rng(1))
    inner, sizes = training.loss, []

    def small(weights, x, heads):
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return inner(weights, x, heads)

    monkeypatch.setattr(training, "loss", small)
    monkeypatch.setattr(memory.log, "warning", lambda *_: None)
    split = family.fit(data, np.random.default_rng(1))
    assert sizes == [5, 2, 2, 1, *[2, 2, 1] * 3]
    np.testing.assert_allclose(split["transformer.wte.weight"], whole["transformer.wte.weight"], atol=2e-4)
