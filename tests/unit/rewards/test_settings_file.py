"""Reward settings as a file: what can't be meant is one line that names the file and the setting."""

import pytest

from autorule.errors import ConfigError
from autorule.rewards.settings_file import load_reward_settings

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"on_unscored": 1e999}', "1e999|finite"),
        ('{"on_unscored": NaN}', "NaN"),
        ('{"on_unscored": true}', "on_unscored takes no true"),
        ('{"model": {"timeout_s": 1e999}}', "1e999|finite"),
        ('{"model": {"concurrency": 100000000000000000000}}', "model.concurrency"),
        ('{"model": {"extra_body": {"a": 1e999}}}', "1e999|finite"),
        (f'{{"model": {{"extra_body": {{"a": {"[" * 900}{"]" * 900}}}}}}}', "model: it is nested more than 100 deep"),
        (f'{{"dropout_seed": {DIGITS}}}', "a number of 5,000 digits"),
        (f'{{"name": "a", "rule_weight": {"9" * 400}}}', "a number of 400 digits"),
        ('{"rules": "a\\u0000b"}', "rules 'a.x00b' holds a NUL character"),
        ('{"cache": {"path": "a\\u0000b"}}', "path 'a.x00b' holds a NUL character"),
        ('{"model": {"model": "a\\u0000b"}}', "model 'a.x00b' holds a NUL character"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_json(tmp_path, text, told):
    refused(tmp_path / "reward.json", text, told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("on_unscored = nan", "on_unscored"),
        ("on_unscored = -inf", "on_unscored"),
        ("on_unscored = 1e300", "on_unscored"),
        (
            'shaping = [{kind = "conciseness", weight = 1, longest = 10, outcome_threshold = nan}]',
            r"shaping\.0\.conciseness\.outcome_threshold",
        ),
        ("model.server_wait_s = inf", "model.server_wait_s"),
        ("model.extra_body.a = nan", "model.extra_body"),
        (f"dropout_seed = {DIGITS}", "thousands of digits"),
        (f"a = {'[' * 2000}", "nested too deep"),
        (f"a{'.a' * 5000} = 1", "a: it is nested more than 100 deep"),
    ],
)
def test_toml(tmp_path, text, told):
    refused(tmp_path / "reward.toml", text, told)


def refused(path, text, told):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as caught:
        load_reward_settings(path)
    said = str(caught.value)
    assert str(path) in said and "\n" not in said and len(said) < 700


def test_a_circle_of_links_is_told(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "reward.json", '{"rules": "loop"}', "rules leads nowhere")


def test_an_unscored_completion_may_get_a_number(tmp_path):
    path = tmp_path / "reward.toml"
    path.write_text("on_unscored = -0.5", encoding="utf-8")
    assert load_reward_settings(path).on_unscored == -0.5
