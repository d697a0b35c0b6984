"""The settings as forms: the JSON schema from which the Prefect UI makes the page that starts a run."""

import pytest

from autorule.config.runs import ExtractConfig, ScoreConfig
from autorule.evaluation.config import EvaluateConfig
from autorule.export.config import ExportConfig
from autorule.registry.refresh_config import RefreshConfig

CONFIGS = (ExtractConfig, ScoreConfig, EvaluateConfig, ExportConfig, RefreshConfig)
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
ANY_NUMBER = {
    "scale", "centre", "weight", "rule_weight", "eta", "least", "most", "mean", "outcome_threshold", "on_unscored",
}  # fmt: skip


def settings_of(config):
    """(name, schema) of every setting, also of the nested ones."""
    schema = config.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        yield from part.get("properties", {}).items()


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_has_a_title_and_a_description(config):
    assert [name for name, setting in settings_of(config) if not setting.get("description")] == []
    titles = {name: setting["title"] for name, setting in settings_of(config) if "title" in setting}
    assert all("_" not in title and title[0].isupper() for title in titles.values())
    assert titles["timeout_s"] == "Timeout (seconds)" and titles["base_url"] == "Base URL"


@pytest.mark.parametrize("config", CONFIGS)
def test_numbers_have_bounds(config):
    for name, setting in settings_of(config):
        for kind in (setting, *setting.get("anyOf", ())):
            if kind.get("type") in ("integer", "number") and name not in ANY_NUMBER:
                assert BOUNDS & set(kind), name
                assert any(words in setting["description"] for words in ("at least", "at most", "more than")), name


@pytest.mark.parametrize("config", CONFIGS)
def test_what_has_to_be_given_comes_first(config):
    schema = config.model_json_schema()
    assert list(schema["properties"])[: len(schema["required"])] == schema["required"]


def test_bounds_are_said_once_in_words():
    settings = dict(settings_of(ExtractConfig))
    assert settings["shard_size"]["description"] == "pairs in one task (at least 1)"
    assert settings["limit"]["description"].endswith("(at least 1)")
    assert settings["top_p"]["description"].endswith("(more than 0, at most 1)")


def test_a_bound_that_only_a_slip_reaches_is_not_said():
    settings = dict(settings_of(ExtractConfig))
    assert settings["concurrency"]["description"].endswith("(at least 1, at most 100,000)")
    assert settings["seed"]["description"].endswith("(at least 0)")
