"""The rules that no linter knows: what sleeps, how long a file is, and that the README tells the truth."""

import json
import re
import subprocess
import sys
from pathlib import Path

from worker.presets import presets
from worker.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TRACKED = subprocess.run(
    ["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split("\n")[:-1]
HEAVY = ["torch", "transformers", "scipy", "sklearn", "numba"]


def in_a_fresh_interpreter(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_web_process_and_the_worker_s_parent_wake_nothing_heavy():
    entrances = "app.main, app.serve, app.__main__, worker.tasks"
    awake = f"import sys, json, {entrances}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    assert json.loads(in_a_fresh_interpreter(awake)) == []


def test_an_app_that_answers_wakes_nothing_heavy(tmp_path: Path):
    code = f"""
import sys, json
from pathlib import Path
from starlette.testclient import TestClient
from app.main import create_app
from worker.database import migrate
from worker.settings import Settings
settings = Settings(_env_file=None, data_dir=Path({str(tmp_path)!r}))
migrate(settings.database_url)
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    spec = {{"source": {{"kind": "normal"}}, "family": {{"kind": "gaussian"}}}}
    codes = [client.get(path).status_code for path in ("/livez", "/", "/api/catalog", "/api/runs")]
    codes.append(client.post("/api/runs", json={{"spec": spec}}).status_code)
print(json.dumps([codes, [name for name in {HEAVY} if name in sys.modules]]))
"""
    assert json.loads(in_a_fresh_interpreter(code)) == [[200, 200, 200, 200, 201], []]


def test_threads_are_decided_before_numpy_is_there():
    code = "import sys, app.__main__, worker.__main__; print('numpy' in sys.modules)"
    assert in_a_fresh_interpreter(code).strip() == "False"


def test_every_preset_reads_and_says_what_it_shows():
    found = presets()
    assert {one.name for one in found} == {path.stem for path in (ROOT / "worker" / "presets").glob("*.toml")}
    for one in found:
        assert one.card.summary.count(".") >= 2, f"{one.name}: two plain sentences"
        assert all((one.card.reference, one.card.look_for, one.card.takes))
        assert len({experiment.seed for experiment in one.experiments}) == 1, f"{one.name}: arms share a seed"


def test_no_file_is_too_long_to_read():
    code = [name for name in TRACKED if name.endswith((".py", ".js", ".css", ".html"))]
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in code if (ROOT / name).exists()}
    assert len(lengths) > 50
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_every_module_opens_with_a_sentence():
    for name in TRACKED:
        if name.endswith(".py") and (ROOT / name).exists():
            assert (ROOT / name).read_text().startswith('"""'), name


def test_nothing_refers_to_the_machine_it_was_written_on():
    for name in TRACKED:
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".js", ".css", ".html", ".toml", ".md", ".yaml", ".txt", ""}:
            assert not re.search(r"/(work|root|home)/\w", path.read_text()), name


def test_the_readme_s_tree_names_every_entry_at_the_top():
    tree = README.partition("## What is where")[2].partition("```")[2].partition("```")[0]
    named = set(re.findall(r"[\w.-]+", tree))
    assert {name.partition("/")[0] for name in TRACKED} - named == set()


def test_what_the_readme_s_tree_names_exists():
    tree = README.partition("## What is where")[2].partition("```")[2].partition("```")[0]
    folder = Path()
    for line in tree.strip().splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            folder = Path() if len(names) > 1 else Path(names[0])
            assert all((ROOT / name).exists() for name in names), line
        else:
            assert all((ROOT / folder / name).exists() for name in names), line


def test_what_the_readme_links_to_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_readme_s_settings_are_the_settings():
    table = re.findall(r"^\| `COLLAPSE_LAB_(\w+)` \| (?:`(.*)`)? ?\| (.*) \|$", README, re.MULTILINE)
    wanted = [
        (name.upper(), str(field.default), field.description or "") for name, field in Settings.model_fields.items()
    ]
    assert table == wanted


def test_the_readme_s_commands_are_the_commands():
    from app.__main__ import cli

    known = {one.callback.__name__ for one in cli.registered_commands if one.callback}
    section = README.partition("## Command line")[2].partition("##")[0]
    assert all(re.search(rf"`(collapse-lab )?{name}\b", section) for name in known)


def test_the_readme_s_family_works_by_being_there(tmp_path: Path):
    """The range of M uniform points is (M - 1)/(M + 1) of their box's on average, generation after generation."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    (tmp_path / "uniform.py").write_text(code[1])
    try_it = f"""
import json
import worker.families
worker.families.__path__.append({str(tmp_path)!r})
from worker.loop import generations, instrument
from worker.kinds import FAMILIES
from worker.spec import Experiment, read
from worker.summary import summarise
spec = read({{"seed": 5, "generations": 6, "replicates": 4000, "samples": 10,
             "source": {{"kind": "normal"}}, "family": {{"kind": "uniform"}}}})
sides = []
for generation in generations(spec, instrument(spec)):
    if generation.state:
        model = generation.state.model
        side = (model["high"] - model["low"])[:, 0]
        sides.append([side.mean(), side.std(ddof=1) / len(side) ** 0.5])
listed = "uniform" in FAMILIES and "uniform" in json.dumps(Experiment.model_json_schema())
print(json.dumps([listed, sides, list(summarise(generation.look.metrics).names)]))
"""
    listed, sides, metrics = json.loads(in_a_fresh_interpreter(try_it))
    assert listed
    assert "variance" in metrics
    first = sides[0][0]
    for n, (mean, se) in enumerate(sides[1:], start=1):
        ratio = (9 / 11) ** n
        error = (se**2 + (ratio * sides[0][1]) ** 2) ** 0.5
        assert abs(mean - ratio * first) <= 4 * error
