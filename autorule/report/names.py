"""What the page calls the ways to score a pair and the methods to weigh rules, and a line on what each is.

The reference of every comparison is *all rules alike*: each rule of the set one vote. Records call it uniform.
"""

from autorule.report.text import visible
from autorule.statistics.accuracies import AS_REWARDED
from autorule.statistics.records import Accuracy

ALIKE = "all rules alike"
LENGTHS_ALIKE = ", lengths alike"
WAYS = {
    AS_REWARDED: "as the reward counts: the set's weights, hard or soft, no score below min_scored",
    f"{ALIKE}, hard": "each rule one vote: yes is 1, no is 0",
    f"{ALIKE}, soft": "each rule one vote: P(yes)",
    "weighted, hard": "the set's own weights: yes is 1, no is 0",
    "weighted, soft": "the set's own weights: P(yes)",
    "random": "a coin",
    "longer response": "the longer one, whatever it says",
    "response that the data gives first": "a position, whatever stands there",
    "response that the data gives second": "a position, whatever stands there",
    "reward model": "a model's own score",
    "one call about both": "the verifier, asked which of both is preferred, in both orders",
}
METHODS = {
    "uniform": ("equal weights", "each kept rule one vote"),
    "log_odds": ("log odds", "log of agreeing over disagreeing pairs"),
    "whitened": ("whitened", "rules that say the same share a vote"),
    "logistic_l2": ("logistic L2", "Bradley–Terry on differences of verdicts, weights kept small"),
    "logistic_l1": ("logistic L1", "the same, as few rules as will do"),
    "logistic_nonnegative": ("logistic nonnegative", "the same, no weight below 0"),
    "hinge": ("hinge", "on top of the reward model: a margin for preferred sides"),
}
ALL = ":all"


def is_of_rules(way: Accuracy) -> bool:
    """Whether the rules score the pair; every other way is a baseline."""
    return way.name.startswith(("uniform", "weighted", AS_REWARDED))


def way_name(name: str) -> str:
    return visible(name.replace("uniform", ALIKE, 1) if name.startswith("uniform") else name)


def way_gloss(name: str) -> str:
    """A line on what the way is; empty for one that is not known."""
    whole = way_name(name)
    if whole.endswith(LENGTHS_ALIKE):
        return "only pairs whose lengths differ by at most a fifth"
    return WAYS.get(whole, "")


def method_name(method: str) -> str:
    base, _, every = method.partition(":")
    name = METHODS[base][0] if base in METHODS else visible(base).replace("_", " ")
    return f"{name}, {'unproven too' if every else 'kept rules'}"


def method_gloss(method: str) -> str:
    base, _, every = method.partition(":")
    return "unproven rules and duplicates too" if every else METHODS.get(base, ("", ""))[1]
