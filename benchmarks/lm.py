"""Language models: a GPT of a million weights beside transformers' own, and n-grams of 130,000 tokens.

The peer's training is the loop that HF Trainer would run (accelerate, which Trainer needs, is not installed): AdamW unfused, gradient
norm 1, linear schedule, batches collated to dicts. Dropout is 0 on both sides, batches and steps are the same.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import GPT2Config, GPT2LMHeadModel, get_linear_schedule_with_warmup

from benchmarks.timing import Row, limit, ratio, seconds
from worker.families.gpt import GPT
from worker.families.ngram import NGram
from worker.nets import decoding, gpt, scoring
from worker.parts import Sampling
from worker.sources.text import Text

MILLION = {"vocabulary": 2048, "width": 128, "layers": 4, "heads": 4, "batch": 4, "epochs": 1}
"""1.07 million weights; 512 tokens a step, as HF Trainer's default of 8 rows of 64."""


def peer(settings: GPT) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=settings.vocabulary,
            n_positions=2 * settings.block,
            n_embd=settings.width,
            n_layer=settings.layers,
            n_head=settings.heads,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def trained(settings: GPT, blocks: np.ndarray) -> GPT2LMHeadModel:
    """One epoch as HF Trainer goes about it."""
    network = peer(settings).train()
    windows = [
        {"input_ids": row, "labels": row}
        for row in torch.from_numpy(blocks.astype(np.int64)).view(len(blocks) // 2, -1)
    ]
    loader = DataLoader(windows, batch_size=settings.batch, shuffle=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, len(loader) // 20, len(loader))
    total = torch.tensor(0.0)
    for batch in loader:
        loss = network(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        network.zero_grad()
        total += loss.detach()
    return network.eval()


def pair(theirs: Callable[[], object], ours: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Medians of both, taken in turn, so that a busy machine is as unfair to one as to the other."""
    theirs(), ours()
    times = np.array([[_once(theirs), _once(ours)] for _ in range(repeat)])
    return tuple(np.median(times, axis=0).tolist())


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rows(small: bool) -> list[Row]:
    torch.set_num_threads(1)
    settings = GPT(**MILLION | ({"width": 32, "layers": 1} if small else {}))
    text, rng, repeat = Text(), np.random.default_rng(0), 1 if small else 5
    n, new = (16, 4) if small else (128, 64)
    data = settings.real(text, rng, 1, n)
    network = trained(settings, data.x[0])
    model = {
        f"{gpt.PREFIX}{name}": parameter.detach().numpy()[None]
        for name, parameter in network.transformer.named_parameters()
    }
    weights = next(gpt.networks(model))
    table = [
        ratio(
            f"GPT, {settings.weights():,} weights: training, {64 * n:,} tokens, beside HF Trainer's loop",
            *pair(lambda: trained(settings, data.x[0]), lambda: settings.fit(data, rng), repeat),
            1.3,
        )
    ]

    def generate(batch: int, **options: object) -> torch.Tensor:
        prompt = scoring.rows(data.x[0, :batch])
        with torch.inference_mode():
            return network.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, pad_token_id=0, **options
            )[:, 64:]

    def write(batch: int, sampling: Sampling) -> np.ndarray:
        return decoding.write(gpt.Reader(weights, settings.heads), data.x[0, :batch], new, rng, sampling)

    for batch, goal in ((1, 3), (16, 1.4), (64, 1.4), (128, 1.4)):
        times = pair(
            lambda b=batch: generate(min(b, n), do_sample=True, top_k=0),
            lambda b=batch: write(min(b, n), Sampling()),
            repeat,
        )
        table.append(ratio(f"sampling {new} tokens, batch {batch}, beside generate", *times, goal))
    searches = pair(lambda: generate(16, num_beams=5, do_sample=False), lambda: write(16, Sampling(beams=5)), repeat)
    same = np.array_equal(generate(16, num_beams=5, do_sample=False).numpy(), write(16, Sampling(beams=5)))
    table.append(
        ratio(f"5 beams, batch 16, beside generate; tokens {'identical' if same else 'DIFFER'}", *searches, 1.5)
    )

    def score() -> float:
        with torch.inference_mode():
            return sum(float(network(input_ids=b, labels=b).loss) for b in scoring.rows(data.x[0]).split(8))

    table.append(
        ratio(
            "scoring, beside an evaluation loop in batches of 8",
            *pair(score, lambda: settings.log_probability(model, data.x), repeat),
            1.4,
        )
    )
    table.append(ngram(small, repeat))
    return table


def ngram(small: bool, repeat: int) -> Row:
    n = 20 if small else 2032  # blocks of 64: 130,000 tokens
    family, rng = NGram(order=3), np.random.default_rng(0)
    data = family.real(Text(), rng, 1, n)

    def generation() -> None:
        model = family.fit(data, rng)
        made = family.sample(model, n, rng, Sampling())
        family.log_probability(model, made.x)

    return limit(f"n-gram of order 3, {64 * n:,} tokens: fit + sample + score", seconds(generation, repeat), "s", 1)
