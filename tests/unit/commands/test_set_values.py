"""Values of --set and of TOML that can't be meant: one line that names where they stand."""

import pytest

from autorule.commands.options import SettingOptions
from autorule.commands.settings import settings_of
from autorule.config.runs import ScoreConfig
from autorule.errors import ConfigError

GIVEN = {"completions": "c.jsonl", "rules": "r.json"}


def settings(*assignments, config=None):
    return settings_of(ScoreConfig, GIVEN, SettingOptions(config=config, set_=list(assignments)))


DIGITS, DEEP, PATH = "9" * 5000, "[" * 2000, "a" + ".a" * 5000


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        (f"model.batch_size={DIGITS}", "--set 'model.batch_size=999.*thousands of digits"),
        (f"model.extra_body.a={DEEP}", r"--set 'model.extra_body.a=\[\[.*nested too deep"),
        (f"model.extra_body.a={'[' * 2000}{']' * 2000}", "nested too deep"),
        (f"model.{PATH}=1", "model: it is nested more than 100 deep"),
        (f"{PATH}=1", "^a: it is nested more than 100 deep"),
        (f"model.batch_size=0x{'f' * 5000}", "model.batch_size: .*, not a number of 20,000 bits"),
        (f"model.extra_body.a=0x{'f' * 5000}", "model.extra_body: .* more than 64 bits"),
        ("cache.max_gb=inf", "cache.max_gb: Input should be a finite number, not inf"),
        ("cache.max_gb=1e300", "cache.max_gb: .*, not 1e\\+300"),
        ("model.max_retries=true", "max_retries takes no true"),
        (DIGITS, "write name=value"),
    ],
)
def test_a_value_that_can_not_be_meant_is_one_short_line(assignment, told):
    with pytest.raises(ConfigError, match=told) as caught:
        settings(assignment)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"[model]\nbatch_size = {DIGITS}", "thousands of digits"),
        (f"a = {DEEP}", "nested too deep"),
        (f"{PATH} = 1", "a: it is nested more than 100 deep"),
    ],
)
def test_a_toml_file_names_itself(tmp_path, text, told):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"config file '.*c\.toml': .*{told}"):
        settings(config=path)


def test_text_stays_text_and_what_is_deep_enough_is_read():
    found = settings("cache.path=a b.sqlite", f"model.extra_body.a={'[' * 80}{']' * 80}")
    assert found.cache.path.name == "a b.sqlite" and found.model.extra_body["a"]
