"""`autorule reward`, `export`, `export-data` and `preferences` as commands."""

import json

import pytest

from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from tests.commands import autorule
from tests.conftest import make_rule_set

TEXTS = ("pears and apples", "pears", "plums", "FAIL")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a rule set and a scoring run of 24 completions of six prompts."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "rules.json").write_text(dump_rule_set(make_rule_set("Mention pears.", "Mention apples.")))
    rows = [{"prompt": f"Name fruit {i}.", "completion": text} for i in range(6) for text in TEXTS]
    (folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    autorule(
        "score", "completions.jsonl", "--rules", "rules.json", "--backend", "scripted",
        "--model", "tests.scripts:by_words", "--run-id", "r", "--no-prefect", cwd=folder,
    )  # fmt: skip
    return folder


def test_preferences_come_out_of_a_scoring_run(run):
    assert "dpo.jsonl: 6 pairs" in autorule("preferences", "outputs/r", "--to", "trl", "--out", "dpo.jsonl", cwd=run)
    [first, *_] = (run / "dpo.jsonl").read_text().splitlines()
    assert json.loads(first) == {
        "prompt": [{"role": "user", "content": "Name fruit 0."}],
        "chosen": [{"role": "assistant", "content": "pears and apples"}],
        "rejected": [{"role": "assistant", "content": "plums"}],
        "margin": 1.0,
    }
    autorule("preferences", "outputs/r", "--to", "llama-factory", "--out", "lf.jsonl", "--every-pair", cwd=run)
    assert json.loads((run / "dataset_info.json").read_text())["lf"]["file_name"] == "lf.jsonl"
    assert len((run / "lf.jsonl").read_text().splitlines()) == 18
    moved = autorule(
        "preferences", "outputs/r", "--to", "trl", "--out", "x.jsonl", "--completions", "dpo.jsonl", cwd=run, code=2
    )
    assert "dpo.jsonl" in moved
    manifest = json.loads((run / "outputs/r/manifest.json").read_text())
    (run / "evaluation").mkdir()
    other = {**manifest, "flow": "evaluate-rules", "config": {"pairs": "p.jsonl"}}
    (run / "evaluation/manifest.json").write_text(json.dumps(other))
    told = autorule("preferences", "evaluation", "--to", "trl", "--out", "x.jsonl", cwd=run, code=2)
    assert "evaluation is a run of evaluate-rules, not of scoring" in told
    told = autorule("preferences", "nowhere", "--to", "trl", "--out", "x.jsonl", cwd=run, code=2)
    assert "manifest.json: No such file or directory" in told


def test_scaling_is_learned_from_rewards(run):
    learned = ("--by-rewards", "outputs/r/05_rewards.parquet")
    refused = autorule("reward", "scale", "rules.json", "--out", "n.json", *learned, "--none", cwd=run, code=2)
    assert "give one of" in refused
    too_few = autorule("reward", "scale", "rules.json", "--out", "n.json", *learned, cwd=run, code=2)
    assert "18 scored completions; scaling is learned from 20" in too_few
    autorule("reward", "scale", "rules.json", "--out", "n.json", "--reference", "--by", "me", cwd=run)
    changed = load_rule_set(run / "n.json")
    assert (changed.reward.scale, changed.reward.centre) == (10.0, 0.75)
    assert changed.history[-1].action == "scaled"


def test_a_reward_is_explained_in_words(run):
    settings = (
        'rule_weight = 2.0\nrules = "rules.json"\nrule_dropout = 0.25\n'
        '[reward_model]\nmodel = "rm"\nmean = 1.0\nstd = 2.0\n'
        '[[shaping]]\nkind = "length_penalty"\nfree = 100\nfull = 200\n'
        '[[shaping]]\nkind = "conciseness"\nweight = 0.5\nlongest = 400\noutcome_threshold = 0.75\n'
    )
    (run / "reward.toml").write_text(settings)
    told = autorule("reward", "explain", "reward.toml", cwd=run)
    for part in ("2 rules", "2 · the rule reward", "25%", "model rm", "100 to 200 tokens", "0.75", "passed over"):
        assert part in told
    (run / "bad.toml").write_text('[[shaping]]\nkind = "conciseness"\nweight = 0.5\nlongest = 400\n')
    assert "needs an outcome" in autorule("reward", "explain", "bad.toml", cwd=run, code=2)


def test_exports_and_data(run):
    autorule(
        "export", "rules.json", "--to", "verl", "--out", "verl", "--backend", "scripted",
        "--model", "tests.scripts:by_words", "--set", "rule_weight=2", cwd=run,
    )  # fmt: skip
    settings = json.loads((run / "verl/reward.json").read_text())
    assert settings["rule_weight"] == 2 and settings["on_unscored"] == "error"
    assert "24 rows" in autorule("export-data", "completions.jsonl", "--to", "verl", "--out", "d.parquet", cwd=run)
    rows = ("export-data", "completions.jsonl", "--to", "healthbench", "--out", "hb.jsonl")
    assert "--rules" in autorule(*rows, cwd=run, code=2)
    autorule(*rows, "--rules", "rules.json", cwd=run)
    assert len(json.loads((run / "hb.jsonl").read_text().splitlines()[0])["rubrics"]) == 2
    (run / "odd.jsonl").write_text('{"prompt": "a"}\n{"question": "b"}\n')
    assert "row 2 has no 'prompt'" in autorule(
        "export-data", "odd.jsonl", "--to", "verl", "--out", "o.parquet", cwd=run, code=2
    )
