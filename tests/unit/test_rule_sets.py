import json
from pathlib import Path

import jsonschema
import pytest

import autorule
from autorule.errors import RuleSetError
from autorule.rule_sets import RuleSet, dump_rule_set, load_rule_set, prompt_hash, rule_set_schema
from tests.conftest import make_rule_set, messages

RULES = make_rule_set("It should be short.", "It should rhyme.")
PUBLISHED = Path(autorule.__file__).parent / "rule_set.schema.json"


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
    assert published == rule_set_schema(), "write it anew: python -m autorule.rule_sets > autorule/rule_set.schema.json"
    jsonschema.validate(json.loads(dump_rule_set(RULES)), published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema_version=2), "schema_version 2"),
        (lambda c: c.update(rules=[]), "at least one rule"),
        (lambda c: c.update(rules=c["rules"] * 2), "same rule_id"),
        (lambda c: c["rules"][0].update(weight=-1), r"rules\.0\.weight"),
        (lambda c: c["rules"][0].update(wieght=1), r"rules\.0\.wieght"),
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
    with pytest.raises(RuleSetError, match="schema_version None"):
        load_rule_set(other)
    other.write_text("not json", encoding="utf-8")
    with pytest.raises(RuleSetError, match="not JSON"):
        load_rule_set(other)


def test_prompts_are_known_again_whatever_their_case_and_spaces():
    assert prompt_hash(messages("Name  a\nFruit.")) == prompt_hash(messages("name a fruit."))
    assert prompt_hash(messages("Name a fruit.")) != prompt_hash(messages("Name two fruits."))


def test_it_holds_no_time_and_no_path():
    fields = json.dumps(RuleSet.model_json_schema()["properties"])
    assert not any(word in fields for word in ("run_id", "path", "started", "created"))
