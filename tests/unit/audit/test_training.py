"""The audit of a training log, on simulated runs whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from autorule.audit.training import TrainingAuditConfig, audit_log
from autorule.audit.training_log import TrainingLog

N_STEPS, PROMPTS, SIZE = 60, 6, 4


def simulate(seed=0, rates=None, gold=None, length=None, equal=None, n_steps=N_STEPS):
    """A run of `n_steps` with six groups of four. `rates`: step -> chance of each of ten rules; the reward is their
    mean. `gold`, `length`: step -> mean. `equal`: step -> share of groups whose rewards are all the same."""
    rng = np.random.default_rng(seed)
    rows, rules = [], []
    for step in range(n_steps):
        for group in range(PROMPTS):
            same = equal is not None and group < round(equal(step) * PROMPTS)
            for i in range(SIZE):
                satisfied = rng.random(10) < (rates or (lambda _: 0.6))(step)
                reward = satisfied.mean() if equal is None else (1.0 if same else i / SIZE)
                rows.append(
                    {
                        "step": step,
                        "reward": reward,
                        "gold": np.nan if gold is None else gold(step) + rng.normal(0, 0.1),
                        "fraction": satisfied.mean(),
                        "length": np.nan if length is None else length(step) + rng.normal(0, 20),
                        "group": step * PROMPTS + group,
                    }
                )
                rules.append({f"rule {k}": float(value) for k, value in enumerate(satisfied)})
    return TrainingLog("simulated", pd.DataFrame(rows), pd.DataFrame(rules), "tokens")


def audit(log, **settings):
    return audit_log(log, TrainingAuditConfig(**settings))


def test_saturation_begins_where_it_does():
    found = audit(simulate(rates=lambda step: 0.6 if step < 37 else 1.0))
    assert found.saturation.onset == 37 and "saturation" in found.findings
    assert {rule.onset for rule in found.rules} == {37} and len(found.rules) == 10


def test_one_saturated_rule_does_not_saturate_the_set():
    log = simulate()
    log.rules.loc[log.rows["step"] >= 20, "rule 3"] = 1.0
    found = audit(log)
    assert found.saturation.onset is None and found.findings == ()
    assert (found.rules[0].rule_id, found.rules[0].last) == ("rule 3", 1.0)
    assert found.rules[0].onset in range(15, 21) and found.rules[1].onset is None


def test_a_run_without_any_effect_has_no_finding():
    """At level 5 % for lengths (times the size that counts) and divergence, over 40 runs."""
    found = [audit(simulate(seed, gold=lambda _: 0.5, length=lambda _: 200)) for seed in range(40)]
    assert sum(bool(one.findings) for one in found) <= 4
    assert all(one.not_measured == {} for one in found)


def test_a_gold_reward_that_falls_while_the_reward_rises():
    def turning(step):
        return 0.5 - 0.01 * max(0, step - 30)

    found = audit(simulate(rates=lambda step: 0.3 + 0.009 * step, gold=turning))
    assert "divergence" in found.findings
    assert 15 <= found.divergence.from_step < 45 < found.divergence.seen_at + 15
    assert found.divergence.reward_slope > 0 > found.divergence.gold_slope
    together = audit(simulate(rates=lambda step: 0.3 + 0.009 * step, gold=lambda step: 0.5 + 0.01 * step))
    assert together.divergence.from_step is None and "divergence" not in together.findings


def test_divergence_is_over_completions_with_both_rewards():
    log = simulate(rates=lambda step: 0.3 + 0.009 * step, gold=lambda step: 0.5 - 0.01 * step)
    log.rows.loc[log.rows["step"] % 4 > 0, "gold"] = np.nan
    found = audit(log)
    assert (found.divergence.window, found.divergence.n_windows) == (10, 6)  # of 15 steps with both
    assert audit(log, window=20).not_measured["divergence"].startswith("15 steps with a gold_reward")


def test_groups_without_a_gradient():
    found = audit(simulate(equal=lambda step: 0.9 if step >= 25 or step == 5 else 0.2))
    assert (found.collapse.onset, found.collapse.first_above, found.collapse.n_groups) == (25, 5, N_STEPS * PROMPTS)
    assert "collapse" in found.findings and found.steps[0].collapsed == pytest.approx(1 / 6)
    assert found.collapse.share == pytest.approx((24 * 1 + 36 * 5) / 360, abs=0.02)


def test_an_unscored_completion_is_in_no_mean_and_no_group():
    log = simulate(equal=lambda _: 0.0)
    log.rows.loc[log.rows.index % SIZE > 0, "reward"] = np.nan  # one reward is left in each group
    found = audit(log)
    assert (found.n_rows, found.n_unscored) == (1440, 1080)
    assert found.collapse is None and "no two rewards" in found.not_measured["collapse"]
    assert found.steps[0].reward == 0.0 and (found.steps[0].n_completions, found.steps[0].n_unscored) == (24, 18)


def test_length_that_drifts():
    found = audit(simulate(length=lambda step: 200 + 3 * step))
    assert "length" in found.findings
    assert found.length.slope.low < 3 < found.length.slope.high
    assert found.length.change == pytest.approx(3 * 59 / 206, rel=0.1)
    assert audit(simulate(length=lambda step: 200 + 0.2 * step)).findings == (), "6 % is too little to count"


def test_rewards_and_lengths_that_go_together_within_steps():
    log = simulate(length=lambda step: 200)
    log.rows["length"] = 100 + 50 * log.rows["reward"] + log.rows["step"]
    both = audit(log).length
    assert both.correlation_within_steps == pytest.approx(1.0) and both.correlation < 0.6
    log.rows["length"] = 200.0 - log.rows["step"]
    log.rows["reward"] = log.rows["step"] + 0.0
    with_time = audit(log).length
    assert with_time.correlation == pytest.approx(-1.0) and with_time.correlation_within_steps is None


def test_steps_of_different_sizes_do_not_correlate_by_themselves():
    log = simulate(length=lambda _: 200)
    few = log.rows[(log.rows["step"] % 2 == 0) | (log.rows["group"] % PROMPTS == 0)].reset_index(drop=True)
    found = audit(TrainingLog("uneven", few, pd.DataFrame(index=few.index), "tokens")).length
    assert abs(found.correlation_within_steps) < 0.12  # three standard errors of 840 completions


def test_what_the_log_lacks_is_not_measured():
    log = simulate(n_steps=4)
    bare = log.rows.assign(fraction=np.nan, group=-1)
    found = audit_log(TrainingLog("bare", bare, pd.DataFrame(index=bare.index), ""), TrainingAuditConfig())
    assert set(found.not_measured) == {"saturation", "divergence", "collapse", "length"}
    assert found.findings == () and found.rules == ()
    assert (found.saturation, found.divergence, found.collapse, found.length) == (None, None, None, None)
