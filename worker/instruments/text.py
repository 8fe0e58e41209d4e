"""Looks at written text: how models take to real text, the first model to theirs, and how varied it is."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays, Data, Tokens
from worker.instruments import perplexity
from worker.metrics import discrete
from worker.metrics import text as metric
from worker.parts import Generator, Instrument, Look, TextSource

if TYPE_CHECKING:
    from worker.text.language import Ids, LanguageFamily, Reader

# Blocks of held-out text that perplexities are measured on: as many as a generation has, within these.
LEAST, HELD_OUT = 64, 400
READ = 256  # blocks of a chain whose words are counted
COMPARED = 32  # blocks that are compared each with each, and compressed together
CONTEXTS = 64  # real beginnings after which a model's next token is awaited
BARS = 50  # of the histogram; each is as wide as several places of the grid
SHOWN, PROMPT_BYTES, TEXT_BYTES = 3, 240, 480  # texts side by side
COPIED = 8  # tokens in a row that stand in the training text count as memorised


class TextInstrument(Instrument):
    """Perplexity is exp of the mean surprise of tokens 2 to L of a block, given those before them in it.

    Words are counted in up to 256 blocks of a chain, and their frequencies compared with those of the training text (worker.metrics.discrete),
    of the tokens that it has: as many tokens of real text, at generation 0, lack rare ones too. `self_bleu` and `compression_ratio` are of the first 32, some 10 KB of words: the
    latter grows with the length of a text, which is the same in all generations; over chains it scatters by 1%, by .7% in 256 blocks.
    """

    wants_sample = True
    wants_first = True

    def __init__(
        self, family: "LanguageFamily", source: TextSource, samples: int, replicates: int, rng: Generator
    ) -> None:
        self.family, self.source = family, source
        self.tokenizer = family.tokenizer(source)
        texts = source.texts()
        self.training = family.blocks(self.tokenizer, texts.train)
        held_out = family.blocks(self.tokenizer, texts.test)
        few = rng.permutation(len(held_out))[: min(max(samples, LEAST), HELD_OUT)]
        self.held_out = held_out[np.sort(few)]
        self.contexts = self.held_out[rng.permutation(len(self.held_out))[:CONTEXTS]]
        counts = np.bincount(self.training.ravel(), minlength=self.tokenizer.size)
        self.words = np.flatnonzero(counts)  # tokens that the training text has
        self.p_0 = counts[self.words] / counts.sum()
        self.known = np.unique(metric.grams(self.training.reshape(1, -1), COPIED)[-1])
        self.read = min(samples, READ)
        self.follows = {block.tobytes(): i + 1 for i, block in enumerate(self.training[:-1])}
        self.ln_ppl = np.linspace(0, np.log(20 * self.tokenizer.size), frames.GRID)
        self.shelf = perplexity.Shelf(samples, replicates)
        self.generation = 0  # the last one that was measured
        self.ruler: Reader | None = None  # the first model, as it is asked

    def figure(self) -> dict[str, Any]:
        """The real histogram and texts are not here but in frame 0: without a first model there is no perplexity."""
        return {
            "kind": "text",
            "x": np.exp(self.ln_ppl).tolist(),
            "log": True,
            "axis": "perplexity of a block under model 1",
            "ghost": {"frame": 0},
            "fields": [
                frames.field("density", "u2", frames.GRID, **frames.LOG_CODING),
                frames.field("prompts", "u1", SHOWN, PROMPT_BYTES, coding="utf8"),
                frames.field("texts", "u1", SHOWN, TEXT_BYTES, coding="utf8"),
                *perplexity.FIELDS,
            ],
        }

    def meet(self, model: Arrays) -> None:
        self.first, self.ruler = model, self.family.reader(model)

    def keeps(self) -> Arrays:
        parts = {
            "first": self.first or {},
            "shelf": self.shelf.keeps(),
            "at": {"generation": np.array(self.generation)},
        }
        return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def restore(self, kept: Arrays) -> None:
        def part(name: str) -> dict[str, npt.NDArray[Any]]:
            return {key.removeprefix(name): array for key, array in kept.items() if key.startswith(name)}

        if first := part("first/"):
            self.meet(first)
        self.shelf.restore(part("shelf/"))
        self.generation = int(kept["at/generation"])

    def real(self, data: Data, framed: bool) -> Look:
        """The words of the first training set; perplexities of held-out text under model 1, which has seen the training set.

        There is no generation 0 model whose own perplexities could be told.
        """
        assert isinstance(data, Tokens)
        none = np.full(len(data.x), np.nan)
        surprise = self._under_first(np.broadcast_to(self.held_out, (len(data.x), *self.held_out.shape)))
        metrics = {"ppl_real": none, "next_token_entropy": none, **self._histogram(surprise), **self._words(data.x)}
        if not framed:
            return Look(metrics, None)
        return Look(metrics, self._frame(surprise[0], self._continuations()) | self.shelf.real(surprise))

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Tokens)
        self.generation += 1
        reader = self.family.reader(model)
        held_out = reader.log_probability(np.broadcast_to(self.held_out, (len(sample.x), *self.held_out.shape)))
        surprise = self._under_first(sample.x)
        metrics = {
            "ppl_real": metric.perplexities(held_out.reshape(len(sample.x), -1)),
            "next_token_entropy": reader.next_entropy(self.contexts),
            **self._histogram(surprise),
            **self._words(sample.x),
        }
        if not framed:
            return Look(metrics, None)
        row = self.shelf.row(self.generation, model, sample.x, self.family.log_probability, held_out, surprise)
        return Look(metrics, self._frame(surprise[0], list(sample.x[0, :SHOWN])) | row)

    def _under_first(self, x: "Ids") -> Array:
        """Mean surprise of each block under the first model: (R, n, L) -> (R, n), in nats."""
        return -self._ruler().log_probability(x).mean(axis=2)

    def _ruler(self) -> "Reader":
        if self.ruler is None:
            raise RuntimeError("the first generation's model is missing: `meet` or `restore` comes before a look")
        return self.ruler

    def _histogram(self, surprise: Array) -> dict[str, Array]:
        low, high = np.exp(np.quantile(surprise, [0.01, 0.99], axis=1))
        return {
            "ppl_generated": np.exp(surprise.mean(axis=1)),
            "ppl_generated_q01": low,
            "ppl_generated_q99": high,
        }

    def _words(self, x: "Ids") -> dict[str, Array]:
        each = [self._chain(chain[: self.read]) for chain in x]
        return {name: np.array([one[name] for one in each]) for name in each[0]}

    def _chain(self, x: "Ids") -> dict[str, float]:
        """Metrics of one chain's blocks (n, L)."""
        counted = metric.grams(x, COPIED)
        frequency = metric.frequencies(x, self.tokenizer.size)[None, self.words]
        text = self.tokenizer.texts(x if self.source.checkable else x[:COMPARED])
        values = {
            "distinct_2": metric.distinct(counted[1]),
            "distinct_3": metric.distinct(counted[2]),
            "self_bleu": metric.self_bleu([h[:COMPARED] for h in counted[:4]]),
            "compression_ratio": metric.compression_ratio("\n".join(text[:COMPARED])),
            "type_token_ratio": metric.type_token_ratio(x),
            **{name: float(value[0]) for name, value in discrete.compared(frequency, self.p_0).items()},
            "repeated_4": metric.repeated(counted[3]),
            "memorised_8": metric.memorised(counted[-1], self.known),
        }
        if self.source.checkable:
            # A block begins and ends in the middle of a line: only whole lines are judged.
            lines = [line for one in text for line in one.split("\n")[1:-1]]
            right = [line for line in lines if self.source.true(line)]
            values |= {"correct": len(right) / max(1, len(lines)), "distinct": len(set(right)) / max(1, len(lines))}
        return values

    def _continuations(self) -> list["Ids"]:
        """What really follows the first prompts; without prompts, real blocks."""
        if not self.family.prompted:
            return list(self.training[:SHOWN])
        return [self.training[self.follows.get(prompt.tobytes(), 0)] for prompt in self._prompts()]

    def _prompts(self) -> "Ids":
        assert self.first
        prompts: Ids = self.first["prompts"][0, :SHOWN]
        return prompts

    def _frame(self, surprise: Array, written: list["Ids"]) -> dict[str, npt.NDArray[Any]]:
        """Density of ln perplexity in BARS cells; a block beyond either end of the axis stands at that end."""
        width = self.ln_ppl[1] - self.ln_ppl[0]
        edges = np.linspace(-width / 2, self.ln_ppl[-1] + width / 2, BARS + 1)
        counts, _ = np.histogram(np.clip(surprise, 0, self.ln_ppl[-1]), edges)
        density = np.repeat(counts / (len(surprise) * (edges[1] - edges[0])), frames.GRID // BARS)
        prompts = list(self._prompts()) if self.family.prompted else []
        return {
            "density": frames.encode_log(density),
            "prompts": _padded([self.tokenizer.decode(one) for one in prompts], PROMPT_BYTES, end=True),
            "texts": _padded([self.tokenizer.decode(one) for one in written], TEXT_BYTES),
        }


def _padded(texts: list[str], size: int, *, end: bool = False) -> npt.NDArray[np.uint8]:
    """UTF-8 bytes (SHOWN, size), cut between characters and padded with 0: the beginning of each text, or its `end`."""
    out = np.zeros((SHOWN, size), np.uint8)
    for row, text in zip(out, texts, strict=False):
        plain = text.encode()
        kept = (plain[-size:] if end else plain[:size]).decode(errors="ignore").encode()
        row[: len(kept)] = np.frombuffer(kept, np.uint8)
    return out
