"""A refresh: extracted, evaluated, audited, and promoted only when it is better."""

import json

import pytest

from autorule.flows.refresh_rules import refresh_rules
from autorule.registry.folder import RuleSetRegistry
from autorule.registry.refresh_config import RefreshConfig
from autorule.rules.rule_sets import load_rule_set
from tests.conftest import make_rule_set


@pytest.fixture
def folder(tmp_path):
    """Pears are preferred; an answer that echoes the rules is no answer, so pears alone are not to be had for free."""
    write_pairs(tmp_path, 400)
    return tmp_path


def write_pairs(folder, n_held_out):
    """Pairs to mine from and held-out ones, in which pears are preferred to apples and plums."""
    for name, n, question in (("mined", 12, "Name fruit"), ("held_out", n_held_out, "Give fruit")):
        rows = [
            {"prompt": f"{question} {i}.", "chosen": f"pears {i}", "rejected": f"{'apples' if i % 5 else 'plums'} {i}"}
            for i in range(n)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def refresh(folder, run_id, **settings):
    config = {
        "name": "fruit",
        "registry": folder / "registry",
        "held_out": folder / "held_out.jsonl",
        "extraction": {
            "pairs": folder / "mined.jsonl", "outputs": folder / "outputs", "run_id": run_id,
            "model": {"backend": "scripted", "model": "tests.scripts:fruit"},
            "cache": {"path": folder / "cache.sqlite"},
        },
        **settings,
    }  # fmt: skip
    return refresh_rules.fn(RefreshConfig.model_validate(config))


def test_the_first_is_published_and_the_same_again_is_kept(folder):
    first = refresh(folder, "one", audit_prompts=0)
    registry = RuleSetRegistry(folder / "registry", "fruit")
    assert (first.action, first.version) == ("published", "v0001")
    assert [rule.text for rule in registry.load().rules] == ["The response should mention pears."]
    again = refresh(folder, "two", audit_prompts=0)
    assert again.action == "kept" and "current already" in again.reason and registry.versions() == ["v0001"]


def test_a_better_set_replaces_the_current_one_and_the_look_is_counted(folder):
    registry = RuleSetRegistry(folder / "registry", "fruit")
    registry.publish(make_rule_set("Mention plums."), "me", "by hand")
    outcome = refresh(folder, "one", audit_prompts=0)
    assert (outcome.action, outcome.version) == ("promoted", "v0002")
    assert registry.current_version() == "v0002" and "look 1 on this data" in outcome.reason
    decision = registry.history()[-1].decision
    assert decision.n_prompts > 30 and decision.difference.low > 0
    # The promotion split was no part of what the rules were chosen by.
    assert len(load_rule_set(folder / "outputs/one-evaluation/07_selected_rule_set.json").tuned_prompts) < 0.65 * 400


def test_a_set_that_canaries_pass_is_refused(folder):
    outcome = refresh(folder, "one", audit_prompts=5)
    assert outcome.action == "kept" and "rules echoed" in outcome.reason
    assert not RuleSetRegistry(folder / "registry", "fruit").versions()
