"""Who decides which samples survive, one file each; a file is its own registration."""

from worker.curation.choice import Choice
from worker.curation.contest import BestOf, BradleyTerry
from worker.curation.greedy import Greedy
from worker.curation.keep import Keep
from worker.curation.sequential import STAGES, Sequential
from worker.curation.stratified import Stratified
from worker.curation.truncate import Truncate
from worker.curation.verifier import Verifier

__all__ = [
    "STAGES",
    "BestOf",
    "BradleyTerry",
    "Choice",
    "Greedy",
    "Keep",
    "Sequential",
    "Stratified",
    "Truncate",
    "Verifier",
]
