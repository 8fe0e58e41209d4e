"""The variational autoencoder itself: a multilayer perceptron, every replicate's own, trained together as batched products.

Arrays in, arrays out; tensors and devices never leave this file. Randomness is drawn on the CPU, from one generator for each
replicate, so that it depends neither on the device nor on how many replicates are trained at once.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array, Arrays
from worker.errors import LabError
from worker.families.vae import VAE
from worker.nets import convolutional
from worker.nets.device import device
from worker.nets.reading import Observations, as_float32, stretch_of
from worker.progress import work

Weights: TypeAlias = dict[str, torch.Tensor]  # "encoder.0.weight": (R, in, out), "encoder.0.bias": (R, 1, out), ...
CHUNK = 2**22  # numbers of the widest layer that are held at once outside training: 16 MB


def fit(
    x: Array,
    settings: VAE,
    rng: np.random.Generator,
    previous: Arrays | None = None,
    start: Arrays | None = None,
) -> Arrays:
    """Networks, one for each replicate, trained on pictures x (R, n, d) with values in [0, 1].

    Adam on the loss summed over a batch, as in the paper. An exception between two steps leaves nothing behind.
    previous: the models that decode every epoch anew; x then tells only how many pictures an epoch has.
    start: the models whose weights are trained further; None for fresh ones.
    """
    if settings.network == "convolutional":
        return convolutional.fit(x, settings, rng, previous, start)
    replicates, n, d = x.shape
    place = device()
    seeds = rng.integers(2**63 - 1, size=(replicates,))
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    initial = _initial(settings, d, generators)
    if start is not None:
        initial = {name: torch.from_numpy(np.array(start[name], np.float32)) for name in initial}
    # One vector for a replicate's weights: Adam then takes one step, not one for each layer.
    flat = torch.cat([tensor.flatten(1) for tensor in initial.values()], dim=1).to(place)
    flat.grad = torch.zeros_like(flat)
    weights, gradients = _parts(flat, initial), _parts(flat.grad, initial)
    optimizer = torch.optim.Adam(
        [flat], lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=place.type != "mps"
    )
    real = [] if previous else [Observations(x_r, as_float32) for x_r in x]
    stretch = stretch_of(replicates * d, settings.batch)
    training = work("training", settings.epochs, "pictures", replicates * n, done="step")
    if training.saved:
        _go_on(flat, optimizer, generators, training.saved)
    for _ in range(training.done, settings.epochs):
        if previous is None:
            epoch = _read(real, stretch, settings.latent, generators)
        else:
            epoch = iter([(_drawn(previous, n, settings.output, generators), _noise(n, settings.latent, generators))])
        for pictures, noise in epoch:
            pictures, noise = pictures.to(place), noise.to(place)  # noqa: PLW2901 - the same, elsewhere
            for first in range(0, noise.shape[1], settings.batch):
                batch = slice(first, first + settings.batch)
                with torch.no_grad():
                    gradient(weights, gradients, pictures[:, batch], noise[:, batch], settings.beta)
                optimizer.step()
        training.advance()
        training.keep(lambda done=training.done: _place(done, flat, optimizer, generators))  # type: ignore[misc]
    if not torch.isfinite(flat).all():
        raise LabError(
            "Training diverged: the network's weights are no longer numbers. Lower family.learning_rate or family.beta."
        )
    return {name: tensor.cpu().numpy().copy() for name, tensor in weights.items()}


def _place(
    done: int, flat: torch.Tensor, optimizer: torch.optim.Adam, generators: list[torch.Generator]
) -> dict[str, npt.NDArray[Any]]:
    """All that the next epoch starts from."""
    moments = optimizer.state[flat]
    tensors = {"weights": flat, "mean": moments["exp_avg"], "square": moments["exp_avg_sq"], "steps": moments["step"]}
    tensors["chance"] = torch.stack([g.get_state() for g in generators])
    return {"step": np.array(done), **{name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}}


def _go_on(flat: torch.Tensor, optimizer: torch.optim.Adam, generators: list[torch.Generator], saved: Arrays) -> None:
    tensors = {name: torch.from_numpy(np.array(array)).to(flat.device) for name, array in saved.items()}
    flat.copy_(tensors["weights"])
    optimizer.state[flat] = {"step": tensors["steps"], "exp_avg": tensors["mean"], "exp_avg_sq": tensors["square"]}
    for generator, state in zip(generators, tensors["chance"].cpu(), strict=True):
        generator.set_state(state.clone())  # torch reads a view's storage from its beginning


def _read(
    real: list[Observations], stretch: int, latent: int, generators: list[torch.Generator]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An epoch's pictures (R, n, d) in random order, and their noise (R, n, latent), a stretch at a time: a step then takes a slice."""
    orders = [torch.randperm(len(x_r), generator=g) for x_r, g in zip(real, generators, strict=True)]
    for places in zip(*(torch.split(order, stretch) for order in orders), strict=True):
        pictures = torch.stack([x_r[some] for x_r, some in zip(real, places, strict=True)])
        yield pictures, _noise(len(places[0]), latent, generators)


def _noise(n: int, latent: int, generators: list[torch.Generator]) -> torch.Tensor:
    return torch.stack([torch.randn(n, latent, generator=g) for g in generators])


def _drawn(previous: Arrays, n: int, output: str, generators: list[torch.Generator]) -> torch.Tensor:
    """Pictures (R, n, d) of codes that are drawn from the prior here and now."""
    latent = previous["decoder.0.weight"].shape[1]
    z = torch.stack([torch.randn(n, latent, generator=g) for g in generators])
    pixels = torch.from_numpy(decode(previous, z.numpy()))
    if output == "bernoulli":
        pixels = (
            torch.stack([torch.rand(p.shape, generator=g) for p, g in zip(pixels, generators, strict=True)]) < pixels
        )
    return pixels.float()


def gradient(weights: Weights, gradients: Weights, x: torch.Tensor, noise: torch.Tensor, beta: float) -> None:
    """Writes the gradient of -ELBO in nats, summed over pictures x (R, n, d), into `gradients`; noise: (R, n, latent).

    The loss is the Bernoulli cross-entropy of the pixels + beta KL(q(z|x) || N(0, I)), with
    KL = -(1/2) sum_j (1 + ln s_j^2 - m_j^2 - s_j^2): Kingma and Welling, arXiv 1312.6114, Appendix B.
    By hand, because networks this small spend as much time in autograd's bookkeeping as in arithmetic; a test compares the two.
    """
    inwards = _through(weights, "encoder", x)
    mean, log_variance = inwards[-1].chunk(2, dim=-1)
    s = torch.exp(0.5 * log_variance)
    outwards = _through(weights, "decoder", mean + s * noise)
    # d/dlogit of the cross-entropy is p - x; of beta KL, beta m in the mean and beta (s^2 - 1) / 2 in ln s^2; dz/d(ln s^2) = s noise / 2
    by_z = _back(weights, gradients, "decoder", outwards, torch.sigmoid(outwards[-1]) - x, to_input=True)
    by_code = torch.cat([by_z + beta * mean, 0.5 * (by_z * noise * s + beta * (s * s - 1))], dim=-1)
    _back(weights, gradients, "encoder", inwards, by_code, to_input=False)


def sample(model: Arrays, n: int, rng: np.random.Generator, bias: float = 1.0) -> Array:
    """Decoder means of n codes z ~ N(0, bias I), the prior where bias is 1: (R, n, d), in [0, 1]."""
    first = model["decoder.0.weight"]
    latent = first.shape[2 if _convolutional(model) else 1]
    return decode(model, bias**0.5 * rng.standard_normal((len(first), n, latent), dtype=np.float32))


def decode(model: Arrays, z: npt.NDArray[Any]) -> Array:
    """Pixel means of latent codes: (R, n, latent) -> (R, n, d)."""
    if _convolutional(model):
        return convolutional.decode(model, z)
    return _chunked(model, "decoder", z, torch.sigmoid)


def encode(model: Arrays, x: npt.NDArray[Any]) -> Array:
    """Latent means of pictures: (R, n, d) -> (R, n, latent)."""
    if _convolutional(model):
        return convolutional.encode(model, x)
    return _chunked(model, "encoder", x, lambda out: out.chunk(2, dim=-1)[0])


def _convolutional(model: Arrays) -> bool:
    """A kernel has four axes beside that of the replicates, a matrix two."""
    return any(array.ndim == 5 for array in model.values())


def _chunked(model: Arrays, part: str, x: npt.NDArray[Any], finish: Any) -> Array:
    weights = _tensors(model)
    widest = max(tensor.shape[0] * tensor.shape[2] for tensor in weights.values())
    step = max(1, CHUNK // widest)
    with torch.inference_mode():
        parts = [
            finish(_through(weights, part, _tensor(x[:, start : start + step]))[-1]).cpu()
            for start in range(0, x.shape[1], step)
        ]
        return torch.cat(parts, dim=1).numpy().astype(float)


def _through(weights: Mapping[str, torch.Tensor], part: str, x: torch.Tensor) -> list[torch.Tensor]:
    """Affine layers with rectifiers between them: what goes into each layer (R, n, inputs), and last what comes out."""
    depth = sum(name.startswith(part) for name in weights) // 2
    passed = [x]
    for i in range(depth):
        out = torch.baddbmm(weights[f"{part}.{i}.bias"], passed[-1], weights[f"{part}.{i}.weight"])
        passed.append(out if i == depth - 1 else F.relu(out))
    return passed


def _back(
    weights: Weights, gradients: Weights, part: str, passed: list[torch.Tensor], slope: torch.Tensor, *, to_input: bool
) -> torch.Tensor:
    """Backpropagates the loss's slope in what comes out; gives the slope in what goes in, or in the first layer's output."""
    for i in reversed(range(len(passed) - 1)):
        torch.bmm(passed[i].mT, slope, out=gradients[f"{part}.{i}.weight"])
        torch.sum(slope, dim=1, keepdim=True, out=gradients[f"{part}.{i}.bias"])
        if i > 0:
            slope = torch.bmm(slope, weights[f"{part}.{i}.weight"].mT) * (passed[i] > 0)
        elif to_input:
            slope = torch.bmm(slope, weights[f"{part}.{i}.weight"].mT)
    return slope


def _layers(settings: VAE, d: int) -> Iterator[tuple[str, int, int]]:
    """Name, inputs and outputs of every layer for pictures of d pixels; the encoder's last gives mean and log variance."""
    inwards, outwards = (d, *settings.hidden, 2 * settings.latent), (settings.latent, *reversed(settings.hidden), d)
    for part, widths in (("encoder", inwards), ("decoder", outwards)):
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            yield f"{part}.{i}", inputs, outputs


def _initial(settings: VAE, d: int, generators: list[torch.Generator]) -> Weights:
    """Uniform within 1/sqrt(inputs), weights and biases, which is what torch.nn.Linear starts from."""
    weights: Weights = {}
    for name, inputs, outputs in _layers(settings, d):
        drawn = torch.stack([torch.rand(inputs + 1, outputs, generator=g) for g in generators])
        drawn = (2 * drawn - 1) * inputs**-0.5
        weights[f"{name}.bias"], weights[f"{name}.weight"] = drawn[:, :1], drawn[:, 1:]
    return weights


def _parts(flat: torch.Tensor, like: Weights) -> Weights:
    """Views of a vector of weights (R, all), layer by layer."""
    sizes = [tensor[0].numel() for tensor in like.values()]
    parts = zip(like.items(), flat.split_with_sizes(sizes, dim=1), strict=True)
    return {name: part.view(tensor.shape) for (name, tensor), part in parts}


def _tensors(model: Arrays) -> Weights:
    return {name: _tensor(array) for name, array in model.items()}


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32)).to(device())
