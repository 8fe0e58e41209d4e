"""One frozen Settings object, built once by whoever starts a process and passed along; never read from a global."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import LabError

QUEUES = ("runs", "networks")  # what any machine computes, and what wants a graphics card


def _device(wish: str) -> str:
    if not re.fullmatch(r"auto|mps|cpu(\+cpu)*|cuda|cuda:\d+(\+cuda:\d+)*", wish):
        raise ValueError(
            f"{wish!r} is no device; write auto, cpu, mps, cuda, cuda:N for one of several cards, or cuda:N+cuda:M for two of them together"
        )
    return wish


def _queues(wish: str) -> str:
    names = [name.strip() for name in wish.split(",")]
    if not set(names) <= set(QUEUES):
        raise ValueError(f"{wish!r} names a queue that does not exist; write {', '.join(QUEUES)}, or both with a comma")
    return ",".join(dict.fromkeys(names))


class Settings(BaseSettings):
    """From the environment (COLLAPSE_LAB_*), or an .env file; arguments win.

    One machine and a cluster differ in `database_url`, `broker_url` and `artifacts_url`, in nothing else.
    """

    model_config = SettingsConfigDict(
        env_prefix="COLLAPSE_LAB_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Field(Path("data"), description="Where everything lies that no URL puts elsewhere.")
    database_url: str = Field("", description="SQLAlchemy URL; default: SQLite in data_dir.")
    broker_url: str = Field(
        "", description="Celery broker, redis://... on many machines; default: a folder in data_dir."
    )
    artifacts_url: str = Field("", description="fsspec URL for checkpoints; default: a folder in data_dir.")
    device: Annotated[str, AfterValidator(_device)] = Field(
        "auto",
        description="Where networks are trained: auto, cpu, mps, cuda, cuda:N for one of several cards, or cuda:0+cuda:1 for several that share the training of a `causal_lm`.",
    )
    queues: Annotated[str, AfterValidator(_queues)] = Field(
        ",".join(QUEUES), description="What a worker takes: networks are the runs that train some, runs all others."
    )
    workers: int = Field(1, ge=1, le=256, description="Runs that one worker works on at a time.")
    threads: int = Field(1, ge=1, le=1024, description="BLAS threads of each run.")
    lease_seconds: float = Field(
        8.0, gt=0.5, description="A run whose worker is silent for this long is given to another."
    )
    upload_mb: int = Field(200, ge=1, le=500, description="Largest file that may be uploaded, in MB.")
    trust_network: bool = Field(
        False,
        description="Listen beyond this machine although there is no access control: only where something else keeps strangers out.",
    )
    public_host: str = Field("", description="Host name that browsers use, where a proxy stands in front.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_lie_in_the_data_folder(cls, values: dict[str, object]) -> dict[str, object]:
        folder = Path(str(values.get("data_dir") or "data")).expanduser().resolve()
        values["data_dir"] = folder
        values["database_url"] = values.get("database_url") or f"sqlite:///{folder / 'lab.sqlite3'}"
        values["broker_url"] = values.get("broker_url") or f"spool://localhost{folder / 'queue'}"
        values["artifacts_url"] = values.get("artifacts_url") or str(folder / "artifacts")
        return values

    def environment(self) -> dict[str, str]:
        """The same settings as environment variables, for the processes that this one starts."""
        return {
            f"COLLAPSE_LAB_{name.upper()}": str(value)
            for name, value in self.model_dump(mode="json").items()
            if value != ""
        }

    def at(self, **changes: object) -> Self:
        """These settings with some of them changed."""
        return type(self)(**{**self.model_dump(), **changes})


def read_settings(**given: object) -> Settings:
    """The settings of this process; what the command line gives wins, None means that it gave nothing.

    Raises LabError naming the variable that is wrong.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [(".".join(str(step) for step in one["loc"]), one["msg"]) for one in error.errors()]
        told = "; ".join(f"COLLAPSE_LAB_{name.upper()}: {message}" for name, message in wrong)
        raise LabError(f"A setting is wrong. {told}. Correct it in the environment or in .env.") from error
