"""Every number of every setting and of a rule set has its bounds, and none is infinite, none, or a yes."""

import importlib
import math
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import pytest
from pydantic import ValidationError

from autorule.code_checks import CountCheck, IfevalCheck
from autorule.config.layers import build_config
from autorule.config.models import ModelConfig
from autorule.config.stages import Config
from autorule.errors import ConfigError
from autorule.records import Rule
from autorule.registry.promotion import Decision
from autorule.rules.rule_sets import Provenance, VerificationSpec

for name in (
    "commands.settings", "audit.hacking", "audit.training", "evaluation.config", "export.config", "rules.importing",
    "registry.refresh_config", "serving.server", "verification.calibration", "verification.check",
):  # fmt: skip
    importlib.import_module(f"autorule.{name}")

MAY_BE_NEGATIVE = {
    "scale": "turns a reward around",
    "weight": "of a score or of steps, turns it around; a rule's own can't be negative",
    "rule_weight": "turns the rule reward around",
    "eta": "is added to steps when negative",
    "mean": "of a reward model's scores",
    "outcome_threshold": "a reward",
    "least": "a reward",
    "most": "a reward",
    "on_unscored": "a reward",
    "statistics": "a correlation goes from -1 to 1",
}


def descendants(kind):
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def is_number(annotation):
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return any(is_number(part) for part in get_args(annotation))
    return annotation in (int, float)


def numbers_of(model):
    return [name for name, field in model.model_fields.items() if is_number(field.annotation)]


def is_refused(model, name, value):
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return any(fault["loc"][:1] == (name,) or fault["msg"].startswith(f"Value error, {name} ")
                   for fault in error.errors())  # fmt: skip
    return False


RECORDS = (Rule, VerificationSpec, Provenance, CountCheck, Decision)
MODELS = {model.__name__: model for model in (*descendants(Config), *RECORDS) if "autorule" in model.__module__}
FIELDS = [(model, name) for model in MODELS.values() for name in numbers_of(model)]


def test_the_walk_finds_the_numbers():
    found = {(model.__name__, name) for model, name in FIELDS}
    assert len(found) > 100
    assert {("ModelConfig", "price_in"), ("RewardSettings", "on_unscored"), ("Rule", "threshold")} <= found


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, float("1e400"), 10**30, -(10**30), 1e300, "1e400"])
def test_no_setting_takes_a_number_that_can_not_be_meant(value):
    assert [(m.__name__, name) for m, name in FIELDS if not is_refused(m, name, value)] == []


def test_no_number_is_a_yes():
    accepted = [(m.__name__, name) for m, name in FIELDS if not is_refused(m, name, True) and m is not Decision]
    assert accepted == []


def test_what_counts_or_measures_is_not_negative():
    accepted = {name for m, name in FIELDS if not is_refused(m, name, -1)}
    assert accepted <= set(MAY_BE_NEGATIVE)
    assert is_refused(Rule, "weight", -1)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, 1e300])
def test_statistics_of_a_rule_are_numbers(value):
    assert is_refused(Rule, "statistics", {"x": value})
    assert not is_refused(Rule, "statistics", {"x": None, "y": -0.5})


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**30, [{"a": -math.inf}], {"a": [10**5000]}])
@pytest.mark.parametrize(
    ("model", "name"), [(ModelConfig, "extra_body"), (ModelConfig, "engine_args"), (IfevalCheck, "parameters")]
)
def test_what_is_handed_on_is_plain_json(model, name, value):
    assert is_refused(model, name, {"x": value})
    assert not is_refused(model, name, {"x": [True, None, 1, {"y": 2.5}]})


def test_a_refused_number_is_shown():
    with pytest.raises(ConfigError, match=r"^timeout_s: .* 10000000, not 1e\+300$"):
        build_config(ModelConfig, {"timeout_s": 1e300})
    with pytest.raises(ConfigError, match=r"not a number of 20,000 bits$"):
        build_config(ModelConfig, {"batch_size": 2**19_999})
    with pytest.raises(ConfigError, match="batch_size takes no true"):
        build_config(ModelConfig, {"batch_size": True})
