"""Rules that people have, in the formats in which they have them; what is refused, with row, value and fix."""

import json

import pytest

from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.errors import InputError, PromptError
from autorule.records import content_id
from autorule.rules.importing import ImportConfig, columns_not_read, import_rules
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from autorule.rules.text import clean_rule, normalise_rule


def imported(tmp_path, name, content, config=None):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    rule_set = import_rules(path, "anna", config or ImportConfig())
    saved = tmp_path / "saved.json"
    saved.write_text(dump_rule_set(rule_set), encoding="utf-8")
    assert load_rule_set(saved) == rule_set
    return rule_set


def rules_of(*arguments):
    return [(rule.text, rule.weight, rule.aspect) for rule in imported(*arguments).rules]


CITE, SHORT = "It cites its sources.", "It is short."


def test_a_text_file_has_one_rule_a_line(tmp_path):
    text = f"\ufeff# Rules of the house\n\n- {CITE}\n 2) It is short\n  # not this\n* **It rhymes.**\n"
    assert rules_of(tmp_path, "r.md", text) == [(CITE, 1, None), (SHORT, 1, None), ("It rhymes.", 1, None)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", f'Criterion, Weight ,aspect,id\n"{CITE}",2,evidence,7\n{SHORT},,,8\n'),
        ("r.json", [{"text": CITE, "importance": 2, "category": "evidence"}, SHORT]),
        ("r.json", {"rules": [{"rule": CITE, "weight": 2.0, "aspect": " evidence\n"}, {"rule": SHORT}]}),
        ("r.json", {"criteria": [{"description": CITE, "weight": 2, "title": "evidence"}, SHORT]}),
        ("r.json", {"prompt": "p", "rubrics": [{"criterion": CITE, "points": 2, "title": "evidence"}, SHORT]}),
        ("r.jsonl", f'{{"rule": "{CITE}", "weight": "2", "aspect": "evidence"}}\n\n"{SHORT}"\n'),
        ("r.jsonl", json.dumps({"rubrics": [{"criterion": CITE, "points": 2, "category": "evidence"}, SHORT]}) + "\n"),
    ],
)
def test_tables_and_json_bring_weights_and_aspects(tmp_path, name, content):
    assert rules_of(tmp_path, name, content) == [(CITE, 2, "evidence"), (SHORT, 1, None)]


def test_rubrics_with_points_and_tags(tmp_path):
    rubric = {"rubrics": [{"criterion": "States the dose", "points": 5, "tags": ["axis:accuracy"]}]}
    assert rules_of(tmp_path, "r.json", rubric) == [("States the dose.", 5, None)]
    assert columns_not_read(tmp_path / "r.json") == ["tags"]


def test_imported_rules_have_the_ids_of_extraction_no_sources_and_a_history(tmp_path):
    rule_set = imported(tmp_path, "r.txt", CITE)
    (rule,) = rule_set.rules
    assert rule.rule_id == content_id("rule", normalise_rule(CITE))
    assert (rule.support, rule.candidate_ids, rule.pair_ids, rule_set.provenance) == (0, (), (), ())
    assert [(e.action, e.by, e.rule_id, e.after) for e in rule_set.history] == [
        ("imported", "anna", rule.rule_id, CITE)
    ]


def test_settings_reach_verification_and_reward(tmp_path):
    config = ImportConfig(
        verification=VerificationConfig(prompt="verification.small", threshold=0.7), reward=RewardConfig(scale=10)
    )
    rule_set = imported(tmp_path, "r.txt", CITE, config)
    assert (rule_set.verification.prompt.name, rule_set.verification.threshold) == ("verification.small", 0.7)
    assert rule_set.reward.scale == 10
    with pytest.raises(PromptError, match="verification prompt shows"):
        imported(tmp_path, "r.txt", CITE, ImportConfig(verification=VerificationConfig(prompt="mining")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.json", [CITE, {"criterion": SHORT, "points": -5}], r"row 2: points is -5.*reword the rule.*positive"),
        ("r.csv", f"rule,weight\n{CITE},0\n", r"row 1: weight is '0'.*greater than 0"),
        ("r.csv", f"rule,weight\n{CITE},high\n", r"row 1: weight is 'high'; give a finite number"),
        ("r.json", f'[{{"rule": "{CITE}", "weight": NaN}}]', "row 1: weight is nan"),
        ("r.json", f'[{{"rule": "{CITE}", "weight": 1e999}}]', "row 1: weight is inf"),
        ("r.json", [{"rule": CITE, "weight": True}], "row 1: weight is True"),
        ("r.json", [{"rule": CITE, "weight": [1]}], r"row 1: weight is \[1\]"),
        ("r.json", [{"rule": CITE, "weight": 1, "points": 2}], "weight and points are both there"),
        ("r.json", [{"rule": CITE, "aspect": 3}], "row 1: aspect is 3"),
        ("r.json", [{"criterion": "Sources", "description": CITE}], "criterion and description are both there"),
        ("r.json", [{"rule": CITE, "Rule ": SHORT}], "row 1 has 'rule' twice"),
        ("r.json", [{"rule": ""}], "row 1: rule is ''"),
        ("r.json", [{"rule": None}], "row 1: rule is None"),
        ("r.json", ["?!"], r"row 1: the text '\?!' has no word"),
        ("r.json", '["a \\ud800 b"]', "row 1: .*not whole Unicode"),
        ("r.json", [CITE, 3], "row 2 is 3; give a text"),
        ("r.json", [{"rules": [CITE]}], "row 1: no column for the rule"),
        ("r.json", {"rules": [CITE], "criteria": [CITE]}, "give a list, or an object with one of"),
        ("r.json", {"rule": CITE}, "found an object with 'rule'; give a list"),
        ("r.json", {"schema_version": 1, "rules": [CITE]}, "a rule set already"),
        ("r.json", "[", "not JSON"),
        ("r.jsonl", f'"{CITE}"\n{{', "row 2 is not JSON"),
        ("r.jsonl", f'{{"rubrics": ["{CITE}"]}}\n{{"rubrics": []}}', "row 1 is a whole list of rules, and there are 2"),
        ("r.csv", f"id,weight\n{CITE},1\n", r"no column for the rule \(columns: id, weight\)"),
        ("r.csv", "rule,weight\nIt is short, but not too short,1\n", "row 1 has more or fewer fields"),
        ("r.csv", 'rule,weight\n"It is" short,1\n', "is not CSV"),
        ("r.txt", f"{CITE}\n\n{CITE.upper()}\n", "rows 1 and 3 are the same rule"),
        ("r.txt", "- \n---\n", "row 1: .*no word.*row 2: .*no word"),
        ("r.txt", "!\n" * 9, "row 3.*and 6 more rows"),
        ("r.txt", "# only a title\n", "holds no rule"),
        ("r.txt", f"- {CITE[:9]}\n  {CITE[9:]}\n", "row 2 is indented and no list item"),
        ("r.csv", f"rule,Rule\n{CITE},{SHORT}\n", "several columns are named 'rule'"),
        ("r.json", {"rules": []}, "holds no rule"),
        ("r.xlsx", "x", "unknown format '.xlsx'; use one of .txt"),
    ],
)
def test_what_is_not_exactly_a_rule_is_refused_with_row_value_and_fix(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        imported(tmp_path, name, content)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_can_not_be_read(tmp_path):
    with pytest.raises(InputError, match=r"missing.txt can't be read: No such file"):
        import_rules(tmp_path / "missing.txt", "anna", ImportConfig())
    (tmp_path / "r.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        import_rules(tmp_path / "r.txt", "anna", ImportConfig())


def test_full_stops_of_other_scripts_end_a_rule():
    assert clean_rule("回答应当简短。") == "回答应当简短。"


@pytest.mark.parametrize(
    "weight", ["1e308", "1e999", "1000001", "9" * 400, "9" * 5000, "NaN", "-Infinity", "true", "-1", "5e-324"]
)
@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.csv"])
def test_a_weight_that_can_not_be_reckoned_with_names_the_row(tmp_path, name, weight):
    text = f"rule,weight\n{CITE},{weight}\n" if name == "r.csv" else f'{{"rule": "{CITE}", "weight": {weight}}}'
    with pytest.raises(InputError, match=r"row 1: weight is .*; ") as caught:
        imported(tmp_path, name, f"[{text}]" if name == "r.json" else text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["\u200b", "\ufeff\u2060", "\u3164", "\uffa0.", "\u2800", "..."])
def test_a_text_in_which_no_word_is_seen_is_no_rule(tmp_path, text):
    with pytest.raises(InputError, match="row 1: "):
        imported(tmp_path, "r.json", [{"rule": text}])


def test_a_huge_number_in_a_column_that_nobody_reads_costs_nothing(tmp_path):
    text = f'{{"rule": "{CITE}", "id": {"9" * 5000}, "mean": NaN}}'
    assert rules_of(tmp_path, "r.jsonl", text) == [(CITE, 1, None)]


def test_what_is_nested_too_deep_is_told(tmp_path):
    for name in ("r.json", "r.jsonl"):
        with pytest.raises(InputError, match="nested too deep"):
            imported(tmp_path, name, "[" * 100_000)
