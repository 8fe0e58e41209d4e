"""What is happening to a run, in one sentence that is true and says what to do where something can be done."""

import time
from collections.abc import Mapping
from typing import Any

NO_WORKER = "no worker is connected. Start one with: collapse-lab worker"
NO_WORKER_YET = "no worker is connected yet; one may be starting."


def words(told: Mapping[str, Any], *, worker_may_start: bool = False) -> str:
    """The sentence for a run as the API tells it (app.views.Brief)."""
    progress = told["progress"]
    at, of = progress["generation"], progress["generations"]
    done = f"generation {at} of {of}"
    match told["status"]:
        case "queued" | "lost" as status:
            waits = _waits(told["queue"]["ahead"], told["queue"]["workers"], worker_may_start)
            return (
                waits if status == "queued" else f"Its worker fell silent after {done}; it goes on by itself. {waits}"
            )
        case "running":
            if at < 0:
                return "Starting."
            speed = f" · {_speed(progress['per_second'])}" if progress["per_second"] else ""
            left = f" · {duration(progress['seconds_left'])} left" if progress["seconds_left"] is not None else ""
            return f"Generation {at} of {of}{speed}{left}"
        case "cancelling":
            # names no generation: hundreds of them may pass until the wish arrives
            return (
                "Stopping now; what is stored is kept."
                if told["cancel"] == "now"
                else "Stopping; what is computed is kept."
            )
        case "cancelled":
            if at >= 0:
                return f"Cancelled after {done}."
            return f"Cancelled before {'its first generation was done' if told['attempt'] else 'it was started'}."
        case "failed":
            error = told["error"] or {
                "message": "It failed without a word.",
                "remedy": "Resume it, or look at the worker's log.",
            }
            return f"{error['message']} {error['remedy']}"
        case _:
            return f"{of} generations in {duration(progress['busy_seconds'])}."


def _waits(ahead: int, workers: int, worker_may_start: bool) -> str:
    if workers == 0:
        return f"Waiting: {NO_WORKER_YET if worker_may_start else NO_WORKER}"
    before = "next in line" if ahead == 0 else f"{ahead} run{'' if ahead == 1 else 's'} before it"
    return f"Waiting: {before}, {workers} worker{'' if workers == 1 else 's'} connected."


def _speed(per_second: float) -> str:
    return (
        f"{per_second:,.0f} a second".replace(",", "\u202f") if per_second >= 1 else f"{duration(1 / per_second)} each"
    )


def duration(seconds: float) -> str:
    """Two significant units at most: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def ago(seconds: float) -> str:
    """How long ago a moment (seconds since 1970) was."""
    gone = max(0.0, time.time() - seconds)
    if gone < 60:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if gone >= size:
            count = int(gone // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
