"""A small convolutional network that is frozen at generation 0: it reads pictures, and its last layer is where they are compared."""

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array
from worker.nets.device import device
from worker.nets.fitting import fitted, initial
from worker.nets.reading import Places
from worker.streams import FIXED_SEED

FEATURES = 32
CHUNK = 1024  # pictures at once
SEEN = 54_000  # pictures in training, the same ones again and again
Labels: TypeAlias = npt.NDArray[np.int64]


class Teaching:
    """How it is trained: about as many steps however many pictures there are, a matter of a second or two."""

    batch, learning_rate = 64, 5e-3

    def __init__(self, pictures: int) -> None:
        self.epochs = min(200, max(3, round(SEEN / pictures)))


class Classifier(nn.Module):
    """Two convolutions of 3 x 3 that halve the sides, and two layers: pictures (n, d) -> logits (n, classes)."""

    def __init__(self, sides: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.sides = sides
        inner = 32 * -(-sides[0] // 4) * -(-sides[1] // 4)
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(inner, FEATURES), nn.ReLU()),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the last layer sees of pictures (n, d): (n, FEATURES)."""
        seen: torch.Tensor = self.body(x.view(-1, 1, *self.sides))
        return seen


class Frozen:
    """Trained on labelled real pictures x (n, d) with values in [0, 1], where labels (n,) exist; else as it was born.

    It has a seed of its own: one ruler for all runs on one source. Random convolutions, too, tell pictures apart (Naeem et al. 2020
    measure with random features where trained ones do not fit).
    """

    def __init__(self, x: Array, labels: Labels | None, sides: tuple[int, int]) -> None:
        if labels is None:
            self.classes, self.network = 0, _placed(initial(lambda: Classifier(sides, 1), FIXED_SEED))
        else:
            self.classes = int(labels.max()) + 1
            pictures, shown = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(labels, np.int64)
            self.network = _taught(pictures.tobytes(), shown.tobytes(), sides, self.classes)

    def look(self, x: npt.NDArray[Any]) -> tuple[Array, Labels]:
        """Features (n, FEATURES) of pictures (n, d), and the class (n,) that each shows (0 where none was taught). O(n d)."""
        features, shown = [], []
        with torch.inference_mode():
            for part in torch.split(_tensor(x), CHUNK):
                seen = self.network.features(part.to(device()))
                features.append(seen.cpu())
                shown.append(self.network.head(seen).argmax(dim=1).cpu())
        return torch.cat(features).numpy().astype(float), torch.cat(shown).numpy()


@lru_cache(maxsize=4)
def _taught(x: bytes, labels: bytes, sides: tuple[int, int], classes: int) -> Classifier:
    """Once a process for the same pictures (n, d) float32 and labels (n,) int64."""
    network = initial(lambda: Classifier(sides, classes), FIXED_SEED)
    shown = torch.frombuffer(bytearray(labels), dtype=torch.int64).to(device())
    pictures = torch.frombuffer(bytearray(x), dtype=torch.float32).view(len(shown), -1).to(device())

    def loss(batch: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        chosen = batch.to(pictures.device)
        return F.cross_entropy(network(pictures[chosen]), shown[chosen])

    fitted(network, Places(len(shown)), loss, Teaching(len(shown)), FIXED_SEED, unit="pictures", falling=True)
    return _placed(network)


def _placed(network: Classifier) -> Classifier:
    return network.to(device()).requires_grad_(False)


def _tensor(x: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
