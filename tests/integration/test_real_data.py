"""Real preference data, where it is at hand, through the readers and the whole flow (scripted models)."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from autorule.config.layers import build_config, load_preset
from autorule.config.models import EMBEDDED
from autorule.config.runs import ExtractConfig
from autorule.flows.extract_rules import extract_rules
from autorule.records import Interpretation, PreferencePair
from autorule.rules.lineage import trace
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.files import INTERPRETATIONS, PAIRS, RULE_SET, read_records
from autorule.statistics.choosing import Method, make_folds, out_of_fold
from autorule.statistics.resampling import bootstrap_means
from autorule.statistics.weighting import log_odds, logistic, uniform
from tests.ifeval_pairs import hidden_weighting
from tests.integration.test_flows import lines

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not at {DATA}")


def run(tmp_path, name, **settings):
    base = {
        "pairs": DATA / name,
        "outputs": tmp_path,
        "cache": {"enabled": False},
        "model": {"backend": "scripted", "model": "tests.scripts:helpful"},
    }
    config = build_config(ExtractConfig, base, settings)
    manifest = extract_rules.fn(config)
    return manifest, tmp_path / manifest.run_id


def test_pandalm_rows_are_validated_and_drawn(tmp_path):
    manifest, folder = run(tmp_path, "pandalm/pandalm.jsonl", limit=60)
    funnel = manifest.funnel
    assert (funnel.rows_read, funnel.rows_rejected, funnel.pairs_valid, funnel.pairs_drawn) == (999, 157, 842, 60)
    rejected = [{reason["code"] for reason in row["reasons"]} for row in lines(folder / "rejected_rows.jsonl")]
    ties = [codes for codes in rejected if "tie" in codes]
    empty = [codes for codes in rejected if codes & {"empty_response_a", "empty_response_b"}]
    assert (len(ties), len(empty), len([codes for codes in ties if codes in empty and len(codes) > 1])) == (105, 54, 2)
    assert funnel.imbalances() == []


def test_r1_chains_are_taken_as_interpretations(tmp_path):
    manifest, folder = run(tmp_path, "r1_arena_hard/r1_arena_hard.jsonl", limit=40, shard_size=16)
    funnel = manifest.funnel
    assert (funnel.rows_read, funnel.rows_rejected, funnel.chains_given, funnel.chains) == (354, 31, 40, 40)
    assert "interpretation" not in {stage for stage, counts in manifest.usage.items() if counts.sent}
    source = {row["reasoning"] for row in map(json.loads, (DATA / "r1_arena_hard/r1_arena_hard.jsonl").open())}
    for line in lines(folder / "01_interpretations.jsonl"):
        assert line["chain"] in source
        assert line["chain_source"] == "given"


@pytest.mark.long
def test_rules_from_real_chains_are_traced_to_their_passages_and_ties_yield_none(tmp_path):
    """The embedded model mines twelve real chains; identical answers, judged ties, are the control."""
    files = ("r1_arena_hard/r1_arena_hard.jsonl", "r1_arena_hard/r1_identical_ties.jsonl")
    preferences, ties = ((DATA / name).read_text(encoding="utf-8").splitlines() for name in files)
    decided = [line for line in preferences if json.loads(line)["winner"] != "tie"]
    pairs = tmp_path / "r1.jsonl"
    pairs.write_text("\n".join([*decided[:12], *ties[:4]]), encoding="utf-8")
    settings = {"pairs": pairs, "outputs": tmp_path, "cache": {"path": tmp_path / "cache.sqlite"}}
    rejected = extract_rules.fn(build_config(ExtractConfig, load_preset(EMBEDDED), settings))
    assert (rejected.funnel.rows_rejected, rejected.funnel.pairs_drawn) == (4, 12)
    kept = extract_rules.fn(build_config(ExtractConfig, load_preset(EMBEDDED), settings, {"keep_ties": True}))
    assert kept.funnel.rows_rejected == 0
    assert (kept.funnel.ties_drawn, kept.funnel.pairs_repeated) == (2, 2), "the file has each tie in both orders"
    assert kept.funnel.imbalances() == []
    assert kept.usage["synthesis"].sent + kept.usage["synthesis"].cached > 0, "similar rules are merged"
    folder = tmp_path / kept.run_id
    rule_set = load_rule_set(folder / RULE_SET)
    tied = {pair.pair_id for pair in read_records(folder / PAIRS, PreferencePair) if pair.tie}
    assert len(tied) == 2
    chains = {i.interpretation_id: i.chain for i in read_records(folder / INTERPRETATIONS, Interpretation)}
    lineages = trace(rule_set, folder)
    rules = {rule.rule_id: rule for rule in rule_set.rules}
    assert [lineage.rule_id for lineage in lineages] == list(rules)
    for lineage in lineages:
        assert tied.isdisjoint(rules[lineage.rule_id].pair_ids)
        assert {source.candidate_id for source in lineage.candidates} == set(rules[lineage.rule_id].candidate_ids)
        for source in lineage.candidates:
            passage = source.passage
            assert passage.text
            assert chains[source.interpretation_id][passage.start : passage.end] == passage.text


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_weighting_of_rule_families_is_recovered(seed):
    """IFEval's official verdicts, 10 % of the labels wrong: all prompts are told out of fold."""
    matrix, hidden, conflict = hidden_weighting(DATA / "ifeval/ifeval_responses.jsonl.gz", seed)
    assert matrix.n_prompts > 450 and conflict.sum() > 200
    folds = make_folds(matrix, 0.05)

    def right(fit):
        return out_of_fold(Method("fitted", (fit,), all_rules=True), fit, folds)

    plain = right(uniform)
    for fit in (log_odds, logistic):
        gain = right(fit) - plain
        columns = np.column_stack([gain, np.where(conflict, gain, np.nan)])
        on_all, on_conflicts = bootstrap_means(columns, matrix.prompts)
        assert on_conflicts.low > 0.05 and on_all.low > 0
        assert stats.spearmanr(fit(matrix), hidden).statistic > 0.5
