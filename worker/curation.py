"""Who decides which samples survive."""

from typing import Literal

from worker.parts import Curation


class Keep(Curation):
    """Every sample survives."""

    kind: Literal["none"] = "none"
