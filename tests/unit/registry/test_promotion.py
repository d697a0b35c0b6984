"""Promotion: decided on prompts that nothing else used, with a level for each look."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from autorule.errors import ConfigError, InputError
from autorule.evaluation.apply import select
from autorule.evaluation.comparing import read_run
from autorule.registry import RuleSetRegistry
from autorule.registry.promoting import promote
from autorule.registry.promotion import ALPHA, DRAWS_BEYOND, NotComparedError, decide, judge, level_of_look, rounds_for
from autorule.statistics.matrix import UNSCORED
from autorule.statistics.resampling import bootstrap_means
from autorule.statistics.splits import on_test, promotion_split
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate

OLD, NEW = make_rule_set("Rule a.", "Rule b."), make_rule_set("Rule c.", "Rule d.")
N_PROMPTS = 1000
COPIES = (("equal", NEW, 2), ("old", OLD, 0))


def drawn_gains(rng, n, candidate, current):
    return (rng.random(n) < candidate).astype(float) - (rng.random(n) < current)


def test_the_levels_of_all_looks_sum_to_alpha():
    assert level_of_look(1) == pytest.approx(0.025)
    assert sum(level_of_look(look) for look in range(1, 1001)) == pytest.approx(ALPHA * (1 - 1 / 1001))


def test_the_bootstrap_has_draws_enough_beyond_each_end_or_refuses():
    for look in range(1, 22):
        rounds = rounds_for(level_of_look(look))
        assert rounds >= 2000 and rounds * level_of_look(look) / 2 >= DRAWS_BEYOND
    with pytest.raises(NotComparedError, match="collect preferences on new prompts"):
        rounds_for(level_of_look(22))
    gains = np.ones(40)
    with pytest.raises(NotComparedError, match="looked at too often"):
        judge(gains, np.arange(40), looks=21, data_sha256="d")


@pytest.mark.parametrize(("n", "differ"), [(50, 0.455), (30, 0.2)])
def test_of_equal_sets_none_is_promoted_more_often_than_promised(n, differ):
    """The second is the worst case known: with few prompts that tell the sets apart the bootstrap is too narrow."""
    rng, simulations = np.random.default_rng(0), 300
    false, careless = [], []
    for _ in range(simulations):
        gains = rng.choice([-1.0, 0.0, 1.0], p=[differ / 2, 1 - differ, differ / 2], size=(10, n))
        options = {"prompts": np.arange(n), "data_sha256": "d", "rounds": 600}
        false.append(any(judge(one, looks=looks, **options).promote for looks, one in enumerate(gains)))
        careless.append(any(judge(one, looks=0, **options).promote for one in gains))
    bound = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / simulations)
    assert np.mean(false) <= bound
    assert np.mean(careless) > bound  # as if each look were the first


def test_a_set_that_is_eight_points_better_is_promoted():
    rng, n = np.random.default_rng(1), 1500
    found = [judge(drawn_gains(rng, n, 0.73, 0.65), np.arange(n), looks=0, data_sha256="d") for _ in range(10)]
    assert sum(one.promote for one in found) >= 9
    worse = judge(drawn_gains(rng, n, 0.65, 0.73), np.arange(n), looks=0, data_sha256="d")
    assert not worse.promote and "the candidate is worse" in worse.reason


def test_the_interval_has_the_confidence_asked_for():
    gains = drawn_gains(np.random.default_rng(2), 400, 0.7, 0.6)
    [found] = bootstrap_means(gains[:, None], np.arange(400), rounds=40_000, confidence=0.995)
    options = {"confidence_level": 0.995, "n_resamples": 40_000, "method": "percentile", "rng": 0, "batch": 1000}
    expected = stats.bootstrap((gains,), np.mean, **options).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.006)
    [usual] = bootstrap_means(gains[:, None], np.arange(400))
    assert found.low < usual.low < usual.high < found.high


def test_the_promotion_split_is_fixed_and_independent_of_dev_and_test():
    prompts = np.arange(20_000)
    own, test = promotion_split(prompts), on_test(prompts)
    assert own.mean() == pytest.approx(0.2, abs=0.01) and own[test].mean() == pytest.approx(0.2, abs=0.01)
    assert (promotion_split(prompts[::-1])[::-1] == own).all()
    assert promotion_split(prompts, 0.5)[own].all()  # a greater share holds the smaller
    assert promotion_split(np.zeros(0, dtype=np.int64)).shape == (0,)


def test_select_leaves_the_promotion_split_out_when_asked():
    matrix = simulate(np.random.default_rng(0), (0.75, 0.7), n_prompts=600)
    matrix = dataclasses.replace(matrix, rule_ids=tuple(rule.rule_id for rule in OLD.rules))
    pairs = [{"prompt_id": f"p{prompt}"} for prompt in matrix.prompts]
    held_out = promotion_split(matrix.prompts)
    for hold_out in (True, False):
        after, found = select(OLD, matrix, pairs, "best", "me", 0.05, rounds=100, hold_out_promotion=hold_out)
        dev = ~on_test(matrix.prompts) & ~(held_out & hold_out)
        assert set(after.tuned_prompts) == {f"p{prompt}" for prompt in matrix.prompts[dev]}
        assert found.n_dev_pairs + found.n_test_pairs == (600 - held_out.sum() if hold_out else 600)


def run_of(folder, rule_set, agreement, seed=0, data="pairs.jsonl", n_prompts=N_PROMPTS):
    matrix = simulate(np.random.default_rng(seed), (agreement,) * 2, n_prompts=n_prompts, discordant=0.8)
    return write_evaluation(folder, rule_set, matrix, data=data)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of the old set, of a better and of an equal one."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "old": run_of(folder / "old", OLD, 0.55),
        "better": run_of(folder / "better", NEW, 0.9, seed=1),
        "equal": run_of(folder / "equal", NEW, 0.55, seed=2),
        "elsewhere": run_of(folder / "elsewhere", NEW, 0.9, data="others.jsonl"),
        "few": run_of(folder / "few", NEW, 0.9, n_prompts=100),
        "few_old": run_of(folder / "few_old", OLD, 0.5, n_prompts=100),
    }


def seen(rule_set, run, rows):
    """The set as if it had been chosen by the prompts of these rows of a run."""
    ids = [pair["prompt_id"] for pair in run.pairs]
    return rule_set.model_copy(update={"tuned_prompts": tuple(sorted(ids[row] for row in rows))})


def test_only_prompts_of_the_split_that_neither_set_saw_decide(runs):
    current, candidate = read_run(runs["old"]), read_run(runs["better"])
    split = np.flatnonzero(promotion_split(candidate.matrix.prompts))
    found = decide(current, candidate, looks=0)
    assert (found.promote, found.n_pairs, found.n_seen) == (True, len(split), 0)
    gains = (candidate.right() - current.right())[split]
    assert found.difference.value == pytest.approx(gains.mean())
    current = current._replace(rule_set=seen(OLD, current, split[:20]))
    candidate = candidate._replace(rule_set=seen(NEW, candidate, split[10:50]))
    found = decide(current, candidate, looks=0)
    assert (found.n_pairs, found.n_prompts, found.n_seen) == (len(split) - 50, len(split) - 50, 50)
    assert found.difference.value == pytest.approx(gains[50:].mean())


def test_what_can_not_be_decided_is_refused(runs):
    old, better = read_run(runs["old"]), read_run(runs["better"])
    with pytest.raises(InputError, match="on different pairs"):
        decide(old, read_run(runs["elsewhere"]), looks=0)
    with pytest.raises(InputError, match=r"\d+ prompts of the promotion split .* takes 30"):
        decide(read_run(runs["few_old"]), read_run(runs["few"]), looks=0)
    with pytest.raises(InputError, match="0 prompts of the promotion split"):
        decide(old._replace(rule_set=seen(OLD, old, range(N_PROMPTS))), better, looks=0)
    by_another = better.manifest.model_copy(update={"models": {"verification": "another"}})
    with pytest.raises(InputError, match="that of the verifiers"):
        decide(old, better._replace(manifest=by_another), looks=0)


def run_with_failures(folder, rule_set, agreement, failed, seed):
    """As run_of, but the verifier failed on the chosen side of this share of pairs."""
    matrix = simulate(np.random.default_rng(seed), (agreement,) * 2, n_prompts=N_PROMPTS, discordant=0.8)
    matrix.chosen[np.random.default_rng(0).random(N_PROMPTS) < failed] = UNSCORED
    return write_evaluation(folder, rule_set, matrix)


def test_a_verifier_that_failed_decides_nothing(runs, tmp_path):
    """What has no verdict is no tie: else the set whose evaluation met an outage would lose by it."""
    outage = read_run(run_with_failures(tmp_path / "outage", OLD, 0.9, 0.5, seed=1))
    with pytest.raises(NotComparedError, match=r"the verifier failed .* evaluate again"):
        decide(outage, read_run(runs["better"]), looks=0)
    few = read_run(run_with_failures(tmp_path / "few", OLD, 0.55, 0.05, seed=0))
    candidate = read_run(runs["better"])
    found = decide(few, candidate, looks=0)
    split = promotion_split(candidate.matrix.prompts)
    left = split & ~(few.matrix.chosen == UNSCORED).any(axis=1)
    assert (found.n_pairs, found.n_unscored) == (left.sum(), split.sum() - left.sum()) and found.n_unscored > 0
    assert found.difference.value == pytest.approx((candidate.right() - few.right())[left].mean())


def test_a_candidate_replaces_the_current_version_only_when_it_is_better(runs, tmp_path):
    registry = RuleSetRegistry(tmp_path, "fruit")
    registry.publish(OLD, "me", "a start")
    kept = promote(registry, NEW, runs["equal"], runs["old"], "me", "a try")
    assert (kept.action, kept.version, kept.current, kept.decision.look) == ("kept", "v0002", "v0001", 1)
    assert "a try; against v0001, look 1" in kept.reason and "holds 0" in kept.reason
    assert registry.load() == OLD
    promoted = promote(registry, NEW, runs["better"], runs["old"], "me", "more data")
    assert (promoted.action, promoted.version, promoted.current) == ("promoted", "v0002", "v0002")
    assert promoted.decision.look == 2 and promoted.decision.level == pytest.approx(0.05 / 6)
    assert promoted.decision.rounds == 12_000 and promoted.decision.difference.low > 0
    assert registry.load() == NEW
    assert [event.action for event in registry.history()] == ["published", "promoted", "published", "kept", "promoted"]
    assert registry.history()[-1] == promoted


def test_looks_are_counted_by_name_and_by_data(runs, tmp_path):
    registry = RuleSetRegistry(tmp_path, "fruit")
    registry.publish(OLD, "me", "a start")
    looks = [promote(registry, NEW, runs["equal"], runs["old"], "me", "a try").decision.look for _ in range(3)]
    assert looks == [1, 2, 3]
    other = RuleSetRegistry(tmp_path, "other")
    other.publish(OLD, "me", "a start")
    assert promote(other, NEW, runs["equal"], runs["old"], "me", "a try").decision.look == 1
    # The same pairs in a file that has changed, such as one that grows, are the same prompts.
    again = [run_of(tmp_path / name, rules, 0.55, seed, "more.jsonl", N_PROMPTS + 200) for name, rules, seed in COPIES]
    assert promote(registry, NEW, *again, "me", "more data").decision.look == 4
    fresh = [tmp_path / "fresh" / name for name, _, _ in COPIES]
    for folder, (_, rules, seed) in zip(fresh, COPIES, strict=True):
        matrix = simulate(np.random.default_rng(seed), (0.55,) * 2, n_prompts=N_PROMPTS)
        matrix = dataclasses.replace(matrix, prompts=matrix.prompts + 10 * N_PROMPTS)
        write_evaluation(folder, rules, matrix, data="new.jsonl")
    assert promote(registry, NEW, *(folder / "r" for folder in fresh), "me", "new data").decision.look == 1


def test_what_is_refused_is_no_look(runs, tmp_path):
    registry = RuleSetRegistry(tmp_path, "fruit")
    with pytest.raises(InputError, match="registry publish fruit"):
        promote(registry, NEW, runs["better"], runs["old"], "me", "a try")
    registry.publish(OLD, "me", "a start")
    before = registry.history()
    for rule_set, candidate, current, message in (
        (OLD, "old", "old", "which is current already"),
        (NEW, "better", "equal", "not those of this rule set"),
        (NEW, "old", "old", "not those of this rule set"),
        (NEW, "few", "few_old", "takes 30"),
    ):
        with pytest.raises((ConfigError, InputError), match=message):
            promote(registry, rule_set, runs[candidate], runs[current], "me", "a try")
    assert registry.history() == before and registry.versions() == ["v0001"]
