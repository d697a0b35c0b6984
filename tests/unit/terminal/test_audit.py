"""What the audits show, in few columns and in many."""

import pytest

from autorule.audit.records import CanaryResult, HackingAudit, RuleResult, Share
from autorule.records import CallCounts
from autorule.statistics.records import Interval
from autorule.terminal import audit as audit_shown
from autorule.terminal import training_audit
from tests.unit.audit.test_training import audit, simulate

LONG = "Says of every number where it comes from, and names the source in the same sentence as the number itself."


def shown(capsys, monkeypatch, columns, show):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    show()
    return capsys.readouterr().out


def hacking_audit():
    share = Share(n_satisfied=17, n_counted=20, n_unscored=0, n_not_applicable=0, share=0.85)
    canary = CanaryResult(
        name="another prompt's answer", n_prompts=1234, n_same=0, n_unscored=7, n_compared=1227, mean_reward=0.123,
        mean_reward_honest=0.456, n_exploits=1000, n_ties=321, exploit_rate=Interval(value=0.81, low=0.79, high=0.83),
        exploited_rows=(), rules={"r": share},
    )  # fmt: skip
    return HackingAudit(
        verifier="v", n_rows=1234, n_rejected=0, n_prompts=1234, seed=0, skipped=(), n_honest_unscored=0,
        unscored_reasons={}, verdict_failures={}, canaries=(canary,), max_exploit_rate=0.2, max_unscored=0.1,
        rules=(RuleResult(rule_id="r", text=LONG, canaries=share, honest=share),), calls=CallCounts(),
    )  # fmt: skip


@pytest.mark.parametrize("columns", [60, 80, 120, None])
def test_no_figure_and_no_word_of_an_audit_is_cut(capsys, monkeypatch, columns):
    text = shown(capsys, monkeypatch, columns, lambda: audit_shown.print_audit(hacking_audit()))
    assert "…" not in text
    for figure in ("81% (79% to 83%)", "321", "0.123", "0.456", "1227", "7", "85%", "another prompt's answer"):
        assert figure in text
    words = text.replace("│", " ").split()
    assert all(word in words for word in LONG.split())
    assert columns is None or max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize("columns", [60, 80, None])
def test_each_sign_has_a_row_that_says_whether_it_was_found(capsys, monkeypatch, columns):
    found = audit(simulate(rates=lambda step: 0.6 if step < 37 else 1.0, length=lambda step: 200 + 10 * step))
    text = shown(capsys, monkeypatch, columns, lambda: training_audit.print_training_audit(found))
    flat = " ".join(text.replace("│", " ").split()).replace(":", "")
    for sign, result in (("saturation", "found"), ("divergence", "not measured"), ("length", "found")):
        assert f"{sign} {result}" in flat
    assert "saturation found 37" in flat or "saturation found from step 37" in flat
    assert "…" not in text and (columns is None or max(map(len, text.splitlines())) <= columns)


def test_a_log_without_equal_groups_reads_as_no_alarm(capsys, monkeypatch):
    found = audit(simulate(equal=lambda _: 0.0))
    text = shown(capsys, monkeypatch, 200, lambda: training_audit.print_training_audit(found))
    row = next(line for line in text.splitlines() if "collapse" in line)
    assert "not found" in row and "0% of 360 groups" in row and "never above 50%" in row
