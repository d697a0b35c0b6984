"""Shaping of rewards: small pure functions, each from the paper in its docstring. Composed by rewards/settings.py."""

import math
import random
from collections.abc import Sequence

from autorule.errors import ConfigError
from autorule.records import Rule


def combine(rule: float, model_z: float, rule_weight: float = 1.0, model_weight: float = 1.0) -> float:
    """w_rm z(r_RM) + w_rule r_rule: the rule reward beside a normalised reward model (AutoRule, arXiv 2506.15651)."""
    return model_weight * model_z + rule_weight * rule


def preference_as_reward(logit: float, reference_logits: Sequence[float]) -> float:
    """PAR (arXiv 2502.18770): mean over reference responses to the same prompt of sigmoid(r - r_ref), in (0, 1).

    Logits are the reward model's own, before any normalisation: their difference is the log-odds that the response is
    preferred. Raises ConfigError without references.
    """
    if not reference_logits:
        raise ConfigError("preference as reward needs at least one reference reward for each prompt")
    return sum(_sigmoid(logit - reference) for reference in reference_logits) / len(reference_logits)


def clip_steps(rewards: Sequence[float], eta: float) -> list[float]:
    """Clip (arXiv 2410.15115 v3): min(r_k - eta, 0) for each reasoning step, so that more steps never earn more."""
    return [min(reward - eta, 0.0) for reward in rewards]


def delta_steps(rewards: Sequence[float]) -> list[float]:
    """Delta (arXiv 2410.15115 v3): r_k - r_(k+1), where the last step but one keeps its reward and the last has none.

    What follows step k sums up to r_k, so that repeating good steps gains nothing. A single step has 0.
    """
    last = len(rewards) - 1
    return [
        0.0 if k == last else reward if k == last - 1 else reward - rewards[k + 1] for k, reward in enumerate(rewards)
    ]


def paper_length_penalty(length: int) -> float:
    """relu(0.5 length / 300 - 0.5), to be taken off: the length control of AutoRule's released scripts (arXiv
    2506.15651), `length` in tokens. Nothing up to 300 tokens, 0.5 at 600."""
    return max(0.0, 0.5 * length / 300 - 0.5)


def length_penalty(length: int, free: int, full: int, most: float) -> float:
    """To be taken off: 0 up to `free`, then rising evenly to `most` at `full` and beyond (the soft overlong punishment
    of DAPO, arXiv 2503.14476). Raises ConfigError unless free < full."""
    if free >= full:
        raise ConfigError(f"length penalty: free {free} must be less than full {full}")
    return most * min(1.0, max(0.0, (length - free) / (full - free)))


def conciseness(length: int, longest: int) -> float:
    """1 for an empty text, falling evenly to 0 at `longest` and beyond. Raises ConfigError unless longest > 0."""
    if longest <= 0:
        raise ConfigError(f"conciseness: longest {longest} must be more than 0")
    return 1.0 - min(1.0, length / longest)


def gated_conciseness(outcome: float, concise: float, weight: float) -> float:
    """To be added: weight * outcome * conciseness. The conciseness reward function (CRF, arXiv 2511.09158) lets short
    responses gain only as far as their outcome is good, where a plain length penalty makes them collapse."""
    return weight * outcome * concise


def bound(reward: float, least: float | None, most: float | None) -> float:
    """The reward, not below `least` and not above `most`."""
    reward = reward if most is None else min(reward, most)
    return reward if least is None else max(reward, least)


def drop_rules(rules: Sequence[Rule], share: float, seed: int, step: int) -> tuple[Rule, ...]:
    """The rules of one training step without a random `share` of them (Rubric Dropout, arXiv 2608.11669): a policy
    can't lean on the faults of a rule that is not always there.

    The same for the same seed and step, in the order given; pinned rules stay, and so does at least one.
    """
    loose = [index for index, rule in enumerate(rules) if not rule.pinned]
    n_dropped = min(round(share * len(rules)), len(loose), len(rules) - 1)
    dropped = set(random.Random(f"{seed}:{step}").sample(loose, max(0, n_dropped)))
    return tuple(rule for index, rule in enumerate(rules) if index not in dropped)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
