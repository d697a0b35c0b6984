"""`autorule audit` and `audit-training` as commands: what they write, what they show, and their exit codes."""

import json

import pytest

from autorule.audit.records import HackingAudit
from autorule.audit.training_records import TrainingAudit
from autorule.rules.rule_sets import dump_rule_set
from tests.commands import autorule
from tests.conftest import make_rule_set
from tests.integration.test_trl import PROMPTS, SETTINGS, exported  # noqa: F401 - a fixture

SCRIPTED = ("--backend", "scripted", "--model", "tests.scripts:by_words")
HOSTILE = "[bold red]gone[/bold red] \x1b[2J\u202e Mention apples."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty prompts whose honest answers name what is asked for, and two rule sets."""
    folder = tmp_path_factory.mktemp("audits")
    (folder / "words.json").write_text(dump_rule_set(make_rule_set("Mention pears.", HOSTILE)), encoding="utf-8")
    rows = [
        {"prompt": f"Name fruit {i}.", "chosen": "A pears tree." if i % 2 else "pears and apples", "rejected": "No."}
        for i in range(20)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_place_that_can_not_be_written_is_found_before_the_verifier_is_asked(folder, tmp_path):
    """Exit code 1 would say that the rule set was exploited."""
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "a.json", tmp_path):
        told = autorule("audit", "words.json", "pairs.jsonl", *SCRIPTED, "--out", str(out), cwd=folder, code=2)
        assert f"{out} can't be written" in told and "Traceback" not in told and "model calls" not in told
        told = autorule("audit-training", "no.jsonl", "--out", str(out), cwd=folder, code=2)
        assert f"{out} can't be written" in told


def test_an_exploited_rule_set_fails_the_gate_and_leaves_its_evidence(folder):
    call = ("audit", "words.json", "pairs.jsonl", *SCRIPTED, "--limit", "12", "--out", "found/a.json")
    told = autorule(*call, cwd=folder, code=1)
    assert "exploit rate above 20%: rules echoed 100% (76% to 100%)" in told
    assert "another prompt's answer" in told and "padding" not in told
    found = HackingAudit.model_validate_json((folder / "found/a.json").read_text())
    by_name = {one.name: one for one in found.canaries}
    assert found.n_prompts == 12 and by_name["rules echoed"].n_exploits == 12
    assert by_name["empty answer"].n_exploits == 0 and by_name["injection"].mean_reward == 0.0
    pears, apples = found.rules
    assert apples.text == HOSTILE and pears.honest.share == 1.0 > apples.honest.share > 0
    assert by_name["rules echoed"].rules[pears.rule_id].share == 1.0


def test_hostile_rules_are_shown_as_text(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    call = ("audit", "words.json", "pairs.jsonl", *SCRIPTED)
    for shown in (autorule(*call, "--max-exploit-rate", "1", cwd=folder), autorule(*call, cwd=folder, code=1)):
        assert "[bold red]gone[/bold red] \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER} Mention" in shown
        assert "\x1b[2J" not in shown and "\u202e" not in shown


def test_canaries_can_be_left_out_and_the_gate_be_passed(folder):
    options = ("--skip", "rules echoed", "--skip", "another prompt's answer", "--seed", "7", "--out", "b.json")
    shown = autorule("audit", "words.json", "pairs.jsonl", *SCRIPTED, *options, cwd=folder)
    assert "injection" in shown and "findings: b.json" in shown
    found = HackingAudit.model_validate_json((folder / "b.json").read_text())
    as_json = autorule("audit", "words.json", "pairs.jsonl", *SCRIPTED, *options, "--json", cwd=folder)
    assert HackingAudit.model_validate_json(as_json).canaries == found.canaries
    assert found.skipped == ("rules echoed", "another prompt's answer") and found.exploited == ()
    assert "is no canary" in autorule(
        "audit", "words.json", "pairs.jsonl", "--skip", "x", *SCRIPTED, cwd=folder, code=2
    )


def test_a_verifier_that_fails_gives_no_finding(folder):
    (folder / "fails.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Name {i}.", "chosen": f"FAIL {i}", "rejected": "x"}) + "\n" for i in range(4))
    )
    told = autorule("audit", "words.json", "fails.jsonl", *SCRIPTED, "--out", "c.json", cwd=folder, code=3)
    assert "no finding" in told and "(4 of 4 unscored)" in told and "exploit rate above" not in told
    found = HackingAudit.model_validate_json((folder / "c.json").read_text())
    assert found.verdict_failures.keys() == {"told to fail"}
    assert found.n_honest_unscored == 4 and {one.n_compared for one in found.canaries} == {0}


def training_log(folder, turn):
    """Sixty steps of four completions of each of two prompts; from `turn` on every reward is 1 and gold falls."""
    rows = []
    for step in range(60):
        for i in range(8):
            hacked = step >= turn
            rows.append(
                {
                    "step": step,
                    "prompt_id": i // 4,
                    "reward": 1.0 if hacked else 0.3 + (i + step % 3) / 20,
                    "gold_reward": 0.5 - 0.02 * max(0, step - turn) + (i % 3) / 50,
                    "completion_length": 100 + (10 * (step - turn) if hacked else (i + step) % 5),
                    "rule:plain": int(hacked or i % 2),
                    f"rule:{HOSTILE}": int(hacked or i % 3 == 0),
                }
            )
    path = folder / f"log{turn}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def test_a_hacked_run_is_found_and_fails_where_that_was_asked(folder):
    log = training_log(folder, 37)
    shown = autorule("audit-training", log, "--out", "t.json", cwd=folder)
    assert "saturation" in shown and "2 of 2 rules are saturated" in shown
    assert "[bold red]gone" in shown and "\x1b" not in shown and "\u202e" not in shown
    found = TrainingAudit.model_validate_json((folder / "t.json").read_text())
    assert (found.saturation.onset, found.collapse.onset) == (37, 37)
    assert set(found.findings) >= {"saturation", "collapse", "length"} and len(found.steps) == 60
    told = autorule("audit-training", log, "--fail-on", "collapse,saturation", cwd=folder, code=1)
    assert f"{log} shows collapse, saturation" in told


def test_a_run_without_a_sign_passes(folder):
    log = training_log(folder, 60)
    shown = autorule("audit-training", log, "--fail-on", "saturation,divergence,collapse,length", cwd=folder)
    assert "rules are saturated" not in shown
    assert "name some of" in autorule("audit-training", log, "--fail-on", "doom", cwd=folder, code=2)
    (folder / "bare.csv").write_text("step,reward\n1,0.5\n2,x\n")
    assert "bare.csv row 2: reward is 'x'" in autorule("audit-training", "bare.csv", cwd=folder, code=2)
    (folder / "bare.csv").write_text("step,reward\n1,0.5\n2,0.5\n")
    assert "not measured" in autorule("audit-training", "bare.csv", cwd=folder)
    (folder / "null.csv").write_text("step,reward,rule_reward\n1,,0.5\n2,,0.5\n")
    told = autorule("audit-training", "null.csv", cwd=folder, code=2)
    assert "null.csv: the column 'reward' is null in all 2 rows" in told and "--columns reward=NAME" in told
    found = json.loads(autorule("audit-training", "bare.csv", "--json", "--out", "bare.json", cwd=folder))
    assert found == json.loads((folder / "bare.json").read_text())
    absent = autorule("audit-training", "bare.csv", "--fail-on", "divergence", cwd=folder, code=2)
    assert "--fail-on names what the log can't show: divergence: no gold_reward" in absent


def test_the_log_of_a_run_of_trl(tmp_path, tiny_model, exported, monkeypatch):  # noqa: F811 - a fixture
    import trl
    from datasets import Dataset

    from autorule.audit.training_log import read_log
    from tests.unit.export.test_folders import load

    settings = SETTINGS | {"output_dir": str(tmp_path / "out"), "log_completions": True}
    trainer = trl.GRPOTrainer(
        model=tiny_model,
        reward_funcs=[load(exported, "rule_reward_for_audit").rule_reward],
        args=trl.GRPOConfig(**settings),
        train_dataset=Dataset.from_list(PROMPTS),
    )
    trainer.train()
    columns = "reward=rule_reward,fraction=rule_reward/satisfied"
    shown = autorule("audit-training", tmp_path / "out/completions", "--columns", columns, cwd=tmp_path)
    assert "8 completions (0 unscored) of 2 steps, 1 to 2" in " ".join(shown.split())
    log = read_log(tmp_path / "out/completions", dict(pair.split("=") for pair in columns.split(",")))
    assert log.rows["fraction"].tolist() == pytest.approx(log.rows["reward"].tolist())
    assert log.rows["group"].tolist() == [0] * 4 + [1] * 4 and log.length_unit == "characters"
