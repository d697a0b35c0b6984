"""`autorule registry` as people and scripts call it."""

import json

import pytest

from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from tests.commands import autorule
from tests.conftest import make_rule_set

HOSTILE = "Say [bold]red[/] \x1b[31mand [link=https://evil.example]more[/link]."


@pytest.fixture
def folder(tmp_path):
    for name in ("pears", "apples"):
        (tmp_path / f"{name}.json").write_text(dump_rule_set(make_rule_set(f"Mention {name}.")), encoding="utf-8")
    (tmp_path / "hostile.json").write_text(dump_rule_set(make_rule_set(HOSTILE)), encoding="utf-8")
    return tmp_path


def registry(folder, *arguments, **options):
    return autorule("registry", *arguments, cwd=folder, **options)


def test_versions_are_published_shown_and_rolled_back(folder):
    assert "fruit v0001 published; it is current" in registry(
        folder, "publish", "fruit", "pears.json", "--reason", "a start", "--by", "ann"
    )
    assert "fruit v0002 published\n" in registry(folder, "publish", "fruit", "apples.json", "--reason", "a try")
    assert "same content" in registry(folder, "publish", "fruit", "apples.json", "--reason", "a try")
    assert registry(folder, "path", "fruit").strip() == str(folder / "outputs/registry/fruit/v0001/rule_set.json")
    assert "v0002 is current" in registry(folder, "rollback", "fruit", "--to", "v0002", "--reason", "by hand")
    path = registry(folder, "path", "fruit").strip()
    assert load_rule_set(folder / path).rules[0].text == "Mention apples."
    assert "v0001 is current" in registry(folder, "rollback", "fruit", "--reason", "apples are worse")
    shown = registry(folder, "show", "fruit")
    assert "v0001, current" in shown and "Mention pears." in shown and "by ann" in shown
    assert "rolled back v0001" in shown and "apples are worse" in shown
    found = json.loads(registry(folder, "show", "fruit", "--json"))
    assert found["current"] == "v0001" and found["versions"] == {"v0001": {"n_rules": 1}, "v0002": {"n_rules": 1}}
    assert [event["action"] for event in found["history"]] == [
        "published", "promoted", "published", "rolled_back", "rolled_back",
    ]  # fmt: skip


def test_what_is_wrong_is_said_in_one_line(folder):
    for arguments, message in (
        (("show", "fruit"), "publish one: autorule registry publish fruit"),
        (("publish", "../fruit", "pears.json", "--reason", "x"), "take up to 64"),
        (("publish", "fruit", "nowhere.json", "--reason", "x"), "can't be read"),
        (("publish", "fruit", "pears.json", "--reason", " "), "say it in words"),
        (("path", "fruit", "--registry", "elsewhere"), "elsewhere has no rule set 'fruit'"),
    ):
        shown = registry(folder, *arguments, code=2)
        assert message in shown and "Traceback" not in shown


def test_hostile_texts_and_a_broken_version_are_shown_harmlessly(folder):
    registry(folder, "publish", "fruit", "hostile.json", "--reason", "[red]\x1b[2Jbecause", "--by", "[b]\x1b[1m")
    registry(folder, "publish", "fruit", "pears.json", "--reason", "fine")
    (folder / "outputs/registry/fruit/v0002/rule_set.json").write_text("{")
    (folder / "outputs/registry/fruit/v0003").mkdir()
    shown = registry(folder, "show", "fruit")
    assert "Say [bold]red[/]" in shown and "[red]" in shown and "\x1b" not in shown
    assert "broken" in shown and "changed since it was published" in shown
    assert "\x1b" not in registry(folder, "show", "fruit", "--json")


def test_a_rule_set_is_promoted_when_its_evaluation_is_better(folder):
    rows = [{"prompt": f"Name fruit {i}.", "chosen": "pears", "rejected": "apples"} for i in range(250)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scripted = ("--backend", "scripted", "--model", "tests.scripts:by_words", "--no-prefect")
    for name in ("pears", "apples"):
        options = ("--run-id", name, "--no-one-call", "--flip-sample", "0")
        autorule("evaluate", f"{name}.json", "pairs.jsonl", *scripted, *options, cwd=folder)
    registry(folder, "publish", "fruit", "apples.json", "--reason", "a start")
    (folder / "other.json").write_text(dump_rule_set(make_rule_set("Mention plums.")), encoding="utf-8")
    again = registry(folder, "publish", "fruit", "apples.json", "--reason", "again")
    assert "was published before, with the same content: this reason is not noted" in again
    better = ("promote", "fruit", "pears.json", "--candidate", "outputs/pears", "--current", "outputs/apples")
    assert "takes 30" in registry(folder, *better, "--share", "0.02", "--reason", "too few", code=2)
    shown = registry(folder, *better, "--reason", "pears are better")
    assert "v0002 is current: look 1 on this data: +100.0 pp" in shown
    swapped = ("--candidate", "outputs/apples", "--current", "outputs/pears", "--reason", "x")
    told = registry(folder, "promote", "fruit", "other.json", *swapped, code=2)
    assert "the run of the current version, v0002 (--current)" not in told and "(--candidate): " in told
    swapped = ("--candidate", "outputs/apples", "--current", "outputs/apples", "--reason", "x")
    told = registry(folder, "promote", "fruit", "apples.json", *swapped, code=2)
    assert "the run of the current version, v0002 (--current): " in told
    worse = ("promote", "fruit", "apples.json", "--candidate", "outputs/apples", "--current", "outputs/pears")
    assert registry(folder, *worse, "--reason", "back", code=1) == ""
    history = json.loads(registry(folder, "show", "fruit", "--json"))["history"]
    assert (
        history[-1]["action"] == "kept" and history[-1]["current"] == "v0002" and history[-1]["decision"]["look"] == 2
    )
    assert "the candidate is worse" in registry(folder, "show", "fruit")
    # Selection can spare the prompts that decide here.
    n_tuned = []
    for option in ((), ("--hold-out-promotion",)):
        autorule("select", "pears.json", "outputs/pears", "--out", "s.json", "--force", *option, cwd=folder)
        n_tuned.append(len(load_rule_set(folder / "s.json").tuned_prompts))
    assert 0.7 < n_tuned[1] / n_tuned[0] < 0.9
