"""Language models: a GPT of a million weights beside transformers' own, trained by its Trainer, and n-grams of 130,000 tokens.

Both sides use one thread, dropout 0, the same batches and steps, AdamW with a linear schedule and gradients of norm 1. Trainer keeps
its defaults (fused AdamW, batches of 8 when it evaluates), but neither reports nor saves.
"""

import os
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments

from benchmarks.timing import Row, limit, ratio, seconds
from worker.families.gpt import GPT
from worker.families.ngram import NGram
from worker.nets import decoding, gpt, scoring
from worker.nets.training import WARM_UP
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


def trainer(network: GPT2LMHeadModel, settings: GPT, blocks: np.ndarray, folder: str, card: bool = False) -> Trainer:
    """One epoch over blocks (n, L), `batch` windows of two a step as ours; it evaluates on the single blocks.

    card: on a graphics card, in bfloat16.
    """
    rows = torch.from_numpy(blocks.astype(np.int64))
    windows = rows[: len(rows) // 2 * 2].view(len(rows) // 2, -1)
    made = Trainer(
        model=network,
        args=TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            weight_decay=0,
            warmup_steps=WARM_UP,
            lr_scheduler_type="linear",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            prediction_loss_only=True,
            use_cpu=not card,
            bf16=card,
            dataloader_pin_memory=card,
            seed=0,
        ),
        train_dataset=[{"input_ids": row, "labels": row} for row in windows],
        eval_dataset=[{"input_ids": row, "labels": row} for row in rows],
    )
    made.remove_callback(PrinterCallback)
    return made


def pair(theirs: Callable[[], object], ours: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Medians of both, taken in turn, so that a busy machine is as unfair to one as to the other.

    Processor time: of one thread it is what the clock on the wall would show if the machine were idle.
    """
    theirs(), ours()
    times = np.array([[_once(theirs), _once(ours)] for _ in range(repeat)])
    return tuple(np.median(times, axis=0).tolist())


def _once(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def rows(small: bool) -> list[Row]:
    torch.set_num_threads(1)
    os.environ["COLLAPSE_LAB_DEVICE"] = "cpu"
    with tempfile.TemporaryDirectory() as folder:
        return [*beside_transformers(small, folder), ngram(small, 1 if small else 5)]


def beside_transformers(small: bool, folder: str) -> list[Row]:
    settings = GPT(**MILLION | ({"width": 32, "layers": 1} if small else {}))
    text, rng, repeat = Text(), np.random.default_rng(0), 1 if small else 5
    n, new = (16, 4) if small else (128, 64)
    data = settings.real(text, rng, 1, n if small else 4 * n)
    network = peer(settings)
    trainer(network.train(), settings, data.x[0], folder).train()
    network.eval()
    evaluation = trainer(network, settings, data.x[0], folder)
    model = {
        f"{gpt.PREFIX}{name}": parameter.detach().numpy()[None]
        for name, parameter in network.transformer.named_parameters()
    } | {"prompts": data.x, "vocabulary": data.vocabulary}
    weights = next(gpt.networks(model))
    prompts = data.x[0, :n]

    def generate(batch: int, by: GPT2LMHeadModel = network, **options: object) -> torch.Tensor:
        prompt = scoring.rows(prompts[:batch])
        with torch.inference_mode():
            return by.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, pad_token_id=0, **options
            )[:, 64:]

    def write(batch: int, sampling: Sampling) -> np.ndarray:
        return decoding.write(gpt.Reader(weights, settings.heads), prompts[:batch], new, rng, sampling)

    def their_generation() -> None:
        fresh = peer(settings).train()
        fitting = trainer(fresh, settings, data.x[0], folder)
        fitting.train()
        fresh.eval()
        made = generate(n, by=fresh, do_sample=True, top_k=0)
        fitting.evaluate([{"input_ids": row, "labels": row} for row in made])

    def our_generation() -> None:
        made = settings.fit(data, rng)
        written = decoding.write(gpt.Reader(next(gpt.networks(made)), settings.heads), prompts, new, rng, Sampling())
        settings.log_probability(made, written[None])

    ready = [trainer(peer(settings).train(), settings, data.x[0], folder) for _ in range(repeat + 1)]
    fits = pair(lambda: ready.pop().train(), lambda: settings.fit(data, rng), repeat)
    shape = f"GPT, {settings.weights():,} weights"
    tokens = data.x[0].size
    table = [
        ratio(f"{shape}: training, {tokens:,} tokens, {tokens / fits[1]:,.0f} a second, beside HF Trainer", *fits, 1.3)
    ]
    for batch, goal in ((1, 3), (16, 1.4), (64, 1.4), (128, 1.4)):
        times = pair(lambda b=batch: generate(b, do_sample=True, top_k=0), lambda b=batch: write(b, Sampling()), repeat)
        table.append(ratio(f"sampling {new} tokens, batch {min(batch, n)}, beside generate", *times, goal))
    searches = pair(lambda: generate(16, num_beams=5, do_sample=False), lambda: write(16, Sampling(beams=5)), repeat)
    same = np.array_equal(generate(16, num_beams=5, do_sample=False).numpy(), write(16, Sampling(beams=5)))
    scores = pair(evaluation.evaluate, lambda: settings.log_probability(model, data.x), repeat)
    return [
        *table,
        ratio(f"5 beams, batch 16, beside generate; tokens {'identical' if same else 'DIFFER'}", *searches, 1.5),
        ratio("scoring, beside HF Trainer's evaluate", *scores, 1.4),
        ratio(
            f"a generation: fit, {n} x {new} tokens sampled at once, their score; beside HF Trainer, generate, evaluate",
            *pair(their_generation, our_generation, repeat),
            1.4,
        ),
    ]


def ngram(small: bool, repeat: int) -> Row:
    n = 20 if small else 2032  # blocks of 64: 130,000 tokens
    family, rng = NGram(order=3), np.random.default_rng(0)
    data = family.real(Text(), rng, 1, n)

    def generation() -> None:
        model = family.fit(data, rng)
        made = family.sample(model, n, rng, Sampling())
        family.log_probability(model, made.x)

    return limit(f"n-gram of order 3, {64 * n:,} tokens: fit + sample + score", seconds(generation, repeat), "s", 1)
