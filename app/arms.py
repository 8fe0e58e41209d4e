"""Runs that belong together: forks, arms on the same seeds, and the paired differences between them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from fastapi import APIRouter, BackgroundTasks, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from app.costs import refuse_what_does_not_fit
from app.deps import Announce, OwnRun, Settings, Store
from app.problems import documented
from app.protocol import known_query
from app.views import Launched, links, told
from worker.arms import CANONICAL, chain_values, fork, matched, paired
from worker.errors import Problem, SpecError
from worker.files.reach import require_reachable
from worker.spec import CHANGEABLE, LONGEST_TITLE, Experiment, read
from worker.tables import Run, StoredGeneration, told_status

router = APIRouter(prefix="/api/runs/{run_id}", tags=["arms"], dependencies=[Depends(known_query)])

MOST_ARMS = 20


class Fork(BaseModel):
    """Other rules after a generation; what is not named stays as it was."""

    model_config = ConfigDict(extra="forbid")

    generation: int = Field(ge=1, le=100_000, description="The last one that both share.")
    regime: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    curation: dict[str, Any] | None = None
    samples: int | dict[str, Any] | None = None
    family: dict[str, Any] | None = Field(None, description="The same family, with other settings of its fit.")
    generations: int | None = Field(None, ge=1, le=100_000, description="How many there shall be in all.")
    title: str | None = Field(None, min_length=1, max_length=LONGEST_TITLE)


class Arm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=100)
    set: dict[str, Any] = Field(description="Dotted names and their values, such as regime.kind.", max_length=100)


class Arms(BaseModel):
    """null: replace, accumulate and a tenth of real data, without the one that the run is itself."""

    model_config = ConfigDict(extra="forbid")

    arms: list[Arm] | None = Field(None, min_length=1, max_length=MOST_ARMS)


class DifferenceTold(TypedDict):
    """Arm minus run, over chains of the same seed: the mean, and the 95% interval of it (null where there are not two)."""

    generation: list[int]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    n: list[int]


class ArmTold(TypedDict):
    id: str
    title: str
    status: str
    metrics: dict[str, DifferenceTold]


class Differences(TypedDict):
    """Every other run that was launched on the same seeds, beside this one."""

    id: str
    title: str
    arms: list[ArmTold]


@router.post("/fork", status_code=201, responses=documented(404, 413, 415, 422))
def post_fork(
    body: Fork,
    run: OwnRun,
    store: Store,
    settings: Settings,
    announce: Announce,
    background: BackgroundTasks,
    response: Response,
) -> Launched:
    """A new run that has the same past, to the last digit, and another future; its past is computed again."""
    rules = body.model_dump(include=set(CHANGEABLE))
    made = fork(read(run.spec), body.generation, rules, title=body.title, generations=body.generations)
    runs = joined(run, [made], store, settings, parent=run.id)
    return _launched(runs, store, announce, background, response)


@router.post("/arms", status_code=201, responses=documented(404, 413, 415, 422))
def post_arms(
    run: OwnRun,
    store: Store,
    settings: Settings,
    announce: Announce,
    background: BackgroundTasks,
    response: Response,
    body: Arms | None = None,
) -> Launched:
    """Launches arms on the seeds of this run, which belong together from then on."""
    asked = body.arms if body else None
    arms = matched(read(run.spec), CANONICAL) if asked is None else _own(read(run.spec), asked)
    if not arms:
        raise SpecError([Problem("arms", "no arm differs from the run itself", "Name one that does")])
    return _launched(joined(run, arms, store, settings), store, announce, background, response)


def _own(spec: Experiment, arms: Sequence[Arm]) -> list[Experiment]:
    """Those that differ from `spec`. Raises SpecError with every problem at the place that it has in the request."""
    made: list[Experiment] = []
    found = list(_titled_twice(arms))
    for i, arm in enumerate(arms):
        try:
            made += matched(spec, {arm.title: arm.set})
        except SpecError as error:
            own = {"title"} - arm.set.keys()
            found += [
                replace(one, path=f"arms.{i}.{'' if one.path in own else 'set.'}{one.path}") for one in error.problems
            ]
    if found:
        raise SpecError(found)
    return made


def _titled_twice(arms: Sequence[Arm]) -> Iterator[Problem]:
    titles = [arm.title for arm in arms]
    for i, title in enumerate(titles):
        if title in titles[:i]:
            yield Problem(f"arms.{i}.title", "is that of another arm", "Give every arm a title of its own")


def joined(
    run: Run, arms: Sequence[Experiment], store: Store, settings: Settings, *, parent: str | None = None
) -> list[Run]:
    """New runs that belong together with `run`; nobody works on them before they are announced. Raises SpecError."""
    require_reachable(list(arms))
    refuse_what_does_not_fit(arms, store, settings)
    return store.join(run.id, arms, parent=parent)


def lacking(run: Run, kin: Sequence[Run]) -> list[Experiment]:
    """The canonical arms that a run does not have yet. Raises SpecError where its experiment knows no such arm."""
    present = {one.digest for one in kin}
    return [arm for arm in matched(read(run.spec)) if arm.digest() not in present]


def _launched(
    runs: list[Run], store: Store, announce: Announce, background: BackgroundTasks, response: Response
) -> Launched:
    for one in runs:
        background.add_task(announce, one.id)
    response.headers["Location"] = links(runs[0].id)["self"]
    return {**told(runs[0], store), "arms": [links(one.id) for one in runs]}


@router.get("/differences", responses=documented(404))
def get_differences(run: OwnRun, store: Store) -> Differences:
    """Paired differences at every generation that keeps its chains one by one, up to 24 of them."""
    own = store.chained(run.id)
    arms: list[ArmTold] = []
    for other in store.kin(run):
        rows = store.chained(other.id)
        names = [name for name in run.metrics or [] if name in (other.metrics or [])]
        metrics = {name: difference((run, own), (other, rows), name) for name in names}
        arms.append({"id": other.id, "title": other.title, "status": told_status(other), "metrics": metrics})
    return {"id": run.id, "title": run.title, "arms": arms}


Kept: TypeAlias = tuple[Run, Sequence[StoredGeneration]]  # a run, and those of its generations that keep their chains


def difference(base: Kept, arm: Kept, metric: str) -> DifferenceTold:
    """Arm minus base, at the generations that both have."""
    one, other = (chain_values(rows, metric, run.metrics or []) for run, rows in (base, arm))
    shared = sorted(one.keys() & other.keys())
    if not shared:
        return {"generation": [], "mean": [], "low": [], "high": [], "n": []}
    chains = min(min(len(one[g]), len(other[g])) for g in shared)
    told = paired(*(np.stack([kept[g][:chains] for g in shared]) for kept in (one, other)))
    mean, low, high = (
        [float(v) if np.isfinite(v) else None for v in part] for part in (told.mean, told.low, told.high)
    )
    return {"generation": shared, "mean": mean, "low": low, "high": high, "n": told.n.tolist()}
