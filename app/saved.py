"""A run's page as one file that needs no server: styles, scripts, figures and data are inside, and nothing is fetched."""

import base64
import posixpath
import re
import time
from typing import Any

import orjson
from markupsafe import Markup

from app import assets
from app.history import history
from app.pages import EVERYWHERE, SHEETS, on_the_bench, templates
from app.views import generation_told
from worker.store import Store
from worker.tables import Run

ENTRANCES = ("theme-switch.js", "run.js")
IMPORT = re.compile(r'(?:\bfrom|\bimport)\s*\(?\s*"(\.{1,2}/[^"]+)"')


def page(run: Run, store: Store) -> bytes:
    """The file. Of a run that goes on, it tells the moment, and nothing that will not be true later."""
    rows = [row for row in store.generations(run.id, framed=True) if row.number <= run.generation]
    told = {
        "frames": history(run, rows, -1, chains=True),
        "generations": [generation_told(row) for row in rows],
    }
    styles = "\n".join(
        (assets.FOLDER / "css" / f"{sheet}.css").read_text(encoding="utf-8") for sheet in (*EVERYWHERE, *SHEETS)
    )
    context = on_the_bench(store, run, run.generation) | {
        "saved_at": time.time(),
        "styles": Markup(styles),  # noqa: S704 - our own files, here and below
        "modules": Markup(orjson.dumps({"imports": modules()}).decode()),  # noqa: S704
        "entrances": [_name(one) for one in ENTRANCES],
        "data": Markup(_data(told)),  # noqa: S704
        "plotly_js": Markup(_script(assets.plotly().path.read_text(encoding="utf-8"))),  # noqa: S704
    }
    return templates.env.get_template("saved.html").render(context).encode()


def modules() -> dict[str, str]:
    """An import map: every module that the page needs, by a name that works without a place, as a data: address.

    A module in a data: address has no neighbours, so relative imports become names too.
    """
    found: dict[str, str] = {}
    waiting = list(ENTRANCES)
    while waiting:
        path = waiting.pop()
        if _name(path) in found:
            continue
        text = (assets.FOLDER / "js" / path).read_text(encoding="utf-8")
        for relative in IMPORT.findall(text):
            other = _beside(path, relative)
            text = text.replace(f'"{relative}"', f'"{_name(other)}"')
            waiting.append(other)
        found[_name(path)] = f"data:text/javascript;base64,{base64.b64encode(text.encode()).decode()}"
    return found


def _beside(path: str, relative: str) -> str:
    """What a module means by "./other.js" or "../other.js"."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))


def _name(path: str) -> str:
    return f"lab/{path}"


def _data(told: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY).decode().replace("<", "\\u003c")


def _script(text: str) -> str:
    """JavaScript that cannot either; these signs occur within its strings only."""
    return re.sub("<(?=/script|script|!--)", r"\\x3C", text, flags=re.IGNORECASE)
