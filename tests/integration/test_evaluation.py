"""`autorule evaluate` and `select`: held-out pairs in, statistics and a better rule set out."""

import json

import pytest

from autorule.evaluation.reading import read_matrix
from autorule.evaluation.run_manifest import read_manifest
from autorule.rules.rule_sets import Provenance, dump_rule_set, load_rule_set, prompt_hash
from autorule.runs.files import EVALUATION
from autorule.statistics.records import Evaluation
from tests.commands import autorule, run_command
from tests.conftest import make_rule_set, messages

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
    assert "60 pairs of 30 prompts" in shown and "50.0% (50.0–50.0)" in shown
    pears, apples, plums = read(folder).rules
    assert (pears.n_discordant, pears.agreement.value, pears.decision) == (60, 1.0, "keep")
    assert (apples.agreement.value, apples.decision) == (0.0, "reversed")
    assert (plums.n_discordant, plums.decision, plums.agreement.value) == (0, "unproven", None)
    assert pears.basis == "effective sample size" and pears.n_effective == 30
    by_name = {way.name: way for way in read(folder).accuracies}
    assert by_name["uniform, hard"].accuracy.value == 0.5 and by_name["uniform, hard"].tied == 1.0
    assert by_name["longer response"].accuracy.value == 0.0 and by_name["random"].accuracy.value == 0.5
    assert by_name["one call about both"].accuracy.value == 1.0
    assert read(folder).position_bias == pytest.approx(0.6)
    assert set(pears.flips) == {"paraphrase 1", "paraphrase 2", "choice order"} and set(pears.flips.values()) == {0.0}
    autorule("select", "rules.json", "outputs/r", "--out", "better.json", "--name", "me", cwd=folder)
    after = load_rule_set(folder / "better.json")
    assert [rule.text for rule in after.rules] == ["Mention pears."]
    assert after.rules[0].statistics["agreement"] == 1.0
    assert [edit.action for edit in after.history] == ["dropped", "dropped", "weighted"]
    assert sorted(edit.reason.partition(":")[0] for edit in after.history[:2]) == ["reversed", "unproven"]
    assert after.history[2].by == "me"
    assert after.history[2].reason.startswith("uniform: right on 100.0% of")  # too few prompts for an interval
    assert 15 < len(after.tuned_prompts) < 30
    other = autorule("select", "better.json", "outputs/r", "--out", "x.json", cwd=folder, code=2)
    assert "are not those of this rule set; evaluate it anew" in other


def test_a_rule_that_points_the_wrong_way_is_turned_around_when_asked(folder):
    autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", cwd=folder)
    autorule("select", "rules.json", "outputs/r", "--out", "better.json", "--invert", "--by", "log_odds", cwd=folder)
    after = load_rule_set(folder / "better.json")
    # Apples and pears say the same once apples are turned around: one of the two stays.
    assert [edit.action for edit in after.history] == ["inverted", "dropped", "dropped", "weighted"]
    assert after.history[0].after == "Not true of the response: Mention apples."
    only_apples = make_rule_set("Mention apples.")
    (folder / "apples.json").write_text(dump_rule_set(only_apples), encoding="utf-8")
    autorule("evaluate", "apples.json", "pairs.jsonl", *SCRIPTED, "--run-id", "apples", cwd=folder)
    autorule("select", "apples.json", "outputs/apples", "--out", "no_apples.json", "--invert", cwd=folder)
    [rule] = load_rule_set(folder / "no_apples.json").rules
    assert rule.inverted and rule.text == "Mention apples." and rule.rule_id != only_apples.rules[0].rule_id
    again = ("--leave-out-leaked", "--run-id", "again")
    shown = autorule("evaluate", "no_apples.json", "pairs.jsonl", *SCRIPTED, *again, cwd=folder)
    [measured] = read(folder, "again").rules
    assert measured.agreement.value == 1.0 and "Not true of the" in shown
    assert measured.text == "Not true of the response: Mention apples."
    refused = autorule("select", "apples.json", "outputs/apples", "--out", "x.json", cwd=folder, code=3)
    assert "nothing is written" in refused and not (folder / "x.json").exists()
    unknown = autorule(
        "select", "apples.json", "outputs/apples", "--out", "x.json", "--by", "magic", cwd=folder, code=2
    )
    assert "choose best, uniform" in unknown


def test_slices_strengths_and_positions_come_from_columns(folder):
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        a, b = (row.pop("chosen"), row.pop("rejected")) if i % 4 else (row.pop("rejected"), row.pop("chosen"))
        row |= {
            "response_a": a,
            "response_b": b,
            "winner": "a" if i % 4 else "b",
            "kind": f"k{i % 2}",
            "sure": i % 3 - 4,
        }
    rows.append({**rows[0], "sure": 0})
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--slice", "kind", "--columns", "strength=sure", "--no-one-call", "--flip-sample", "0")
    autorule("evaluate", "rules.json", "more.jsonl", *SCRIPTED, *options, "--run-id", "r", cwd=folder)
    found = read(folder)
    assert {(part.column, part.value, part.n_pairs) for part in found.slices} == {
        ("kind", "k0", 30),
        ("kind", "k1", 30),
    }
    by_name = {way.name: way.accuracy.value for way in found.accuracies}
    assert by_name["response that the data gives first"] == 0.75 and "one call about both" not in by_name
    matrix = read_matrix(folder / "outputs/r", load_rule_set(folder / "rules.json"))
    assert matrix.strength.tolist()[:3] == [4, 3, 2]
    [rejected] = (folder / "outputs/r/rejected_held_out_rows.jsonl").read_text().splitlines()
    assert "strength is 0, expected a number other than 0" in rejected
    missing = autorule("evaluate", "rules.json", "more.jsonl", *SCRIPTED, "--slice", "topic", cwd=folder, code=2)
    assert "has no column 'topic' to slice by" in missing


def test_verdicts_of_an_extraction_can_be_evaluated(folder):
    extract = ("extract", "pairs.jsonl", "--held-out", "held_out.jsonl", "--backend", "scripted", "--no-prefect")
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    held_out = "".join(line.replace("Name fruit", "Give fruit") + "\n" for line in lines)
    (folder / "held_out.jsonl").write_text(held_out)
    autorule(*extract, "--model", "tests.scripts:helpful", "--run-id", "e", cwd=folder)
    autorule("evaluate", "outputs/e/03_rule_set.json", "--verdicts", "outputs/e", cwd=folder)
    assert read(folder, "e").n_pairs == 60


def test_verdicts_that_are_there_need_no_model(folder):
    autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", cwd=folder)
    first = read(folder)
    (folder / "outputs/r" / EVALUATION).unlink()
    autorule("evaluate", "rules.json", "--verdicts", "outputs/r", cwd=folder)
    assert read(folder) == first
    (folder / "other.json").write_text(dump_rule_set(make_rule_set("Mention figs.")))
    other = autorule("evaluate", "other.json", "--verdicts", "outputs/r", cwd=folder, code=2)
    assert "are not on the rules" in other and "evaluate the rule set anew" in other
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
    anew = ("evaluate", "mined.json", "--verdicts", "outputs/leaky")
    assert "2 of 60 pairs" in autorule(*anew, cwd=folder, code=2)
    assert "2 pairs have prompts" in autorule(*anew, "--allow-leakage", cwd=folder)


def test_rule_sets_are_compared_on_the_same_pairs(folder):
    (folder / "pears.json").write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    for name, run_id in (("rules.json", "all"), ("pears.json", "pears")):
        autorule("evaluate", name, "pairs.jsonl", *SCRIPTED, "--run-id", run_id, cwd=folder)
    shown = autorule("compare", "outputs/all", "outputs/pears", "--out", "found.json", cwd=folder)
    assert "On the same pairs" in shown and "+50.0 pp (50.0 to 50.0)" in shown
    [difference] = json.loads((folder / "found.json").read_text())["differences"]
    assert difference["n_pairs"] == 60 and difference["accuracy"]["value"] == 0.5
    assert "two evaluations or more" in autorule("compare", "outputs/all", cwd=folder, code=2)
    assert "has no manifest.json" in autorule("compare", "outputs/all", "nowhere", cwd=folder, code=2)


def test_pairs_that_rules_were_chosen_by_are_refused_or_left_out(folder):
    autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", cwd=folder)
    autorule("select", "rules.json", "outputs/r", "--out", "better.json", cwd=folder)
    call = ("evaluate", "better.json", "pairs.jsonl", *SCRIPTED)
    refused = autorule(*call, "--run-id", "refused", cwd=folder, code=2)
    assert "mined from, or chosen by" in refused and "--leave-out-leaked" in refused
    autorule(*call, "--leave-out-leaked", "--run-id", "test", cwd=folder)
    n_test = 60 - 2 * len(load_rule_set(folder / "better.json").tuned_prompts)
    assert read(folder, "test").n_pairs == n_test and read(folder, "test").leaked_pairs == 0
    # Compared, both sets are measured on the pairs that neither was chosen by.
    autorule(*call, "--allow-leakage", "--run-id", "all", cwd=folder)
    shown = autorule("compare", "outputs/r", "outputs/all", "--out", "found.json", cwd=folder)
    [difference] = json.loads((folder / "found.json").read_text())["differences"]
    assert difference["n_pairs"] == n_test and f"{60 - n_test} pairs were left out" in shown


def test_verdicts_are_read_by_what_asked_for_them(folder):
    autorule("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--run-id", "r", "--set", "seed=7", cwd=folder)
    anew = ("evaluate", "rules.json", "--verdicts", "outputs/r")
    autorule(*anew, cwd=folder)
    assert read(folder).seed == 7
    assert "leave out --slice" in autorule(*anew, "--slice", "kind", cwd=folder, code=2)
    rule_set = load_rule_set(folder / "rules.json")
    stricter = [rule.model_copy(update={"threshold": 0.9}) for rule in rule_set.rules]
    (folder / "stricter.json").write_text(dump_rule_set(rule_set.model_copy(update={"rules": tuple(stricter)})))
    other = autorule("evaluate", "stricter.json", "--verdicts", "outputs/r", cwd=folder, code=2)
    assert "another text, threshold or check" in other
    (folder / "outputs/r/04_pairs.parquet").write_bytes(b"PAR1 no table")
    broken = autorule(*anew, cwd=folder, code=2)
    assert "04_pairs.parquet can't be read" in broken and "Traceback" not in broken


def test_labels_that_differ_are_not_compared(folder):
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    rows = [{"prompt": r["prompt"], "response_a": r["chosen"], "response_b": r["rejected"], "winner": 1} for r in rows]
    (folder / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "pears.json").write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    for name, values, run_id in (("rules.json", "a=1,b=2", "one"), ("pears.json", "a=2,b=1", "other")):
        options = ("--winner-values", values, "--run-id", run_id, "--no-one-call", "--flip-sample", "0")
        autorule("evaluate", name, "w.jsonl", *SCRIPTED, *options, cwd=folder)
    refused = autorule("compare", "outputs/one", "outputs/other", cwd=folder, code=2)
    assert "prefer different sides in row 1" in refused


def test_a_baseline_that_fails_sinks_no_verdicts(folder):
    options = ("--reward-model", "nowhere/at/all")
    missing = autorule(
        "evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, *options, "--run-id", "m", cwd=folder, code=2
    )
    assert "can't load the reward model" in missing and not (folder / "outputs/m").exists()
    breaks = ("--backend", "scripted", "--model", "tests.scripts:breaks_about_both", "--no-prefect", "--run-id", "b")
    failed = autorule("evaluate", "rules.json", "pairs.jsonl", *breaks, cwd=folder, code=3)
    assert "baselines: told to break" in failed
    assert read(folder, "b").n_pairs == 60 and read(folder, "b").rules[0].flips


def test_a_verifier_that_fails_often_is_not_hidden(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    rows = [{**row, "rejected": f"{row['rejected']} FAIL"} if i < 20 else row for i, row in enumerate(rows)]
    rows += [{"prompt": "Name it.", "chosen": "same", "rejected": "same"}, rows[30]]
    (folder / "failing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    call = ("evaluate", "rules.json", "failing.jsonl", *SCRIPTED, "--no-one-call", "--flip-sample", "0")
    code, shown, error = run_command(monkeypatch, capsys, *call, "--run-id", "r")
    assert code == 3 and "20 of 61 pairs have no reward because the verifier failed" in error
    assert "Which side is preferred?" in shown and "60 of them unscored; 60 failures are in failures.jsonl" in shown
    assert "rows read: 62; pairs: 61; rejected: 1 (" in shown and "repeated, and counted each time: 1" in shown
    manifest = read_manifest(folder / "outputs/r")
    assert manifest.status == "failed_with_results" and "20 of 61 pairs" in manifest.message
    code, shown, error = run_command(monkeypatch, capsys, *call, "--run-id", "r", "--max-unscored", "0.5")
    assert code == 0 and "Error" not in error and "pairs without a reward" in shown


def test_pairs_are_drawn_and_calls_are_forecast(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    call = ("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--limit", "40", "--flip-sample", "5")
    code, shown, _ = run_command(monkeypatch, capsys, *call, "--dry-run")
    assert code == 0 and "nothing was sent" in shown and not (folder / "outputs").exists()
    [line] = [line for line in shown.splitlines() if "│ verification" in line]
    assert f" {40 * 2 * 3} " in line
    once, flips = (line for line in shown.splitlines() if "│ evaluation" in line)
    assert f" {40 * 2} " in once and f" {5 * 3 * 3} " in flips and "it is counted as calls" in shown
    seen = {"tuned_prompts": (prompt_hash(messages("Name fruit 3.")),)}
    (folder / "rules.json").write_text(dump_rule_set(make_rule_set(*RULES).model_copy(update=seen)), encoding="utf-8")
    code, _, error = run_command(monkeypatch, capsys, *call[:-4], "--dry-run")
    assert code == 2 and "the prompts of 2 of 60 pairs, such as row 7" in error
    (folder / "rules.json").write_text(dump_rule_set(make_rule_set(*RULES)), encoding="utf-8")
    code, shown, told = run_command(monkeypatch, capsys, *call, "--run-id", "r", "--no-cache")
    funnel = read_manifest(folder / "outputs/r").funnel
    assert code == 0 and "rows read: 60; pairs: 40; not drawn: 20" in shown and "baselines: 80 of 80" in told
    assert (funnel.held_out_pairs, funnel.held_out_pairs_not_drawn, funnel.imbalances()) == (40, 20, [])


def test_what_fails_when_asked_in_other_words_is_noted(folder, monkeypatch, capsys):
    """And a budget that ends there stops the run as it does elsewhere."""
    monkeypatch.chdir(folder)
    scripted = ("--backend", "scripted", "--model", "tests.scripts:fails_in_other_words", "--no-prefect")
    call = ("evaluate", "rules.json", "pairs.jsonl", *scripted, "--no-one-call", "--flip-sample", "5")
    code, _, _ = run_command(monkeypatch, capsys, *call, "--run-id", "r")
    failures = (folder / "outputs/r/failures.jsonl").read_text().splitlines()
    assert code == 0 and len(failures) == 2 * 5 * 3 and all("not in these words" in line for line in failures)
    pears, *_ = read(folder).rules
    assert pears.flips == {"paraphrase 1": None, "paraphrase 2": None, "choice order": 0.0}
    call = ("evaluate", "rules.json", "pairs.jsonl", *SCRIPTED, "--no-one-call", "--flip-sample")
    code, _, _ = run_command(monkeypatch, capsys, *call, "0")
    limit = ("--run-id", "limited", "--set", "budget.max_tokens_total=1")  # the verdicts are in the cache
    code, _, error = run_command(monkeypatch, capsys, *call, "5", *limit)
    assert code == 3 and "the budget is spent" in error
    assert read_manifest(folder / "outputs/limited").status == "stopped"
