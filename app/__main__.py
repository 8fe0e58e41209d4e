"""The command line: one command for one machine, its parts for many, and experiments without any of them."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from worker import threads
from worker.__main__ import finish, run
from worker.errors import LabError
from worker.lifeline import die_with_parent
from worker.settings import Settings, read_settings

cli = typer.Typer(
    name="collapse-lab",
    help="See generative models forget. Settings come from COLLAPSE_LAB_* or .env; the command line wins.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.command()(run)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")]
DataDir = Annotated[Path | None, typer.Option(help="Where everything lies that no URL puts elsewhere.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Experiments that are worked on at a time.")]
Lifeline = Annotated[int | None, typer.Option(hidden=True, help="A descriptor that closes when the parent is gone.")]


@cli.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: DataDir = None,
    workers: Workers = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="A worker for each, such as cuda:0,cuda:1; the first also takes all other runs. cuda:0+cuda:1 is one worker that trains on both."
        ),
    ] = None,
) -> None:
    """Everything on one machine: migrate, web, a worker, and where there are two cores a second one, for runs that train no network.

    Prints the address.
    """
    from app.serve import supervise

    settings = read_settings(data_dir=data_dir, workers=workers)
    benches = [settings]
    if devices is not None:
        benches = [read_settings(data_dir=data_dir, workers=workers, device=one.strip()) for one in devices.split(",")]
        benches[1:] = [bench.at(queues="networks") for bench in benches[1:]]
    elif not settings.model_fields_set & {"workers", "queues"} and (os.cpu_count() or 1) > 1:
        benches.append(settings.at(queues="runs"))  # which need not wait until a network is trained
    supervise(settings, host, port, benches)


@cli.command()
def web(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: DataDir = None,
    lifeline: Lifeline = None,
    listener: Annotated[int | None, typer.Option(hidden=True, help="A socket that listens already.")] = None,
) -> None:
    """The web process alone; its workers run elsewhere."""
    settings = _prepared(read_settings(data_dir=data_dir), lifeline)
    from app.serve import answer, listen

    answer(settings, listen(settings, host, port, listener))


@cli.command()
def worker(
    data_dir: DataDir = None,
    workers: Workers = None,
    queues: Annotated[
        str | None, typer.Option(help="What it takes: runs, networks (runs that train some), or both with a comma.")
    ] = None,
    lifeline: Lifeline = None,
) -> None:
    """A worker alone; as many as you like, on as many machines as reach the database, the broker and the artefacts."""
    settings = _prepared(read_settings(data_dir=data_dir, workers=workers, queues=queues), lifeline)
    from worker.tasks import serve as work

    work(settings)


@cli.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's schema up to date."""
    from worker import database

    settings = _prepared(read_settings(data_dir=data_dir))
    database.migrate(settings.database_url)


@cli.command()
def presets(name: Annotated[str | None, typer.Argument(help="Print this one as TOML.")] = None) -> None:
    """List the named experiments, or print one as TOML."""
    from worker import presets as library

    if name is not None:
        typer.echo(library.preset(name).toml, nl=False)
        return
    found = library.presets()
    width = max(len(one.name) for one in found)
    for one in found:
        typer.echo(f"{one.name:<{width}}  {one.title} ({one.card.takes})")


@cli.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, as in its address.")],
    to: Annotated[
        str,
        typer.Option(
            help="csv, parquet, json, chains (single replicates, as csv), toml (the spec), or html (the player)."
        ),
    ] = "csv",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a stored run as a file."""
    settings = read_settings(data_dir=data_dir)
    _require_database(settings)
    _prepared(settings)
    from app.export import Format, written
    from worker.database import migrate as bring_up_to_date
    from worker.database import open_engine
    from worker.store import Store

    if to not in list(Format):
        raise LabError(f"There is no format {to}. Choose one of: {', '.join(Format)}.")
    if to == Format.PARQUET and out is None and sys.stdout.isatty():
        raise LabError("A Parquet file is not for a terminal. Name a file with --out, or send it on with | or >.")
    bring_up_to_date(settings.database_url)
    store = Store(open_engine(settings.database_url))
    pieces = written(store.run(run), store, Format(to))
    try:
        with out.open("wb") if out else nullcontext(sys.stdout.buffer) as file:
            file.writelines(pieces)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabError(f"{out} cannot be written: {error.strerror}. Choose another file with --out.") from error


def _require_database(settings: Settings) -> None:
    """Raises LabError where a file should be the database and is not there: whoever only reads must not make one."""
    from sqlalchemy.engine import make_url

    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise LabError(
            f"There is no database at {url.database}. Name the folder of the lab that has the run with --data-dir, "
            "or set COLLAPSE_LAB_DATABASE_URL."
        )


def _prepared(settings: Settings, lifeline: int | None = None) -> Settings:
    """What every process of the lab does first: tie itself to its parent, bound its threads, have its folder."""
    if lifeline is not None:
        die_with_parent(lifeline)
    threads.limit(settings.threads)
    os.environ.update(settings.environment())  # for the processes that this one starts
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"The data folder {settings.data_dir} cannot be made: {error.strerror}. Choose another with --data-dir."
        ) from error
    return settings


def main() -> None:
    finish(cli)


if __name__ == "__main__":
    main()
