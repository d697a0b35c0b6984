"""What a user may ask of an extraction beside the rules: checks, controls, limits and forecasts."""

import json

import pytest

from autorule.config.layers import build_config, load_preset
from autorule.config.runs import ExtractConfig
from autorule.errors import BackendError, BudgetSpentError, ConfigError, InputError, RunFailedError
from autorule.extraction.controls import told_by_ties
from autorule.flows.extract_rules import extract_rules
from autorule.flows.repeat_extraction import repeat_extraction
from autorule.records import CandidateRule, ChainCheck, Failure, Interpretation, Rule
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.files import CANDIDATES, CHECKS, DROPPED, FAILURES, INTERPRETATIONS, RULE_SET, read_records
from autorule.runs.manifest import RunManifest
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


def test_a_tie_does_not_hide_the_preferences_of_other_judges(tmp_path):
    rows = [{"prompt": f"Q{i}?", "response_a": "One.", "response_b": "Two.", "winner": winner}
            for i in range(10) for winner in ("tie", "a", "b")]  # fmt: skip
    path = tmp_path / "judges.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    funnel = extract(tmp_path, pairs=path, keep_ties=True)[0].funnel
    assert (funnel.pairs_drawn, funnel.ties_drawn, funnel.pairs_repeated) == (30, 10, 0)


def test_rules_that_only_ties_tell_of_are_named_first_of_all():
    def rule(**statistics):
        return Rule(rule_id="x", text="It is short.", support=1, statistics=statistics)

    rules = [
        rule(pair_share=0.0, tie_share=0.5),
        rule(pair_share=0.0, tie_share=0.0),
        rule(),
        rule(pair_share=0.6, tie_share=0.5),
    ]
    assert told_by_ties(rules) == rules[:1]


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


def test_repeats_share_one_budget_and_go_on_under_the_same_run_id(tmp_path):
    alone, _ = extract(tmp_path / "alone", limit=12)
    of_one = sum(usage.prompt_tokens + usage.completion_tokens for usage in alone.usage.values())
    limited = extraction(tmp_path, repeats=3, limit=12, run_id="r", budget={"max_tokens_total": int(of_one * 1.5)})
    with pytest.raises(BudgetSpentError):
        repeat_extraction.fn(limited)
    manifests = {path.name: RunManifest.model_validate_json((path / "manifest.json").read_text())
                 for path in limited.outputs.iterdir()}  # fmt: skip
    assert {name: m.status for name, m in manifests.items()} == {"r-seed0": "completed", "r-seed1": "stopped"}
    report = repeat_extraction.fn(extraction(tmp_path, repeats=3, limit=12, run_id="r"))
    assert report.run_ids == ("r-seed0", "r-seed1", "r-seed2")
    kept = RunManifest.model_validate_json((limited.outputs / "r-seed0" / "manifest.json").read_text())
    assert kept == manifests["r-seed0"], "what was completed is not run again"
    with pytest.raises(ConfigError, match="holds a completed run"):
        repeat_extraction.fn(extraction(tmp_path, repeats=3, limit=11, run_id="r"))


def test_a_dry_run_counts_every_repeat_and_knows_cached_checks(tmp_path):
    config = extraction(tmp_path, repeats=3, limit=12, interpretation={"check_chains": "mark"})
    calls = {f.stage: (f.calls, f.cached) for f in forecast_extraction(config)}
    assert calls["interpretation"] == calls["chain_check"] == calls["mining"] == (36, 0)
    repeat_extraction.fn(config)
    calls = {f.stage: (f.calls, f.cached) for f in forecast_extraction(config)}
    assert calls["chain_check"] == (0, 36)


def test_a_mark_that_can_not_be_had_costs_no_rule_but_leaving_out_needs_it(tmp_path):
    manifest, _ = extract(tmp_path, script="checks_nothing", interpretation={"check_chains": "mark"})
    assert (manifest.status, manifest.funnel.checks_failed, manifest.funnel.chains_mined) == ("completed", 48, 48)
    with pytest.raises(RunFailedError, match="chain_check: all 48 requests failed"):
        extract(tmp_path, script="checks_nothing", interpretation={"check_chains": "leave_out"})


def test_a_single_merge_keeps_rules_that_it_repeats_word_for_word_and_drops_what_it_forgets(tmp_path):
    synthesis = {"single_merge": True, "min_support_share": 0.0, "fold_similarity": 1.0}
    manifest, _ = extract(tmp_path, synthesis={**synthesis, "review": False})
    assert (manifest.funnel.rules, manifest.funnel.candidates_dropped) == (8, 0)
    manifest, folder = extract(tmp_path, script="forgets_the_first", synthesis=synthesis)
    assert manifest.funnel.rules == 7
    assert {row["reason"] for row in lines(folder / DROPPED)} == {"left out by the merge"}
    with pytest.raises(RunFailedError, match="the single merge of 8 candidates failed"):
        extract(tmp_path, script="merges_nothing", synthesis=synthesis)


def test_half_a_surrogate_pair_in_an_answer_sinks_nothing(tmp_path):
    manifest, folder = extract(tmp_path, script="half_surrogates", limit=6)
    assert manifest.status == "completed"
    assert any("emoji ?" in rule.text for rule in load_rule_set(folder / RULE_SET).rules)


def test_held_out_columns_and_embeddings_are_looked_at_before_anything_is_asked(tmp_path):
    bad = tmp_path / "held.jsonl"
    bad.write_text(json.dumps({"question": "?", "best": "a", "worst": "b"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"held\.jsonl has neither chosen/rejected"):
        extract(tmp_path, held_out=bad)
    endpoint = {"method": "endpoint", "model": "e", "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(BackendError, match=r"embeddings from http://127\.0\.0\.1:9/v1"):
        extract(tmp_path, synthesis={"similarity": endpoint})
    assert not (tmp_path / "outputs").exists()
    with pytest.raises(ConfigError, match="user name or password"):
        extraction(tmp_path, synthesis={"similarity": {**endpoint, "base_url": "http://u:hunter2@h/v1"}})


def test_a_run_id_taken_over_with_other_settings_leaves_no_file_of_the_first_run(tmp_path):
    with pytest.raises(InputError):
        extract(tmp_path, run_id="z", held_out=_no_usable_pair(tmp_path))
    _, folder = only_run(tmp_path)
    assert (folder / RULE_SET).exists()
    with pytest.raises(RunFailedError):
        extract(tmp_path, run_id="z", script="answers_nothing")
    assert not (folder / RULE_SET).exists()
    assert not (folder / CANDIDATES).exists()


def _no_usable_pair(tmp_path):
    path = tmp_path / "held.jsonl"
    path.write_text(json.dumps({"prompt": "?", "chosen": "", "rejected": "b"}), encoding="utf-8")
    return path


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
