"""What a trainer hands over, whatever sequences it comes in: read, or refused by name; never passed over."""

from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from autorule.errors import ConfigError
from autorule.rewards import RuleReward
from tests.conftest import make_rule_set

RULES = make_rule_set("Mention pears.", "Mention apples.")
IDS = [[rule.rule_id] for rule in RULES.rules]
TEXTS = {"prompts": ["p", "p"], "completions": ["pears", "pears"]}


class ByIndex:
    """A sequence that has a length and items, and no more."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


KINDS = {
    "by index": ByIndex,
    "deque": deque,
    "pyarrow": pa.array,
    "pyarrow in chunks": lambda values: pa.chunked_array([values[:1], values[1:]]),
    "Series": lambda values: pd.Series(values, index=[7, 9][: len(values)] or None),
    "values of a dict": lambda values: dict(enumerate(values)).values(),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def reward(**settings):
    model = {"backend": "scripted", "model": "tests.scripts:by_words"}
    return RuleReward(RULES, model, cache={"enabled": False}, **settings)


@kinds
def test_a_column_is_read(kind):
    assert reward()(**TEXTS, rules=KINDS[kind](IDS)) == [1.0, 0.0]
    with pytest.raises(ConfigError, match="column rules has 1 values for 2 completions"):
        reward()(**TEXTS, rules=KINDS[kind](IDS[:1]))


@kinds
def test_prompts_and_completions_are_read(kind):
    texts = {name: KINDS[kind](values) for name, values in TEXTS.items()}
    assert reward()(**texts, completion_ids=KINDS[kind]([[1], [1, 2]])) == [0.5, 0.5]


@pytest.mark.parametrize("row", [ByIndex, deque, tuple, np.array, pd.Series, pa.array])
def test_a_row_of_a_column_is_read(row):
    assert reward()(**TEXTS, rules=[row(ids) for ids in IDS]) == [1.0, 0.0]


@pytest.mark.parametrize("name", ["rules", "a_column_that_nobody_reads"])
@pytest.mark.parametrize("values", [(ids for ids in IDS), map(list, IDS), iter(IDS), zip(IDS, IDS, strict=True)])
def test_an_iterator_is_an_error_that_names_the_way_out(name, values):
    with pytest.raises(ConfigError, match=rf"column {name} is an iterator .*give list\({name}\)"):
        reward()(**TEXTS, **{name: values})


@pytest.mark.parametrize("value", ["text", {"a": 1}, {"a", "b"}, 3])
def test_what_is_no_sequence_is_a_setting_unless_the_reward_reads_it(value):
    assert reward()(**TEXTS, a_setting=value) == [0.5, 0.5]
    with pytest.raises(ConfigError, match=r"column rules is .*give a list"):
        reward()(**TEXTS, rules=value)
    shaped = reward(shaping=[{"kind": "step_rewards", "column": "steps", "eta": 0.5, "weight": 1.0}])
    with pytest.raises(ConfigError, match=r"column steps is .*give a list"):
        shaped(**TEXTS, steps=value)
    assert reward()(**TEXTS, rules=None) == [0.5, 0.5]


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_what_is_missing_in_a_series_names_no_rules(nothing):
    assert reward()(**TEXTS, rules=pd.Series([IDS[0], nothing], dtype=object)) == [1.0, 0.5]


def test_lists_of_different_lengths_are_told():
    with pytest.raises(ConfigError, match="1 prompts for 2 completions"):
        reward()(prompts=["p"], completions=["a", "b"])
    with pytest.raises(ConfigError, match="column completion_ids has 1 values for 2 completions"):
        reward()(**TEXTS, completion_ids=[[1]])
    with pytest.raises(ConfigError, match="completions is 'pears'; give a list"):
        reward()(prompts=["p"] * 5, completions="pears")


def test_values_that_python_can_not_have_are_in_no_ones_way():
    times = pa.array([1, 2], pa.timestamp("ns"))
    zones = pa.array([1, 2], pa.timestamp("us", tz="Nowhere/None"))
    assert reward()(**TEXTS, times=times, zones=zones) == [0.5, 0.5]
