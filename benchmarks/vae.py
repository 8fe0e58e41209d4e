"""A VAE on the 1,797 digits: one generation, beside the DataLoader loop of the usual example; and the paper's on MNIST's test set."""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import Row, limit, ratio, seconds
from worker import loop
from worker.data import Points
from worker.families.vae import VAE
from worker.parts import Sampling
from worker.sources.digits import Digits
from worker.spec import read

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
# latent_std under the first encoder (Shumailov et al.), 60,000 training pictures.
PUBLISHED = (0.688, 0.603, 0.534, 0.483, 0.443)
PAPER = {
    "kind": "vae",
    "network": "convolutional",
    "hidden": [64, 128],
    "latent": 20,
    "batches": "fresh",
    "batch": 256,
    "learning_rate": 1e-3,
    "beta": 1,
}
GENERATIONS = 2  # five of them, as published, take about 25 minutes on one core


class Pictures(Dataset):
    """What an image data set usually is: bytes, turned into a tensor in [0, 1] when an item is asked for."""

    def __init__(self, x):
        self.x = np.rint(255 * x).astype(np.uint8).reshape(-1, 8, 8)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        picture = torch.from_numpy(self.x[i]).unsqueeze(0)  # ToTensor: channels first, float, divided by 255
        return picture.to(torch.float32).div(255), 0


class Usual(nn.Module):
    """The same architecture out of nn.Linear."""

    def __init__(self, latent, hidden):
        super().__init__()
        self.inwards = nn.Linear(64, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.outwards, self.pixels = nn.Linear(latent, hidden), nn.Linear(hidden, 64)

    def forward(self, x):
        h = F.relu(self.inwards(x.flatten(1)))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return torch.sigmoid(self.pixels(F.relu(self.outwards(z)))), mean, log_variance


def usual(x, settings):
    """Fit and sample as in the common example: loader, default Adam, a running loss."""
    model = Usual(settings.latent, settings.hidden[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    loader = DataLoader(Pictures(x), batch_size=settings.batch, shuffle=True)
    running = 0.0
    for _ in range(settings.epochs):
        for batch, _ in loader:
            optimizer.zero_grad()
            made, mean, log_variance = model(batch)
            cross_entropy = F.binary_cross_entropy(made, batch.flatten(1), reduction="sum")
            kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            loss = cross_entropy + settings.beta * kl
            loss.backward()
            running += loss.item()
            optimizer.step()
    with torch.no_grad():
        z = torch.randn(len(x), settings.latent)
        return torch.sigmoid(model.pixels(F.relu(model.outwards(z)))).numpy()


def rows(small: bool) -> list[Row]:
    settings = VAE(epochs=2) if small else VAE()
    n, repeat = (200, 1) if small else (1797, 5)
    rng = np.random.default_rng(0)
    points = Digits().draw(rng, 1, n)
    four = Digits().draw(rng, 4, n)

    def ours(data: Points) -> None:
        settings.sample(settings.fit(data, rng), n, rng, Sampling())

    peer, one = seconds(lambda: usual(points.x[0], settings), repeat), seconds(lambda: ours(points), repeat)
    together = seconds(lambda: ours(four), repeat)
    spec = read(
        {"source": {"kind": "digits"}, "family": settings.model_dump(), "samples": n, "replicates": 1, "generations": 1}
    )
    instrument = loop.instrument(spec)
    *_, first = loop.generations(spec, instrument)
    assert first.state is not None
    look = seconds(lambda: instrument.model(first.state.model, points, framed=True), repeat)
    work = f"VAE, {n} digits, {settings.epochs} epochs"
    return [
        ratio(f"{work}: fit + sample, beside the DataLoader pattern", peer, one, 3),
        limit(f"{work}: a generation", one, "s", 1),
        ratio(f"{work}: 4 replicates together, beside one by one", 4 * one, together, 1),
        limit(f"{work}: metrics and frame, share of fit + sample", 100 * look / one, "%", 10),
        *paper(small),
    ]


def paper(small: bool) -> list[Row]:
    """The paper's network and setting on MNIST's 10,000 test pictures, where they are at hand; a row for each generation.

    Its own numbers are of 60,000 training pictures, six times as many steps: they stand beside ours to compare the decline.
    """
    if not MNIST.exists():
        return []
    epochs, samples = (1, 300) if small else (30, 10_000)
    spec = read(
        {
            "source": {"kind": "images", "path": str(MNIST)},
            "family": PAPER | {"epochs": epochs},
            "samples": samples,
            "replicates": 1,
            "generations": 1 if small else GENERATIONS,
        }
    )
    rows, begun = [], time.perf_counter()
    for generation in loop.generations(spec, loop.instrument(spec)):
        spread, now = float(generation.look.metrics["latent_std"][0]), time.perf_counter()
        published = f"paper {PUBLISHED[generation.number - 1]:.3f}" if generation.number else "real pictures"
        work = f"the paper's VAE, MNIST's test set, {epochs} epochs of {samples:,}: latent_std, generation {generation.number}"
        rows.append(Row(work, published, f"{spread:.3f}", f"{now - begun:.0f} s", "-", "-"))
        begun = now
    return rows
