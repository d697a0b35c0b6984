"""Rule sets compared on the same pairs and across data, from run folders that the project's own writers made."""

import json

import numpy as np
import pytest
from scipy import stats

from autorule.errors import InputError
from autorule.evaluation.comparing import compare
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate

RULES = tuple(f"Rule number {i}." for i in range(4))


def folder_of(tmp_path, name, agreements, data="pairs.jsonl", seed=0, rules=RULES):
    matrix = simulate(np.random.default_rng(seed), agreements, n_prompts=300)
    return write_evaluation(tmp_path / name, make_rule_set(*rules), matrix, data=data)


def test_the_better_set_is_ahead_on_the_same_pairs(tmp_path):
    good = folder_of(tmp_path, "good", (0.8, 0.75, 0.7, 0.7))
    noise = folder_of(tmp_path, "noise", (0.5,) * 4, seed=1, rules=tuple(f"Other {i}." for i in range(4)))
    found = compare([good, noise], rounds=300)
    [difference] = found.differences
    assert difference.n_pairs == 300 and difference.accuracy.high < -0.05
    first, second = found.runs
    assert difference.accuracy.value == pytest.approx(second.accuracy.value - first.accuracy.value)
    assert (first.n_rules, first.n_asked, first.n_significant) == (4, 4, 4) and second.n_significant == 0
    assert first.tokens_per_completion == pytest.approx(4 * 50)


def test_the_paired_interval_is_that_of_scipy_where_pairs_are_independent(tmp_path):
    folders = [
        folder_of(tmp_path, "a", (0.8, 0.6, 0.5, 0.5)),
        folder_of(tmp_path, "b", (0.6, 0.6, 0.5, 0.5), seed=1, rules=tuple(f"Other {i}." for i in range(4))),
    ]
    [difference] = compare(folders, rounds=4000).differences
    fractions = []
    for agreements, seed in (((0.8, 0.6, 0.5, 0.5), 0), ((0.6, 0.6, 0.5, 0.5), 1)):
        matrix = simulate(np.random.default_rng(seed), agreements, n_prompts=300)
        fractions.append((np.sign(matrix.chosen.mean(axis=1) - matrix.rejected.mean(axis=1)) + 1) / 2)
    gain = fractions[1] - fractions[0]
    expected = stats.bootstrap((gain,), np.mean, n_resamples=4000, method="percentile", rng=0).confidence_interval
    assert difference.accuracy.value == pytest.approx(gain.mean())
    assert (difference.accuracy.low, difference.accuracy.high) == pytest.approx(tuple(expected), abs=0.01)


def test_other_data_are_a_column_of_their_own(tmp_path):
    one = folder_of(tmp_path, "one", (0.8, 0.7, 0.7, 0.7))
    other = folder_of(tmp_path, "other", (0.5,) * 4, data="others.jsonl", seed=2)
    found = compare([one, other], rounds=100)
    assert not found.differences
    assert len({run.data for run in found.runs}) == 2 and len({run.rule_set for run in found.runs}) == 1
    with pytest.raises(InputError, match="same rules on the same data"):
        compare([one, one])
    with pytest.raises(InputError, match="give the folder of an evaluation"):
        compare([one, tmp_path])


def test_tokens_are_unknown_where_the_cache_answered(tmp_path):
    folder = folder_of(tmp_path, "cached", (0.7,) * 4)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["usage"]["verification"]["cached"] = 500
    (folder / "manifest.json").write_text(json.dumps(manifest))
    other = folder_of(tmp_path, "other", (0.7,) * 4, rules=tuple(f"Other {i}." for i in range(4)))
    found = compare([folder, other], rounds=100)
    assert found.runs[0].tokens_per_completion is None and found.runs[1].tokens_per_completion is not None
