"""What the page says: its first sentence, its notes, and words that must agree with the figures."""

import dataclasses
import re

import pytest

from autorule.report.contents import read_contents
from autorule.report.page import page
from autorule.report.rule_table import rule_table
from autorule.report.text import counted, number, percent
from autorule.report.write import write_report
from autorule.runs.files import EVALUATION, MANIFEST, REWARDS
from autorule.statistics.records import Interval
from autorule.verification.verdict_tables import read_rewards
from tests.reported_runs import evaluation_run, extraction_run, section


def test_differences_of_shares_are_points():
    assert (percent(0.513), percent(-0.0125, signed=True), percent(None)) == ("51.3%", "−1.2 pp", "–")


def test_nothing_is_less_than_nothing():
    assert (number(-0.001), percent(-0.0001), percent(-0.0001, signed=True)) == ("0.00", "0.0%", "+0.0 pp")
    assert (counted(1, "pair"), counted(2, "pair"), counted(0, "pair")) == ("1 pair", "2 pairs", "0 pairs")


def test_held_out_rewards_of_an_extraction_are_shown(tmp_path):
    run = extraction_run(tmp_path, held_out=True)
    text = write_report(run).read_text(encoding="utf-8")
    rewards = read_contents(run).rewards
    assert [side.name for side in rewards.sides] == ["chosen", "rejected"]
    assert all(sum(side.counts) == side.n and side.n + side.n_unscored == 60 for side in rewards.sides)
    assert "<figure" in section(text, "rewards")
    sides = {}
    for record in read_rewards(run / REWARDS):
        sides.setdefault(record.row, {})[record.side] = record.reward
    pairs = [(own["chosen"], own["rejected"]) for own in sides.values() if None not in own.values()]
    higher, tied = sum(a > b + 1e-9 for a, b in pairs), sum(abs(a - b) < 1e-9 for a, b in pairs)
    assert tied and (rewards.n_pairs, rewards.n_higher, rewards.n_tied) == (len(pairs), higher, tied)
    glance = section(text, "glance")
    assert f"{(higher + tied / 2) / len(pairs):.1%}" in glance
    assert f"{len(pairs)} pairs: chosen higher in {higher}, tied in {tied} (counted a half)" in glance
    assert not re.search(r"higher reward in [\d.]+%", text)
    assert f"the higher reward in {higher}, the same in {tied}" in section(text, "rewards")


def warned(run):
    return re.findall(r'<p class="warning">.*?</p>', write_report(run).read_text(encoding="utf-8"))


def test_leaked_and_unscored_pairs_and_unfinished_runs_are_warned_of(tmp_path):
    changes = {"leaked_pairs": 7, "unscored_pairs": 2}
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100, changes=changes)
    manifest = read_contents(run).manifest
    failed = manifest.model_copy(update={"status": "failed_with_results", "message": "shard <3> failed"})
    (run / MANIFEST).write_text(failed.model_dump_json())
    told = warned(run)
    assert len(told) == 3 and "failed on so much of 2 of 30 pairs" in told[2]
    assert "7 of 30 pairs" in told[1] and "mined from or chosen by" in told[1]
    assert "The run failed and left what results it had: shard &lt;3&gt; failed" in told[0]


def test_thin_figures_are_warned_of(tmp_path):
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=8, rounds=100)
    contents = read_contents(run)
    counts = {"verdicts": 100, "verdicts_unscored": 6, "completions_failed": 1, "rewards_unscored": 2}
    funnel = contents.manifest.funnel.model_copy(update=counts)
    (run / MANIFEST).write_text(contents.manifest.model_copy(update={"funnel": funnel}).model_dump_json())
    ways = tuple(way for way in contents.evaluation.accuracies if way.name != "longer response")
    (run / EVALUATION).write_text(contents.evaluation.model_copy(update={"accuracies": ways}).model_dump_json())
    told = " ".join(warned(run))
    for words in ("6 of 100 verdicts (6.0%)", "1 of 16 completions failed", "2 of 16 rewards", "8 prompts only"):
        assert words in told
    assert "No baseline but chance" in told


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Of an evaluation whose dev keeps rules."""
    return read_contents(evaluation_run(tmp_path_factory.mktemp("run"), n_rules=12, n_prompts=300, rounds=100))


@pytest.mark.parametrize("over", [None, (0.05, 0.01, 0.1), (-0.05, -0.1, -0.01)])
def test_the_page_opens_with_whether_the_rules_beat_the_best_baseline(contents, over):
    ways = contents.evaluation.accuracies
    if over is not None:
        stated = Interval(value=over[0], low=over[1], high=over[2])
        ways = tuple(way.model_copy(update={"rewarded_over": way.rewarded_over and stated}) for way in ways)
    found = contents.evaluation.model_copy(update={"accuracies": ways})
    glance = section(page(dataclasses.replace(contents, evaluation=found), []), "glance")
    best = max((way for way in ways if way.rewarded_over), key=lambda way: way.accuracy.value)
    told = best.rewarded_over
    kind, sentence = re.search(r'<p class="opening (\w+)">(.*?)</p>', glance).groups()
    assert f"{100 * abs(told.value):.1f} pp {'more' if told.value > 0 else 'fewer'} pairs right" in sentence
    assert f"({best.name})" in sentence and f"{100 * told.high:+.1f} pp at 95%".replace("-", "−") in sentence
    surely = told.low > 0 or told.high < 0
    assert ("surely" in sentence, "within chance" in sentence) == (surely, not surely)
    assert kind == ({True: "better", False: "worse"}[told.value > 0] if surely else "open")
    tested = found.weightings.baselines_test
    assert f"best baseline on test: {max(tested, key=lambda name: tested[name].value)} " in glance


def test_an_evaluation_of_an_earlier_version_says_that_it_cannot_tell(contents):
    ways = tuple(way.model_copy(update={"rewarded_over": None}) for way in contents.evaluation.accuracies)
    found = contents.evaluation.model_copy(update={"accuracies": ways})
    text = page(dataclasses.replace(contents, evaluation=found), [])
    assert 'class="opening' not in text and "An earlier autorule made this evaluation" in text


def test_decisions_and_chosen_weights_that_differ_are_marked(contents):
    found, weights = contents.evaluation, contents.evaluation.weightings
    [chosen] = [one for one in weights.results if one.method == weights.chosen]
    kept = [rule.rule_id for rule in found.rules if rule.decision == "keep"]
    assert chosen.weights and kept
    own = dict.fromkeys([*kept[1:], found.rules[-1].rule_id], 1.0)
    results = tuple(one.model_copy(update={"weights": own}) if one == chosen else one for one in weights.results)
    changed = found.model_copy(update={"weightings": weights.model_copy(update={"results": results})})
    rules = section(page(dataclasses.replace(contents, evaluation=changed), []), "rules")
    assert rules.count('<span class="ends">≠ decision</span>') == 2 and "2 rules differ, marked ≠" in rules


def test_without_a_proven_rule_there_are_no_weights(tmp_path):
    run = evaluation_run(tmp_path, n_rules=1, n_prompts=60, rounds=100)
    assert not read_contents(run).evaluation.weightings.kept
    text = write_report(run).read_text(encoding="utf-8")
    assert "No rule proven on dev: no weights" in section(text, "glance")
    assert "Test accuracy" not in section(text, "glance") and "Chosen weight" in rule_table(read_contents(run)).without
    assert "1 rule on 60 held-out pairs" in text and not re.search(r"\b1 (rules|pairs|prompts)\b", text)
