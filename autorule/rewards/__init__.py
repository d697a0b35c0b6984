"""Rewards for training: `RuleReward` is the one that trainers call."""

from autorule.rewards.reward_function import RuleReward
from autorule.rewards.scored import Scored

__all__ = ["RuleReward", "Scored"]
