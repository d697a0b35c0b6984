"""The rewards of both sides of held-out pairs, or of completions, as a histogram."""

from typing import Any

from autorule.report.contents import RewardDistributions
from autorule.report.drawing import BLUE, ORANGE, Plot
from autorule.report.plots import SMALL
from autorule.report.text import number, percent


def reward_plot(rewards: RewardDistributions) -> Plot:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for side in rewards.sides:
            rejected = side.name == "rejected"
            colour, label = (ORANGE if rejected else BLUE), f"{side.name}, mean {number(side.mean, 3)}"
            if not rejected:
                axes.stairs(side.counts, rewards.edges, fill=True, color=colour, alpha=0.3)
            axes.stairs(side.counts, rewards.edges, color=colour, lw=1.5, ls="--" if rejected else "-", label=label)
        axes.set_xlabel("reward")
        axes.set_ylabel("completions")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=2)

    sides = "; ".join(
        f"{side.name}: mean {number(side.mean, 3)} over {side.n:,} ({side.n_unscored:,} unscored)"
        for side in rewards.sides
    )
    words = f"Rewards. {sides}."
    if rewards.higher is not None:
        words += f" The chosen side has the higher reward in {percent(rewards.higher)} of {rewards.n_pairs:,} pairs."
    title = "Rewards" if rewards.higher is None else "Rewards of chosen and rejected"
    return Plot("rewards", title, words, draw, SMALL, 3.0)
