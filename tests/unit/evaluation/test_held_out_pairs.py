"""Which held-out pairs count as seen by the rules."""

import dataclasses

import numpy as np
import pytest

from autorule.errors import ConfigError
from autorule.evaluation.apply import select
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.pair_table import is_seen, pair_rows, seen_pairs, write_pair_table
from autorule.records import Message
from autorule.rules.rule_sets import prompt_hash, prompt_keys
from autorule.runs.files import HELD_OUT_PAIRS
from autorule.tasks.evaluation import HeldOutPairs
from tests.conftest import make_pair, make_rule_set
from tests.simulated_verdicts import simulate

SYSTEM = Message(role="system", content="You are helpful.")


def test_a_system_turn_before_a_prompt_makes_no_unseen_prompt_of_it():
    seen, other = make_pair("Name a fruit."), make_pair("Name a tree.")
    rules = make_rule_set("a").model_copy(update={"tuned_prompts": (prompt_hash(seen.prompt),)})
    pairs = HeldOutPairs(EvaluateConfig(pairs="pairs.jsonl", rules="rules.json"), rules)
    for pair, leaked in ((seen, True), (other, False)):
        assert pairs.is_leaked(pair) is leaked
        assert pairs.is_leaked(pair.model_copy(update={"prompt": (SYSTEM, *pair.prompt)})) is leaked


def with_system(pair):
    return pair.model_copy(update={"prompt": (SYSTEM, *pair.prompt)})


@pytest.mark.parametrize("mined_from", [make_pair("Name a fruit."), with_system(make_pair("Name a fruit."))])
def test_nor_does_it_in_the_table_of_a_run(tmp_path, mined_from):
    """Whichever of the two the rules were mined from, by this version or one that knew a prompt in one way only."""
    plain, other = make_pair("Name a fruit."), make_pair("Name a tree.")
    rows = pair_rows([plain, with_system(plain), other, with_system(other)])
    assert len({row["prompt_id"] for row in rows}) == 2
    write_pair_table(tmp_path / HELD_OUT_PAIRS, rows)
    rules = make_rule_set("a").model_copy(update={"tuned_prompts": tuple(sorted(prompt_keys(mined_from.prompt)))})
    assert seen_pairs(tmp_path, rules).tolist() == [True, True, False, False]
    [earlier] = pair_rows([mined_from])
    assert is_seen(earlier, frozenset({prompt_hash(mined_from.prompt)}))
    assert is_seen({"prompt_id": prompt_hash(mined_from.prompt)}, prompt_keys(mined_from.prompt))


def test_what_was_selected_by_is_known_again_without_the_system_turn():
    matrix = simulate(np.random.default_rng(0), (0.8,), n_prompts=100)
    rules = make_rule_set("Be brief.")
    matrix = dataclasses.replace(matrix, rule_ids=(rules.rules[0].rule_id,))
    pairs = [make_pair(f"Question {i}?") for i in range(100)]
    after, _ = select(rules, matrix, pair_rows(map(with_system, pairs)), "best", "me", 0.05, rounds=50)
    n_dev = sum(is_seen(row, after.seen_prompts) for row in pair_rows(pairs))
    assert 0 < n_dev == len(after.tuned_prompts) < 100
    with pytest.raises(ConfigError, match="all of them are for the test of a selection"):
        select(after, matrix, pair_rows(pairs), "best", "me", 0.05, rounds=50)
