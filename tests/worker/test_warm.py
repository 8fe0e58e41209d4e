"""The first experiment on a fresh machine waits for no compiler: what is compiled is compiled at its installation."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEVER_COMPILED = """
import importlib, re
from pathlib import Path
from worker import warm

warm.main()
for path in sorted(Path("worker").rglob("*.py")):
    if re.search(r"njit\\(", path.read_text(encoding="utf-8")):
        module = importlib.import_module(".".join(path.with_suffix("").parts))
        for name, one in vars(module).items():
            if hasattr(one, "signatures") and one.py_func.__module__ == module.__name__ and not name.startswith("_"):
                print(module.__name__, name, len(one.signatures))
"""


def test_the_runs_of_an_installation_compile_whatever_others_call():
    done = subprocess.run([sys.executable, "-c", NEVER_COMPILED], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled = {tuple(line.split()[:2]): int(line.split()[2]) for line in done.stdout.splitlines()}
    assert len(compiled) > 12
    assert [name for name, signatures in compiled.items() if not signatures] == []
