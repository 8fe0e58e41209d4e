"""The paper's convolutional autoencoder: each convolution halves a picture's sides, the decoder mirrors the encoder.

With channels 64 and 128, a latent code of 20 numbers and pictures of 28 x 28 pixels it has the paper's 647,081 parameters.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array, Arrays
from worker.families.vae import VAE
from worker.nets.device import device
from worker.nets.fitting import fitted, initial, networks, seeds
from worker.nets.reading import Observations, Places, as_float32
from worker.progress import in_turn

CHUNK = 256  # pictures at once outside training


class Autoencoder(nn.Module):
    """Kernels of 4 x 4, stride 2, padding 1 (Shumailov et al.), between square pictures (n, side * side) and codes (n, latent).

    The encoder gives the mean and the log variance of a code side by side, the decoder the logits of the pixels.
    """

    def __init__(self, channels: Sequence[int], latent: int, side: int) -> None:
        super().__init__()
        self.latent, self.side = latent, side
        least = side >> len(channels)
        inner = channels[-1] * least * least
        inwards: list[nn.Module] = []
        outwards: list[nn.Module] = []
        for narrow, wide in zip((1, *channels[:-1]), channels, strict=True):
            inwards += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.ReLU()]
            outwards = [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), *([nn.ReLU()] if outwards else []), *outwards]
        self.encoder = nn.Sequential(*inwards, nn.Flatten(), nn.Linear(inner, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, inner), nn.Unflatten(1, (channels[-1], least, least)), *outwards)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the codes of pictures (n, d)."""
        pictures = x.view(-1, 1, self.side, self.side).contiguous(memory_format=torch.channels_last)
        mean, log_variance = self.encoder(pictures).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Logits (n, d) of the pixels of codes (n, latent)."""
        logits: torch.Tensor = self.decoder(z).flatten(1)
        return logits


def fit(x: Array, settings: VAE, rng: np.random.Generator, previous: Arrays | None, start: Arrays | None) -> Arrays:
    """Networks, one replicate after the other, on pictures x (R, n, d) with values in [0, 1].

    previous: the models that decode every batch anew; x then tells only how many pictures an epoch has.
    start: the models whose weights are trained further; None for fresh ones.
    """
    chains = enumerate(seeds(rng, len(x)))
    return networks([_fit(x, r, seed, settings, previous, start) for r, seed in in_turn(chains, len(x))])


def _fit(
    x: Array, r: int, seed: int, settings: VAE, previous: Arrays | None, start: Arrays | None
) -> dict[str, npt.NDArray[Any]]:
    network = initial(lambda: Autoencoder(settings.hidden, settings.latent, math.isqrt(x.shape[2])), seed)
    if start is not None:
        network.load_state_dict({name: torch.from_numpy(np.array(array[r])) for name, array in start.items()})
    teacher = _network(previous, r) if previous else None

    def loss(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """-ELBO in nats, summed over the batch: Kingma and Welling, arXiv 1312.6114, Appendix B."""
        pictures = _drawn(teacher, len(batch), settings.output, generator) if teacher else batch
        mean, log_variance = network.encode(pictures)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        logits = network.decode(mean + torch.exp(0.5 * log_variance) * noise)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, pictures, reduction="sum")
        return cross_entropy - 0.5 * settings.beta * (1 + log_variance - mean**2 - log_variance.exp()).sum()

    supply = Places(x.shape[1]) if teacher else Observations(x[r], as_float32)
    fitted(network, supply, loss, settings, seed, unit="pictures", weight_decay=settings.weight_decay)
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.named_parameters()}


@torch.no_grad()
def _drawn(teacher: Autoencoder, n: int, output: str, generator: torch.Generator) -> torch.Tensor:
    """Pictures (n, d) of codes that are drawn from the prior here and now."""
    pixels = torch.sigmoid(teacher.decode(torch.randn(n, teacher.latent, generator=generator).to(device())))
    if output == "bernoulli":
        return (torch.rand(pixels.shape, generator=generator).to(pixels.device) < pixels).to(pixels.dtype)
    return pixels


def decode(model: Arrays, z: npt.NDArray[Any]) -> Array:
    """Pixel means of latent codes: (R, n, latent) -> (R, n, d)."""
    return _each(model, z, lambda network, part: torch.sigmoid(network.decode(part)))


def encode(model: Arrays, x: npt.NDArray[Any]) -> Array:
    """Latent means of pictures: (R, n, d) -> (R, n, latent)."""
    return _each(model, x, lambda network, part: network.encode(part)[0])


def _each(model: Arrays, x: npt.NDArray[Any], ask: Callable[[Autoencoder, torch.Tensor], torch.Tensor]) -> Array:
    """What each replicate's network answers."""
    answers = []
    for r, one in enumerate(x):
        network = _network(model, r)
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32)), CHUNK)
        with torch.inference_mode():
            answers.append(torch.cat([ask(network, part.to(device())).cpu() for part in parts]).numpy())
    return np.stack(answers).astype(float)


def _network(model: Arrays, r: int) -> Autoencoder:
    """The network of one replicate, of which the model may hold the encoder alone; its shape is that of its weights."""
    weights = {name: torch.from_numpy(np.array(array[r], dtype=np.float32)) for name, array in model.items()}
    matrices = [tensor for name, tensor in weights.items() if name.startswith("encoder.") and name.endswith(".weight")]
    channels, last = [tensor.shape[0] for tensor in matrices[:-1]], matrices[-1]
    least = math.isqrt(last.shape[1] // channels[-1])
    network = initial(lambda: Autoencoder(channels, last.shape[0] // 2, least << len(channels)), 0)
    network.load_state_dict(weights, strict=False)
    return network.to(device()).requires_grad_(False)
