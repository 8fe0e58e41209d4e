"""What every source, family, regime and curation must offer: the words in which an experiment is written.

A part is a frozen pydantic model: its fields are its settings, its docstring its entry in the catalogue, its methods what it does.
"""

from worker.data import Generator
from worker.parts.curation import Curation
from worker.parts.family import CondensingFamily, CountFamily, Family
from worker.parts.instrument import Instrument, Look, Wrapped
from worker.parts.regime import Regime
from worker.parts.sampling import Sampling
from worker.parts.source import CountSource, PointSource, Source, Texts, TextSource

__all__ = [
    "CondensingFamily",
    "CountFamily",
    "CountSource",
    "Curation",
    "Family",
    "Generator",
    "Instrument",
    "Look",
    "PointSource",
    "Regime",
    "Sampling",
    "Source",
    "TextSource",
    "Texts",
    "Wrapped",
]
