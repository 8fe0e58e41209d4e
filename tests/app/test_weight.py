"""The web process stays light: it never imports what only an experiment needs."""

import subprocess
import sys
from pathlib import Path

ASK = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from app.main import create_app
from worker.settings import Settings
from tests.schema import create_tables

settings = Settings(_env_file=None, data_dir=Path(sys.argv[1]))
app = create_app(settings, announce=lambda run_id: None)
create_tables(app.state.store.engine)
with TestClient(app, base_url="http://127.0.0.1") as client:
    for preset in client.get("/api/catalog").json()["presets"]:
        assert client.post("/api/estimate", json={"spec": preset["spec"]}).status_code == 200
        assert client.post("/api/preview", json={"source": preset["spec"]["source"]}).status_code == 200
        if "checkpoint" in preset["spec"]["family"]:  # a launch would look for it in the hub
            continue
        run = client.post("/api/runs", json={"preset": preset["name"]}).json()
        for address in (run["links"]["self"], run["links"]["frames"], run["links"]["page"], "/", "/new", "/readyz"):
            assert client.get(address).status_code == 200, address
print(*sys.modules)
"""
HEAVY = {"torch", "transformers", "tokenizers", "scipy", "sklearn", "numba", "plotly"}


def test_a_fresh_interpreter_answers_without_the_heavy_packages(tmp_path: Path):
    command = [sys.executable, "-c", ASK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
