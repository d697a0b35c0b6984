import json
from pathlib import Path

import jsonschema
import pytest

import autorule
from autorule.errors import RuleSetError
from autorule.records import Message
from autorule.rules.rule_sets import RuleSet, dump_rule_set, load_rule_set, prompt_hash, prompt_keys, rule_set_schema
from autorule.rules.text import new_rule_id
from tests.conftest import make_rule_set, messages

RULES = make_rule_set("It should be short.", "It should rhyme.")
PUBLISHED = Path(autorule.__file__).parent / "rules/rule_set.schema.json"


def saved(tmp_path, change=lambda content: None):
    content = json.loads(dump_rule_set(RULES))
    change(content)
    path = tmp_path / "03_rule_set.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_rule_set_survives_the_file_byte_for_byte(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(dump_rule_set(RULES), encoding="utf-8")
    assert load_rule_set(path) == RULES
    assert dump_rule_set(load_rule_set(path)) == path.read_text(encoding="utf-8")


def test_the_published_schema_is_that_of_the_records_and_accepts_a_rule_set():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == rule_set_schema(), "write it anew, as CONTRIBUTING.md says"
    jsonschema.validate(json.loads(dump_rule_set(RULES)), published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema_version=2), "schema_version 2"),
        (lambda c: c.update(rules=[]), "at least one rule"),
        (lambda c: c.update(rules=c["rules"] * 2), "same rule_id"),
        (lambda c: c["rules"][0].update(weight=-1), r"rule 1 \(.*\): weight: Input should"),
        (lambda c: c["rules"][0].update(wieght=1), r"rule 1 \(.*\): wieght is no field"),
        (lambda c: c["rules"][0].pop("text"), r"rule 1 \(.*\): text is missing$"),
        (lambda c: c["rules"][0].update(text=" "), r"rule 1 \(.*\) has an empty text"),
        (lambda c: c.pop("reward"), "reward is missing"),
        (lambda c: [rule.update(weight=0) for rule in c["rules"]], "all weights are 0"),
        (
            lambda c: c["verification"]["prompt"].update(text="@user\n{conversation}\n@question\n{rule}"),
            "prompt_sha256",
        ),
    ],
)
def test_a_bad_rule_set_names_the_field(tmp_path, change, message):
    with pytest.raises(RuleSetError, match=message):
        load_rule_set(saved(tmp_path, change))


def test_files_that_are_no_rule_set(tmp_path):
    with pytest.raises(RuleSetError, match="can't be read"):
        load_rule_set(tmp_path / "missing.json")
    other = tmp_path / "x.json"
    other.write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(RuleSetError, match=r"is no rule set but a list; .* autorule rules import"):
        load_rule_set(other)
    other.write_text("not json", encoding="utf-8")
    with pytest.raises(RuleSetError, match="not JSON"):
        load_rule_set(other)


def test_a_text_that_was_changed_under_its_id_is_told(tmp_path, caplog):
    rule_set = make_rule_set("It is short.", "It rhymes.", "It is kind.")
    hashed, own = new_rule_id("It is short."), "house-rule-1"
    rules = [rule.model_copy(update={"rule_id": i}) for rule, i in zip(rule_set.rules[:2], (hashed, own), strict=True)]
    inverted = rule_set.rules[2].model_copy(update={"inverted": True})
    rules.append(inverted.model_copy(update={"rule_id": new_rule_id(inverted.criterion)}))
    path = tmp_path / "r.json"
    path.write_text(dump_rule_set(rule_set.model_copy(update={"rules": tuple(rules)})), encoding="utf-8")
    load_rule_set(path)
    assert not caplog.records
    path.write_text(path.read_text().replace("It is short.", "It is long."))
    for _ in range(2):
        assert load_rule_set(path).rules[0].text == "It is long."
    (record,) = caplog.records
    assert f"rule {hashed} has a text that its id was not made of, 'It is long.'" in record.message
    assert f"autorule rules edit --reword {hashed[:8]} --text" in record.message


def test_prompts_are_known_again_whatever_their_case_and_spaces():
    assert prompt_hash(messages("Name  a\nFruit.")) == prompt_hash(messages("name a fruit."))
    assert prompt_hash(messages("Name a fruit.")) != prompt_hash(messages("Name two fruits."))


def test_a_prompt_is_known_by_its_turns_with_and_without_a_system_turn():
    plain = messages("Name a fruit.")
    system = (Message(role="system", content="Be kind."), *plain)
    assert prompt_keys(plain) == {prompt_hash(plain)}
    assert prompt_keys(system) == {prompt_hash(system), prompt_hash(plain)}
    assert prompt_keys(system[:1]) == {prompt_hash(system[:1])}


def test_it_holds_no_time_and_no_path():
    fields = json.dumps(RuleSet.model_json_schema()["properties"])
    assert not any(word in fields for word in ("run_id", "path", "started", "created"))
