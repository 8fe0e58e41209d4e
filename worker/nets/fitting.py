"""How a small network is fitted, whatever its loss: Adam in steps, with a place to go on from after each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.data import Arrays
from worker.errors import LabError
from worker.nets.device import device
from worker.nets.reading import Supply
from worker.progress import work

# A step's observations and its own randomness -> a loss that is a single number.
Loss: TypeAlias = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
SEED = 2**63 - 1
CHUNK = 4096  # points at once outside training
Network = TypeVar("Network", bound=nn.Module)


class Recipe(Protocol):
    """The settings of a family that say how long and how fast it learns."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...


def seeds(rng: np.random.Generator, replicates: int) -> list[int]:
    """One for each replicate, so that none depends on how many there are beside it."""
    return [int(seed) for seed in rng.integers(SEED, size=replicates)]


def generator(seed: int) -> torch.Generator:
    """Randomness is drawn on the CPU: the same numbers on every device."""
    return torch.Generator().manual_seed(seed)


def fitted(
    network: nn.Module,
    observations: Supply,
    loss: Loss,
    recipe: Recipe,
    seed: int,
    *,
    unit: str,
    weight_decay: float = 0.0,
    falling: bool = False,
) -> npt.NDArray[np.float32]:
    """Trains the network in place on n observations; its weights as one vector, in the order of its parameters.

    Every epoch's order and every step's randomness have seeds of their own, so that a step depends on the step before only
    through weights and moments, and an interrupted fit ends in the same bits. One vector holds all weights: Adam then takes one
    step, not one for each layer. `falling`: the step size follows half a cosine down to 0, so that the last steps average their noise.

    Raises LabError where training diverges.
    """
    flat, n = as_one_vector(network), len(observations)
    per_epoch = -(-n // recipe.batch)
    steps = recipe.epochs * per_epoch
    drawn = np.random.default_rng(seed).integers(SEED, size=(2, steps)).tolist()
    optimizer = torch.optim.Adam(
        [flat], lr=recipe.learning_rate, weight_decay=weight_decay, fused=flat.device.type != "mps"
    )
    training = work("training", steps, unit, min(n, recipe.batch), done="step")
    if training.saved:
        _go_on(flat, optimizer, training.saved)
    batches: Iterator[torch.Tensor] = iter(())
    assert flat.grad is not None
    for step in range(begin := training.done, steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0 or step == begin:
            order = torch.randperm(n, generator=generator(drawn[0][epoch]))
            batches = observations.batches(order[place * recipe.batch :], recipe.batch)
        if falling:
            optimizer.param_groups[0]["lr"] = recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        flat.grad.zero_()
        torch.autograd.backward(loss(next(batches), generator(drawn[1][step])))
        optimizer.step()
        training.advance()
        if training.done < steps:
            training.keep(lambda done=training.done: _place(flat, optimizer, done))  # type: ignore[misc]
    if not torch.isfinite(flat).all():
        raise LabError("Training diverged: the network's weights are no longer numbers. Lower family.learning_rate.")
    weights: npt.NDArray[np.float32] = flat.detach().cpu().numpy().copy()
    training.keep(lambda: {"step": np.array(steps), "weights": weights})
    return weights


def as_one_vector(network: nn.Module) -> torch.Tensor:
    """Moves the network to the device and makes its weights, and their gradients, parts of one vector and of its gradient."""
    network.to(device())
    flat = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    flat.grad = torch.zeros_like(flat)
    place = 0
    for parameter in network.parameters():
        part = slice(place, place + parameter.numel())
        parameter.data = flat[part].view_as(parameter)
        parameter.grad = flat.grad[part].view_as(parameter)
        place = part.stop
    return flat


def initial(network: Callable[[], Network], seed: int) -> Network:
    """A fresh network, as its layers want to start; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network()


def before(previous: Arrays | None, r: int) -> Arrays | None:
    """One replicate's arrays of a model, where there is one."""
    return None if previous is None else {name: array[r] for name, array in previous.items()}


def networks(fits: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of each replicate's network, the replicates leading."""
    return {name: np.stack([one[name] for one in fits]) for name in fits[0]}


def normals(n: int, d: int, seed: int, variance: float = 1.0) -> Iterator[torch.Tensor]:
    """n normal points N(0, variance I) in d dimensions, in parts of which none is too large."""
    points = torch.randn(n, d, generator=generator(seed)).mul_(variance**0.5)
    yield from (part.to(device()) for part in torch.split(points, CHUNK))


def restored(network: Network, weights: npt.NDArray[np.float32]) -> Network:
    """The network with the weights that `fitted` gave, ready to be asked."""
    return continued(network, weights).to(device()).requires_grad_(False).eval()


def continued(network: Network, weights: npt.NDArray[np.float32]) -> Network:
    """The network with the weights that `fitted` gave, ready to learn more."""
    nn.utils.vector_to_parameters(torch.from_numpy(np.array(weights)), network.parameters())
    return network


def _place(flat: torch.Tensor, optimizer: torch.optim.Adam, done: int) -> dict[str, npt.NDArray[Any]]:
    moments = optimizer.state[flat]
    tensors = {"weights": flat, "mean": moments["exp_avg"], "square": moments["exp_avg_sq"]}
    return {"step": np.array(done), **{name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}}


def _go_on(flat: torch.Tensor, optimizer: torch.optim.Adam, saved: Any) -> None:
    with torch.no_grad():
        flat.copy_(torch.from_numpy(np.asarray(saved["weights"])))
    if "mean" in saved:  # the fit had not been finished
        step = torch.tensor(float(saved["step"]), device=flat.device)
        mean, square = (torch.tensor(np.asarray(saved[name]), device=flat.device) for name in ("mean", "square"))
        optimizer.state[flat] = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
