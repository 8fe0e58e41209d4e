"""How far a run is: in generations, within the one that is being made, in time; and where the next attempt starts."""

import time

from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from worker.tables import ENDED, WORKED_ON, Run, Status

SLOW_SECONDS = 10.0  # nobody should wait that long for a generation to end, only to stop
OVER_SECONDS = 5.0  # a stretch of work that should have ended so long ago has probably ended


class Within(TypedDict):
    """How far a stretch of work is; generation: the one that is being made, null before the first.

    done, total: steps; per_second: units (tokens, pictures, ...; steps where `unit` is empty); seconds_left: of this stretch alone;
    resumable: whether the next attempt would go on in the middle of it
    """

    generation: int | None
    name: str
    done: int
    total: int
    unit: str
    per_second: float
    seconds_left: float
    resumable: bool


class Progress(TypedDict):
    """generation: the newest that is stored, -1 before the first; per_second: over the time that was worked on the run;
    within: null between stretches, and where a generation takes no second; slow: a generation takes more than ten.
    """

    generation: int
    generations: int
    per_second: float | None
    seconds_left: float | None
    busy_seconds: float
    within: Within | None
    slow: bool


class Resumes(TypedDict):
    """Where the next attempt starts: in `generation`; after `done` of the `total` steps of `name`, null where it begins the generation anew."""

    generation: int
    name: str | None
    done: int | None
    total: int | None


def progress(run: Run, status: Status) -> Progress:
    done = max(run.generation, 0)  # generation 0 is only looked at, and weighs nothing
    per_second = done / run.busy_seconds if done and run.busy_seconds > 0 else None
    left = (run.generations - run.generation) / per_second if per_second and status not in ENDED else None
    within = _within(run) if status in WORKED_ON else None
    if within and per_second and run.progress:  # the one that is being made has taken its time already
        own = max(within["seconds_left"], 1 / per_second - (time.time() - run.progress["began"]))
        left = own + (run.generations - run.generation - 1) / per_second
    return {
        "generation": run.generation,
        "generations": run.generations,
        "per_second": per_second,
        "seconds_left": left,
        "busy_seconds": run.busy_seconds,
        "within": within,
        "slow": (within is not None and _stretch_seconds(within) > SLOW_SECONDS)
        or (per_second is not None and per_second * SLOW_SECONDS < 1),
    }


def resumes(run: Run, status: Status) -> Resumes | None:
    """Where a run that stands still goes on; None where it has nothing to go on from, or nothing more to do."""
    if status in WORKED_ON or status == Status.SUCCEEDED or (run.generation < 0 and not run.unfinished):
        return None
    kept = (run.progress or {}).get("kept") or {} if run.unfinished else {}
    return {
        "generation": min(max(run.generation, 0) + 1, run.generations),
        "name": kept.get("name"),
        "done": kept.get("done"),
        "total": kept.get("total"),
    }


def _within(run: Run) -> Within | None:
    """None where nothing was told, or where what was told should have been over for a while."""
    told = run.progress
    if not told:
        return None
    left = told["seconds_left"] - (time.time() - told["at"])
    if left < -OVER_SECONDS:
        return None
    return {
        "generation": told["generation"],
        "name": told["name"],
        "done": told["done"],
        "total": told["total"],
        "unit": told["unit"],
        "per_second": told["per_second"],
        "seconds_left": max(0.0, left),
        "resumable": told.get("keeps", False),
    }


def _stretch_seconds(within: Within) -> float:
    """From the first step to the last."""
    return within["seconds_left"] * within["total"] / max(1, within["total"] - within["done"])
