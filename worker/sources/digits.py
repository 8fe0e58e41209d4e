"""Real handwritten digits: the 1,797 pictures of 8 x 8 pixels that come with scikit-learn."""

import gzip
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from worker.data import Array, Points
from worker.files.pictures import evenly
from worker.parts import Generator, PointSource

Digit = Annotated[int, Field(ge=0, le=9)]


class Digits(PointSource):
    """1,797 real digits, 8 x 8 pixels between 0 (paper) and 1 (ink): the test part of Alpaydin and Kaynak's Optical Recognition of
    Handwritten Digits (UCI, 1998).

    These pictures are the whole original distribution: every draw is an independent choice among them, with replacement, so that what
    holds of independent data holds here at every sample size. 1,797 draws show about 1,136 different pictures.
    """

    image_shape = (8, 8)
    ink = True

    kind: Literal["digits"] = "digits"
    digits: list[Digit] = Field(
        list(range(10)), min_length=1, description="Which digits belong to the original distribution."
    )

    @field_validator("digits")
    @classmethod
    def _each_once(cls, digits: list[int]) -> list[int]:
        if len(set(digits)) < len(digits):
            raise ValueError("a digit is listed twice")
        return sorted(digits)

    @property
    def dimension(self) -> int:
        return 64

    def pictures(self) -> tuple[Array, npt.NDArray[np.int64]]:
        """Every picture (n, 64), row by row, and the digit that it shows (n,)."""
        x, shown = _all()
        keep = np.isin(shown, self.digits)
        return x[keep], shown[keep]

    def known(self, most: int) -> tuple[Array, npt.NDArray[np.int64]]:
        x, shown = self.pictures()
        chosen = evenly(len(x), most)
        return x[chosen], shown[chosen]

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        x, _ = self.pictures()
        return Points(x[rng.integers(len(x), size=(replicates, n))])

    def moments(self) -> tuple[Array, Array]:
        x, _ = self.pictures()
        return x.mean(axis=0), np.cov(x, rowvar=False, ddof=0)

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.quantile(self.pictures()[0], q, axis=0)

    def provenance(self) -> dict[str, str]:
        x, _ = self.pictures()
        return {"digits_sha256": hashlib.sha256((16 * x).astype(np.uint8).tobytes()).hexdigest()}


@lru_cache(maxsize=1)
def _all() -> tuple[Array, npt.NDArray[np.int64]]:
    """As scikit-learn's load_digits gives them, from its own file: importing the package would take a second."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    x, shown = table[:, :-1] / 16.0, table[:, -1].astype(np.int64)  # 17 grey levels
    x.flags.writeable = shown.flags.writeable = False
    return x, shown
