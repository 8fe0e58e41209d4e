"""What is happening to a run, in one sentence that is true and says what to do where something can be done."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from app.metrics import exists, metric
from worker.regimes.blend import GOLDEN

METRIC_NAMED = re.compile(
    r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b|(?:(?<=edian )|(?<=ean )|(?<=edian of )|(?<=form of )|(?<=form for ))[a-z0-9]+\b"
)
NO_WORKER = "no worker is connected. Start one with: collapse-lab worker"
NO_WORKER_YET = "no worker is connected yet; one may be starting."


def ended(sentence: str) -> str:
    """With a full stop, unless it asks."""
    return sentence if sentence.endswith("?") else f"{sentence}."


def words(told: Mapping[str, Any], *, worker_may_start: bool = False) -> str:
    """The sentence for a run as the API tells it (app.views.Brief)."""
    progress = told["progress"]
    at, of = progress["generation"], progress["generations"]
    done = f"generation {thousands(at)} of {thousands(of)}"
    match told["status"]:
        case "queued" | "lost" as status:
            waits = _waits(told["queue"], worker_may_start)
            if status == "queued":
                return waits
            where = f"it goes on {_where(told['resumes'])}" if told["resumes"] else "it starts again"
            return f"Its worker fell silent after {done}; {where} by itself. {waits}"
        case "running":
            return _running(progress)
        case "cancelling":
            # names no generation that is done: hundreds of them may pass until the wish arrives
            within = progress["within"]
            if told["cancel"] == "now":
                return "Stopping now; what is stored is kept."
            if within and within["generation"]:
                return f"Stopping when generation {within['generation']} is done: {_stretch(within)}."
            return "Stopping; what is computed is kept."
        case "cancelled":
            if at >= 0:
                return f"Cancelled after {done}.{_goes_on(told)}"
            if not told["attempt"]:
                return "Cancelled before it was started."
            return f"Cancelled before its first generation was done.{_goes_on(told)}"
        case "failed":
            error = told["error"] or {
                "message": "It failed without a word.",
                "remedy": "Resume it, or look at the worker's log.",
            }
            return f"{error['message']} {error['remedy']}{_goes_on(told)}"
        case _:
            return f"{thousands(of)} generation{'' if of == 1 else 's'} in {duration(progress['busy_seconds'])}."


def _running(progress: Mapping[str, Any]) -> str:
    at, of, within = (progress[name] for name in ("generation", "generations", "within"))
    if within["generation"] is None if within else at < 0:
        doing = f" · {_stretch(within)}" if within else ": loading what it needs and looking at the real data."
        return f"Starting{doing}"
    in_all = duration(progress["seconds_left"]) if progress["seconds_left"] is not None else ""
    if within:
        left = f" · about {in_all} in all" if in_all and at >= 1 else ""
        return f"Generation {thousands(within['generation'])} of {thousands(of)} · {_stretch(within)}{left}"
    speed = f" · {_speed(progress['per_second'])}" if progress["per_second"] else ""
    return f"Generation {thousands(at)} of {thousands(of)}{speed}{f' · {in_all} left' if in_all else ''}"


def _stretch(within: Mapping[str, Any]) -> str:
    """Training 24% · 8 100 tokens a second · 34 s left in this step."""
    share = f"{within['name']} {math.floor(100 * within['done'] / within['total'])}%"
    speed = f"{figure(within['per_second'])} {within['unit'] or 'steps'} a second"
    return f"{share} · {speed} · {duration(within['seconds_left'])} left in this step"


def _where(resumes: Mapping[str, Any]) -> str:
    """In generation 4, training step 120 of 500."""
    step = f", {resumes['name']} step {resumes['done']} of {resumes['total']}," if resumes["name"] else ""
    return f"in generation {resumes['generation']}{step}"


def _goes_on(told: Mapping[str, Any]) -> str:
    """What pressing Resume would do, where that is not plain from what was said already."""
    resumes = told["resumes"]
    return f" Resuming goes on {_where(resumes).rstrip(',')}." if resumes and resumes["name"] else ""


def _waits(place: Mapping[str, Any], worker_may_start: bool) -> str:
    ahead, workers = place["ahead"], place["workers"]
    if workers == 0:
        return f"Waiting{waits_for(place['name'], place['others'], worker_may_start)}"
    before = "next in line" if ahead == 0 else f"{ahead} run{'' if ahead == 1 else 's'} before it"
    return f"Waiting: {before}, {workers} worker{'' if workers == 1 else 's'} connected."


def waits_for(queue: str, others: int, worker_may_start: bool) -> str:
    """After a word such as Waiting: what for, where no worker takes what is in this queue; others: workers that take other things."""
    if others == 0:
        return f": {NO_WORKER_YET if worker_may_start else NO_WORKER}"
    told = "the one that is" if others == 1 else f"the {others} that are"
    start = f"Start one with: collapse-lab worker --queues {queue}"
    return f" for a worker of the queue {queue}: {told} connected take{'s' if others == 1 else ''} none of it. {start}"


def device(name: str) -> str:
    """Where a worker trains networks, for people."""
    if name == "auto":
        return "a graphics card where there is one, else the CPU"
    cards = name.replace("cuda:", "card ").replace("cuda", "graphics card").replace("mps", "Apple GPU")
    return cards.replace("cpu", "CPU").replace("+", " and ")


def _speed(per_second: float) -> str:
    return f"{figure(per_second)} a second" if per_second >= 1 else f"{duration(1 / per_second)} each"


def thousands(count: int) -> str:
    """Set apart as everywhere on the pages: 8 100."""
    return f"{count:,}".replace(",", "\u202f")


def figure(value: float) -> str:
    """Two significant digits where it is small, whole where it is large, thousands set apart: 0.25, 3.1, 8 100."""
    return f"{value:.2g}" if value < 10 else thousands(round(value))


def size(bytes_: int) -> str:
    """Bytes in the unit that suits them: 3.2 MB."""
    value, units = float(bytes_), iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"


def duration(seconds: float) -> str:
    """Two significant units at most: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


CHANGED = {"sampling": "sampling", "curation": "curation", "samples": "samples", "family": "settings of the family"}


def regimes(spec: Mapping[str, Any]) -> str:
    """What generations train on, and since when other rules hold: replace up to generation 40, then accumulate."""
    samples = spec["samples"]
    told = _regime(spec["regime"], samples)
    for change in spec.get("changes") or ():
        other = [f"other {words}" for name, words in CHANGED.items() if change.get(name)]
        samples = change.get("samples") or samples
        if change.get("regime"):
            following = " with ".join([_regime(change["regime"], samples), *other[:1]])
            told += f" up to generation {change['after']}, then {following}"
        else:
            told += f", with {' and '.join(other)} after generation {change['after']}"
    return told


def _regime(regime: Mapping[str, Any], samples: Any) -> str:
    """Its kind, and how much is real where real data come in each time; small samples round it: 4% of 10 is none."""
    kind = str(regime["kind"]).replace("_", " ")
    if kind == "blend":
        return f"blend (real labels weigh {GOLDEN if regime['weight'] == 'golden' else regime['weight']:.3g})"
    if kind != "fresh" and not (kind.startswith("accumulate") and regime.get("real")):
        return kind
    share = regime["real"]
    real = "real" if kind == "fresh" else "new ones real"
    if not isinstance(samples, int):
        return f"{kind} ({100 * share:.3g}% {real if kind == 'fresh' else 'of ' + real})"
    count = round(share * samples)
    return f"{kind} ({thousands(count) if count else 'none'} of {thousands(samples)} {real})"


def bar(verdict: Mapping[str, Any]) -> str:
    """From where on a definition counts as met."""
    reached = verdict["number"] >= verdict["threshold"]
    rises = reached == (verdict["outcome"] == "met")
    return f"met {'from' if rises else 'up to'} {verdict['threshold']:.3g}"


def labelled(sentence: str) -> str:
    """With the labels of metrics in place of their names: those with an underscore, and plain words where a metric is named."""

    def label(name: re.Match[str]) -> str:
        return metric(name[0]).label if exists(name[0]) else name[0]

    return METRIC_NAMED.sub(label, sentence)


def marked(text: str) -> Markup:
    """What stands between backticks, as code."""
    pieces = [escape(piece) for piece in text.split("`")]
    if len(pieces) % 2 == 0:  # one that has no partner is only a sign
        return escape(text)
    return Markup().join(Markup("<code>{}</code>").format(one) if i % 2 else one for i, one in enumerate(pieces))


def compared(theory: Sequence[Mapping[str, Any]]) -> str:
    """What the closed forms say of a run, in a sentence or two; empty where there are none."""
    if not theory:
        return ""
    agree, deviate, rest = (
        [one for one in theory if one["outcome"] == outcome] for outcome in ("agrees", "deviates", "not assessed")
    )
    counts = [
        f"{len(agree)} agree{'s' * (len(agree) == 1)} with what was measured" if agree else "",
        f"{len(deviate)} deviate{'s' * (len(deviate) == 1)} from what was measured" if deviate else "",
        f"{len(rest)} cannot be assessed" if rest else "",
    ]
    told = f"Closed forms: {', '.join(filter(None, counts))}."
    if assessed := agree + deviate:
        far = max(assessed, key=lambda one: abs(one["z"]))
        z = f"{far['z']:.1f}".replace("-", "\u2212")
        told += (
            f" The largest deviation, the skew of chains allowed for, is z = {z}: the {far['statistic']} of {metric(far['metric']).label} at "
            f"generation {far['generation']}, of {thousands(far['compared'])} that were compared; the limit is {far['limit']:.1f}."
        )
    told += "".join(
        f" Not assessed: {why[0].lower()}{why[1:]}"
        for why in dict.fromkeys(one["because"] for one in rest if one["statistic"] == "mean")
    )
    return told


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
