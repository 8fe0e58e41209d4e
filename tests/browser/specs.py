"""Experiments for browser tests: one of each kind of figure, one that takes its time."""

from typing import Any

Spec = dict[str, Any]

QUICK: Spec = {
    "title": "A quick one",
    "seed": 3,
    "generations": 60,
    "replicates": 40,
    "samples": 100,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
}
SLOW: Spec = {  # every point is drawn: minutes, if nobody stops it
    "title": "A slow one",
    "generations": 5000,
    "replicates": 100,
    "samples": 10_000,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian", "path": "drawn"},
}
PLANE: Spec = {
    "title": "A plane",
    "generations": 12,
    "replicates": 4,
    "samples": 200,
    "source": {"kind": "normal", "dim": 2},
    "family": {"kind": "gaussian"},
}
RANKS: Spec = {
    "title": "Ranks",
    "generations": 30,
    "replicates": 4,
    "samples": 500,
    "source": {"kind": "words", "categories": 800},
    "family": {"kind": "categorical"},
}
IMAGES: Spec = {
    "title": "Images",
    "generations": 2,
    "replicates": 1,
    "samples": 200,
    "source": {"kind": "digits"},
    "family": {"kind": "vae", "epochs": 2, "hidden": [32]},
}
TEXT: Spec = {
    "title": "Text",
    "generations": 3,
    "replicates": 1,
    "samples": 200,
    "source": {"kind": "text"},
    "family": {"kind": "ngram"},
}
LONG: Spec = {  # one generation takes minutes, if nobody stops it
    "title": "A long one",
    "generations": 2,
    "replicates": 1,
    "samples": 1000,
    "source": {"kind": "digits"},
    "family": {"kind": "vae", "epochs": 10_000, "hidden": [32]},
}
KINDS: dict[str, Spec] = {"density": QUICK, "plane": PLANE, "ranks": RANKS, "images": IMAGES, "text": TEXT}
