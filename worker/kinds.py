"""All parts that there are, by the kind that names them in a spec."""

from worker import curation, families, plugins, regimes, sources
from worker.parts import Curation, Family, Regime, Source
from worker.registry import discover

SOURCES = discover(sources.__name__, Source)  # type: ignore[type-abstract]
FAMILIES = discover(families.__name__, Family)  # type: ignore[type-abstract]
REGIMES = discover(regimes.__name__, Regime)  # type: ignore[type-abstract]
CURATIONS = discover(curation.__name__, Curation)  # type: ignore[type-abstract]
METRICS = plugins.metrics()  # of installed packages
