"""The rule set in use: what was accepted before a switch is answered by the rule set of before."""

import asyncio

import pytest

from autorule.errors import ConfigError
from autorule.rewards import RuleReward
from autorule.serving.batching import Batcher, Item
from autorule.serving.live import Live
from tests.conftest import make_rule_set

MODEL = {"backend": "scripted", "model": "tests.scripts:by_words_slowly"}
PEARS, APPLES = make_rule_set("Mention pears."), make_rule_set("Mention apples.")


def test_a_request_keeps_the_rule_set_that_it_was_accepted_under():
    made = []

    def make(reward):
        made.append(Batcher(reward, n_workers=1))
        return made[-1]

    async def answered(live):
        with live.accepted() as serving:
            [scored] = await serving.batcher.score([Item("Name a fruit.", "pears")])
            return serving.version, scored.reward

    async def run():
        live = Live(RuleReward(PEARS, MODEL, cache={"enabled": False}), make, "fruit", "v0001")
        before = [asyncio.create_task(answered(live)) for _ in range(5)]
        await asyncio.sleep(0)  # they are accepted, and wait
        assert live.n_waiting == 5
        live.switch(live.now.reward.with_rule_set(APPLES), "v0002")
        assert live.n_waiting == 5 and not made[0]._executor._shutdown
        after = await answered(live)
        assert await asyncio.gather(*before) == [("v0001", 1.0)] * 5 and after == ("v0002", 0.0)
        assert made[0]._executor._shutdown and not made[1]._executor._shutdown
        assert live.counts.sent == 2 and live.n_switches == 1  # five of the same text are asked about once
        live.close()
        assert made[1]._executor._shutdown

    asyncio.run(run())


def test_another_rule_set_keeps_settings_and_reward_model():
    reward_model = {"model": "somewhere", "normalise": "none"}
    reward = RuleReward(PEARS, MODEL, reward_model=reward_model, rule_weight=2.0)
    other = reward.with_rule_set(APPLES)
    assert other.rule_set == APPLES and other.settings == reward.settings
    assert other._reward_model is reward._reward_model is not None
    assert RuleReward(PEARS, MODEL).with_rule_set(APPLES)._reward_model is None
    sorted_ = PEARS.model_copy(update={"rules": (PEARS.rules[0].model_copy(update={"aspect": "fruit"}),)})
    with pytest.raises(ConfigError, match="no rule has the aspect 'fruit'"):
        RuleReward(sorted_, MODEL, aspect="fruit").with_rule_set(APPLES)
