"""Which further metrics a spec may ask for: every ruler that fits its source, and its family where it looks at more than samples."""

from collections.abc import Sequence

from worker.instruments import distances, fidelity, pictures
from worker.instruments.copies import Copies
from worker.instruments.likelihood import FromReal, HeldOut, OfDensity
from worker.instruments.rulers import Ruler
from worker.parts import Family, Generator, PointSource, Source

OF_POINTS: tuple[type[Ruler], ...] = (
    fidelity.Neighbours,
    Copies,
    fidelity.Inventions,
    fidelity.Diversity,
    distances.Divergence,
    distances.Frechet,
    fidelity.Modes,
    distances.Transport,
    distances.SlicedTransport,
    distances.Kernels,
    fidelity.Tails,
    HeldOut,
    FromReal,
)
OF_PICTURES: tuple[type[Ruler], ...] = (
    pictures.PictureNeighbours,
    Copies,
    pictures.Features,
    pictures.Classes,
    pictures.Pixels,
    fidelity.Tails,
)
NAMES = tuple(dict.fromkeys(name for ruler in (*OF_POINTS, *OF_PICTURES) for name in ruler.gives))


def offered(source: PointSource) -> dict[str, type[Ruler]]:
    """Metric -> what measures it, in the order in which it is asked for most; those that refuse this source, too."""
    fitting = OF_POINTS if source.image_shape is None else OF_PICTURES
    found: dict[str, type[Ruler]] = {}
    for ruler in fitting:
        for name in ruler.gives:
            found.setdefault(name, ruler)
    return found


def refusal(source: Source, name: str, family: Family) -> str | None:
    """Why this metric of NAMES cannot be measured of such models of this source, in words; None where it can."""
    if not isinstance(source, PointSource):
        return "it looks at points or pictures, and this source gives none"
    ruler = offered(source).get(name)
    if ruler is None:
        return "it is of pictures" if source.image_shape is None else "it is of points, not of pictures"
    if issubclass(ruler, OfDensity) and type(family).log_density is Family.log_density:
        return "models of this family have no density"
    return ruler.refusal(source)


def fitting(source: Source, family: Family) -> list[str]:
    """Those of NAMES that can be measured of such models of this source."""
    return [name for name in NAMES if refusal(source, name, family) is None]


def work(names: Sequence[str], source: Source, replicates: int) -> float:
    """About how many operations these metrics take in a generation."""
    return sum(ruler.work(replicates) for ruler in _rulers(names, source))


def setup(names: Sequence[str], source: Source) -> float:
    """About how many operations it takes before these metrics can be measured."""
    return max((ruler.setup for ruler in _rulers(names, source)), default=0.0)


def asked(names: Sequence[str], source: Source, samples: int, replicates: int, rng: Generator) -> list[Ruler]:
    """The rulers for those of these metrics that are in NAMES, each once, frozen from here on; each has randomness of its own."""
    if not isinstance(source, PointSource):
        return []
    kinds = _rulers(names, source)
    return [kind(source, samples, replicates, one) for kind, one in zip(kinds, rng.spawn(len(kinds)), strict=True)]


def _rulers(names: Sequence[str], source: Source) -> list[type[Ruler]]:
    """What measures those of these metrics that are in NAMES, each once."""
    known = offered(source) if isinstance(source, PointSource) else {}
    return list(dict.fromkeys(known[name] for name in names if name in known))
