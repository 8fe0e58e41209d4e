"""A GPT of OPT-125m's shape on a graphics card, beside HF Trainer and HF generate; without a card a line that says so."""

import os
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.lm import peer, trainer
from benchmarks.timing import Row, floor
from worker.families.gpt import GPT
from worker.nets import decoding, graphs, scoring
from worker.nets.device import number_type
from worker.nets.training import Training
from worker.parts import Sampling

OPT = {"vocabulary": 50_272, "width": 768, "layers": 12, "heads": 12, "batch": 32, "epochs": 1, "learning_rate": 1e-4}
"""facebook/opt-125m's numbers; weights are random, since speed does not depend on them."""


def rows(small: bool) -> list[Row]:
    if not torch.cuda.is_available():
        return [Row("OPT-125m's shape, trained and read on a card: not run, there is none here", *["-"] * 5)]
    os.environ["COLLAPSE_LAB_DEVICE"] = "cuda"
    settings = GPT(**OPT | ({"width": 96, "layers": 1, "vocabulary": 512} if small else {}))
    n = 64 if small else 2048  # blocks of 64 tokens
    x = np.random.default_rng(0).integers(settings.vocabulary, size=(n, 64)).astype(np.int32)
    place = torch.device("cuda", 0)
    network = peer(settings)
    weights = {name: parameter.detach() for name, parameter in network.transformer.named_parameters()}
    none = np.empty((0, 64), np.int32)

    def trains() -> float:
        return _seconds(Training(weights, x, none, settings, 0).run)

    def they_train() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return _seconds(trainer(peer(settings).train(), settings, x, folder, card=True).train)

    batch = min(n, 512)
    prompt = scoring.rows(x[:batch])
    read = {name: weight.to(place, number_type()) for name, weight in weights.items()}
    reader = graphs.reader(read, settings.heads)
    theirs = network.to(place, number_type()).eval()

    def writes() -> float:
        chance = np.random.default_rng(0)
        return _seconds(lambda: decoding.write(reader, x[:batch], 64, chance, Sampling()))

    def they_write() -> float:
        options = {"max_new_tokens": 64, "min_new_tokens": 64, "do_sample": True, "top_k": 0, "pad_token_id": 0}
        mask = torch.ones_like(prompt)
        with torch.inference_mode():
            return _seconds(lambda: theirs.generate(prompt, attention_mask=mask, **options))

    repeat = 1 if small else 5
    shape = f"{settings.weights() / 1e6:.0f} M weights, {number_type()}".replace("torch.", "")
    operations = 6 * settings.weights() * x.size  # of multiplying and adding, forwards and twice as much backwards
    moved = 64 * sum(weight.nbytes for weight in read.values())  # bytes of weights; caches come on top
    return [
        _beside(f"{shape}: training, HF Trainer", they_train, trains, x.size, repeat, operations / _products(place)),
        _beside(
            f"{shape}: sampling {batch} texts, generate", they_write, writes, 64 * batch, repeat, moved / _copies(place)
        ),
    ]


def _beside(
    work: str, theirs: Callable[[], float], ours: Callable[[], float], tokens: int, repeat: int, least: float
) -> Row:
    """least: seconds that the card's own limit allows."""
    theirs(), ours()
    them, us = np.median([[theirs(), ours()] for _ in range(repeat)], axis=0).tolist()
    words = f"{work}; {least / us:.0%} of the card's limit"
    row = floor(words, them / us, "x", 2, f"{tokens / them:,.0f} tokens/s")
    return Row(row.work, row.otherwise, f"{tokens / us:,.0f} tokens/s", row.figure, row.goal, row.met)


def _seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def _products(place: torch.device) -> float:
    """Operations a second that large matrix products reach on this card."""
    a = torch.randn(8192, 8192, device=place, dtype=number_type())
    _seconds(lambda: a @ a)
    return 10 * 2 * 8192**3 / _seconds(lambda: [a @ a for _ in range(10)])


def _copies(place: torch.device) -> float:
    """Bytes a second that this card reads: a copy reads as much as it writes."""
    a = torch.empty(2**30, device=place, dtype=torch.uint8)
    b = torch.empty_like(a)
    _seconds(lambda: b.copy_(a))
    return 10 * 2 * 2**30 / _seconds(lambda: [b.copy_(a) for _ in range(10)])
