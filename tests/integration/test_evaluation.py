"""`autorule evaluate` and `select`: held-out pairs in, statistics and a better rule set out."""

import json

import pytest

from autorule.evaluation.records import Evaluation
from autorule.rule_sets import Provenance, dump_rule_set, load_rule_set, prompt_hash
from autorule.run_folder import EVALUATION
from tests.conftest import make_rule_set, messages
from tests.integration.test_reward_commands import autorule

pytestmark = pytest.mark.slow
RULES = ("Mention pears.", "Mention apples.", "Mention plums.")
SCRIPTED = ("--backend", "scripted", "--model", "tests.scripts:by_words", "--no-prefect")


@pytest.fixture
def folder(tmp_path):
    """Sixty pairs: pears are preferred, apples are not, plums say nothing."""
    (tmp_path / "rules.json").write_text(dump_rule_set(make_rule_set(*RULES)), encoding="utf-8")
    rows = []
    for i in range(60):
        plums = " and plums" if i % 2 else ""
        rows.append({"prompt": f"Name fruit {i // 2}.", "chosen": f"pears{plums}", "rejected": f"apples{plums}, both."})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def read(folder, run_id="r"):
    return Evaluation.model_validate_json((folder / "outputs" / run_id / EVALUATION).read_text(encoding="utf-8"))


def test_rules_are_measured_and_selected(folder):
    shown = autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", cwd=folder)
    assert "60 pairs of 30 prompts" in shown and "longer response" in shown
    pears, apples, plums = read(folder).rules
    assert (pears.n_discordant, pears.agreement.value, pears.decision) == (60, 1.0, "keep")
    assert (apples.agreement.value, apples.decision) == (0.0, "reversed")
    assert (plums.n_discordant, plums.decision, plums.agreement.value) == (0, "unproven", None)
    assert pears.basis == "effective sample size" and pears.n_effective == 30
    by_name = {way.name: way for way in read(folder).accuracies}
    assert by_name["uniform, hard"].accuracy.value == 0.5 and by_name["uniform, hard"].tied == 1.0
    assert by_name["longer response"].accuracy.value == 0.0
    autorule("select", "rules.json", "outputs/r", "--out", "better.json", "--by", "me", cwd=folder)
    after = load_rule_set(folder / "better.json")
    assert [rule.text for rule in after.rules] == ["Mention pears."]
    assert after.rules[0].statistics["agreement"] == 1.0
    assert sorted(edit.reason.partition(":")[0] for edit in after.history) == ["reversed", "unproven"]
    other = autorule("select", "better.json", "outputs/r", "--out", "x.json", cwd=folder, code=2)
    assert "evaluation is of other rules" in other


def test_verdicts_that_are_there_need_no_model(folder):
    autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", cwd=folder)
    first = read(folder)
    (folder / "outputs/r" / EVALUATION).unlink()
    autorule("evaluate", "rules.json", "--verdicts", "outputs/r", cwd=folder)
    assert read(folder) == first
    (folder / "other.json").write_text(dump_rule_set(make_rule_set("Mention pears.")))
    assert "evaluate it anew" in autorule("evaluate", "other.json", "--verdicts", "outputs/r", cwd=folder, code=2)
    assert "give the held-out pairs" in autorule("evaluate", "rules.json", cwd=folder, code=2)


def test_pairs_that_the_rules_were_mined_from_are_refused(folder):
    rule_set = load_rule_set(folder / "rules.json")
    mined = Provenance(
        models={}, prompts={}, sampling={}, seed=0, extract_from="chain", n_pairs=1, n_candidates=1,
        prompt_hashes=(prompt_hash(messages("Name fruit 3.")),),
    )  # fmt: skip
    (folder / "mined.json").write_text(dump_rule_set(rule_set.model_copy(update={"provenance": (mined,)})))
    call = ("evaluate", "mined.json", "pairs.jsonl", *SCRIPTED)
    refused = autorule(*call, cwd=folder, code=2)
    assert "2 of 60 pairs, such as row 7" in refused and "--allow-leakage" in refused
    autorule(*call, "--allow-leakage", "--run-id", "leaky", cwd=folder)
    assert read(folder, "leaky").leaked_pairs == 2
