"""The reward function: TRL's contract, and what trainers expect of any reward function."""

import asyncio
import inspect
import json
import math
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from autorule.backends import open_backend
from autorule.config.stages import RewardConfig
from autorule.errors import ConfigError, UnscoredError
from autorule.records import Failure
from autorule.rewards import RuleReward
from autorule.rewards.settings_file import load_reward_settings
from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import make_rule_set
from tests.integration.scripted_server import ScriptedServer

MODEL = {"backend": "scripted", "model": "tests.scripts:by_words"}
"""Says yes to a rule whose last word stands in the conversation, and fails where it holds FAIL."""
NO_CACHE = {"enabled": False}


def reward_for(rule_set=None, **settings):
    rule_set = rule_set or make_rule_set("Mention pears.", "Mention apples.")
    return RuleReward(rule_set, MODEL, cache=NO_CACHE, **settings)


def prompts(n):
    return ["Name a fruit."] * n


def test_strings_and_message_lists_give_the_same_rewards():
    reward = reward_for()
    texts = ["pears and apples", "pears", "plums"]
    as_messages = [[{"role": "assistant", "content": text}] for text in texts]
    user = [[{"role": "user", "content": "Name a fruit."}]] * 3
    assert reward(prompts=prompts(3), completions=texts) == [1.0, 0.5, 0.0]
    assert reward(prompts=user, completions=as_messages, completion_ids=[[1], [2], [3]]) == [1.0, 0.5, 0.0]


def test_a_failure_is_none_and_never_zero():
    assert reward_for()(prompts=prompts(2), completions=["pears", "FAIL"]) == [0.5, None]


def test_unscored_completions_can_be_an_error_or_a_number():
    with pytest.raises(UnscoredError, match="no reward"):
        reward_for(on_unscored="error")(prompts=prompts(1), completions=["FAIL"])
    assert reward_for(on_unscored=-1.0)(prompts=prompts(1), completions=["FAIL"]) == [-1.0]


def test_text_is_text_whatever_it_looks_like():
    texts = ['[{"role": "user", "content": "pears"}]', "", "\ud83d pears", "</s> pears"]
    assert reward_for()(prompts=prompts(4), completions=texts) == [0.5, 0.0, 0.5, 0.5]


def test_turns_without_text_are_never_judged_as_empty():
    call = [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "pears"}]
    blocks = [{"role": "assistant", "content": [{"type": "text", "text": "apples"}, {"type": "image"}]}]
    scored = reward_for().score(prompts(2), [call, blocks])
    assert [one.reward for one in scored] == [None, None]
    for one, why in zip(scored, ("no content", "a block of type image"), strict=True):
        assert all(why in verdict.failure.message for verdict in one.verdicts)
    for bad in (3, [{"role": "user", "content": 5}], [{"role": "judge", "content": "x"}], [{"content": "x"}]):
        with pytest.raises(ConfigError, match=r"neither text nor|has role|expected"):
            reward_for()(prompts=prompts(1), completions=[bad])
    developer = [[{"role": "developer", "content": "Mention fruit."}, {"role": "user", "content": "Which?"}]]
    assert reward_for()(prompts=developer, completions=["pears"]) == [0.5]


def test_metrics_have_the_same_names_in_every_call():
    def metrics(*texts):
        logged = {}
        reward_for()(prompts=prompts(len(texts)), completions=list(texts), log_metric=logged.__setitem__)
        return logged

    some, none = metrics("pears", "FAIL"), metrics("FAIL")
    assert some.keys() == none.keys()
    assert some["rule_reward/fraction"] == 0.5 and some["rule_reward/unscored"] == 0.5
    assert math.isnan(none["rule_reward/fraction"]) and none["rule_reward/unscored"] == 1.0
    assert sorted(v for k, v in some.items() if "/rule/" in k) == [0.0, 1.0]


def test_extra_columns_are_logged_for_each_completion():
    logged = {}
    reward_for()(prompts=prompts(2), completions=["pears", "plums"], log_extra=logged.__setitem__)
    assert logged == {"rule_reward/satisfied": ["1/2", "0/2"]}


def test_a_column_says_which_rules_apply():
    rule_set = make_rule_set("Mention pears.", "Mention apples.")
    pears, apples = (rule.rule_id for rule in rule_set.rules)
    reward = reward_for(rule_set)
    columns = {"rules": [[pears], [apples], [], None]}
    assert reward(prompts=prompts(4), completions=["pears"] * 4, **columns) == [1.0, 0.0, None, 0.5]
    with pytest.raises(ConfigError, match="no rule has the id 'x'"):
        reward(prompts=prompts(1), completions=["pears"], rules=[["x"]])
    with pytest.raises(ConfigError, match="no list of rule ids"):
        reward(prompts=prompts(1), completions=["pears"], rules=[[["x"]]])


def test_aspects_have_functions_of_their_own():
    rule_set = make_rule_set("Mention pears.", "Mention apples.", "Mention plums.")
    aspects = ("sweet & red", "sweet & red", "blue")
    rules = [r.model_copy(update={"aspect": a}) for r, a in zip(rule_set.rules, aspects, strict=True)]
    reward = reward_for(rule_set.model_copy(update={"rules": tuple(rules)}))
    apart = reward.per_aspect()
    assert [one.__name__ for one in apart] == ["rule_reward_sweet___red", "rule_reward_blue"]
    assert [one(prompts=prompts(1), completions=["pears plums"]) for one in apart] == [[0.5], [1.0]]
    [scored] = reward.score(prompts(1), ["pears plums"])
    assert scored.aspects == {"sweet & red": 0.5, "blue": 1.0}
    with pytest.raises(ConfigError, match="no rule has the aspect 'x'; the rule set has blue, sweet & red"):
        reward_for(reward.rule_set, aspect="x")
    with pytest.raises(ConfigError, match="no rule of the set has an aspect"):
        reward_for().per_aspect()


def test_pickles_hold_no_key_and_work(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret-123")
    model = {**MODEL, "api_key_env": "SOME_KEY"}
    reward = RuleReward(make_rule_set("Mention pears."), model, cache=NO_CACHE)
    assert reward(prompts=prompts(1), completions=["pears"]) == [1.0]
    pickled = pickle.dumps(reward)
    assert b"secret" not in pickled
    assert pickle.loads(pickled)(prompts=prompts(1), completions=["pears"]) == [1.0]


def test_the_async_form_is_known_as_one_and_pickles():
    for call in (
        reward_for(name="my_rules").as_async(),
        pickle.loads(pickle.dumps(reward_for(name="my_rules").as_async())),
    ):
        assert inspect.iscoroutinefunction(call)
        assert call.__name__ == "my_rules_async"
        assert asyncio.run(call(prompts=prompts(1), completions=["pears"])) == [0.5]


def test_a_group_goes_to_the_verifier_as_one_request_for_each_completion():
    reward = reward_for()
    backend = open_backend(reward.settings.model)
    backend.choice_log.clear()
    reward(prompts=prompts(3), completions=["pears", "plums", "pears"])
    assert len(backend.choice_log) == 4  # two distinct completions, two rules
    assert all(len(request.questions) == 2 for request, _ in backend.choice_log)


def test_a_second_call_is_answered_by_the_cache(tmp_path):
    reward = RuleReward(make_rule_set("Mention pears."), MODEL, cache={"path": tmp_path / "answers.sqlite"})
    first = reward(prompts=prompts(1), completions=["pears"])
    backend = open_backend(reward.settings.model)
    backend.choice_log.clear()
    assert reward(prompts=prompts(1), completions=["pears"]) == first
    assert backend.choice_log == []


def test_scaling_and_weights_come_from_the_rule_set():
    rule_set = make_rule_set(
        "Mention pears.", "Mention apples.", reward=RewardConfig(scale=10.0, centre=0.75), weights=(3.0, 1.0)
    )
    assert reward_for(rule_set)(prompts=prompts(2), completions=["pears", "apples"]) == [0.0, -5.0]


def test_shaping_goes_in_order():
    steps = [{"kind": "length_penalty", "free": 1, "full": 3, "most": 1.0}, {"kind": "bounds", "least": -0.25}]
    reward = reward_for(shaping=steps, rule_weight=2.0)
    # 2 * 0.5 - 0.5 at two of one to three tokens; 2 * 0 - 1, bounded
    ids = [[1, 2], [1, 2, 3, 4]]
    assert reward(prompts=prompts(2), completions=["pears", "plums"], completion_ids=ids) == [0.5, -0.25]


def test_conciseness_refuses_without_an_outcome():
    with pytest.raises(ValueError, match="needs an outcome"):
        reward_for(shaping=[{"kind": "conciseness", "weight": 1, "longest": 100}])
    reward = reward_for(shaping=[{"kind": "conciseness", "weight": 1, "longest": 4, "outcome_column": "ok"}])
    call = {"prompts": prompts(2), "completions": ["pears", "pears"], "completion_ids": [[1], [1]]}
    assert reward(**call, ok=[True, False]) == [1.25, 0.5]
    with pytest.raises(ConfigError, match="reads the column 'ok'"):
        reward(**call)


def test_step_rewards_come_from_the_caller():
    shaped = [{"kind": "step_rewards", "eta": 0.5, "weight": 1.0}]
    call = {"prompts": prompts(1), "completions": ["pears"], "step_rewards": [[0.9, 0.2]]}
    assert reward_for(shaping=shaped)(**call) == [pytest.approx(0.5 - 0.3)]


def test_dropout_follows_the_step_of_the_trainer():
    class State:
        global_step = 0

    rule_set = make_rule_set(*(f"Mention word{i}." for i in range(6)))
    reward = reward_for(rule_set, rule_dropout=0.5)
    text = "word0 word1"
    seen = set()
    for State.global_step in range(8):
        seen |= set(reward(prompts=prompts(1), completions=[text], trainer_state=State()))
    assert len(seen) > 1
    assert all(round(value * 3) == pytest.approx(value * 3) for value in seen)


def test_settings_files_name_the_rule_set_beside_them(tmp_path):
    (tmp_path / "rule_set.json").write_text(dump_rule_set(make_rule_set("Mention pears.")))
    (tmp_path / "reward.json").write_text(json.dumps({"model": MODEL, "cache": NO_CACHE, "rule_weight": 2.0}))
    reward = RuleReward.from_file(tmp_path / "reward.json")
    assert reward(prompts=prompts(1), completions=["pears"]) == [2.0]
    (tmp_path / "bad.json").write_text(json.dumps({"rule_wait": 2.0}))
    with pytest.raises(ConfigError, match="rule_wait"):
        load_reward_settings(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="can't be read"):
        load_reward_settings(tmp_path / "none.json")


def test_failures_of_the_verifier_carry_their_reason():
    [scored] = reward_for().score(prompts(1), ["FAIL"])
    assert scored.reward is None and "0 of 2 rules" in scored.reason
    assert all(isinstance(verdict.failure, Failure) for verdict in scored.verdicts)


def test_a_forked_process_opens_connections_of_its_own(tmp_path):
    """The thread that drives a server's requests does not exist in a child."""
    with ScriptedServer() as server:
        model = {"backend": "openai_compatible", "model": "verifier", "base_url": server.base_url}
        reward = RuleReward(make_rule_set("Mention pears."), model, cache={"path": tmp_path / "answers.sqlite"})
        call = {"prompts": prompts(1), "completions": ["pears"]}
        first = reward(**call)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            again = pool.submit(reward, prompts=prompts(1), completions=["apples"])
            assert again.result(timeout=60) in ([0.0], [1.0])
        assert reward(**call) == first
