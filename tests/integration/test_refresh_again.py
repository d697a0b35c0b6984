"""A refresh that was cut off goes on under its run id: nothing is done, or counted, twice. Errors are no outcomes."""

import json

import pytest

from autorule.errors import ConfigError, InputError
from autorule.flows import refresh_rules as flow
from autorule.registry.folder import RuleSetRegistry
from tests.conftest import make_rule_set
from tests.integration.test_refresh import folder, refresh

PLUMS, APPLES = make_rule_set("Mention plums."), make_rule_set("Mention apples.")
__all__ = ["folder"]


def registry_of(folder):
    return RuleSetRegistry(folder / "registry", "fruit")


def cut_off_at(monkeypatch, name):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, name, die)


def refresh_cut_off(folder, monkeypatch, name):
    with monkeypatch.context() as patch:
        cut_off_at(patch, name)
        with pytest.raises(KeyboardInterrupt):
            refresh(folder, "one", audit_prompts=0)


def best(folder):
    """A set that no candidate of this data beats."""
    registry_of(folder).publish(make_rule_set("Mention pears."), "me", "by hand")


@pytest.mark.parametrize(
    ("before", "action", "n_looks"),
    [
        (lambda folder: None, "published", 0),
        (best, "kept", 1),
        (lambda f: registry_of(f).publish(PLUMS, "me", "by hand"), "promoted", 1),
    ],
)
def test_what_was_done_before_the_end_is_not_done_again(folder, monkeypatch, before, action, n_looks):
    before(folder)
    refresh_cut_off(folder, monkeypatch, "show_outcome")
    done = registry_of(folder).history()
    outcome = refresh(folder, "one", audit_prompts=0)
    assert (outcome.action, outcome.version) == (action, done[-1].version)
    assert registry_of(folder).history() == done
    assert sum(event.decision is not None for event in done) == n_looks


def test_a_refresh_goes_on_after_another_version_became_current(folder, monkeypatch):
    registry = registry_of(folder)
    registry.publish(PLUMS, "me", "by hand")
    refresh_cut_off(folder, monkeypatch, "promote_if_better")
    registry.publish(APPLES, "me", "meanwhile")
    registry.roll_back("v0002", "me", "meanwhile")
    outcome = refresh(folder, "one", audit_prompts=0)
    assert outcome.action == "promoted" and "against v0002" in outcome.reason


def test_a_version_that_becomes_current_during_the_evaluations_is_not_compared_by_them(folder, monkeypatch):
    registry = registry_of(folder)
    registry.publish(PLUMS, "me", "by hand")
    registry.publish(APPLES, "me", "a try")
    whole = flow.promote_if_better

    def late(*arguments):
        registry.roll_back("v0002", "me", "meanwhile")
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(flow, "promote_if_better", late)
        outcome = refresh(folder, "one", audit_prompts=0)
    assert outcome.action == "kept" and "v0002 became current" in outcome.reason
    assert refresh(folder, "one", audit_prompts=0).action == "promoted"


def test_a_version_without_a_current_one_is_no_end(folder):
    registry = registry_of(folder)
    with registry.writing("me", "cut off"):
        registry.keep(PLUMS, "me", "cut off")
    outcome = refresh(folder, "one", audit_prompts=0)
    assert (outcome.action, outcome.version) == ("published", "v0002") and registry.current_version() == "v0002"


def test_who_comes_second_to_an_empty_name_is_compared(folder, monkeypatch):
    whole = RuleSetRegistry.publish

    def late(registry, *arguments):
        whole(registry, PLUMS, "me", "quicker")
        return whole(registry, *arguments)

    monkeypatch.setattr(RuleSetRegistry, "publish", late)
    outcome = refresh(folder, "one", audit_prompts=0)
    assert outcome.action == "promoted" and "against v0001" in outcome.reason


def test_a_broken_registry_is_an_error_and_no_verdict_on_the_candidate(folder, monkeypatch):
    registry = registry_of(folder)
    registry.publish(PLUMS, "me", "by hand")
    whole = flow.promote_if_better

    def late(*arguments):
        (registry.folder / "history.jsonl").write_text("garbage\n")
        return whole(*arguments)

    monkeypatch.setattr(flow, "promote_if_better", late)
    with pytest.raises(InputError, match="line 1 is no event"):
        refresh(folder, "one", audit_prompts=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "../fruit"}, "take up to 64"),
        ({"held_out": "nowhere.jsonl"}, r"nowhere\.jsonl"),
        ({"select_by": "luck"}, "luck"),
    ],
)
def test_what_would_end_it_later_ends_it_before_a_model_is_asked(folder, settings, message):
    with pytest.raises((ConfigError, InputError), match=message):
        refresh(folder, "one", audit_prompts=0, **settings)
    assert not (folder / "outputs").exists()


def test_held_out_pairs_that_lack_a_column_are_found_before_a_model_is_asked(folder):
    rows = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    (folder / "held_out.jsonl").write_text(
        "".join(json.dumps({"prompt": row["prompt"], "chosen": row["chosen"]}) + "\n" for row in rows)
    )
    with pytest.raises(InputError, match=r"held_out\.jsonl"):
        refresh(folder, "one", audit_prompts=0)
    assert not (folder / "outputs").exists()


def test_a_column_that_only_mining_needs_is_not_asked_of_held_out_pairs(folder):
    rows = [json.loads(line) for line in (folder / "mined.jsonl").read_text().splitlines()]
    (folder / "mined.jsonl").write_text("".join(json.dumps({**row, "why": "It names pears."}) + "\n" for row in rows))
    source = {
        "pairs": folder / "mined.jsonl", "outputs": folder / "outputs", "run_id": "one",
        "columns": {"reasoning": "why"},
        "model": {"backend": "scripted", "model": "tests.scripts:fruit"},
        "cache": {"path": folder / "cache.sqlite"},
    }  # fmt: skip
    assert refresh(folder, "one", audit_prompts=0, extraction=source).action == "published"
