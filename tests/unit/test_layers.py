import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}\nprint(' '.join(m for m in sys.modules if '.' not in m))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import autorule",
        "import autorule.commands.cli",
        "import autorule.rules.rule_sets",
        "import autorule.rewards.rule_reward",
        "import autorule.backends.openai_compatible",
    ],
)
def test_the_library_loads_neither_torch_nor_prefect(statement):
    assert modules_after(statement).isdisjoint(
        {"torch", "transformers", "prefect", "vllm", "pandas", "pyarrow", "sklearn"}
    )


HEAVY = {"numpy", "torch", "prefect", "scipy", "pandas", "pyarrow", "sklearn", "aiohttp"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["rules", "--help"], ["audit", "--help"]])
def test_what_shows_a_help_text_loads_nothing_heavy(arguments):
    statement = (
        f"import sys; sys.argv = ['autorule', *{arguments!r}]; from contextlib import redirect_stdout, suppress; "
        "from io import StringIO; from autorule.commands.cli import main\n"
        "with suppress(SystemExit), redirect_stdout(StringIO()): main()\n"
    )
    assert modules_after(statement).isdisjoint(HEAVY)


def test_the_list_of_commands_needs_no_config():
    assert modules_after("import autorule.commands.cli").isdisjoint({*HEAVY, "pydantic"})


def test_a_file_that_is_missing_is_told_before_prefect_is_loaded(tmp_path):
    statement = (
        "import sys; sys.argv = ['autorule', 'evaluate', 'nowhere.json', 'nowhere.jsonl']\n"
        "from contextlib import suppress\n"
        "from autorule.commands.cli import main\n"
        "with suppress(SystemExit): main()\n"
    )
    assert modules_after(statement).isdisjoint({"prefect", "torch"})


def test_the_list_of_commands_says_what_their_own_help_says():
    from autorule.commands.cli import COMMANDS
    from autorule.commands.late import load

    for late in COMMANDS:
        assert " ".join((load(late).help or "").split("\n\n")[0].split()) == late.help


def test_every_deployment_names_a_flow_that_loads():
    import yaml
    from prefect.flows import load_flow_from_entrypoint

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    names = [
        load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False).name
        for deployment in deployments
    ]
    assert names == [
        "extract-rules", "repeat-extraction", "score-completions", "evaluate-rules", "export-rules", "refresh-rules",
    ]  # fmt: skip


def lint_imports(tmp_path, **wrong):
    """What the contracts say of the tree as it installs, with a line more in each of the modules named."""
    tree = tmp_path / "autorule"
    shutil.copytree(ROOT / "autorule", tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for module, line in wrong.items():
        path = tree / (module.replace("__", "/") + ".py")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", ROOT / "pyproject.toml"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


def test_the_contracts_hold(tmp_path):
    done = lint_imports(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("rules__text", "from autorule.evaluation.reading import read_matrix", "Wings stand in layers BROKEN"),
        ("preferences__reading", "def late():\n    import autorule.rules.text", "Wings stand in layers BROKEN"),
        ("records", "from autorule.flows import extract_rules", "Wings stand in layers BROKEN"),
        ("rules__text", "from autorule.rules.editing import changed", "No circle between wings or files BROKEN"),
    ],
)
def test_a_wrong_import_breaks_the_contract(tmp_path, module, line, contract):
    done = lint_imports(tmp_path, **{module: line})
    assert done.returncode == 1
    assert contract in done.stdout


def test_a_wing_that_no_contract_names_is_refused(tmp_path):
    done = lint_imports(tmp_path, attic="")
    assert done.returncode == 1 and "attic" in done.stdout


def test_every_package_is_installed():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "autorule").rglob("__init__.py")}
    assert set(named) == there | {"autorule.flows", "autorule.tasks", "autorule.prompts"}


def test_few_files_stand_outside_the_wings():
    assert len(list((ROOT / "autorule").glob("*.py"))) <= 8


def test_a_library_module_that_imports_prefect_fails_the_lint():
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "autorule/extraction/synthesis.py", "-"]
    result = subprocess.run(command, input="import prefect\n\nprefect.flow\n", cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "TID251" in result.stdout
