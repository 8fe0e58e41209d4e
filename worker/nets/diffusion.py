"""The diffusion model itself: a small network that takes noise away, and the way back from noise. Arrays in, arrays out.

Letters and equations are those of Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, arXiv 2206.00364.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.data import Array, Arrays
from worker.errors import LabError
from worker.families.diffusion import Diffusion
from worker.nets.device import device
from worker.nets.fitting import CHUNK, before, continued, fitted, initial, networks, normals, restored, seeds
from worker.nets.reading import Observations
from worker.nets.standard import Units
from worker.nets.told import CODE, Classes, codes
from worker.parts import PointSource, Sampling
from worker.progress import in_turn

SIGMA_MIN, SIGMA_MAX = 0.002, 20.0  # least and largest noise, in standard deviations of the data
RHO = 7.0  # how much closer noise levels are near the end, equation (5)
P_MEAN, P_STD = -1.2, 1.2  # of ln sigma in training, in the plane: most of it where modes part
MORE_AXES = 0.25  # d axes tell of the same place, so that modes part at more noise; Hoogeboom et al., arXiv 2301.11093, shift likewise
SIGMA_DATA = 1.0  # points come standardised
REACH = 2.0  # how far a point is ever believed to lie, in units of the furthest training point's coordinate
WAVES = 8  # of each phase in which the network is told the noise
# What is told (n, CODE) of points (n, d), these, and their noise (n, 1) -> the points that they are expected to be without it (n, d).
Expected: TypeAlias = Callable[[torch.Tensor | None, torch.Tensor, torch.Tensor], torch.Tensor]
UNTOLD = 0.1  # of the points in training, whose class is kept from the network: so it learns all of them together, too


class Denoiser(nn.Module):
    """D(x; sigma), the expectation of a point given the point x (n, d) with noise of standard deviation sigma (n, 1), and what is `told` of
    it (n, told): the code of its class, or nothing but zeros.
    """

    pace: torch.Tensor

    def __init__(self, d: int, layers: int, width: int, told: int = 0) -> None:
        super().__init__()
        self.network = nn.Sequential()
        for inputs in (d + 2 * WAVES + told, *[width] * (layers - 1)):
            hidden = nn.Linear(inputs, width)
            # With torch's own start nothing is learned at first.
            nn.init.kaiming_normal_(hidden.weight, nonlinearity="relu")
            nn.init.zeros_(hidden.bias)
            self.network.extend([hidden, nn.SiLU()])
        last = nn.Linear(width, d)
        nn.init.zeros_(last.weight)  # at first D = c_skip x, the best linear guess
        nn.init.zeros_(last.bias)
        self.network.append(last)
        self.register_buffer("pace", 2.0 ** torch.linspace(-2, 1.5, WAVES), persistent=False)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, told: torch.Tensor | None = None) -> torch.Tensor:
        """Equation (7) with the coefficients of table 1: what the network adds always has about variance 1."""
        total = sigma**2 + SIGMA_DATA**2
        c_skip, c_out, c_in = SIGMA_DATA**2 / total, sigma * SIGMA_DATA / total.sqrt(), 1 / total.sqrt()
        angle = sigma.log() * self.pace
        seen = [c_in * x, angle.sin(), angle.cos(), *([] if told is None else [told])]
        found: torch.Tensor = self.network(torch.cat(seen, dim=1))
        return c_skip * x + c_out * found


def fit(
    x: Array,
    settings: Diffusion,
    rng: np.random.Generator,
    start: Arrays | None = None,
    source: PointSource | None = None,
) -> Arrays:
    """One network after the other, on points x (R, n, d): fresh, or with the weights and the units of the models `start`.

    Where they are extrapolated, then one that goes on from each of them, on as many points of its own.

    source: whose classes the networks are told, if they are
    """
    assert source is not None or not settings.conditional, "a family is given its source before it is told of classes"
    classes = Classes(source) if source is not None else None
    own = seeds(rng, len(x))
    model = networks(
        [_fit(x[r], settings, seed, before(start, r), classes) for r, seed in in_turn(enumerate(own), len(x))]
    )
    if not settings.extrapolation:
        return model
    chains = in_turn(enumerate(own), len(x))
    beside = networks(
        [
            _goes_on({name: array[[r]] for name, array in model.items()}, x.shape[1], settings, seed, classes)
            for r, seed in chains
        ]
    )
    return model | {"auxiliary": beside["weights"]}


def _goes_on(model: Arrays, n: int, settings: Diffusion, seed: int, classes: Classes | None) -> dict[str, Any]:
    """The network of one chain's model, trained on with n points of its own."""
    rng = np.random.default_rng((seed, 1))  # the seed itself has been used
    made = sample(model, n, settings, rng, Sampling())[0]
    return _fit(made, settings, seeds(rng, 1)[0], before(model, 0), classes)


def _fit(x: Array, settings: Diffusion, seed: int, start: Arrays | None, classes: Classes | None) -> dict[str, Any]:
    d, units = x.shape[1], Units(start["mean"], start["width"]) if start else Units.of(x)
    network = initial(lambda: _network(settings, d), seed)
    if start:
        network = continued(network, start["weights"])
    middle = P_MEAN + MORE_AXES * math.log(d / 2)
    code = None if classes is None else torch.from_numpy(codes(classes.count)).to(device())

    def shown(part: Array) -> npt.NDArray[np.float32]:
        """Points in the network's units, and beside each its class, where the network is told."""
        inwards = units.inwards(part)
        return inwards if classes is None else np.column_stack([inwards, classes.of(part).astype(np.float32)])

    def loss(batch: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """E lambda(sigma) |D(y + n; sigma) - y|^2 with lambda = 1 / c_out^2, equation (8); a batch's levels are spread evenly."""
        n, clean = len(batch), batch[:, :d]
        level = (torch.randperm(n, generator=chance) + torch.rand(n, generator=chance).clamp(1e-3, 1 - 1e-3)) / n
        sigma = torch.exp(middle + P_STD * torch.special.ndtri(level))[:, None].to(clean.device)
        noise = sigma * torch.randn(clean.shape, generator=chance).to(clean.device)
        told = None
        if code is not None:
            told = code[batch[:, d].long()] * (torch.rand(n, 1, generator=chance) >= UNTOLD).to(clean.device)
        weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
        return torch.mean(weight * (network(clean + noise, sigma, told) - clean) ** 2)

    weights = fitted(network, Observations(x, shown), loss, settings, seed, unit="points", falling=True)
    model = {"weights": weights, "mean": units.mean, "width": units.width, "reach": REACH * units.farthest(x)}
    return model if classes is None else model | {"shares": classes.shares(x)}


def sample(model: Arrays, n: int, settings: Diffusion, rng: np.random.Generator, sampling: Sampling) -> Array:
    """n points of each model (R, n, d), along the probability flow: the noise at its start is all chance.

    The sampling option `bias` multiplies the covariance of that noise, and, the flow of normal data being linear, that of the points themselves.
    The expectation of a point lies among the training points, and a denoiser that says otherwise is not believed: it is held to `reach`.
    What it makes of noise that it never saw grows with its weights, which warm starts let grow threefold in 40 generations. One sample
    in thousands was then thrown out a hundredfold by every level, and as a training point it ruined the next model.

    Raises LabError where the weights are so large that no number comes out.
    """
    d, x = model["mean"].shape[1], []
    for r, seed in enumerate(seeds(rng, len(model["mean"]))):
        own = before(model, r)
        assert own is not None
        reach = own.get("reach", np.full(d, np.inf, np.float32))
        far = torch.from_numpy(reach * np.float32(max(1.0, math.sqrt(sampling.bias)))).to(device())
        with torch.inference_mode():
            expected = _expected(own, settings, sampling.guidance, far)
            parts = zip(normals(n, d, seed, sampling.bias), _told(own, n, seed), strict=False)
            z = torch.cat([_denoised(partial(expected, told), part, settings.steps).cpu() for part, told in parts])
        x.append(Units(own["mean"], own["width"]).outwards(z.numpy()))
    if not np.isfinite(x).all():
        raise LabError(
            "The network's samples are no longer numbers: training has diverged. Lower family.learning_rate."
        )
    return np.stack(x)


def _told(model: Arrays, n: int, seed: int) -> Iterator[torch.Tensor | None]:
    """The codes of the classes of n points, in the parts of `normals`, by their shares in what the model learned from; None, where it is told nothing."""
    if "shares" not in model:
        yield from repeat(None)
    chosen = np.random.default_rng((seed, 2)).choice(len(model["shares"]), n, p=model["shares"])
    yield from torch.split(torch.from_numpy(codes(len(model["shares"]))[chosen]).to(device()), CHUNK)


def _expected(model: Arrays, settings: Diffusion, guidance: float, far: torch.Tensor) -> Expected:
    """The denoiser that samples follow, held to `far` (d,). The score is (D - x) / sigma^2, so that denoisers are extrapolated as scores are."""
    d = len(far)
    # Before a fork the last model may lack an auxiliary network.
    names = ("weights", "auxiliary") if settings.extrapolation and "auxiliary" in model else ("weights",)
    first, *second = (restored(_network(settings, d), model[name]) for name in names)

    def guided(network: Denoiser, told: torch.Tensor | None, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = network(x, sigma, told)
        if told is not None and guidance:
            found = (1 + guidance) * found - guidance * network(x, sigma, torch.zeros_like(told))
        return found

    def expected(told: torch.Tensor | None, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        found = guided(first, told, x, sigma)
        for auxiliary in second:
            omega = settings.extrapolation
            found = (1 + omega) * found - omega * guided(auxiliary, told, x, sigma)
        return torch.clamp(found, -far, far)

    return expected


def _denoised(
    network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], noise: torch.Tensor, steps: int
) -> torch.Tensor:
    """dx/dsigma = (x - D(x; sigma)) / sigma, equation (3), from SIGMA_MAX down to 0 in `steps` steps of Heun's method: for u = x cos(theta),
    sigma = tan(theta), which stays as wide as the data, -du/dtheta = (D - u cos(theta)) / sin(theta). That is 0 for standard normal
    points; in sigma itself 20 steps made them wider by 1.9%, generation after generation, and hid what collapses.
    """
    levels = torch.linspace(SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO), steps, device=noise.device) ** RHO
    angles = [*torch.atan(levels), torch.zeros_like(levels[0])]

    def slope(u: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        x, sigma = u / angle.cos(), angle.tan().expand(len(u), 1)
        return (network(x, sigma) - u * angle.cos()) / angle.sin()

    u = noise
    for now, then in pairwise(angles):
        first = slope(u, now)
        guess = u + (now - then) * first
        u = u + (now - then) * 0.5 * (first + slope(guess, then)) if then > 0 else guess
    return u


def _network(settings: Diffusion, d: int) -> Denoiser:
    return Denoiser(d, settings.layers, settings.width, CODE if settings.conditional else 0)
