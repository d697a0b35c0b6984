"""Comparisons where verdicts are missing, and where prompts have several pairs."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorule.backends.token_estimate import estimate_tokens
from autorule.evaluation.comparing import compare, read_run
from autorule.records import content_id
from autorule.runs.files import HELD_OUT_PAIRS
from autorule.statistics.matrix import UNSCORED
from autorule.statistics.weighting import pair_accuracy, pair_scores
from autorule.terminal.comparison import print_comparison
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate

RULES = tuple(f"Rule number {i}." for i in range(4))
OTHERS = tuple(f"Other {i}." for i in range(4))


def test_pairs_on_which_the_verifier_failed_are_no_ties(tmp_path):
    """The better set lost half of its verdicts: what is left says that it is better."""
    good = simulate(np.random.default_rng(0), (0.9, 0.85, 0.8, 0.8), n_prompts=400)
    lesser = simulate(np.random.default_rng(1), (0.65, 0.6, 0.6, 0.6), n_prompts=400)
    whole = good.of(np.arange(0, 400, 2))
    good.chosen[1::2] = UNSCORED
    folders = [
        write_evaluation(tmp_path / "lesser", make_rule_set(*OTHERS), lesser),
        write_evaluation(tmp_path / "good", make_rule_set(*RULES), good),
    ]
    found = compare(folders, rounds=200)
    other, own = found.runs
    assert (own.n_pairs, own.n_unscored, other.n_unscored) == (400, 200, 0)
    chosen, rejected = whole.chosen.mean(axis=1), whole.rejected.mean(axis=1)
    assert own.accuracy.value == pytest.approx(((np.sign(chosen - rejected) + 1) / 2).mean())
    [difference] = found.differences
    assert (difference.n_pairs, difference.n_unscored) == (200, 200) and difference.accuracy.low > 0.05
    assert own.question_tokens == sum(estimate_tokens(text) for text in RULES)


def test_pairs_that_either_set_has_seen_are_left_out_for_both(tmp_path):
    matrix = simulate(np.random.default_rng(0), (0.7, 0.6, 0.6, 0.5), n_prompts=100)
    plain = write_evaluation(tmp_path / "plain", make_rule_set(*OTHERS), matrix)
    ids = pq.read_table(plain / HELD_OUT_PAIRS)["prompt_id"].to_pylist()
    tuned = make_rule_set(*RULES).model_copy(update={"tuned_prompts": tuple(sorted(ids[:20]))})
    found = compare([plain, write_evaluation(tmp_path / "tuned", tuned, matrix)], rounds=50)
    assert [(run.n_pairs, run.n_seen) for run in found.runs] == [(80, 20), (80, 20)]
    unseen = read_run(plain).matrix.of(np.arange(20, 100))
    right = pair_accuracy(*pair_scores(unseen, np.ones(4)))
    assert found.runs[0].accuracy.value == pytest.approx(np.nan_to_num(right, nan=0.5).mean())


def test_runs_without_a_pair_in_common_do_not_stop_the_others(tmp_path):
    """As two small draws from one file."""
    folders = []
    for seed, text in enumerate(("Be brief.", "Be kind.", "Be odd.")):
        matrix = simulate(np.random.default_rng(seed), (0.7,), n_prompts=50)
        folders.append(write_evaluation(tmp_path / str(seed), make_rule_set(text), matrix))
    table = pq.read_table(folders[2] / HELD_OUT_PAIRS)
    others = pa.array([content_id("another pair", i) for i in range(50)])
    table = table.set_column(table.schema.get_field_index("pair_id"), "pair_id", others)
    pq.write_table(table, folders[2] / HELD_OUT_PAIRS)
    found = compare(folders, rounds=50)
    assert [one.n_pairs for one in found.differences] == [50, 0, 0]
    assert [one.accuracy.value is None for one in found.differences] == [False, True, True]
    print_comparison(found)


def test_pairs_of_one_prompt_are_drawn_together(tmp_path):
    """Each pair five times in its prompt adds nothing to what the difference is known by."""
    sides = {}
    for name, seed, rules in (("a", 0, RULES), ("b", 1, OTHERS)):
        matrix = simulate(np.random.default_rng(seed), (0.7, 0.6, 0.6, 0.5), n_prompts=150)
        for times in (1, 5):
            repeated = matrix.of(np.repeat(np.arange(150), times))
            folder = tmp_path / f"{name}{times}"
            sides[name, times] = write_evaluation(folder, make_rule_set(*rules), repeated)
    [once] = compare([sides["a", 1], sides["b", 1]], rounds=1000).differences
    [five] = compare([sides["a", 5], sides["b", 5]], rounds=1000).differences
    assert five.n_pairs == 5 * once.n_pairs
    assert (five.accuracy.low, five.accuracy.high) == pytest.approx((once.accuracy.low, once.accuracy.high), abs=0.01)
