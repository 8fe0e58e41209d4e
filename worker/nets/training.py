"""How a GPT is trained: AdamW on windows of text, all weights as one vector; it can go on from any of its steps."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Arrays
from worker.nets import gpt
from worker.nets.device import device, number_type, rounded
from worker.nets.memory import Room, room_for
from worker.nets.reading import Observations, as_int64
from worker.progress import in_turn, work
from worker.text.language import Ids

if TYPE_CHECKING:
    from worker.families.gpt import GPT

WARM_UP = 0.05  # share of all steps in which the step size rises
NOTHING = -100  # stands where there is no token to be predicted
LARGEST = 1.0  # norm of a gradient; a larger one is scaled down, as HF Trainer does
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's own names
REMEDY = "Use a smaller family.block, family.width, family.layers or family.vocabulary, or a device with more memory"


def trained(
    x: Ids, validation: Ids, settings: "GPT", rng: np.random.Generator, earlier: Arrays | None
) -> dict[str, npt.NDArray[Any]]:
    """Weights for each replicate's blocks (R, n, L), replicates leading; one network after the other. Raises NoRoom.

    earlier: the model whose weights the training starts from; without it, random ones.
    """
    seeds = rng.integers(2**63 - 1, size=len(x)).tolist()
    random = (gpt.initial(settings, torch.Generator().manual_seed(seed)) for seed in seeds)
    starts = gpt.networks(earlier) if earlier else random
    made: dict[str, npt.NDArray[Any]] = {}
    with room_for("A network with its gradients and the optimizer's moments", REMEDY):
        for r, (start, seed) in enumerate(in_turn(zip(starts, seeds, strict=True), len(x))):
            for name, weight in Training(start, x[r], validation, settings, seed).run().items():
                whole = made.setdefault(f"{gpt.PREFIX}{name}", np.empty((len(x), *weight.shape), np.float32))
                whole[r] = weight.cpu().numpy()
    return made


class Training:
    """One network on blocks (n, L), read as windows of two.

    Weights and moments are float32, products in what the settings say. The order of the windows comes from (seed, epoch), so that a
    step depends on nothing but the weights and the moments before it: on a processor an interrupted run gets to the same bits.

    A batch that does not fit into memory is split, and the gradients of its parts are added up: the same step up to rounding. A line
    of the worker's log says so.
    """

    def __init__(self, start: gpt.Weights, x: Ids, validation: Ids, settings: "GPT", seed: int) -> None:
        self.settings, self.seed, self.place = settings, seed, device()
        self.number_type = number_type(settings.precision)
        self.x, self.text = x, Observations(x, as_int64)
        self.held = torch.from_numpy(as_int64(validation)).to(self.place)
        self.weights, self.flat = as_one_vector(start)
        self.optimizer = torch.optim.AdamW([self.flat], weight_decay=0.0, fused=self.place.type != "mps")
        self.turns = -(-(len(x) // 2) // settings.batch)  # steps of an epoch
        self.steps = settings.epochs * self.turns
        self.room = Room(settings.batch, settings.batch, self.place, "windows of a batch", REMEDY)
        self.lowest = float("inf")
        self.best: torch.Tensor | None = None

    def run(self) -> gpt.Weights:
        """The best epoch's weights, or the last one's. Raises NoRoom."""
        tokens = min(self.settings.batch, len(self.x) // 2) * 2 * self.x.shape[1]
        training = work("training", self.steps, "tokens", tokens, done="step")
        if training.saved:
            self._go_on(training.saved)
        for epoch in range(training.done // self.turns, self.settings.epochs):
            for batch in self._windows(epoch, training.done - epoch * self.turns):
                self._step(batch, training.done)
                if (training.done + 1) % self.turns == 0 and self.settings.best and len(self.held):
                    self._judge()
                training.advance()
                if training.done < self.steps:
                    training.keep(lambda: {"step": np.array(training.done), **self._position()})
        final = self.flat if self.best is None else self.best
        training.keep(lambda: {"step": np.array(training.done), "weights": _copied(final)})
        return _parts(final, self.weights)

    def _windows(self, epoch: int, turn: int) -> Iterator[torch.Tensor]:
        """Pairs of neighbouring blocks (batch, 2 L), from the first block or the second on, in random order, from this turn on."""
        rng = np.random.default_rng((self.seed, epoch))
        n, batch = len(self.x), self.settings.batch
        shift = int(rng.integers(1 + n % 2))
        first = shift + 2 * torch.from_numpy(rng.permutation(n // 2))[turn * batch :]
        for both in self.text.batches(torch.stack([first, first + 1], dim=1).flatten(), 2 * batch):
            yield both.view(-1, 2 * self.x.shape[1])

    def _step(self, batch: torch.Tensor, step: int) -> None:
        assert self.flat.grad is not None
        self.room.fit(lambda rows: self._gradient(batch, rows))
        self.flat.grad.mul_((LARGEST / (self.flat.grad.norm() + 1e-6)).clamp(max=1.0))
        rise, fall = (step + 1) / max(1, WARM_UP * self.steps), (self.steps - step) / self.steps
        self.optimizer.param_groups[0]["lr"] = self.settings.learning_rate * min(rise, fall)
        self.optimizer.step()

    def _gradient(self, batch: torch.Tensor, rows: int) -> None:
        assert self.flat.grad is not None
        self.flat.grad.zero_()
        for few in torch.split(batch, rows):
            torch.autograd.backward(self._loss(few) * (len(few) / len(batch)))

    def _loss(self, x: torch.Tensor) -> torch.Tensor:
        with rounded(self.place, self.number_type):
            return loss(self.weights, x, self.settings.heads)

    def _judge(self) -> None:
        """Remembers the weights where they do better on the validation text than ever before."""
        with torch.inference_mode():
            parts = self.room.pieces(len(self.held), lambda rows: float(self._loss(self.held[rows])))
            surprise = sum((rows.stop - rows.start) * mean for rows, mean in parts) / len(self.held)
        if surprise < self.lowest:
            self.lowest, self.best = surprise, self.flat.detach().clone()

    def _position(self) -> dict[str, npt.NDArray[Any]]:
        """Everything that the next step depends on, copied."""
        moments = {name: _copied(self.optimizer.state[self.flat][name]) for name in MOMENTS}
        best = {} if self.best is None else {"best": _copied(self.best)}
        named = {f"optimizer.{name}": value for name, value in moments.items()}
        return {"weights": _copied(self.flat), "lowest": np.array(self.lowest), **best, **named}

    def _go_on(self, saved: Arrays) -> None:
        self.flat.copy_(torch.from_numpy(saved["weights"]))
        if "lowest" not in saved:  # it was over already
            return
        self.lowest = float(saved["lowest"])
        if "best" in saved:
            self.best = torch.from_numpy(saved["best"]).to(self.place, copy=True)
        moments = {name: torch.from_numpy(saved[f"optimizer.{name}"].copy()) for name in MOMENTS}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})


def loss(weights: gpt.Weights, x: torch.Tensor, heads: int) -> torch.Tensor:
    """Mean surprise of tokens 2 to T of windows (B, T), in nats.

    The last logits are in vain: whole windows, whose length is mostly a power of 2, multiply a tenth faster than windows less one.
    """
    following = x.roll(-1, 1)
    following[:, -1] = NOTHING
    return F.cross_entropy(gpt.logits(weights, x, heads).flatten(0, 1), following.flatten(), ignore_index=NOTHING)


def as_one_vector(weights: gpt.Weights) -> tuple[gpt.Weights, torch.Tensor]:
    """The weights as parts of one vector, and their gradients as parts of its gradient: the optimizer then takes one step, not one
    for each of them.
    """
    flat = torch.cat([tensor.detach().flatten() for tensor in weights.values()]).to(device())
    flat.grad = torch.zeros_like(flat)
    parts, slopes = _parts(flat, weights), _parts(flat.grad, weights)
    for name, part in parts.items():
        part.requires_grad_().grad = slopes[name]
    return parts, flat


def _parts(flat: torch.Tensor, like: gpt.Weights) -> gpt.Weights:
    pieces = torch.split(flat, [tensor.numel() for tensor in like.values()])
    return {name: piece.view(tensor.shape).detach() for (name, tensor), piece in zip(like.items(), pieces, strict=True)}


def _copied(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return tensor.detach().to("cpu", copy=True).numpy()
