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


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rules", 0, "weight"), ["1e308", "1e999", "NaN", "9" * 5000, "5e-324", "-1", "true", '"1"']),
        (("rules", 0, "threshold"), ["7", "1e999", "true", "-0.1"]),
        (("rules", 0, "support"), ["-5", "9" * 30, "true", "1.5"]),
        (("rules", 0, "statistics"), ['{"x": 1e999}', '{"x": 1e308}', '{"x": true}', '{"x": -Infinity}']),
        (("rules", 0, "rule_id"), ['""', '" "', f'"{"a" * 100_000}"', '"a\\nb"', '"a\\u2028b"', '"\\u200b"']),
        (("rules", 0, "text"), ['"\\u200b"', '"\\ufeff."', '"\\u3164"', '"\\u00ad\\u2060"', '"..."']),
        (("rules", 0, "check"), [
            '{"kind": "ifeval", "instruction": "x", "parameters": {"a": 1e999}}',
            f'{{"kind": "ifeval", "instruction": "x", "parameters": {{"a": [{"9" * 30}]}}}}',
            f'{{"kind": "count", "of": "words", "at_least": {"9" * 30}}}',
            '{"kind": "count", "of": "words", "at_most": true}',
        ]),
        (("verification", "threshold"), ["1e999", "true", "1.1"]),
        (("verification", "mass_floor"), ["-0.1", "true"]),
        (("verification", "max_conversation_chars"), ["9" * 30, "true", "9223372036854775808"]),
        (("verification", "asks"), ["true", "0", "6"]),
        (("verification", "sampling"), [f'{{"max_tokens": {"9" * 30}}}', f'{{"seed": {"9" * 30}}}', '{"seed": true}']),
        (("reward", "scale"), ["1e308", "1e999", "true"]),
        (("reward", "centre"), ["5", "1e308", "-1", "true"]),
        (("schema_version",), ["true", "1.0", '"1"', "9" * 5000]),
        (("provenance",), [
            f'[{{"models": {{}}, "prompts": {{}}, "sampling": {{}}, "seed": {seed}, "extract_from": "chain", '
            f'"n_pairs": {n}, "n_candidates": {n}, "prompt_hashes": []}}]'
            for seed, n in (("0", "-1"), ("9" * 30, "1"), ("true", "1"), ("0", "1e9"))
        ]),
    ],
)  # fmt: skip
def test_a_number_or_name_that_can_not_be_meant_is_one_short_line(tmp_path, place, value):
    for one in value:
        content = json.loads(dump_rule_set(RULES))
        part = content
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = "@here@"
        path = tmp_path / "r.json"
        path.write_text(json.dumps(content).replace('"@here@"', one), encoding="utf-8")
        with pytest.raises(RuleSetError, match=r"^rule set '.*r\.json'") as caught:
            load_rule_set(path)
        assert len(str(caught.value)) < 600 and "\n" not in str(caught.value), one[:80]


def test_a_refused_number_is_named_with_rule_field_and_value(tmp_path):
    path = saved(tmp_path, lambda c: c["rules"][1].update(weight=1e308))
    with pytest.raises(RuleSetError, match=r"rule 2 \('\w+'\): weight: .* 1000000, not 1e\+308$"):
        load_rule_set(path)


def test_a_path_that_can_not_be_one_is_told():
    for path in ("a\0b", "s3:/bucket/rules.json"):
        with pytest.raises(RuleSetError, match="can't be read: "):
            load_rule_set(path)


def test_rule_sets_that_people_have_still_load():
    files = sorted((Path(__file__).parents[2] / "kept").rglob("rule_set.json"))
    assert len(files) >= 4 and all(load_rule_set(path).rules for path in files)


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
