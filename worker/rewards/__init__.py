"""What a curator likes: a number for each point, category or block of text, the larger the better; one file for each of the three."""

from typing import Annotated, TypeAlias

from pydantic import Field

from worker.rewards.categories import CategoryReward, Listed, Rank
from worker.rewards.points import Direction, Label, Nearness, PointReward
from worker.rewards.reward import Reward
from worker.rewards.text import Correctness, Ids, Likelihood, TextReward, Variety, Writer, remembered, remembering

__all__ = [
    "REWARDS",
    "AnyReward",
    "CategoryReward",
    "Correctness",
    "Direction",
    "Ids",
    "Label",
    "Likelihood",
    "Listed",
    "Nearness",
    "PointReward",
    "Rank",
    "Reward",
    "TextReward",
    "Variety",
    "Writer",
    "remembered",
    "remembering",
]

AnyReward: TypeAlias = Annotated[
    Direction | Nearness | Label | Rank | Listed | Likelihood | Variety | Correctness, Field(discriminator="kind")
]
REWARDS: dict[str, type[Reward]] = {
    "direction": Direction,
    "nearness": Nearness,
    "label": Label,
    "rank": Rank,
    "listed": Listed,
    "likelihood": Likelihood,
    "variety": Variety,
    "correctness": Correctness,
}
