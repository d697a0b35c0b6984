"""Reading the log of a training run: every layout, and an error that names the row for every bad value."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from autorule.audit.training_log import read_log
from autorule.errors import ConfigError, InputError


def write(folder, rows, name="log.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_all_columns_of_a_jsonl_log(tmp_path):
    rows = [
        {"step": 1, "reward": 0.5, "prompt": "a", "gold_reward": 2, "completion": "word", "verdicts": {"r": "yes"}},
        {"step": 1, "reward": None, "prompt": "a", "completion": None, "verdicts": {"r": "no", "q": "yes"}},
        {"step": 2.0, "reward": 1, "prompt": [{"role": "user", "content": "a"}], "verdicts": None, "rule:q": 0},
        {"step": 2, "reward": 1, "completion": [{"role": "assistant", "content": "two"}], "verdicts": {"r": None}},
    ]
    log = read_log(write(tmp_path, rows))
    assert log.rows["step"].tolist() == [1, 1, 2, 2]
    np.testing.assert_equal(log.rows["reward"].tolist(), [0.5, math.nan, 1.0, 1.0])
    np.testing.assert_equal(log.rows["gold"].tolist(), [2.0, math.nan, math.nan, math.nan])
    np.testing.assert_equal(log.rows["length"].tolist(), [4.0, math.nan, math.nan, 3.0])
    np.testing.assert_equal(log.rows["fraction"].tolist(), [1.0, 0.5, 0.0, math.nan])
    assert log.rows["group"].tolist() == [0, 0, 1, -1]
    np.testing.assert_equal(log.rules["r"].tolist(), [1.0, 0.0, math.nan, math.nan])
    np.testing.assert_equal(log.rules["q"].tolist(), [math.nan, 1.0, 0.0, math.nan])
    assert log.length_unit == "characters"


def test_a_csv_log_with_its_own_names(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('it,r,rule:a,verdicts,completion_length\n3,0.25,1,"{""b"": ""no""}",7\n4,,0,,\n5,nan,,,9\n')
    log = read_log(path, {"step": "it", "reward": "r"})
    assert log.rows["step"].tolist() == [3, 4, 5]
    np.testing.assert_equal(log.rows["reward"].tolist(), [0.25, math.nan, math.nan])
    np.testing.assert_equal(log.rules["a"].tolist(), [1.0, 0.0, math.nan])
    np.testing.assert_equal(log.rules["b"].tolist(), [0.0, math.nan, math.nan])
    np.testing.assert_equal(log.rows["length"].tolist(), [7.0, math.nan, 9.0])
    assert log.length_unit == "as logged"


def test_the_completions_that_trl_writes(tmp_path):
    """Columns as in TRL's GRPOTrainer.log: reward functions by name, NaN for None, then extras and the advantage."""
    for step in (20, 10):
        frame = {
            "step": [step] * 2,
            "prompt": [[{"role": "user", "content": "Hi."}]] * 2,
            "completion": [[{"role": "assistant", "content": "x" * step}]] * 2,
            "rule_reward": [0.5, math.nan],
            "rule_reward/satisfied": ["3/4", "2/3 (1 n/a)"],
            "advantage": [0.1, 0.0],
        }
        pd.DataFrame(frame).to_parquet(tmp_path / f"completions_{step:05d}.parquet")
    with pytest.raises(InputError, match=r"completions_00010.parquet has no column 'reward'.*--columns reward=NAME"):
        read_log(tmp_path)
    log = read_log(tmp_path, {"reward": "rule_reward", "fraction": "rule_reward/satisfied"})
    assert log.rows["step"].tolist() == [10, 10, 20, 20]
    assert log.rows["reward"].isna().tolist() == [False, True, False, True]
    assert log.rows["group"].tolist() == [0, 0, 1, 1], "the same prompt in another step is another group"
    assert log.rows["length"].tolist() == [10.0, 10.0, 20.0, 20.0]
    np.testing.assert_equal(log.rows["fraction"].tolist(), [0.75, math.nan] * 2)


def test_a_fraction_of_its_own_goes_before_that_of_the_rules(tmp_path):
    rows = [{"step": 0, "reward": 0, "fraction": 0.25, "rule:a": 1}, {"step": 0, "reward": 0, "rule:a": 1}]
    assert read_log(write(tmp_path, rows)).rows["fraction"].tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"step": "x"}, "step is 'x': write a finite number"),
        ({"step": 1.5}, "step is 1.5: write the number of the training step"),
        ({"step": None}, "step is None: write the number"),
        ({"step": -1}, "step is -1"),
        ({"reward": "high"}, "reward is 'high': write a finite number, or null"),
        ({"reward": True}, "reward is True"),
        ({"reward": 1e400}, "reward is inf"),
        ({"reward": [1]}, "reward is \\[1\\]"),
        ({"fraction": 7.5}, "fraction is 7.5: .* from 0 to 1"),
        ({"fraction": "7/6"}, "fraction is '7/6': the share"),
        ({"completion_length": -3}, "completion_length is -3"),
        ({"completion": 3}, "completion is 3"),
        ({"verdicts": "yes"}, "verdicts is 'yes': write a JSON object"),
        ({"verdicts": [1]}, "verdicts is \\[1\\]: write an object"),
        ({"verdicts": {"a": 0.7}}, "the verdict on rule 'a' is 0.7: write 1 or yes"),
        ({"rule:a": "maybe"}, "the verdict on rule 'a' is 'maybe'"),
        ({"rule:a": 1, "verdicts": {"a": 1}}, r"verdicts\['a'\] is 1: the rule has a column rule:, too"),
    ],
)
def test_a_bad_value_is_named_with_its_row(tmp_path, bad, message):
    path = write(tmp_path, [{"step": 0, "reward": 0}, {"step": 0, "reward": 0, **bad}])
    with pytest.raises(InputError, match=f"log.jsonl row 2: {message}"):
        read_log(path)


def test_a_row_without_a_reward_is_not_an_unscored_one(tmp_path):
    path = write(tmp_path, [{"step": 0, "reward": 0}, {"step": 0}])
    with pytest.raises(InputError, match="row 2: reward is None: the row has none; write null"):
        read_log(path)


def test_what_is_no_log_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no completions_\*.parquet"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="no column 'step'; it has a"):
        read_log(write(tmp_path, [{"a": 1}]))
    with pytest.raises(InputError, match=r"no column 'nowhere' \(mapped to reward\)"):
        read_log(write(tmp_path, [{"step": 1, "reward": 1}]), {"reward": "nowhere"})
    with pytest.raises(ConfigError, match="'loss' is no column of ours"):
        read_log(write(tmp_path, [{"step": 1, "reward": 1}]), {"loss": "x"})
    (tmp_path / "log.jsonl").write_text('{"step": 1, "reward": 1}\n{"step": \n')
    with pytest.raises(InputError, match="row 2: not valid JSON"):
        read_log(tmp_path / "log.jsonl")
    mixed = [{"step": 1, "reward": 1, "completion": "x"}, {"step": 1, "reward": 1, "completion_length": 2}]
    with pytest.raises(InputError, match="log one for all"):
        read_log(write(tmp_path, mixed))
