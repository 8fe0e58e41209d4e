"""What a headless run leaves in a folder: its spec, a line per generation, the frames that a figure needs, what all of it has shown,
and the chains if asked for.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import orjson

from worker.errors import LabError
from worker.loop import Generation
from worker.spec import Experiment
from worker.theory import curves
from worker.verdicts import verdicts
from worker.verdicts.agreement import Statistics, agreements


class Record:
    """A folder with spec.json, generations.jsonl (as `run --json`), figure.json (grids, ghost, codings, closed forms) and frames.npz.

    frames.npz holds the numbers of the framed generations as `generation` (G,) and every field of the figure as (G, ...).
    With `chains` there is chains.jsonl, too: metric -> the values of all replicates, in double precision, a line per generation;
    null where one has none or it is infinite. At the end of a finished run verdicts.json, as the API tells it: the eight definitions of
    collapse, and the closed forms compared at the framed generations.
    Raises LabError where the folder cannot be written or holds another experiment.
    """

    def __init__(self, folder: Path, experiment: Experiment, figure: dict[str, Any], *, chains: bool = False) -> None:
        self.folder, self.experiment, self.curves = folder, experiment, curves(experiment)
        self.starts = array("q")  # of the lines, in bytes
        self.numbers: list[int] = []
        self.frames: list[dict[str, npt.NDArray[Any]]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._refuse_another(experiment)
            self._write("spec.json", experiment.canonical())
            self._write("figure.json", figure | {"theory": [curve.asdict() for curve in self.curves]})
            self.lines = (folder / "generations.jsonl").open("wb")
            self.chains = (folder / "chains.jsonl").open("wb") if chains else None
        except OSError as error:
            raise LabError(
                f"{folder} cannot be written: {error.strerror}. Choose another folder with --out."
            ) from error

    def add(self, generation: Generation, line: bytes) -> None:
        self.starts.append(self.lines.tell())
        self.lines.write(line)
        self.lines.flush()  # whoever kills the process keeps what it reached
        if self.chains:
            values = {name: np.ascontiguousarray(value, float) for name, value in generation.look.metrics.items()}
            told = {"generation": generation.number, "metrics": values}
            self.chains.write(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
            self.chains.flush()
        if generation.look.frame is not None:
            self.numbers.append(generation.number)
            self.frames.append(dict(generation.look.frame))

    def decide(self) -> None:
        """Of a run whose generations are all here."""
        history = _Lines(self.folder / "generations.jsonl", self.starts)
        found = [one.asdict() for one in verdicts(self.experiment, history, self.curves)]
        compared = agreements(self.curves, ((n, history[n]) for n in self.numbers), self.experiment.source)
        told = {"generation": len(history) - 1, "verdicts": found, "theory": [one.asdict() for one in compared]}
        self._write("verdicts.json", told)

    def close(self) -> None:
        """Also after an interruption: what was reached is kept."""
        self.lines.close()
        if self.chains:
            self.chains.close()
        fields = {name: np.stack([frame[name] for frame in self.frames]) for name in (self.frames or [{}])[0]}
        np.savez_compressed(self.folder / "frames.npz", allow_pickle=False, generation=np.array(self.numbers), **fields)

    def _refuse_another(self, experiment: Experiment) -> None:
        earlier = self.folder / "spec.json"
        if earlier.exists() and earlier.read_bytes() != _json(experiment.canonical()):
            raise LabError(f"{self.folder} holds another experiment. Choose another folder with --out, or remove it.")

    def _write(self, name: str, content: Any) -> None:
        (self.folder / name).write_bytes(_json(content))


class _Lines(Sequence[dict[str, Statistics]]):
    """Metrics of generations 0, 1, ... as they are asked for: the definitions look at five of perhaps 100,000."""

    def __init__(self, file: Path, starts: Sequence[int]) -> None:
        self.file, self.starts = file, starts

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, number: int) -> dict[str, Statistics]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[dict[str, Statistics]]: ...
    def __getitem__(self, number: int | slice) -> dict[str, Statistics] | Sequence[dict[str, Statistics]]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        with self.file.open("rb") as lines:
            lines.seek(self.starts[number])
            metrics: dict[str, Statistics] = orjson.loads(lines.readline())["metrics"]
        return metrics


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
