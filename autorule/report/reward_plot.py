"""The rewards of both sides of held-out pairs, or of completions, as a histogram."""

from typing import Any

from autorule.report.axes import SMALL, whole_axis
from autorule.report.contents import RewardDistributions
from autorule.report.drawing import BLUE, ORANGE, Plot
from autorule.report.text import counted, number, percent


def reward_plot(rewards: RewardDistributions) -> Plot:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for side in rewards.sides:
            rejected = side.name == "rejected"
            colour, label = (ORANGE if rejected else BLUE), f"{side.name}, mean {number(side.mean, 3)}, n={side.n:,}"
            if not rejected:
                axes.stairs(side.counts, rewards.edges, fill=True, color=colour, alpha=0.3)
            axes.stairs(side.counts, rewards.edges, color=colour, lw=1.5, ls="--" if rejected else "-", label=label)
        axes.set_xlabel("reward")
        axes.set_ylabel("completions")
        whole_axis(axes.yaxis)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=2)

    sides = "; ".join(
        f"{side.name}: mean {number(side.mean, 3)} over {counted(side.n, 'completion')} ({side.n_unscored:,} unscored)"
        for side in rewards.sides
    )
    words = f"Rewards. {sides}."
    if rewards.n_pairs:
        words += f" {pairs_told(rewards)}"
    title = "Rewards of chosen and rejected" if rewards.n_pairs else "Rewards"
    return Plot("rewards", title, words, draw, SMALL, 3.0)


def pairs_told(rewards: RewardDistributions) -> str:
    """How often the reward prefers what people prefer, with what is tied: a tie is no preference."""
    lower = rewards.n_pairs - rewards.n_higher - rewards.n_tied
    return (
        f"Pair accuracy {percent(rewards.accuracy)}, ties a half: of {counted(rewards.n_pairs, 'pair')} the chosen "
        f"side has the higher reward in {rewards.n_higher:,}, the same in {rewards.n_tied:,}, the lower in {lower:,}."
    )
