"""The wheel with its base dependencies, in an empty environment: what a trainer's environment installs."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import make_rule_set
from tests.integration.scripted_server import ScriptedServer

ROOT = Path(__file__).parents[2]

CODE = """
import importlib.util, sys
assert not any(importlib.util.find_spec(name) for name in ("torch", "prefect", "transformers", "pandas"))
from autorule.prompting import load_prompt
from autorule.rules.rule_sets import load_rule_set
print(len(load_rule_set(sys.argv[1]).rules), load_prompt("mining").name)
"""

REWARD = """
import json, sys
from autorule.rewards import RuleReward
model = {"backend": "openai_compatible", "model": "verifier", "base_url": sys.argv[2]}
reward = RuleReward(sys.argv[1], model)
print(json.dumps(reward(prompts=["Name a fruit."] * 2, completions=["Pear.", "A red apple."])))
"""


@pytest.mark.long
def test_the_base_install_reads_rule_sets_and_prompts(tmp_path):
    shutil.rmtree(ROOT / "build/lib", ignore_errors=True)  # what an earlier build left would go into the wheel
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty/bin/python"
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("It should be short.")), encoding="utf-8")
    result = subprocess.run([python, "-c", CODE, rules], capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.split() == ["1", "mining"], result.stderr
    with ScriptedServer() as verifier:
        reward = subprocess.run(
            [python, "-c", REWARD, rules, verifier.base_url], capture_output=True, text=True, cwd=tmp_path
        )
    assert reward.returncode == 0, reward.stderr
    assert set(json.loads(reward.stdout)) <= {0.0, 1.0} and len(json.loads(reward.stdout)) == 2
    pairs = ROOT / "examples/sample_pairs.jsonl"
    extract = subprocess.run(
        [tmp_path / "empty/bin/autorule", "extract", pairs, "--backend", "scripted", "--model", "x:y"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert extract.returncode == 2
    assert "pip install 'autorule[flows]'" in extract.stderr
