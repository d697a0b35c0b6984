"""Do the rules beat the baselines? One sentence, from the paired difference to the best of them."""

from collections.abc import Sequence
from typing import NamedTuple

from autorule.statistics.records import Accuracy, Interval

RANDOM = "random"


class Standing(NamedTuple):
    """Of the rules, as rewarded, against the best baseline."""

    baseline: Accuracy
    over: Interval
    """Accuracy of the rules minus that of the baseline, paired."""

    @property
    def surely(self) -> bool | None:
        """Whether the interval lies wholly on one side of 0; None where there is none."""
        if self.over.low is None or self.over.high is None:
            return None
        return self.over.low > 0 or self.over.high < 0


def standing(ways: Sequence[Accuracy]) -> Standing | None:
    """None where no baseline was compared in pairs. One that is known on too few prompts for an interval is taken only
    where all are so."""
    compared = [
        Standing(way, way.rewarded_over)
        for way in ways
        if way.rewarded_over is not None and way.rewarded_over.value is not None
    ]
    return max(compared, key=lambda one: (one.surely is not None, one.baseline.accuracy.value or 0.0), default=None)


def verdict(ways: Sequence[Accuracy]) -> str | None:
    """The standing in words; None where there is none."""
    found = standing(ways)
    if found is None or found.over.value is None:
        return None
    more = f"{100 * abs(found.over.value):.1f} pp {'more' if found.over.value > 0 else 'fewer'}"
    if more.startswith("0.0 "):
        more = "no more and no fewer"
    told = f"As rewarded, the rules tell {more} pairs right than the best baseline ({found.baseline.name})"
    if found.over.low is None or found.over.high is None:
        return f"{told}; too few prompts to say how surely."
    ends = f"{100 * found.over.low:+z.1f} to {100 * found.over.high:+z.1f} pp at 95%"
    return f"{told}, {'surely' if found.surely else 'within chance'} ({ends}, paired)."
