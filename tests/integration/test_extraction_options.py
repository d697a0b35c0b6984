"""What a user may ask of an extraction beside the rules: checks, controls, limits and forecasts."""

import json

import pytest

from autorule.config import ExtractConfig
from autorule.config_layers import build_config, load_preset
from autorule.errors import BudgetSpentError, ConfigError, InputError
from autorule.flows.extract_rules import extract_rules
from autorule.flows.repeat_extraction import repeat_extraction
from autorule.manifest import RunManifest
from autorule.records import CandidateRule, ChainCheck, Failure, Interpretation
from autorule.rule_sets import load_rule_set
from autorule.run_folder import CANDIDATES, CHECKS, FAILURES, INTERPRETATIONS, RULE_SET, read_records
from autorule.tasks.forecast import forecast_extraction
from tests.integration.test_flows import HELD_OUT, PAIRS, extract, extraction, lines, only_run


def with_ties(tmp_path, n_ties=6):
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    rows += [{"prompt": f"Tie {i}?", "chosen": "The same.", "rejected": "The same."} for i in range(n_ties)]
    path = tmp_path / "with_ties.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_ties_are_rejected_and_with_keep_ties_they_are_a_control(tmp_path):
    path = with_ties(tmp_path)
    plain, _ = extract(tmp_path, pairs=path)
    assert (plain.funnel.rows_rejected, plain.funnel.ties_drawn, plain.funnel.pairs_drawn) == (6, 0, 48)
    manifest, folder = extract(tmp_path, pairs=path, keep_ties=True)
    funnel = manifest.funnel
    assert (funnel.rows_rejected, funnel.ties_drawn, funnel.pairs_drawn) == (0, 6, 54)
    assert funnel.candidates_of_ties >= 6
    assert funnel.imbalances() == []
    candidates = {c.candidate_id: c for c in read_records(folder / CANDIDATES, CandidateRule)}
    rules = load_rule_set(folder / RULE_SET).rules
    assert not any(candidates[key].control for rule in rules for key in rule.candidate_ids)
    assert all({"pair_share", "tie_share"} <= set(rule.statistics) for rule in rules)
    n_ties = len({c.pair_id for c in candidates.values() if c.control and c.text == rules[0].text})
    assert rules[0].statistics["tie_share"] >= n_ties / 6


def test_a_limit_counts_pairs_and_ties_apart(tmp_path):
    manifest, _ = extract(tmp_path, pairs=with_ties(tmp_path), keep_ties=True, limit=4)
    assert (manifest.funnel.pairs_drawn, manifest.funnel.ties_drawn) == (8, 4)


def test_ties_alone_are_no_input(tmp_path):
    path = tmp_path / "ties.jsonl"
    path.write_text(json.dumps({"prompt": "A?", "chosen": "The same.", "rejected": "The same."}), encoding="utf-8")
    for keep_ties in (False, True):
        with pytest.raises(InputError, match="none of 1 rows"):
            extract(tmp_path, pairs=path, keep_ties=keep_ties)


def test_the_blind_check_marks_chains_and_can_leave_them_out(tmp_path):
    manifest, folder = extract(tmp_path, interpretation={"check_chains": "mark"})
    checks = {check.interpretation_id: check.result for check in read_records(folder / CHECKS, ChainCheck)}
    assert set(checks) == {i.interpretation_id for i in read_records(folder / INTERPRETATIONS, Interpretation)}
    assert len(set(checks.values())) == 3
    assert (manifest.funnel.chains_checked, manifest.funnel.chains_mined) == (48, 48)

    manifest, folder = extract(tmp_path, interpretation={"check_chains": "leave_out"})
    funnel = manifest.funnel
    confirmed = {key for key, result in checks.items() if result == "confirmed"}
    assert funnel.chains_left_out == 48 - len(confirmed)
    assert funnel.imbalances() == []
    mined = {candidate.interpretation_id for candidate in read_records(folder / CANDIDATES, CandidateRule)}
    assert mined == confirmed


def test_a_spent_budget_stops_the_run_and_the_next_run_goes_on(tmp_path):
    whole, _ = extract(tmp_path / "whole")
    n_calls = sum(usage.sent for usage in whole.usage.values())
    spent = sum(usage.prompt_tokens + usage.completion_tokens for usage in whole.usage.values())
    limits = {"budget": {"max_tokens_total": spent // 3}, "run_id": "limited"}
    with pytest.raises(BudgetSpentError, match=r"requests of \w+ not sent: the budget is spent, .*max_tokens_total"):
        extract(tmp_path, **limits)
    stopped, folder = only_run(tmp_path)
    assert stopped.status == "stopped"
    used = sum(usage.prompt_tokens + usage.completion_tokens for usage in stopped.usage.values())
    assert spent // 3 <= used < spent // 3 + 2000, "what was in flight may come on top"
    failures = list(read_records(folder / FAILURES, Failure))
    assert {failure.kind for failure in failures} == {"budget"}
    assert stopped.funnel.chains + stopped.funnel.chains_failed == 48

    finished, folder = extract(tmp_path, run_id="limited")
    sent = [sum(usage.sent for usage in manifest.usage.values()) for manifest in (stopped, finished)]
    assert sum(sent) == n_calls, "nothing that was answered is asked again"
    assert finished.status == "completed"
    assert load_rule_set(folder / RULE_SET).rules


def test_a_budget_holds_where_the_model_tells_no_usage(tmp_path):
    with pytest.raises(BudgetSpentError):
        extract(tmp_path, script="no_usage", budget={"max_tokens_total": 500})


def test_a_limit_of_cost_needs_prices_and_counts_with_them(tmp_path):
    with pytest.raises(ConfigError, match=r"max_cost needs the prices .* model\.price_in"):
        extraction(tmp_path, budget={"max_cost": 1})
    priced = {"backend": "scripted", "model": "tests.scripts:helpful", "price_in": 1000.0, "price_out": 1000.0}
    with pytest.raises(BudgetSpentError, match=r"of 0\.5 \(max_cost\)"):
        extract(tmp_path, model=priced, budget={"max_cost": 0.5})


def test_a_dry_run_sends_nothing_leaves_nothing_and_knows_the_cache(tmp_path):
    config = extraction(tmp_path, held_out=HELD_OUT)
    fresh = {f.stage: f for f in forecast_extraction(config)}
    assert list(tmp_path.iterdir()) == [], "no run folder and no cache file"
    assert (fresh["interpretation"].calls, fresh["mining"].calls) == (48, 48)
    assert fresh["verification"].calls == 32 * config.synthesis.max_rules
    assert fresh["interpretation"].cost is None

    extract_rules.fn(config)
    cached = {f.stage: f for f in forecast_extraction(config)}
    assert (cached["interpretation"].calls, cached["interpretation"].cached) == (0, 48)
    assert (cached["mining"].calls, cached["mining"].cached) == (0, 48)
    more = extraction(tmp_path, interpretation={"n_chains": 2}, model={"price_in": 1.0, "price_out": 2.0})
    half = {f.stage: f for f in forecast_extraction(more)}["interpretation"]
    assert (half.calls, half.cached) == (48, 48)
    assert "the mean of 48 answers" in half.basis
    assert half.cost == pytest.approx((half.prompt_tokens + 2 * half.completion_tokens) / 1e6)


def test_the_default_preset_says_what_is_built_in():
    assert build_config(ExtractConfig, load_preset("default"), {"pairs": "a"}) == build_config(
        ExtractConfig, {"pairs": "a", "seed": 0}
    )
    text = load_preset("default")
    for name in ("interpretation", "mining", "synthesis", "verification", "reward"):
        known = set(build_config(ExtractConfig, {"pairs": "a"}).model_dump()[name])
        assert not {
            n for n in known - set(text[name]) if not n.endswith("prompt") and n not in ("sampling", "min_scored")
        }


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="default, embedded, paper"):
        load_preset("papr")


def test_an_answer_in_a_bad_form_is_asked_again_with_the_fault_shown(tmp_path):
    manifest, folder = extract(tmp_path, script="corrects_itself")
    assert manifest.funnel.mining_failed == 0
    assert manifest.usage["mining"].sent == 96
    again, _ = extract(tmp_path, script="corrects_itself")
    assert (again.usage["mining"].sent, again.usage["mining"].cached) == (0, 48)
    assert isinstance(manifest, RunManifest) and lines(folder / CANDIDATES)


def test_repeats_take_a_seed_each_and_tell_what_recurs(tmp_path):
    config = extraction(tmp_path, repeats=3, limit=12, run_id="again", seed=5)
    report = repeat_extraction.fn(config)
    assert report.seeds == (5, 6, 7)
    manifests = [json.loads((config.outputs / run / "manifest.json").read_text()) for run in report.run_ids]
    assert [m["config"]["mining"]["sampling"]["seed"] for m in manifests] == [5, 6, 7]
    assert json.loads((config.outputs / "again-stability.json").read_text()) == json.loads(report.model_dump_json())
    sets = [{rule.text for rule in load_rule_set(config.outputs / run / RULE_SET).rules} for run in report.run_ids]
    for rule in report.rules:
        assert rule.recurs_in >= sum(rule.text in other for other in sets[1:])
    assert 0 < report.lowest <= report.recurrence <= report.highest <= 1
