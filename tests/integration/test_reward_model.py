"""Scores of a reward model: in this process, and from a server with vLLM's /classify."""

import math

import pytest

from autorule.backends.embedded import embedded_folder
from autorule.errors import ConfigError
from autorule.rewards import RuleReward
from autorule.rewards.reward_model import RewardModel
from autorule.rewards.settings import RewardModelConfig
from tests.conftest import make_rule_set, messages
from tests.integration.classify_server import classify_server

MODEL = {"backend": "scripted", "model": "tests.scripts:by_words"}
CONVERSATIONS = [messages("Name a fruit.", "Pear. " * n) for n in (1, 40, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random reward model of two layers with the embedded model's tokenizer."""
    import torch
    import transformers

    path = tmp_path_factory.mktemp("reward_model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(embedded_folder())
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, num_labels=1, pad_token_id=2,
    )  # fmt: skip
    transformers.LlamaForSequenceClassification(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


def test_scores_do_not_depend_on_the_batch(folder):
    def scores(batch_size, order):
        config = RewardModelConfig(model=folder, normalise="none", batch_size=batch_size)
        found = RewardModel(config).scores([CONVERSATIONS[i] for i in order])
        return [found[order.index(i)] for i in range(3)]

    one = scores(1, [0, 1, 2])
    assert len(set(one)) == 3
    assert scores(3, [2, 0, 1]) == pytest.approx(one, abs=1e-5)


def test_scores_are_those_of_transformers(folder):
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    turns = [{"role": m.role, "content": m.content} for m in CONVERSATIONS[0]]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.inference_mode():
        expected = model(input_ids=ids).logits[0, 0].item()
    [found] = RewardModel(RewardModelConfig(model=folder, normalise="none")).scores(CONVERSATIONS[:1])
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_long_conversation_loses_its_middle_and_not_its_end(folder):
    config = RewardModelConfig(model=folder, normalise="none")
    long = messages("Name a fruit.", "start " + "word " * 2000 + "end")
    other = messages("Name a fruit.", "start " + "word " * 2000 + "stop")
    first, second = RewardModel(config).scores([long, other])
    assert math.isfinite(first) and first != second


def reward(folder, **settings):
    model = {"model": folder, "weight": 0.5, **settings}
    rule_set = make_rule_set("Mention pears.", "Mention apples.")
    return RuleReward(rule_set, MODEL, cache={"enabled": False}, reward_model=model)


def test_the_two_rewards_are_combined(folder):
    [raw] = RewardModel(RewardModelConfig(model=folder, normalise="none")).scores([messages("Name a fruit.", "pears")])
    call = {"prompts": ["Name a fruit."], "completions": ["pears"]}
    [total] = reward(folder, mean=0.25, std=2.0)(**call)
    assert total == pytest.approx(0.5 + 0.5 * (raw - 0.25) / 2.0)
    [plain] = reward(folder, normalise="none")(**call)
    assert plain == pytest.approx(0.5 + 0.5 * raw)


def test_par_compares_with_the_references_of_the_prompt(folder):
    own, reference = RewardModel(RewardModelConfig(model=folder, normalise="none")).scores(
        [messages("Name a fruit.", "pears"), messages("Name a fruit.", "An apple.")]
    )
    call = {"prompts": ["Name a fruit."], "completions": ["pears"]}
    [total] = reward(folder, normalise="par")(**call, references=[["An apple."]])
    assert total == pytest.approx(0.5 + 0.5 / (1 + math.exp(reference - own)))
    with pytest.raises(ConfigError, match="par reads the column 'references'"):
        reward(folder, normalise="par")(**call)


def test_z_needs_a_calibration(folder):
    with pytest.raises(ValueError, match="autorule reward calibrate"):
        reward(folder)


def test_a_served_model_scores_each_conversation():
    with classify_server() as (url, log):
        config = RewardModelConfig(model="rm", base_url=url, normalise="none")
        scores = RewardModel(config).scores(CONVERSATIONS)
        assert scores == [-float(len(turns[1].content)) for turns in CONVERSATIONS]
        assert log[0]["model"] == "rm" and log[0]["use_activation"] is False
        refused = RewardModel(config).scores([messages("Name a fruit.", "FAIL")])
        assert "no model" in refused[0]
        both = RuleReward(
            make_rule_set("Mention pears.", "Mention apples."), MODEL, cache={"enabled": False},
            reward_model={"model": "rm", "base_url": url, "normalise": "none"},
        )  # fmt: skip
        [good, failed] = both.score(["Name a fruit."] * 2, ["pears", "pears FAILING FAIL"])
        assert good.reward == 0.5 - 5.0
        assert failed.reward is None and failed.reason is not None
