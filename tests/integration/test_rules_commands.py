"""`autorule rules` on the folder of a real run."""

import json

import pytest
from typer.testing import CliRunner

from autorule.commands.cli import app
from autorule.config.layers import build_config
from autorule.config.runs import ExtractConfig, ScoreConfig
from autorule.errors import AutoruleError
from autorule.flows.extract_rules import extract_rules
from autorule.flows.score_completions import score_completions
from autorule.rules.rule_sets import load_rule_set
from tests.integration.test_cli import ROOT, autorule

MODEL = {"backend": "scripted", "model": "tests.scripts:helpful"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    settings = {
        "pairs": ROOT / "examples/sample_pairs.jsonl",
        "outputs": folder,
        "cache": {"enabled": False},
        "model": MODEL,
    }
    return folder / extract_rules.fn(build_config(ExtractConfig, settings)).run_id


def rules(*arguments, exit_code=0):
    result = CliRunner().invoke(app, ["rules", *map(str, arguments)], env={"COLUMNS": "200"})
    if isinstance(result.exception, AutoruleError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.stdout


@pytest.fixture
def rule_set(run_folder, tmp_path):
    path = tmp_path / "rules.json"
    path.write_bytes((run_folder / "03_rule_set.json").read_bytes())
    return path


def test_every_candidate_of_a_run_has_a_passage_of_its_chain(run_folder):
    shown = json.loads(rules("show", run_folder / "03_rule_set.json", "--json"))
    lines = (run_folder / "01_interpretations.jsonl").read_text(encoding="utf-8").splitlines()
    chains = {chain["interpretation_id"]: chain["chain"] for chain in map(json.loads, lines)}
    assert len(shown["rules"]) == 8
    for rule in shown["rules"]:
        assert [c["candidate_id"] for c in rule["candidates"]] == rule["candidate_ids"]
        for candidate in rule["candidates"]:
            passage = candidate["passage"]
            chain = chains[candidate["interpretation_id"]]
            assert chain[passage["start"] : passage["end"]] == passage["text"]
            assert passage["score"] == 1
            assert candidate["source_id"] == f"sample-{candidate['row']:03d}"


def test_show_one_rule_by_the_beginning_of_its_id(run_folder):
    path = run_folder / "03_rule_set.json"
    rule = load_rule_set(path).rules[0]
    text = rules("show", path, rule.rule_id[:8], "--candidates", 1)
    assert text.startswith(f"{rule.rule_id}  {rule.text}")
    assert f"and {rule.support - 1} more candidates" in text
    assert text.count("overlap 1.00") == 1
    assert rules("show", path, rule.rule_id, "--candidates", 0).count("overlap") == rule.support


def test_show_without_the_run_says_where_it_looks(rule_set, run_folder):
    text = rules("show", rule_set)
    assert load_rule_set(rule_set).rules[0].candidate_ids[0] in text
    assert f"looked for in the folder {rule_set.parent}, which lacks 00_pairs.jsonl" in text
    assert "No lineage" not in rules("show", rule_set, "--run", run_folder)
    assert json.loads(rules("show", rule_set, "--json"))["rules"][0]["candidates"] is None
    with pytest.raises(AutoruleError, match="does not exist; give the folder of a run"):
        rules("show", rule_set, "--run", rule_set.parent)


def test_edit_shows_in_history_and_diff(rule_set, run_folder):
    first, second, third, *_ = load_rule_set(rule_set).rules
    before = rule_set.with_name("before.json")
    before.write_bytes(rule_set.read_bytes())
    text = rules(
        "edit", rule_set, "--reword", first.rule_id[:8], "--text", "It should leave out whatever nobody asked for",
        "--pin", second.rule_id[:8], "--drop", third.rule_id, "--add", "It should be [bold] and short.",
        "--by", "anna", "--reason", "clearer",
    )  # fmt: skip
    assert "[bold]" in text
    shown = rules("show", rule_set, "--run", run_folder, "--candidates", 0)
    assert f"reworded {load_rule_set(rule_set).rules[0].rule_id} by anna: “{first.text}”" in shown
    assert "(clearer)" in shown
    assert "6 kept, 1 reworded, 1 gone, 1 new" in rules("diff", before, rule_set)
    matches = json.loads(rules("diff", before, rule_set, "--json"))["matches"]
    assert (matches[0]["kind"], matches[0]["shared_candidates"]) == ("reworded", 1)
    (of_one,) = json.loads(rules("show", rule_set, second.rule_id, "--json"))["history"]
    assert of_one["action"] == "pinned"


def test_edit_to_another_file_leaves_the_first(rule_set):
    before = rule_set.read_bytes()
    other = rule_set.with_name("other.json")
    command = ("edit", rule_set, "--add", "It should greet the reader.", "--out", other)
    rules(*command)
    assert rule_set.read_bytes() == before
    with pytest.raises(AutoruleError, match="exists"):
        rules(*command)
    rules(*command, "--force")
    with pytest.raises(AutoruleError, match="go together"):
        rules("edit", rule_set, "--text", "x")


def test_lint_ends_with_1_when_there_is_something(rule_set):
    assert "8 rules: 0 findings" in rules("lint", rule_set)
    rules("edit", rule_set, "--add", "It should be short and avoid jargon.")
    assert "compound" in rules("lint", rule_set, exit_code=1)
    assert json.loads(rules("lint", rule_set, "--json", exit_code=1))["faults"][0]["code"] == "compound"


def test_merge_joins_files(rule_set, run_folder):
    mine = rule_set.with_name("mine.txt")
    mine.write_text(f"- {load_rule_set(rule_set).rules[0].text.upper()}\n- It should greet the reader.\n")
    imported, joined = rule_set.with_name("mine.json"), rule_set.with_name("joined.json")
    rules("import", mine, "--out", imported, "--by", "anna")
    assert "10 rules of 2 sets, 1 joined to others" in rules("merge", rule_set, imported, "--out", joined)
    assert "written by hand" in rules("show", joined, "--run", run_folder)
    assert load_rule_set(joined).provenance == load_rule_set(rule_set).provenance
    with pytest.raises(AutoruleError, match="two rule sets or more"):
        rules("merge", rule_set, "--out", joined, "--force")


def test_imported_and_edited_rules_score_completions(tmp_path):
    mine, rule_set = tmp_path / "mine.csv", tmp_path / "rules.json"
    mine.write_text("rule,weight,note\nIt should be short.,3,a\nIt should greet the reader.,1,b\n", encoding="utf-8")
    text = rules("import", mine, "--out", rule_set, "--set", "verification.threshold=0.4", "--set", "reward.scale=10")
    assert "columns that were not read: note" in text
    rules("edit", rule_set, "--add", "It should end with a question.")
    completions = tmp_path / "c.jsonl"
    completions.write_text('{"prompt": "Why?", "completion": "Because."}\n', encoding="utf-8")
    settings = {
        "completions": completions,
        "rules": rule_set,
        "outputs": tmp_path / "o",
        "cache": {"enabled": False},
        "model": MODEL,
    }
    manifest = score_completions.fn(build_config(ScoreConfig, settings))
    assert (manifest.funnel.verdicts, manifest.funnel.rewards_unscored) == (3, 0)
    assert load_rule_set(rule_set).verification.threshold == 0.4


def test_an_imported_set_has_no_settings_of_the_embedded_model(tmp_path):
    (tmp_path / "r.txt").write_text("It should be short.\n")
    (tmp_path / "s.toml").write_text("[reward]\nscale = 2\n")
    rules("import", tmp_path / "r.txt", "--out", tmp_path / "r.json", "--config", tmp_path / "s.toml")
    rule_set = load_rule_set(tmp_path / "r.json")
    assert (rule_set.verification.prompt.name, rule_set.reward.fraction) == ("verification", "hard")
    assert rule_set.reward.scale == 2


def test_as_a_command_what_a_file_says_does_not_reach_the_terminal_raw(tmp_path):
    (tmp_path / "r.txt").write_text("It should\x1b[31m be [/] short and red.\n", encoding="utf-8")
    assert autorule("rules", "import", tmp_path / "r.txt", "--out", tmp_path / "r.json").returncode == 0
    for result in (
        autorule("rules", "show", tmp_path / "r.json"),
        autorule("rules", "lint", tmp_path / "r.json"),
        autorule("rules", "show", tmp_path / "r.json", "--json"),
        autorule("rules", "edit", tmp_path / "r.json", "--drop", "\x1b[31m"),
    ):
        assert "\x1b" not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
    assert result.returncode == 2
    assert result.stderr.startswith("Error: no rule has the id")
    debugged = autorule("rules", "show", tmp_path / "none.json", "--debug")
    assert "Traceback" in debugged.stderr


def test_what_an_import_leaves_out_and_what_is_odd_is_said(tmp_path):
    path = tmp_path / "r.md"
    long = "The response should be " + "very " * 3000 + "long."
    path.write_text(f"# House rules\n{long}\n# a remark\nIt is\x1b[2J never rude to people.\n", encoding="utf-8")
    result = autorule("rules", "import", path, "--out", tmp_path / "r.json")
    assert "since they begin with #: 2" in result.stdout
    assert max(map(len, result.stderr.splitlines())) < 250
    assert "(hidden_characters)" in result.stderr and "\x1b" not in result.stderr
