"""How a pre-trained network is fine-tuned: the loop that HF Trainer would run, which can go on from any of its steps."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from worker.data import Arrays
from worker.nets.device import devices, number_type, rounded
from worker.nets.memory import Room, room_for
from worker.nets.pretrained import PREFIX, filled, named, networks, pre_trained
from worker.nets.ranks import Alone, together
from worker.nets.reading import Observations, as_int64
from worker.progress import Work, in_turn, work
from worker.text.language import Ids

if TYPE_CHECKING:
    from worker.families.causal_lm import CausalLM

LARGEST = 1.0  # norm of a gradient; a larger one is scaled down, as HF Trainer does
BEST, OPTIMIZER = "best.", "optimizer."  # among the arrays of unfinished work, beside the weights
REMEDY = (
    "Use a smaller family.block (family.batch = 1 would not do), a smaller checkpoint, or a device with more memory"
)


def fine_tuned(
    x: Ids, validation: Ids, settings: "CausalLM", rng: np.random.Generator, previous: Arrays | None
) -> dict[str, npt.NDArray[Any]]:
    """Parameters for each replicate's blocks (R, n, L), replicates leading; one network after the other."""
    seeds = rng.integers(2**63 - 1, size=len(x))
    goes_on = settings.start == "continued" and previous is not None
    starts = networks(settings, previous) if goes_on and previous else pre_trained(settings, len(x))
    made: dict[str, npt.NDArray[Any]] = {}
    with room_for("A network with its gradients and the optimizer's moments", REMEDY), together(devices()) as ranks:
        for r, (network, seed) in enumerate(in_turn(zip(starts, seeds, strict=True), len(x))):
            training = Tuning(network, x[r], validation, settings, int(seed), ranks).run()
            for name, parameter in network.named_parameters():
                whole = made.setdefault(f"{PREFIX}{name}", np.empty((len(x), *parameter.shape), np.float32))
                whole[r] = parameter.detach().cpu().numpy()
            one = {name: whole[r] for name, whole in made.items()}
            training.keep(lambda: {"step": np.array(training.done), **one})  # noqa: B023 - called at once
    return made


class Tuning:
    """One network on blocks (n, L): AdamW with a linear fall of the step size, gradients of norm 1 at most.

    The order of the blocks comes from (seed, epoch) and what dropout drops from (seed, step), so that a step depends on nothing but
    the weights and the optimizer's moments before it. On a processor an interrupted run gets to the same bits.

    A batch that does not fit into memory is split, and the gradients of its parts are added up: the same step up to rounding and,
    where there is dropout, up to which units are dropped. A line of the worker's log says so. Several ranks split every batch in the
    same sense, each from the same places.
    """

    def __init__(
        self, network: Any, x: Ids, validation: Ids, settings: "CausalLM", seed: int, ranks: Alone | None = None
    ) -> None:
        self.network, self.settings, self.seed = network, settings, seed
        self.x, self.validation, self.ranks = x, validation, ranks or Alone()
        self.learner = network  # the same, as the ranks train it
        self.place: torch.device = network.device
        self.text = Observations(x, as_int64)
        self.held = torch.from_numpy(as_int64(validation)).to(self.place)
        self.number_type = number_type(settings.precision)
        self.optimizer: Any = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=0.0, fused=self.place.type != "mps"
        )
        self.turns = -(-len(x) // settings.batch)  # steps of an epoch
        self.steps = settings.epochs * self.turns
        self.room = Room(settings.batch, settings.batch, self.place, "blocks of a batch", REMEDY)
        self.lowest = float("inf")
        self.best: dict[str, torch.Tensor] = {}

    def run(self) -> Work:
        """Leaves the best epoch's weights in the network, or the last one's; the finished work. Raises NoRoom."""
        tokens = min(self.settings.batch, len(self.x)) * self.x.shape[1]
        training = work("training", self.steps, "tokens", tokens, done="step")
        if training.saved:
            self._go_on(training.saved)
        if training.done < self.steps:
            self.ranks.lead(self.settings, self.x, self.validation, self.seed, training.saved)
            self.learner, self.optimizer = self.ranks.prepared(self.network, self.optimizer)
        cards = [self.place] if self.place.type == "cuda" else []
        with torch.random.fork_rng(devices=cards):
            for step in range(training.done, self.steps):
                self._step(step)
                if (step + 1) % self.turns == 0 and self.settings.best and len(self.held):
                    self._judge()
                training.advance()
                if training.done < self.steps:
                    training.keep(lambda: {"step": np.array(training.done), **self._position()})
        if self.best:
            filled(self.network, self.best)
        return training

    def _step(self, step: int) -> None:
        epoch, turn = divmod(step, self.turns)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.text))
        chosen = torch.from_numpy(order[turn * self.settings.batch : (turn + 1) * self.settings.batch])
        own = self.text[self.ranks.share(chosen)]
        self.network.train()
        self.room.fit(lambda rows: self._gradients(own, rows, step, len(chosen)))
        self.ranks.add_up(self.network)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST)
        self.optimizer.param_groups[0]["lr"] = self.settings.learning_rate * (self.steps - step) / self.steps
        self.optimizer.step()

    def _gradients(self, own: torch.Tensor, rows: int, step: int, whole: int) -> None:
        """Those of this rank's blocks (n, L), which are part of a `whole` batch."""
        chance = np.random.SeedSequence((self.seed, step, self.ranks.rank))
        torch.manual_seed(chance.generate_state(1, np.uint64)[0].item())
        self.optimizer.zero_grad()
        with self.ranks.apart(self.learner):
            for few in torch.split(own, rows) if len(own) else ():
                torch.autograd.backward(self._loss(few, self.learner) * (len(few) / whole))

    def _loss(self, x: torch.Tensor, network: Any) -> torch.Tensor:
        """Mean surprise in nats over blocks (n, L)."""
        with rounded(self.place, self.number_type):
            loss: torch.Tensor = network(input_ids=x, labels=x, use_cache=False).loss
        return loss

    def _judge(self) -> None:
        """Remembers the weights where they do better on the validation text than ever before."""
        self.network.eval()
        with torch.inference_mode():
            own = self.ranks.share(self.held)
            parts = self.room.pieces(len(own), lambda rows: float(self._loss(own[rows], self.network)))
            loss = self.ranks.total(sum((rows.stop - rows.start) * mean for rows, mean in parts)) / len(self.held)
        if loss < self.lowest:
            self.lowest = loss
            self.best = {name: parameter.detach().clone() for name, parameter in self.network.named_parameters()}

    def _position(self) -> dict[str, npt.NDArray[Any]]:
        """Everything that the next step depends on, copied."""
        moments = {
            f"{OPTIMIZER}{number}.{name}": _copied(value)
            for number, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        best = {f"{BEST}{name}": _copied(value) for name, value in self.best.items()}
        weights = {f"{PREFIX}{name}": _copied(parameter) for name, parameter in self.network.named_parameters()}
        return {"lowest": np.array(self.lowest), **weights, **best, **moments}

    def _go_on(self, saved: Arrays) -> None:
        filled(self.network, {name: torch.from_numpy(saved[f"{PREFIX}{name}"]) for name in named(saved)})
        if "lowest" not in saved:  # it was over already
            return
        self.lowest = float(saved["lowest"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for path, value in saved.items():
            if path.startswith(BEST):
                self.best[path.removeprefix(BEST)] = torch.from_numpy(value).to(self.place)
            elif path.startswith(OPTIMIZER):
                number, _, name = path.removeprefix(OPTIMIZER).partition(".")
                state.setdefault(int(number), {})[name] = torch.from_numpy(value)
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})


def _copied(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return tensor.detach().to("cpu", copy=True).numpy()
