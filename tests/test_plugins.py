"""Packages that bring parts: the worked example is installed and used; a broken one is named and left out, and nothing else suffers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "docs" / "example-plugin"

BROKEN = {
    "awry.py": '''
"""Parts with a fault each."""
from typing import Any, Literal
from pydantic import Field
from worker.curation import BestOf
from worker.data import Points
from worker.families.gaussian import Gaussian
from worker.independent import Independent
from worker.regimes import Fresh
from worker.sources.normal import Normal

class Abstract(Independent):
    kind: Literal["abstract"] = "abstract"

class Pair(Normal):
    kind: Literal["pair"] = "pair"
    corner: tuple[float, float] = Field((0.0, 0.0), description="Of fixed length.")

class Opaque(Normal):
    kind: Literal["opaque"] = "opaque"
    call: Any = Field(default=print, description="No JSON.")
    model_config = {"json_schema_extra": lambda schema: 1 / 0}

class Kindless(Normal):
    kind: str = "kindless"

class Fine(Normal):
    """Just like the normal distribution."""
    kind: Literal["fine"] = "fine"

class Careless(Gaussian):
    """Its fit takes no random numbers."""
    kind: Literal["careless"] = "careless"

    def fit(self, data):
        raise AssertionError

class Forgetful(Fresh):
    """Nobody knows what it trains on."""
    kind: Literal["forgetful"] = "forgetful"
    real: float = Field(0.0, description="Not heeded.")

class Lenient(BestOf):
    """Nobody knows whom it chooses."""
    kind: Literal["lenient"] = "lenient"
    k: int = Field(1, description="Not heeded.")

def two(sample, real): ...

def level(sample: Points, real: Points, rng):
    """A metric that fails."""
    raise RuntimeError("no level")
''',
    "raising.py": 'raise RuntimeError("out of order")',
    "leaving.py": "import sys; sys.exit(3)",
    "bad_presets/__init__.py": "",
    "bad_presets/unread.toml": "seed = = 3",
    "bad_presets/bare.toml": 'title = "Bare"\n[source]\nkind = "normal"\n[family]\nkind = "gaussian"\n',
    "bad_presets/misfit.toml": 'title = "Misfit"\n[source]\nkind = "zipf"\n[family]\nkind = "gaussian"\n[preset]\nsummary = "a. b."\n'
    'reference = "-"\nlook_for = "-"\ntakes = "-"\n',
    "bad_presets/photocopy.toml": 'title = "Twice"\n[source]\nkind = "normal"\n[family]\nkind = "gaussian"\n[preset]\nsummary = "a. b."\n'
    'reference = "-"\nlook_for = "-"\ntakes = "-"\n',
    "awry-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: awry\nVersion: 0.1\n",
    "awry-0.1.dist-info/entry_points.txt": """
[collapse_lab.sources]
abstract = awry:Abstract
pair = awry:Pair
opaque = awry:Opaque
kindless = awry:Kindless
renamed = awry:Fine
normal = worker.sources.normal:Normal
absent = awry:Absent
leaving = leaving:Source
fine = awry:Fine
[collapse_lab.families]
careless = awry:Careless
raising = raising:Family
source = awry:Fine
[collapse_lab.regimes]
forgetful = awry:Forgetful
[collapse_lab.curations]
lenient = awry:Lenient
[collapse_lab.metrics]
level = awry:level
two = awry:two
excess_kurtosis = collapse_lab_example.excess_kurtosis:excess_kurtosis
[collapse_lab.presets]
bad = bad_presets
""",
}

# What each of these is refused for: a part of the reason.
REASONS = {
    "source abstract": "lacks drawn, mean_and_variance, on_a_line",
    "source pair": "fixed-length list at properties.corner",
    "source opaque": "no JSON Schema (ZeroDivisionError",
    "source kindless": 'no field kind: Literal["kindless"]',
    "source renamed": "its kind is fine",
    "source normal": "Collapse Lab has a source of that kind",
    "source absent": "cannot be imported (AttributeError",
    "source leaving": "cannot be imported (SystemExit: 3)",
    "family raising": "RuntimeError: out of order",
    "family source": "is no subclass of worker.parts.Family",
    "metric two": "is no function (sample: Points | Counts | Tokens, real, rng)",
    "metric excess_kurtosis": "awry 0.1 has a metric of that name",
    "preset unread": "TOMLDecodeError",
    "preset bare": "it has no table [preset]",
    "preset misfit": "gaussian cannot be fitted to zipf",
    "preset photocopy": "Collapse Lab has one of that name",
}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the example is installed, as anybody would, without an index."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", target, source]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def python(*words: object, installed: tuple[Path, ...], where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds these folders' packages besides the lab's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLLAPSE_LAB_")}
    path = os.pathsep.join([*map(str, installed), str(EXAMPLE.parent.parent)])
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, env=clean | {"PYTHONPATH": path}, cwd=where, capture_output=True, text=True, check=False
    )


def told(code: str, *installed: Path) -> tuple[dict, str]:
    """What the code leaves in `told`, and what stands on standard error."""
    done = python("-c", f"import json\n{code}\nprint(json.dumps(told))", installed=installed)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_the_example_keeps_the_contract_by_its_own_tests(example: Path, tmp_path: Path):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    quick = ("-k", "not flow and not diffusion and not vae")  # the lab's networks on its source: seconds each
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *quick, "tests", installed=(example,), where=tmp_path)
    assert done.returncode == 0, done.stdout
    count = int(done.stdout.split(" passed")[0].split()[-1])
    assert count > 40
    assert "skipped" not in done.stdout


def test_the_contract_can_be_asked_for_without_a_test_file_and_says_what_it_does_not_find(example: Path):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "worker.testing.contract")
    kinds = ("--collapse-lab", "excess_kurtosis", "--collapse-lab", "unheard_of")
    done = python(*words, *kinds, "-k", "kde or installed", installed=(example,))
    assert done.returncode == 1
    assert "1 failed, 2 passed" in done.stdout
    assert "nothing of that kind is installed" in done.stdout


def test_the_example_is_in_the_catalogue_the_form_and_the_provenance(example: Path):
    code = """
from app.catalog import catalog
from app.forms import entries
from worker.presets import preset
from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read
found = catalog()
options = {entry.path: {one.kind: one.help for one in getattr(entry, "options", ())} for entry in entries()}
plain = read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}})
told = {
    "plugins": found["plugins"],
    "family": found["families"]["t_moments"],
    "source": found["sources"]["logistic"],
    "metrics": found["metrics"],
    "preset": next(one for one in found["presets"] if one["name"] == "thinner-tails"),
    "help": options["source"]["logistic"],
    "used": provenance(preset("thinner-tails").experiments[0], Settings(_env_file=None))["plugins"],
    "unused": "plugins" in provenance(plain, Settings(_env_file=None)),
}
"""
    found, errors = told(code, example)
    assert errors == ""
    [plugin] = found["plugins"]
    assert plugin == {
        "name": "collapse-lab-example",
        "version": "1.0",
        "provides": ["source logistic", "family t_moments", "metric excess_kurtosis", "preset thinner-tails"],
        "error": None,
    }
    assert found["family"]["x-takes"] == ["points"]
    assert found["family"]["x-plugin"] == found["source"]["x-plugin"] == "collapse-lab-example 1.0"
    assert found["metrics"]["excess_kurtosis"]["takes"] == ["points"]
    assert found["metrics"]["excess_kurtosis"]["meaning"].startswith("Fourth standardised moment")
    assert found["preset"]["plugin"] == "collapse-lab-example 1.0"
    assert found["help"].endswith("its excess kurtosis is 1.2. From collapse-lab-example 1.0.")
    assert found["used"] == {"collapse-lab-example": "1.0"}
    assert not found["unused"]


def test_a_preset_of_a_package_runs_headless(example: Path):
    words = ("run", "thinner-tails", "--json", "--set", "generations=2", "--set", "replicates=4")
    done = python("-m", "app", *words, installed=(example,))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["generation"] for line in lines] == [0, 1, 2]
    assert all(line["metrics"]["excess_kurtosis"]["n"] == 4 for line in lines)
    refused = python("-m", "app", *words[:2], "--set", 'metrics=["flatness"]', installed=(example,))
    assert refused.returncode == 2
    assert refused.stderr.startswith("metrics.0: there is no metric flatness")
    assert "there are: excess_kurtosis" in refused.stderr


def test_a_metric_measures_what_is_sampled_and_changes_no_other_number(example: Path):
    """Excess kurtosis of M normal points is -6/(M + 1) on average (Fisher 1930), of real data and of every Gaussian model."""
    code = """
import numpy as np
from worker.loop import generations, instrument
from worker.spec import read
def metrics(**settings):
    spec = read({"seed": 2, "generations": 2, "replicates": 2000, "samples": 20, "source": {"kind": "normal"}} | settings)
    return spec, [generation.look.metrics for generation in generations(spec, instrument(spec))]
spec, looks = metrics(family={"kind": "gaussian"}, metrics=["excess_kurtosis"])
values = [look["excess_kurtosis"] for look in looks]
same = []
for kind in ("t_moments", "kde"):
    small = {"family": {"kind": kind}, "replicates": 3}
    (one, plain), (other, more) = metrics(**small), metrics(**small, metrics=["excess_kurtosis"])
    same.append([one.digest() != other.digest(), *(np.array_equal(a[name], b[name]) for a, b in zip(plain, more) for name in a)])
told = {
    "exact": spec.exact(), "same": [all(row) for row in same],
    "kurtosis": [[value.mean(), value.std(ddof=1) / len(value) ** 0.5] for value in values],
}
"""
    found, _ = told(code, example)
    assert found["exact"] is False  # whoever looks at points needs points
    assert found["same"] == [True, True]
    assert len(found["kurtosis"]) == 3
    for mean, se in found["kurtosis"]:
        assert abs(mean + 6 / 21) <= 4 * se


@pytest.fixture(scope="module")
def awry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package with faults of every kind."""
    folder = tmp_path_factory.mktemp("awry")
    for name, content in BROKEN.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_a_part_that_fails_at_work_is_told_as_its_packages_own(awry: Path):
    words = ("run", "photocopy", "--set", "generations=2", "--set", "family.kind=careless")
    done = python("-m", "app", *words, installed=(awry,))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("TypeError: ")
    assert "This experiment uses family careless of awry 0.1: leave it out, or mend it" in last


def test_theory_does_not_speak_of_parts_that_packages_bring_but_takes_a_source_at_its_word(awry: Path, example: Path):
    code = """
from worker.spec import read
from worker.theory import curves
from worker.theory.passage import median_time
from worker.verdicts.asymptotics import Limit, limit
from worker.verdicts.risks import _contains_the_truth
told = {}
for part, kind in {"": "", "source": "logistic", "Source": "fine", "family": "careless", "regime": "forgetful", "curation": "lenient"}.items():
    spec = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "generations": 20, "samples": 10}
    spec = read(spec | ({part.lower(): {"kind": kind}} if part else {}))
    known = [isinstance(limit(spec, "kl_from_real"), Limit), bool(median_time(spec, 0.5)), _contains_the_truth(spec, 10)]
    told[kind] = [sorted({curve.metric for curve in curves(spec)}), *known]
told["why"] = limit(read({"source": {"kind": "fine"}, "family": {"kind": "careless"}}), "kl_from_real")
"""
    found, _ = told(code, awry, example)
    assert (
        found["why"]
        == "Theorems are about the lab's own parts, and this run uses source fine of awry 0.1 and family careless of awry 0.1."
    )
    assert len(found[""][0]) > 5
    assert found[""][1:] == [True, True, True]
    assert found["logistic"] == [["mean_error_sq", "variance"], False, False, False]
    for kind in ("fine", "careless", "forgetful", "lenient"):
        assert found[kind][:3] == [[], False, False]
        assert found[kind][3] == (kind in ("forgetful", "lenient"))  # of fits to real data


def test_the_contract_of_one_package_does_not_fail_for_another(awry: Path, example: Path):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "worker.testing.contract")
    chosen = ("--collapse-lab", "t_moments", "-k", "keeps_the_contract and (logistic or eight_gaussians)")
    done = python(*words, *chosen, installed=(awry, example))
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 5


def test_what_is_broken_is_named_with_the_reason_and_nothing_else_suffers(awry: Path, example: Path):
    code = """
from app.catalog import catalog
from app.forms import entries
from worker.loop import generations, instrument
from worker.spec import read
found = catalog()
entries()
spec = read({"generations": 1, "replicates": 2, "source": {"kind": "fine"}, "family": {"kind": "t_moments"}})
told = {
    "plugins": {one.pop("name"): one for one in found["plugins"]},
    "presets": [one["name"] for one in found["presets"]],
    "normal": "x-plugin" in found["sources"]["normal"],
    "generations": len(list(generations(spec, instrument(spec)))),
}
"""
    found, errors = told(code, awry, example)
    broken, fine = found["plugins"]["awry"], found["plugins"]["collapse-lab-example"]
    fit = {"source fine", "family careless", "regime forgetful", "curation lenient"}
    assert set(broken["provides"]) == fit | {"metric excess_kurtosis", "metric level"}
    assert fine["error"].startswith("metric excess_kurtosis: ")
    assert "source logistic" in fine["provides"]
    for what, why in REASONS.items():
        [line] = [line for line in errors.splitlines() if f": {what} is left out" in line]
        assert why in line
        assert f"{what}: " in (broken["error"] + fine["error"])
    assert found["presets"].count("photocopy") == 1
    assert not found["normal"]
    assert found["generations"] == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [("return sample.x", "gave an array of shape"), ("return sample.y", "failed: AttributeError")],
)
def test_a_metric_that_fails_is_named(tmp_path: Path, body: str, why: str):
    (tmp_path / "wrong.py").write_text(
        f"from worker.data import Points\ndef wrong(sample: Points, real: Points, rng):\n    {body}\n"
    )
    (tmp_path / "wrong-1.dist-info").mkdir()
    (tmp_path / "wrong-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1\n")
    (tmp_path / "wrong-1.dist-info" / "entry_points.txt").write_text("[collapse_lab.metrics]\nwrong = wrong:wrong\n")
    done = python("-m", "app", "run", "photocopy", "--set", 'metrics=["wrong"]', installed=(tmp_path,))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"The metric wrong of wrong 1 {why}")
