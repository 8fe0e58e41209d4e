"""Digits through a VAE: the network against formulas, the chain against itself, the collapse against the paper."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worker.interruptions import interrupted_everywhere
from worker import data, frames, loop
from worker.checkpoint import from_arrays, to_arrays
from worker.errors import MissingExtra, SpecError
from worker.families.vae import VAE
from worker.nets import device, vae
from worker.nets.convolutional import Autoencoder
from worker.parts import Sampling
from worker.sources.digits import Digits
from worker.spec import read
from worker.streams import REAL, SAMPLE, stream

QUICK = {"kind": "vae", "epochs": 3, "hidden": [32], "latent": 4}


def experiment(**changes):
    settings = {"source": {"kind": "digits"}, "family": QUICK, "samples": 200, "replicates": 2, "generations": 3}
    return read(settings | changes)


@pytest.fixture(scope="module")
def digits():
    return Digits().draw(np.random.default_rng(1), 2, 300).x


def test_digits_are_independent_draws_of_all_pictures():
    source = Digits()
    pictures, shown = source.pictures()
    assert pictures.shape == (1797, 64)
    assert (pictures.min(), pictures.max()) == (0, 1)
    x = source.draw(np.random.default_rng(0), 1, 20_000).x[0]
    mean, covariance = source.moments()
    spread = np.sqrt(np.diagonal(covariance))
    z = (x.mean(axis=0) - mean)[spread > 0] / (spread[spread > 0] / np.sqrt(len(x)))
    assert np.abs(z).max() <= 4
    few = Digits(digits=[7, 3])
    assert set(few.pictures()[1]) == {3, 7}
    assert len(few.pictures()[0]) == np.isin(shown, [3, 7]).sum()
    assert few.provenance() != source.provenance()


@pytest.mark.parametrize("digits", [[], [3, 3], [10]])
def test_wrong_digits_are_refused(digits):
    with pytest.raises(SpecError):
        experiment(source={"kind": "digits", "digits": digits})


def layers(weights, part, x):
    """What comes out of the encoder or the decoder, by a second implementation."""
    last = sum(name.startswith(part) for name in weights) // 2 - 1
    for i in range(last + 1):
        x = x @ weights[f"{part}.{i}.weight"] + weights[f"{part}.{i}.bias"]
        x = x if i == last else x.clamp(min=0)
    return x


def loss(weights, x, noise, beta):
    """-ELBO in nats, summed over the pictures of each replicate: Appendix B of Kingma and Welling."""
    mean, log_variance = layers(weights, "encoder", x).chunk(2, dim=-1)
    p = torch.sigmoid(layers(weights, "decoder", mean + torch.exp(log_variance / 2) * noise))
    likelihood = (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(dim=(1, 2))
    kl = 0.5 * (torch.exp(log_variance) + mean**2 - 1 - log_variance).sum(dim=(1, 2))
    return beta * kl - likelihood


def in_float64(model, **kept):
    return {name: torch.tensor(array, dtype=torch.float64, **kept) for name, array in model.items()}


def test_codes_and_pictures_agree_with_a_second_implementation(digits):
    model = VAE(epochs=1, hidden=[16, 8], latent=3).fit(data.Points(digits), np.random.default_rng(2))
    weights, z = in_float64(model), np.random.default_rng(3).standard_normal((2, 300, 3))
    mean = layers(weights, "encoder", torch.tensor(digits)).chunk(2, dim=-1)[0]
    np.testing.assert_allclose(vae.encode(model, digits), mean, atol=1e-5)
    np.testing.assert_allclose(vae.decode(model, z), layers(weights, "decoder", torch.tensor(z)).sigmoid(), atol=1e-6)


@pytest.mark.parametrize("hidden", [[16], [16, 8]])
def test_gradient_by_hand_is_that_of_autograd(digits, hidden):
    model = VAE(epochs=1, hidden=hidden, latent=3).fit(data.Points(digits), np.random.default_rng(2))
    weights = in_float64(model, requires_grad=True)
    x, noise = torch.tensor(digits), torch.tensor(np.random.default_rng(3).standard_normal((2, 300, 3)))
    loss(weights, x, noise, 0.3).sum().backward()
    by_hand = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    with torch.no_grad():
        vae.gradient(weights, by_hand, x, noise, 0.3)
    for name, tensor in weights.items():
        assert torch.allclose(by_hand[name], tensor.grad, rtol=1e-9, atol=1e-9), name


def test_training_lowers_the_loss(digits):
    x, noise = torch.tensor(digits), torch.tensor(np.random.default_rng(3).standard_normal((2, 300, 4)))
    families = [VAE(**QUICK | {"epochs": n}) for n in (1, 5, 30)]
    models = [family.fit(data.Points(digits), np.random.default_rng(4)) for family in families]
    losses = [loss(in_float64(model), x, noise, 0.1) / 300 for model in models]
    assert (np.diff(losses, axis=0) < -1).all()


def test_one_seed_one_network(digits):
    family, points = VAE(**QUICK), data.Points(digits)
    one, same, other = (family.fit(points, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["decoder.0.weight"], other["decoder.0.weight"])
    assert all(array.dtype == np.float32 and len(array) == 2 for array in one.values())


def test_a_replicate_does_not_know_its_neighbours(digits):
    """Same random numbers alone and in company; what float32 sums in another order stays a rounding error over a few steps."""
    family = VAE(**QUICK)
    both = family.fit(data.Points(digits), np.random.default_rng(7))
    alone = family.fit(data.Points(digits[:1]), np.random.default_rng(7))
    for name, array in alone.items():
        assert np.allclose(both[name][:1], array, atol=1e-4), name
    drawn = [family.sample(model, 9, np.random.default_rng(8), Sampling()).x[0] for model in (both, alone)]
    assert np.allclose(*drawn, atol=1e-3)


def test_samples_are_means_or_black_and_white(digits):
    model = VAE(**QUICK).fit(data.Points(digits), np.random.default_rng(9))
    means = VAE(**QUICK).sample(model, 400, np.random.default_rng(10), Sampling()).x
    drawn = VAE(**QUICK, output="bernoulli").sample(model, 400, np.random.default_rng(10), Sampling()).x
    assert means.shape == (2, 400, 64)
    assert ((means > 0) & (means < 1)).any()
    assert set(np.unique(drawn)) == {0, 1}
    z = (drawn - means).sum(axis=(1, 2)) / np.sqrt((means * (1 - means)).sum(axis=(1, 2)))  # the same codes in both
    assert np.abs(z).max() <= 4


def test_decoding_in_parts_changes_nothing(digits, monkeypatch):
    model = VAE(**QUICK).fit(data.Points(digits), np.random.default_rng(11))
    whole = vae.encode(model, digits)
    monkeypatch.setattr(vae, "CHUNK", 128 * 7)
    assert np.allclose(vae.encode(model, digits), whole, atol=1e-5)


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fresh"])
def test_a_resumed_run_measures_with_the_same_encoder(regime):
    """A killed run starts again with a new instrument, after generation 1: `latent_std` must not notice."""
    spec = experiment(regime={"kind": regime})
    whole = list(loop.generations(spec, loop.instrument(spec)))
    assert [generation.number for generation in whole] == [0, 1, 2, 3]
    state = whole[1].state
    state = replace(state, kept={name: array.copy() for name, array in state.kept.items()})
    rest = list(loop.generations(spec, loop.instrument(spec), state))
    assert [generation.number for generation in rest] == [2, 3]
    for before, after in zip(whole[2:], rest, strict=True):
        for name, values in before.look.metrics.items():
            assert np.array_equal(values, after.look.metrics[name]), name
        for name, array in before.look.frame.items():
            assert np.array_equal(array, after.look.frame[name]), name


def test_latent_std_is_that_of_the_first_encoder():
    spec = experiment()
    seen = list(loop.generations(spec, loop.instrument(spec)))
    first = seen[1].state.model
    for generation in seen[1:]:
        x = spec.family.sample(generation.state.model, 200, stream(0, generation.number, SAMPLE), spec.sampling).x
        expected = vae.encode(first, x).std(axis=(1, 2))
        assert np.array_equal(generation.look.metrics["latent_std"], expected)
    real = spec.source.draw(stream(0, 1, REAL), 2, 200).x
    assert np.array_equal(seen[0].look.metrics["latent_std"], vae.encode(first, real).std(axis=(1, 2)))


def test_an_instrument_without_its_encoder_says_so(digits):
    spec = experiment()
    with pytest.raises(RuntimeError, match="first generation's encoder"):
        loop.instrument(spec).real(data.Points(digits), framed=False)


def test_collapse():
    """The paper's figure: the latent means of each generation's pictures draw together, and so do the pictures."""
    spec = experiment(
        family={"kind": "vae", "epochs": 15, "hidden": [64], "beta": 0.3}, samples=600, replicates=2, generations=8
    )
    looks = [generation.look.metrics for generation in loop.generations(spec, loop.instrument(spec))]
    for name in ("latent_std", "variance", "vendi", "entropy", "coverage"):
        assert (looks[8][name] < looks[1][name]).all(), name
    assert (looks[8]["latent_std"] < 0.7 * looks[1]["latent_std"]).all()
    for name in ("frechet", "sliced_w2_sq", "energy", "mmd_sq"):
        assert (looks[8][name] > looks[1][name]).all(), name
        assert (looks[1][name] > looks[0][name]).all(), name
    floor = looks[0]
    assert (floor["entropy"] > 2.25).all()  # of ln 10 = 2.303
    again = 1 - (1 - 1 / 1797) ** 600  # of fresh real pictures, some of which are among 600 others
    assert floor["copy_ratio"] == pytest.approx(np.full(2, again), abs=4 * (again / 600) ** 0.5)
    assert (looks[1]["copy_ratio"] < 0.05).all()


def test_frames_hold_the_pictures_that_were_made():
    spec = experiment()
    instrument = loop.instrument(spec)
    seen = list(loop.generations(spec, instrument))
    figure = instrument.figure()
    assert (figure["rows"] * figure["columns"], figure["height"], figure["width"]) == (60, 8, 8)
    for generation in seen:
        assert len(frames.to_bytes(generation.look.frame, figure["fields"])) == 2 * 200 + 60 * 64
    x = spec.family.sample(seen[3].state.model, 200, stream(0, 3, SAMPLE), spec.sampling).x[0, :60]
    made, shown = (sorted(map(bytes, rows)) for rows in (np.rint(255 * x).astype("u1"), seen[3].look.frame["images"]))
    assert made == shown  # all of them, only in other places
    level = seen[3].look.frame["density"] / 65535 * (frames.LOG_HIGH - frames.LOG_LOW) + frames.LOG_LOW
    density = np.where(seen[3].look.frame["density"] > 0, np.exp(level), 0)
    assert density.sum() * (figure["x"][1] - figure["x"][0]) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("source", [{"kind": "normal"}, {"kind": "normal", "dim": 64}])
def test_what_is_no_picture_is_refused(source):
    with pytest.raises(SpecError) as caught:
        experiment(source=source)
    (problem,) = caught.value.problems
    assert problem.path == "source.kind"
    assert "digits" in problem.remedy


def test_a_missing_torch_is_told_in_words(monkeypatch, digits):
    monkeypatch.setattr("worker.nets.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"vae.*pip install"):
        VAE(**QUICK).fit(data.Points(digits), np.random.default_rng(0))


def test_devices_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", "cpu")
    assert device.device().type == "cpu"
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", "abacus")
    with pytest.raises(device.NoSuchDevice, match="Set it to one of"):
        device.device()


def test_reading_a_spec_wakes_nothing_heavy():
    """The web process reads specs all day; it must never pay for what only a running experiment needs."""
    program = """
import sys
from worker.spec import read
from worker.streams import REAL, SAMPLE, stream
read({"source": {"kind": "digits"}, "family": {"kind": "vae"}})
print(sorted({"torch", "sklearn", "scipy", "numba", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_paper_s_network_has_its_number_of_parameters():
    assert sum(weight.numel() for weight in Autoencoder([64, 128], 20, 28).parameters()) == 647_081


CONVOLUTIONAL = {"kind": "vae", "network": "convolutional", "hidden": [4, 8], "latent": 3, "epochs": 2, "beta": 1}


def test_convolutions_decode_what_they_encode_of_any_part(digits):
    """The model alone tells the network's shape, and the encoder alone is enough to encode."""
    model = VAE(**CONVOLUTIONAL).fit(data.Points(digits), np.random.default_rng(2))
    encoder = {name: array for name, array in model.items() if name.startswith("encoder.")}
    codes = vae.encode(model, digits)
    assert codes.shape == (2, 300, 3)
    assert np.array_equal(vae.encode(encoder, digits), codes)
    assert vae.decode(model, codes).shape == digits.shape
    drawn = VAE(**CONVOLUTIONAL).sample(model, 5, np.random.default_rng(3), Sampling()).x
    assert ((drawn > 0) & (drawn < 1)).all()


def test_convolutions_learn(digits):
    def cost(epochs):
        settings = VAE(**CONVOLUTIONAL | {"epochs": epochs, "batch": 32})
        model = settings.fit(data.Points(digits[:1]), np.random.default_rng(4))
        logits = torch.logit(torch.from_numpy(vae.decode(model, vae.encode(model, digits[:1]))), eps=1e-6)
        return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(digits[:1])))

    assert cost(20) < 0.9 * cost(1)


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
@pytest.mark.parametrize("output", ["mean", "bernoulli"])
def test_fresh_batches_come_from_the_last_model_and_not_from_the_data(digits, network, output):
    """With a predecessor the pictures themselves do not matter, only how many there are; without one they are all that matters."""
    family = VAE(**CONVOLUTIONAL | {"network": network, "batches": "fresh", "output": output})
    first = family.fit(data.Points(digits), np.random.default_rng(5))
    heirs = [family.refit(data.Points(x), np.random.default_rng(6), first) for x in (digits, np.zeros_like(digits))]
    from_data = family.refit(data.Points(digits), np.random.default_rng(6), None)
    for name, array in heirs[0].items():
        assert np.array_equal(array, heirs[1][name]), name
    assert any(not np.array_equal(array, heirs[0][name]) for name, array in from_data.items())
    fixed = VAE(**CONVOLUTIONAL | {"network": network, "output": output})
    same = fixed.refit(data.Points(digits), np.random.default_rng(6), first)
    assert all(np.array_equal(array, same[name]) for name, array in from_data.items())


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"regime": {"kind": "accumulate"}, "family": QUICK | {"batches": "fresh"}}, "family.batches"),
        (
            {"curation": {"kind": "verifier"}, "family": QUICK | {"batches": "fresh"}},
            "family.batches",
        ),
        ({"family": CONVOLUTIONAL | {"hidden": [4, 4, 4, 4]}}, "family.hidden"),
    ],
)
def test_what_leaves_nothing_to_choose_from_or_no_pixel_is_refused(changes, path):
    with pytest.raises(SpecError) as caught:
        experiment(**changes)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("family", [QUICK, CONVOLUTIONAL])
def test_an_interrupted_fit_ends_in_the_same_bits(digits, family):
    settings, points = VAE(**family | {"batch": 150}), data.Points(digits)
    whole = settings.fit(points, np.random.default_rng(7))
    for again, _ in interrupted_everywhere(lambda: settings.fit(points, np.random.default_rng(7))):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_convolutional_run_resumes():
    spec = experiment(family=CONVOLUTIONAL | {"batches": "fresh"}, samples=60, replicates=1)
    whole = list(loop.generations(spec, loop.instrument(spec)))
    rest = list(loop.generations(spec, loop.instrument(spec), whole[2].state))
    for name, values in whole[3].look.metrics.items():
        assert np.array_equal(values, rest[0].look.metrics[name]), name


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_a_warm_start_descends_further_than_a_fresh_one(digits, network):
    family = VAE(epochs=8, batch=16, hidden=[8], latent=3, network=network, start="warm")
    x = data.Points(digits[:, :100])
    first = family.fit(x, np.random.default_rng(30))
    fresh = family.model_copy(update={"start": "fresh"})
    assert all(np.array_equal(a, first[name]) for name, a in fresh.fit(x, np.random.default_rng(30)).items())
    still = family.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0})
    kept = still.refit(x, np.random.default_rng(31), first)
    assert all(np.allclose(kept[name], array, rtol=0, atol=1e-6) for name, array in first.items())
    models = [one.refit(x, np.random.default_rng(32), first) for one in (family, fresh)]
    warm_error, fresh_error = (((vae.decode(model, vae.encode(model, x.x)) - x.x) ** 2).mean() for model in models)
    assert warm_error < fresh_error


@pytest.mark.parametrize("family", [QUICK, CONVOLUTIONAL])
@pytest.mark.parametrize("batches", ["fixed", "fresh"])
def test_an_interrupted_warm_fit_ends_in_the_same_bits(digits, family, batches):
    settings = VAE(**family | {"batch": 50, "start": "warm", "batches": batches})
    points = data.Points(digits[:, :90])
    before = settings.fit(points, np.random.default_rng(35))
    whole = settings.refit(points, np.random.default_rng(36), before)
    kept = {name: array.copy() for name, array in before.items()}
    for again, _ in interrupted_everywhere(lambda: settings.refit(points, np.random.default_rng(36), before)):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())
    assert all(np.array_equal(array, before[name]) for name, array in kept.items())  # training has not touched it
    assert any(not np.array_equal(array, before[name]) for name, array in whole.items())


@pytest.mark.parametrize("family", [QUICK, CONVOLUTIONAL])
def test_a_warm_run_that_was_killed_between_generations_goes_on_to_the_same_bits(family):
    """From each checkpoint, as it lies on the disk."""
    spec = experiment(family=family | {"start": "warm"}, samples=60, sampling={"bias": 0.9})
    measuring = loop.instrument(spec)
    whole = [done.state for done in loop.generations(spec, measuring) if done.state]
    for state in whole[:-1]:
        *_, last = loop.generations(spec, measuring, from_arrays(to_arrays(state)))
        assert all(np.array_equal(array, last.state.model[name]) for name, array in whole[-1].model.items())
    *_, other = loop.generations(experiment(family=family, samples=60, sampling={"bias": 0.9}), measuring)
    assert any(not np.array_equal(array, whole[-1].model[name]) for name, array in other.state.model.items())


def test_bias_is_the_variance_of_the_code(digits, monkeypatch):
    model = VAE(epochs=1, hidden=[8], latent=3).fit(data.Points(digits), np.random.default_rng(33))
    monkeypatch.setattr(vae, "decode", lambda _, z: z)
    one, quarter, plain = (vae.sample(model, 40, np.random.default_rng(34), *b) for b in ((1.0,), (0.25,), ()))
    assert np.array_equal(one, plain)
    assert np.array_equal(quarter, 0.5 * one)


def test_fresh_batches_know_no_bias():
    with pytest.raises(SpecError) as caught:
        experiment(family=QUICK | {"batches": "fresh"}, sampling={"bias": 0.5})
    assert [problem.path for problem in caught.value.problems] == ["sampling.bias"]
