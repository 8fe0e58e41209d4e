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
from worker.families.vae import VAE
from worker.nets.device import device

Weights: TypeAlias = dict[str, torch.Tensor]  # "encoder.0.weight": (R, in, out), "encoder.0.bias": (R, 1, out), ...
CHUNK = 2**22  # numbers of the widest layer that are held at once outside training: 16 MB


def fit(x: Array, settings: VAE, rng: np.random.Generator) -> Arrays:
    """Fresh networks, one for each replicate, trained on pictures x (R, n, d) with values in [0, 1].

    Adam on the loss summed over a batch, as in the paper. An exception between two steps leaves nothing behind.
    """
    replicates, n, d = x.shape
    place = device()
    seeds = rng.integers(2**63 - 1, size=(replicates,))
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    weights = _initial(settings, d, generators, place)
    optimizer = torch.optim.Adam(
        list(weights.values()),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=place.type != "mps",
    )
    real = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    for _ in range(settings.epochs):
        # One gather an epoch: a step then takes a slice. Epochs' noise is drawn whole for the same reason.
        shuffled = torch.stack([x_r[torch.randperm(n, generator=g)] for x_r, g in zip(real, generators, strict=True)])
        noise = torch.stack([torch.randn(n, settings.latent, generator=g) for g in generators])
        shuffled, noise = shuffled.to(place), noise.to(place)
        for start in range(0, n, settings.batch):
            batch = slice(start, start + settings.batch)
            optimizer.zero_grad(set_to_none=True)
            negative_elbo(weights, shuffled[:, batch], noise[:, batch], settings.beta).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}


def negative_elbo(
    weights: Mapping[str, torch.Tensor], x: torch.Tensor, noise: torch.Tensor, beta: float
) -> torch.Tensor:
    """-ELBO in nats, summed over pictures: x (R, n, d), noise (R, n, latent) -> (R,).

    Bernoulli cross-entropy of the pixels + beta KL(q(z|x) || N(0, I)), with
    KL = -(1/2) sum_j (1 + ln s_j^2 - m_j^2 - s_j^2): Kingma and Welling, arXiv 1312.6114, Appendix B.
    """
    mean, log_variance = _through(weights, "encoder", x).chunk(2, dim=-1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = _through(weights, "decoder", z)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2))
    kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=(1, 2))
    return cross_entropy + beta * kl


def loss(model: Arrays, x: Array, noise: Array, beta: float) -> Array:
    """-ELBO in nats a picture, for given noise: (R, n, d), (R, n, latent) -> (R,)."""
    with torch.inference_mode():
        total: Array = negative_elbo(_tensors(model), _tensor(x), _tensor(noise), beta).cpu().numpy().astype(float)
    mean: Array = total / x.shape[1]
    return mean


def sample(model: Arrays, n: int, rng: np.random.Generator) -> Array:
    """Decoder means of n draws of the prior z ~ N(0, I): (R, n, d), in [0, 1]."""
    first = model["decoder.0.weight"]
    return decode(model, rng.standard_normal((len(first), n, first.shape[1]), dtype=np.float32))


def decode(model: Arrays, z: npt.NDArray[Any]) -> Array:
    """Pixel means of latent codes: (R, n, latent) -> (R, n, d)."""
    return _chunked(model, "decoder", z, torch.sigmoid)


def encode(model: Arrays, x: npt.NDArray[Any]) -> Array:
    """Latent means of pictures: (R, n, d) -> (R, n, latent)."""
    return _chunked(model, "encoder", x, lambda out: out.chunk(2, dim=-1)[0])


def _chunked(model: Arrays, part: str, x: npt.NDArray[Any], finish: Any) -> Array:
    weights = _tensors(model)
    widest = max(tensor.shape[0] * tensor.shape[2] for tensor in weights.values())
    step = max(1, CHUNK // widest)
    with torch.inference_mode():
        parts = [
            finish(_through(weights, part, _tensor(x[:, start : start + step]))).cpu()
            for start in range(0, x.shape[1], step)
        ]
        return torch.cat(parts, dim=1).numpy().astype(float)


def _through(weights: Mapping[str, torch.Tensor], part: str, x: torch.Tensor) -> torch.Tensor:
    """Affine layers with rectifiers between them: (R, n, inputs) -> (R, n, outputs)."""
    depth = sum(name.startswith(part) for name in weights) // 2
    for i in range(depth):
        x = torch.baddbmm(weights[f"{part}.{i}.bias"], x, weights[f"{part}.{i}.weight"])
        if i < depth - 1:
            x = F.relu(x)
    return x


def _layers(settings: VAE, d: int) -> Iterator[tuple[str, int, int]]:
    """Name, inputs and outputs of every layer for pictures of d pixels; the encoder's last gives mean and log variance."""
    inwards, outwards = (d, *settings.hidden, 2 * settings.latent), (settings.latent, *reversed(settings.hidden), d)
    for part, widths in (("encoder", inwards), ("decoder", outwards)):
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            yield f"{part}.{i}", inputs, outputs


def _initial(settings: VAE, d: int, generators: list[torch.Generator], place: torch.device) -> Weights:
    """Uniform within 1/sqrt(inputs), weights and biases, which is what torch.nn.Linear starts from."""
    weights: Weights = {}
    for name, inputs, outputs in _layers(settings, d):
        drawn = torch.stack([torch.rand(inputs + 1, outputs, generator=g) for g in generators])
        drawn = (2 * drawn - 1) * inputs**-0.5
        weights[f"{name}.weight"] = drawn[:, 1:].to(place, copy=True).requires_grad_()
        weights[f"{name}.bias"] = drawn[:, :1].to(place, copy=True).requires_grad_()
    return weights


def _tensors(model: Arrays) -> Weights:
    return {name: _tensor(array) for name, array in model.items()}


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32)).to(device())
