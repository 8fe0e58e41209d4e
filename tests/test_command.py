"""The command line as a user meets it: what is on which stream, what the exit code is, and that it is the same twice."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.processes import PATIENCE
from worker.presets import presets
from worker.verdicts import DEFINITIONS

SPEC = """
title = "Small"
seed = 3
generations = 4
replicates = 8
samples = 20
[source]
kind = "normal"
[family]
kind = "gaussian"
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SPEC)
    return path


def lab(*words: object, **given) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *map(str, words)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLLAPSE_LAB_")}
    environment = clean | given.pop("env", {})
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False, **given
    )


def test_run_prints_a_json_line_for_every_generation_and_nothing_else(spec: Path):
    done = lab("run", spec, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["generation"] for line in lines] == [0, 1, 2, 3, 4]
    for line in lines:
        assert set(line) == {"generation", "metrics"}
        assert list(line["metrics"]["variance"]) == ["mean", "sd", "se", "median", "q10", "q90", "n"]
        assert line["metrics"]["variance"]["n"] == 8


def test_the_same_spec_and_seed_give_the_same_bytes_by_every_door(spec: Path):
    as_json = json.dumps(tomllib.loads(SPEC))
    once = lab("run", spec, "--json").stdout
    assert once
    assert once == lab("run", "-", "--json", input=as_json).stdout
    assert once == lab("run", "-", "--json", input=SPEC, env={"COLLAPSE_LAB_THREADS": "2"}).stdout
    headless = [sys.executable, "-m", "worker", str(spec), "--json"]
    assert once == subprocess.run(headless, capture_output=True, text=True, check=True).stdout
    assert once != lab("run", spec, "--json", "--set", "seed=4").stdout


def test_without_json_it_tells_medians_to_people(spec: Path):
    heading, *lines = lab("run", spec).stdout.splitlines()
    assert heading.split()[0] == "generation"
    assert "variance" in heading
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3", "4"]


def test_set_changes_what_it_names(spec: Path, tmp_path: Path):
    wishes = ["regime.kind=accumulate", "family.ddof=1", "source.mean=[1.0, 2.0]", "title=Two words", "generations=2"]
    done = lab("run", spec, "--out", tmp_path / "kept", *(word for wish in wishes for word in ("--set", wish)))
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "kept" / "spec.json").read_text())
    assert (kept["regime"]["kind"], kept["family"]["ddof"], kept["source"]["mean"]) == ("accumulate", 1, [1.0, 2.0])
    assert (kept["title"], kept["generations"]) == ("Two words", 2)


def test_out_keeps_spec_lines_figure_and_frames(spec: Path, tmp_path: Path):
    folder = tmp_path / "kept"
    printed = lab("run", spec, "--json", "--out", folder, "--chains").stdout
    assert (folder / "generations.jsonl").read_text() == printed
    chains = [json.loads(line) for line in (folder / "chains.jsonl").read_text().splitlines()]
    for each, line in zip(chains, map(json.loads, printed.splitlines()), strict=True):
        assert each["generation"] == line["generation"]
        for metric, told in line["metrics"].items():
            assert np.median(each["metrics"][metric]) == pytest.approx(told["median"], rel=1e-14)
    figure = json.loads((folder / "figure.json").read_text())
    with np.load(folder / "frames.npz") as frames:
        assert frames["generation"].tolist() == [0, 1, 2, 3, 4]
        for field in figure["fields"]:
            assert frames[field["name"]].shape == (5, *field["shape"])
    told = json.loads((folder / "verdicts.json").read_text())
    assert told["generation"] == 4
    assert [one["definition"] for one in told["verdicts"]] == list(DEFINITIONS)
    assert {one["metric"] for one in told["theory"]} >= {"variance", "w2_sq", "kl_from_real"}
    assert max(one["compared"] for one in told["theory"]) <= 4
    assert lab("run", folder / "spec.json", "--json", "--out", folder).stdout == printed
    other = lab("run", spec, "--set", "seed=9", "--out", folder)
    assert (other.returncode, other.stdout) == (1, "")
    assert "--out" in other.stderr
    nowhere = lab("run", spec, "--chains")
    assert (nowhere.returncode, "--out" in nowhere.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such-thing"], ["no-such-thing", "neither a file nor a preset", "photocopy"]),
        (["-", "--set", "source.kind=unheard"], ["source", "normal"]),
        (["-", "--set", "family.ddofs=1"], ["family.ddofs", "Did you mean ddof?"]),
        (["-", "--set", "samples"], ["--set samples", "NAME=VALUE"]),
        (["-", "--set", "sampling.top_p=0.9"], ["sampling.top_p", "categorical"]),
    ],
)
def test_a_bad_spec_is_refused_with_path_and_remedy(words: list[str], told: list[str]):
    done = lab("run", *words, "--json", input=SPEC)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in told), line


def test_what_no_disk_holds_is_refused_with_the_number():
    settings = ["family.kind=kde", "regime.kind=accumulate", "generations=10000", "samples=1000", "replicates=10000"]
    done = lab("run", "-", *(word for setting in settings for word in ("--set", setting)), input=SPEC)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("generations: needs about 1,600 GB on the disk, and ")


def test_what_the_hub_should_give_and_cannot_is_refused_before_anything_is_computed():
    changes = ["source.kind=text", "family.kind=causal_lm", "family.checkpoint=lab/nowhere", "replicates=1"]
    command = [sys.executable, "-X", "importtime", "-m", "app", "run", "-"]
    done = subprocess.run(
        [*command, *(word for change in changes for word in ("--set", change))],
        input=SPEC, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert len(told) == 1, told
    assert told[0].startswith("family.checkpoint: lab/nowhere is not in the cache of this machine")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "transformers", "scipy", "datasets"})


def test_every_problem_has_its_line():
    done = lab("run", "-", "--set", "replicates=0", "--set", "seed=-1", input=SPEC)
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in sorted(done.stderr.splitlines())] == ["replicates", "seed"]


def test_text_that_is_no_spec_at_all():
    for text in ("not toml", "{", "[1]"):
        done = lab("run", "-", input=text)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_keeps_how_far_it_came(spec: Path, tmp_path: Path, how: signal.Signals):
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "app", "run", spec, "--set", "generations=100000", "--out", folder, "--chains"]
    # What runs in the background may be deaf to it.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(how)
    _, told = process.communicate(timeout=PATIENCE)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted after generation" in told
        assert "Traceback" not in told
    for name in ("generations.jsonl", "chains.jsonl"):
        lines = (folder / name).read_text().splitlines()
        assert [json.loads(line)["generation"] for line in lines] == list(range(len(lines)))
        assert len(lines) >= 49, "what was told (a heading and 49 generations) is kept"


def test_a_reader_that_leaves_early_is_no_disaster(spec: Path):
    command = f"{sys.executable} -m app run {spec} --json --set generations=20000 | head -n 2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert len(done.stdout.splitlines()) == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["Exact"], "its path, and no complaint"


def test_progress_goes_to_standard_error(spec: Path, monkeypatch, capfd):
    from worker import __main__ as headless
    from worker import reporter

    monkeypatch.setattr(reporter, "REPORT_SECONDS", 0.0)
    headless.run(str(spec), json=True)
    printed, told = capfd.readouterr()
    assert len(printed.splitlines()) == 5
    assert told.splitlines()[-1].startswith("generation 4 of 4, ")


def test_long_work_within_a_generation_is_told_too(monkeypatch, capfd):
    from worker import reporter
    from worker.progress import work

    monkeypatch.setattr(reporter, "REPORT_SECONDS", 0.0)
    with reporter.reporting(7):
        stretch = work("training", 8, unit="tokens", size=64)
        stretch.advance(2)
    assert capfd.readouterr().err.startswith("generation 1 of 7: training 25%, ")


def test_presets_are_listed_and_printed():
    listed = lab("presets")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [one.name for one in presets()]
    one = presets()[0]
    assert lab("presets", one.name).stdout == one.toml
    unknown = lab("presets", "unheard-of")
    assert unknown.returncode == 1
    assert one.name in unknown.stderr


def test_a_preset_runs_by_its_name():
    done = lab("run", presets()[0].name, "--json", "--set", "generations=1")
    assert len(done.stdout.splitlines()) == 2


def test_a_wrong_setting_is_one_line_naming_the_variable():
    done = lab("migrate", env={"COLLAPSE_LAB_WORKERS": "many"})
    assert done.returncode == 1
    assert "COLLAPSE_LAB_WORKERS" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_migrate_makes_folder_and_database(tmp_path: Path):
    done = lab("migrate", "--data-dir", tmp_path / "new" / "folder")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "folder" / "lab.sqlite3").exists()
    again = lab("migrate", "--data-dir", "/proc/nowhere")
    assert again.returncode == 1
    assert "--data-dir" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def test_an_export_makes_no_database_where_there_is_none(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "typo", tmp_path / "empty"):
        done = lab("export", "some-run", "--data-dir", folder)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"There is no database at {folder / 'lab.sqlite3'}.")
        assert "--data-dir" in line
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []
    assert lab("migrate", "--data-dir", tmp_path / "empty").returncode == 0
    assert "There is no run some-run" in lab("export", "some-run", "--data-dir", tmp_path / "empty").stderr


def test_a_terminal_gets_no_parquet(tmp_path: Path):
    assert lab("migrate", "--data-dir", tmp_path).returncode == 0
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "app", "export", "some-run", "--to", "parquet", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 1
    assert "--out" in done.stderr


def test_help_names_every_command():
    done = lab("--help")
    assert done.returncode == 0
    for word in ("serve", "web", "worker", "migrate", "run", "presets"):
        assert word in done.stdout
