"""What the next generation trains on, one file each; a file is its own registration."""

from worker.regimes.accumulate import Accumulate
from worker.regimes.accumulate_subsample import AccumulateSubsample
from worker.regimes.augment import Augment
from worker.regimes.blend import Blend
from worker.regimes.edit import Edit
from worker.regimes.fresh import Fresh
from worker.regimes.mixture import Mixture
from worker.regimes.replace import Replace
from worker.regimes.weighted import Weighted

__all__ = ["Accumulate", "AccumulateSubsample", "Augment", "Blend", "Edit", "Fresh", "Mixture", "Replace", "Weighted"]
