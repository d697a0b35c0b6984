"""Exports: rule texts survive unchanged in JSON, and are nowhere else."""

import asyncio
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from autorule.errors import ConfigError, InputError, UnscoredError
from autorule.export import TARGETS, export_rule_set
from autorule.export import training_data as data
from autorule.export.rubrics import escape_markdown, healthbench_rows
from autorule.records import RewardRecord
from autorule.rewards.settings import RewardSettings
from autorule.rewards.templated_text import response_of, split_whole_text, turns_of
from autorule.rules.rule_sets import load_rule_set
from tests.conftest import make_completion, make_rule_set, messages

HOSTILE = (
    'Say "it\'s\\n"; </script><img src=x onerror=alert(1)> \x1b[31m $(touch /tmp/pwned) `id` {x} | [a](javascript:b)\n'
    '=HYPERLINK("x")\n"""\nimport os  # 好 \u2028'
)
SETTINGS = RewardSettings.model_validate(
    {"model": {"backend": "scripted", "model": "tests.scripts:by_words"}, "cache": {"enabled": False}}
)


def load(folder, name):
    spec = importlib.util.spec_from_file_location(name, folder / "rule_reward.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its functions can be pickled
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def exported(tmp_path):
    def export(target, *texts, **changes):
        rule_set = make_rule_set(*(texts or ("Mention pears.", "Mention apples.")))
        out = tmp_path / target
        export_rule_set(rule_set, SETTINGS.model_copy(update=changes), target, out)
        return out if target in ("verifiers", "rubric", "markdown", "ms-swift") else load(out, f"exported_{target}")

    return export


@pytest.mark.parametrize("target", TARGETS)
def test_a_hostile_rule_stays_data(tmp_path, target):
    rule_set = make_rule_set(HOSTILE, "=1+1")
    files = export_rule_set(rule_set, SETTINGS, target, tmp_path / "out")
    assert load_rule_set(tmp_path / "out/rule_set.json") == rule_set
    harmless = export_rule_set(make_rule_set("Be kind.", "Be brief."), SETTINGS, target, tmp_path / "harmless")
    for path, other in zip(files, harmless, strict=True):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(text)
        elif path.name != "rules.md":
            assert text == other.read_text(encoding="utf-8"), f"{path.name} depends on the rules"
        if path.name == "rules.md":
            assert not any(mark in text for mark in ("<script", "</script", "\x1b", "](java", "`id`", "\n=HYPER"))


def test_formats_that_hold_the_rules_hold_them_unchanged(exported):
    criteria = json.loads((exported("verifiers", HOSTILE) / "criteria.json").read_text(encoding="utf-8"))
    assert criteria["criteria"][0] | {"name": ""} == {
        "name": "", "text": HOSTILE, "weight": 1.0, "choices": ["no", "yes"],
    }  # fmt: skip
    [requirement] = json.loads((exported("rubric", HOSTILE) / "rubric.json").read_text(encoding="utf-8"))
    assert requirement == {"weight": 1.0, "requirement": HOSTILE}
    [line] = healthbench_rows([(messages("Hi"), make_rule_set(HOSTILE).rules)])
    assert json.loads(line)["rubrics"][0]["criterion"] == HOSTILE


def test_markdown_shows_text_on_one_line():
    assert escape_markdown("a\nb | *c* <i>\x1b[0m") == r"a b \| \*c\* &lt;i&gt;\\x1b\[0m"


def test_an_export_overwrites_nothing(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/file").touch()
    with pytest.raises(ConfigError, match="not an empty folder"):
        export_rule_set(make_rule_set("a"), SETTINGS, "trl", tmp_path / "x")
    with pytest.raises(ConfigError, match="there are trl, axolotl"):
        export_rule_set(make_rule_set("a"), SETTINGS, "trk", tmp_path / "y")


def test_trl(exported):
    module = exported("trl")
    call = {"prompts": ["Name a fruit."] * 3, "completions": ["pears", "FAIL", "plums"], "completion_ids": [[1]] * 3}
    assert module.rule_reward(**call) == [0.5, None, 0.0]
    assert asyncio.run(module.rule_reward_async(**call)) == [0.5, None, 0.0]
    assert pickle.loads(pickle.dumps(module.rule_reward)) is module.rule_reward
    with pytest.raises(ConfigError, match="no rule of the set has an aspect"):
        _ = module.rule_reward_style


def test_verl_returns_the_same_keys_in_every_call(exported):
    module = exported("verl", on_unscored=-1.0)
    turns = [{"role": "user", "content": "Name a fruit."}]
    replies = [
        asyncio.run(module.compute_score("rules", text, "", {"prompt": turns, "index": 3}, reward_router_address="x"))
        for text in ("pears", "FAIL")
    ]
    assert [reply["score"] for reply in replies] == [0.5, -1.0]
    assert list(replies[0]) == list(replies[1])
    assert all(isinstance(value, float) for reply in replies for value in reply.values())
    with pytest.raises(KeyError, match="export-data"):
        module.compute_score_sync("rules", "pears", "", {})


def test_a_trainer_that_knows_no_unscored_gets_an_error(exported):
    with pytest.raises(UnscoredError):
        exported("verl").compute_score_sync("rules", "FAIL", "", {"prompt": "Name a fruit."})


def test_an_unscored_completion_is_a_number_in_both_places(exported):
    prompt = "<|im_start|>user\nHi<|im_end|>\n"
    answer = exported("openrlhf", on_unscored=-1.0).reward_func([f"{prompt}FAIL"], [prompt], [""])
    assert answer["rewards"] == answer["scores"] == [-1.0]


@pytest.mark.parametrize("target", ["verl", "openrlhf", "slime", "areal"])
def test_dropout_is_refused_where_no_step_is_known(tmp_path, target):
    settings = SETTINGS.model_copy(update={"rule_dropout": 0.5})
    with pytest.raises(ConfigError, match="tells no training step"):
        export_rule_set(make_rule_set("a", "b"), settings, target, tmp_path / "x")


def test_columns_reach_the_shaping(exported):
    step = {"kind": "conciseness", "weight": 1.0, "longest": 4, "outcome_column": "ok"}
    shaping = RewardSettings.model_validate({"shaping": [step]}).shaping
    module = exported("verl", shaping=shaping)
    reply = module.compute_score_sync("rules", "pear", "", {"prompt": "Name a fruit.", "ok": True})
    assert reply["score"] == 0.75


def test_openrlhf(exported):
    module = exported("openrlhf")
    prompt = "<|im_start|>user\nName pears.<|im_end|>\n<|im_start|>assistant\n"
    answer = module.reward_func([f"{prompt}apples<|im_end|>"], [prompt], [""])
    assert answer["rewards"] == answer["scores"] == [1.0]  # the verifier sees prompt and response
    labelled = module.reward_func([f"{prompt}apples"], [prompt], [{"prompt": "Name a fruit."}])
    assert labelled["rewards"] == [0.5]
    with pytest.raises(ConfigError, match="does not begin with its prompt"):
        module.reward_func(["x"], ["y"], [""])


def test_slime_and_areal(exported):
    sample = SimpleNamespace(prompt="Name a fruit.", response="pears", metadata=None)
    slime = exported("slime")
    assert asyncio.run(slime.rule_reward(None, sample)) == {"score": 0.5, "fraction": 0.5}
    assert slime.load() is slime.load()
    assert [r["score"] for r in asyncio.run(slime.rule_reward(None, [sample, sample]))] == [0.5, 0.5]
    areal = exported("areal")
    assert areal.reward_fn("Name a fruit.", "pears<|im_end|>", [1], [2, 3], answer="x") == 0.5


def test_ms_swift(exported, tmp_path, monkeypatch):
    (tmp_path / "swift").mkdir()
    # The names that a plug-in of ms-swift imports; ms-swift itself is not installed here.
    (tmp_path / "swift/rewards.py").write_text("class ORM:\n    def __init__(self, args): pass\norms = {}\n")
    (tmp_path / "swift/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    load(exported("ms-swift"), "exported_ms_swift")
    from swift.rewards import orms

    turns = [{"role": "user", "content": "Name a fruit."}, {"role": "assistant", "content": "pears"}]
    assert orms["rules"](args=None)(["pears", "plums"], messages=[turns, turns], solution=["x", "y"]) == [0.5, 0.0]
    for name in ("swift", "swift.rewards"):
        sys.modules.pop(name)


@pytest.mark.parametrize("target", ["trl", "verl", "openrlhf", "slime", "areal", "ms-swift"])
def test_the_smoke_command_runs(tmp_path, target):
    export_rule_set(make_rule_set("Mention pears."), SETTINGS, target, tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "rule_reward.py"], cwd=tmp_path / "out", capture_output=True, text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0.0" in done.stdout


TEMPLATED = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi\n\nthere<|im_end|>\n"
    "<|im_start|>assistant\n",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi\n\nthere<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "zephyr": "<|system|>\nBe brief.</s>\n<|user|>\nHi\n\nthere</s>\n<|assistant|>\n",
}


@pytest.mark.parametrize("name", TEMPLATED)
def test_turns_are_read_back_out_of_templated_text(name):
    assert turns_of(TEMPLATED[name]) == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi\n\nthere"},
    ]  # fmt: skip


def test_text_without_a_template_is_the_prompt():
    assert turns_of("Just text.") == "Just text."
    quoting = "What does <|im_start|>user\nHi<|im_end|> mean?"
    assert turns_of(quoting) == quoting
    llama = f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{quoting}<|eot_id|>"
    assert turns_of(llama) == [{"role": "user", "content": quoting}]


@pytest.mark.parametrize("opening", ["", "<think>\n", "<think>\n\n</think>\n\n"])
def test_the_opening_of_the_answer_is_no_turn(opening):
    prompt = f"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{opening}"
    assert turns_of(prompt) == [{"role": "user", "content": "Hi"}]


def test_end_tokens_are_taken_off_in_a_time_that_grows_with_the_text():
    assert response_of("a" + "\n" * 400_000 + "x") == "a" + "\n" * 400_000 + "x"
    assert response_of("a" + "</s>\n" * 3) == "a"


def test_what_stands_inside_a_response_stays():
    assert response_of("Yes<|im_end|> is a token<|im_end|>\n</s>") == "Yes<|im_end|> is a token"
    with pytest.raises(ConfigError, match="no templated conversation"):
        split_whole_text("Just text.")


def scored(*rewards):
    """Completions of one prompt with these rewards."""
    for row, reward in enumerate(rewards, 1):
        completion = make_completion(text=f"Answer {row}.", row=row)
        yield completion, RewardRecord(
            completion_id=completion.completion_id, row=row, reward=reward, fraction=reward, satisfied_fraction=reward,
            n_satisfied=0, n_scored=1, n_not_applicable=0, n_unscored=0,
        )  # fmt: skip


def test_preferences_take_the_best_against_the_worst():
    [pair] = data.preferences(scored(0.5, None, 0.25, 1.0), margin=0.0)
    assert (pair.chosen[0].content, pair.rejected[0].content, pair.margin) == ("Answer 4.", "Answer 3.", 0.75)
    assert len(list(data.preferences(scored(0.5, None, 0.25, 1.0), 0.0, every_pair=True))) == 3
    assert len(list(data.preferences(scored(0.5, None, 0.25, 1.0), 0.5, every_pair=True))) == 2
    assert list(data.preferences(scored(0.5, 0.5), 0.0)) == []


def test_preference_layouts():
    [pair] = data.preferences(scored(0.0, 1.0), 0.0)
    user = [{"role": "user", "content": "Name a fruit."}]
    better, worse = ([{"role": "assistant", "content": f"Answer {n}."}] for n in (2, 1))
    assert data.trl_row(pair) == {"prompt": user, "chosen": better, "rejected": worse, "margin": 1.0}
    ranked = [{"rank": 0, "completion": better}, {"rank": 1, "completion": worse}]
    assert data.nemo_rl_row(pair) == {"context": user, "completions": ranked, "task_name": "rules"}
    assert data.llama_factory_row(pair)["chosen"] == {"from": "gpt", "value": "Answer 2."}


def test_nothing_to_write_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match="nothing to write"):
        data.write_jsonl(tmp_path / "x.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_verl_data_holds_the_prompt_for_the_reward(tmp_path, exported):
    import pyarrow.parquet as pq

    prompts = [(messages("Name a fruit."), {"rules": [make_rule_set("Mention pears.").rules[0].rule_id]})]
    assert data.write_parquet(tmp_path / "d.parquet", data.verl_rows(prompts, "rules", "train")) == 1
    [row] = pq.read_table(tmp_path / "d.parquet").to_pylist()
    assert row["reward_model"] == {"style": "rule", "ground_truth": ""}
    reply = exported("verl").compute_score_sync(row["data_source"], "pears", "", row["extra_info"])
    assert reply["score"] == 1.0  # of the one rule that applies
