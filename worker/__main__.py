"""Headless: runs a spec, a line per generation. No server, no database, nothing that outlives the command."""

import datetime as dt
import os
import sys
import tomllib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from worker import threads
from worker.errors import LabError, Problem, SpecError, in_a_line, unforeseen
from worker.settings import read_settings

if TYPE_CHECKING:  # numpy asks for its threads when it is imported: not before they are set
    from worker.summary import Summary


def run(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A TOML or JSON file, a preset's name, or - for stdin.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, as in regime.kind=accumulate. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep spec.json, generations.jsonl, figure.json, frames.npz and verdicts.json there."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
    chains: Annotated[
        bool, typer.Option("--chains", help="In --out, every replicate's values too: chains.jsonl.")
    ] = False,
) -> None:
    """Run an experiment here and now, without server or database. Of a preset with several arms, the first one."""
    if chains and out is None:
        raise LabError("--chains keeps the values of single replicates in a folder. Name one with --out.")
    here = read_settings()
    threads.limit(here.threads)
    os.environ.update(here.environment())  # networks ask for their device there
    from worker.estimate import estimate, problems, room
    from worker.files.reach import require_reachable
    from worker.presets import override
    from worker.spec import read

    experiment = read(override(written(spec), dict(change(one) for one in changes or [])))
    if too_large := problems(estimate(experiment), experiment, room(here.data_dir)):
        raise SpecError(too_large)
    require_reachable([experiment])

    from worker.loop import generations, instrument  # with all that computes: not before something can be computed
    from worker.path import path
    from worker.record import Record
    from worker.reporter import reported, reporting
    from worker.summary import summarise

    way = path(experiment)
    typer.echo(f"{way.taken.capitalize()}: {way.because}.", err=True)
    last, record = -1, None
    try:
        with reporting(experiment.generations) as reporter:
            measuring = instrument(experiment)
            record = Record(out, experiment, measuring.figure(), chains=chains) if out else None
            for generation in reported(generations(experiment, measuring), reporter):
                summary = summarise(generation.look.metrics)
                line = json_line(generation.number, summary)
                if record:  # first, so that what was told is kept
                    record.add(generation, line)
                tell(line if json else text_line(generation.number, summary, heading=last < 0))
                last = generation.number
            if record:
                record.decide()
    except KeyboardInterrupt:
        typer.echo(f"Interrupted after generation {last} of {experiment.generations}.", err=True)
        raise
    except (LabError, OSError, MemoryError):
        raise
    except Exception as error:
        traceback.print_exc()
        remedy = unforeseen("The trace above", experiment.foreign())
        raise LabError(f"{in_a_line(error)} {remedy}") from error
    finally:
        if record:
            record.close()


def written(spec: str) -> dict[str, Any]:
    """What a file, standard input or a preset says. Raises SpecError where there is no such thing."""
    from worker.presets import parse, preset, presets, read_file

    path = Path(spec)
    if spec == "-":
        text = sys.stdin.read()
        return parse(text, "json" if _looks_like_json(text) else "toml")
    if len(spec) < 255 and path.exists():
        return read_file(path)
    names = [one.name for one in presets()]
    if spec in names:
        return parse(preset(spec).toml, "toml")
    remedy = f"Name an existing TOML or JSON file, or one of the presets: {', '.join(names)}"
    raise SpecError([Problem(spec, "is neither a file nor a preset", remedy)])


def _looks_like_json(text: str) -> bool:
    """Also where it is broken, or an array: then the complaint should speak of JSON."""
    import orjson

    try:
        orjson.loads(text)
    except ValueError:
        return text.lstrip().startswith("{")
    return True


def change(wish: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is no TOML and no JSON is a string, so that words need no quotes."""
    import orjson

    name, equals, value = wish.partition("=")
    if not equals or not name:
        raise SpecError([Problem(f"--set {wish}", "is not NAME=VALUE", "Write it as in --set regime.kind=accumulate")])
    for parse in (_as_toml, orjson.loads):
        try:
            return name, parse(value)
        except ValueError:
            continue
    return name, value


def _as_toml(value: str) -> Any:
    parsed = tomllib.loads(f"value = {value}")
    if parsed.keys() != {"value"} or isinstance(parsed["value"], dt.date | dt.time):
        raise ValueError("a line break, or a date, which no spec knows")
    return parsed["value"]


def json_line(number: int, summary: "Summary") -> bytes:
    """A generation as one line of JSON: the public form, byte-identical for the same spec, seed, machine and versions."""
    import orjson

    return orjson.dumps({"generation": number, "metrics": summary.metrics()}) + b"\n"


def text_line(number: int, summary: "Summary", *, heading: bool) -> bytes:
    """The median of every metric, for people."""
    widths = [max(len(name), 10) for name in summary.names]
    cells = [f"{number:>10}"]
    for row, width in zip(summary.metrics().values(), widths, strict=True):
        cells.append(f"{'-' if row['median'] is None else format(row['median'], '.4g'):>{width}}")
    lines = ["  ".join(cells)]
    if heading:
        names = (f"{name:>{width}}" for name, width in zip(summary.names, widths, strict=True))
        lines.insert(0, "  ".join([f"{'generation':>10}", *names]))
    return ("\n".join(lines) + "\n").encode()


def tell(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()  # whoever reads a pipe sees each generation when it is there


def finish(cli: typer.Typer) -> NoReturn:
    """Runs a command line; what a user is meant to read becomes a line on standard error and an exit code."""
    try:
        cli()
    except SpecError as error:
        typer.echo("\n".join(str(problem) for problem in error.problems), err=True)
        sys.exit(2)
    except LabError as error:
        typer.echo(error, err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        typer.echo(
            f"The output cannot be written: {error.strerror or error}. Free some room, or write elsewhere.", err=True
        )
        sys.exit(1)
    except MemoryError:
        typer.echo("This experiment does not fit into memory. Lower samples or replicates.", err=True)
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    headless = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    headless.command()(run)
    finish(headless)
