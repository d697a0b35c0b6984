"""`autorule registry` as people and scripts call it."""

import json

import pytest

from autorule.rule_sets import dump_rule_set, load_rule_set
from tests.conftest import make_rule_set
from tests.integration.test_reward_commands import autorule

pytestmark = pytest.mark.slow
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
    assert registry(folder, "path", "fruit").strip() == "outputs/registry/fruit/v0001/rule_set.json"
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
        (("publish", "fruit", "pears.json", "--reason", " "), "say in words why"),
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
