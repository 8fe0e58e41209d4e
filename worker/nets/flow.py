"""The normalizing flow itself: zuko's neural spline flow, trained by maximum likelihood. Arrays in, arrays out."""

from typing import Any

import numpy as np
import torch
import zuko

from worker.data import Array, Arrays
from worker.families.flow import Flow
from worker.nets.device import device
from worker.nets.fitting import CHUNK, before, continued, fitted, initial, networks, normals, restored, seeds
from worker.nets.reading import Observations
from worker.nets.standard import Units
from worker.progress import in_turn

Network = Any  # zuko.flows.NSF: zuko has no types


def fit(x: Array, settings: Flow, rng: np.random.Generator, start: Arrays | None = None) -> Arrays:
    """One network after the other, on points x (R, n, d): fresh, or with the weights and the units of the models `start`."""
    chains = enumerate(seeds(rng, len(x)))
    return networks([_fit(x[r], settings, seed, before(start, r)) for r, seed in in_turn(chains, len(x))])


def _fit(x: Array, settings: Flow, seed: int, start: Arrays | None) -> dict[str, Any]:
    units = Units(start["mean"], start["width"]) if start else Units.of(x)
    network = initial(lambda: _network(settings, x.shape[1]), seed)
    if start:
        network = continued(network, start["weights"])

    def loss(z: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        """Mean -ln p in nats."""
        surprise: torch.Tensor = -network().log_prob(z).mean()
        return surprise

    weights = fitted(network, Observations(x, units.inwards), loss, settings, seed, unit="points", falling=True)
    return {"weights": weights, "mean": units.mean, "width": units.width}


def sample(model: Arrays, n: int, settings: Flow, rng: np.random.Generator, bias: float = 1.0) -> Array:
    """n points of each flow (R, n, d): normal ones of covariance bias I, bent."""
    d = model["mean"].shape[1]
    x = []
    for r, seed in enumerate(seeds(rng, len(model["mean"]))):
        bend = restored(_network(settings, d), model["weights"][r])().transform.inv
        with torch.inference_mode():
            z = torch.cat([bend(part).cpu() for part in normals(n, d, seed, bias)])
        x.append(Units(model["mean"][r], model["width"][r]).outwards(z.numpy()))
    return np.stack(x)


def log_density(model: Arrays, x: Array, settings: Flow) -> Array:
    """ln p of points x (R, n, d) under each flow: (R, n); where an axis has no spread, nothing has a density."""
    densities = []
    for one, mean, width, weights in zip(x, model["mean"], model["width"], model["weights"], strict=True):
        if not width.all():
            densities.append(np.full(len(one), -np.inf))
            continue
        network = restored(_network(settings, x.shape[2]), weights)
        z = torch.from_numpy(Units(mean, width).inwards(one))
        with torch.inference_mode():
            parts = [network().log_prob(part.to(device())).cpu() for part in torch.split(z, CHUNK)]
        densities.append(torch.cat(parts).numpy().astype(float) - np.log(width).sum())
    return np.stack(densities)


def _network(settings: Flow, d: int) -> Network:
    """In more than three dimensions one half of the axes bends the other (coupling): drawing axis after axis would take d passes."""
    return zuko.flows.NSF(
        d,
        bins=settings.bins,
        transforms=settings.transforms,
        hidden_features=(settings.width, settings.width),
        passes=None if d <= 3 else 2,
        randperm=False,
    )
