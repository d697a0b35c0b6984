"""Rewards for training: `RuleReward` is the one that trainers call."""

from autorule.rewards.reward_function import RuleReward, Scored

__all__ = ["RuleReward", "Scored"]
