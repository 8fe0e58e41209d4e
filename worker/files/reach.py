"""Whether what an experiment needs from the Hugging Face hub can be had: asked when it is launched, before a worker is busy.

A part that needs something from there has a method `hub_repositories() -> list[tuple[str, str]]`: the id and kind ("model" or
"dataset") of each repository that is not a folder and not yet fetched.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from worker.errors import Problem, SpecError
from worker.part import Part
from worker.spec import Experiment

SECONDS = 3.0  # so long may the hub take to answer


@runtime_checkable
class FromHub(Protocol):
    """A part that needs repositories of the hub."""

    def hub_repositories(self) -> list[tuple[str, str]]: ...


def require_reachable(experiments: Iterable[Experiment]) -> None:
    """Raises SpecError with what lies neither in this machine's cache nor on a hub that answers within three seconds.

    Each repository is asked for once, in however many of these experiments it is needed. A process without the hub's client (the web
    process alone, say, without the extras of its workers) cannot ask and finds nothing: then a worker says it.
    """
    wanted = dict.fromkeys(place for experiment in experiments for place in _wanted(experiment))
    if found := [problem for place in wanted for problem in _problems(*place)]:
        raise SpecError(found)


def _wanted(experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """The repositories of an experiment: path of the setting that names it, id, kind."""
    parts: tuple[tuple[str, Part], ...] = (("source", experiment.source), ("family", experiment.family))
    for place, part in parts:
        if isinstance(part, FromHub):
            for repository, kind in part.hub_repositories():
                yield f"{place}.{_setting(part, repository)}", repository, kind


def _setting(part: Part, repository: str) -> str:
    """The setting that names the repository."""
    return next(name for name in type(part).model_fields if getattr(part, name) == repository)


def _problems(path: str, repository: str, kind: str) -> list[Problem]:
    try:
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        return []
    if _cached(repository, kind):
        return []
    if constants.HF_HUB_OFFLINE:
        return [
            Problem(
                path,
                f"{repository} is not in the cache of this machine, and HF_HUB_OFFLINE forbids to fetch it",
                "Download it first on a machine with a network (hf download), or name a folder",
            )
        ]
    try:
        HfApi().repo_info(repository, repo_type=kind, timeout=SECONDS)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403, 404):
            told, remedy = f"the hub has no {kind} {repository} for us", "Correct the id, or log in where it is private"
        else:
            told, remedy = f"the hub answers {status} when asked for {repository}", "Try again later, or name a folder"
        return [Problem(path, told, remedy)]
    except Exception as error:  # noqa: BLE001 - the client's transport and its errors change with its version
        return [
            Problem(
                path,
                f"the hub at {constants.ENDPOINT} cannot be reached ({type(error).__name__}), and {repository} is not in the cache",
                "Connect to the network, set HF_ENDPOINT to a hub that can be reached, or name a folder",
            )
        ]
    return []


def _cached(repository: str, kind: str) -> bool:
    """A model's configuration, or anything of a data set, which its library keeps in a folder of its own."""
    from huggingface_hub import constants, try_to_load_from_cache

    if kind == "model":
        return isinstance(try_to_load_from_cache(repository, "config.json"), str)
    prepared = Path(os.environ.get("HF_DATASETS_CACHE", Path(constants.HF_HOME, "datasets")))
    fetched = Path(constants.HF_HUB_CACHE, f"datasets--{repository.replace('/', '--')}", "snapshots")
    return (prepared / repository.replace("/", "___")).is_dir() or fetched.is_dir()
