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
        "import autorule.cli",
        "import autorule.rule_sets",
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
        "from io import StringIO; from autorule.cli import main\n"
        "with suppress(SystemExit), redirect_stdout(StringIO()): main()\n"
    )
    assert modules_after(statement).isdisjoint(HEAVY)


def test_the_list_of_commands_needs_no_config():
    assert modules_after("import autorule.cli").isdisjoint({*HEAVY, "pydantic"})


def test_a_file_that_is_missing_is_told_before_prefect_is_loaded(tmp_path):
    statement = (
        "import sys; sys.argv = ['autorule', 'evaluate', 'nowhere.json', 'nowhere.jsonl']\n"
        "from contextlib import suppress\n"
        "from autorule.cli import main\n"
        "with suppress(SystemExit): main()\n"
    )
    assert modules_after(statement).isdisjoint({"prefect", "torch"})


def test_the_list_of_commands_says_what_their_own_help_says():
    from autorule.cli import COMMANDS
    from autorule.late_commands import load

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


def test_the_layers_are_guarded_by_the_linter():
    banned = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"][
        "banned-api"
    ]
    assert {"prefect", "autorule.flows", "autorule.tasks"} <= banned.keys()


def test_a_library_module_that_imports_prefect_fails_the_lint():
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "autorule/synthesis.py", "-"]
    result = subprocess.run(command, input="import prefect\n\nprefect.flow\n", cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "TID251" in result.stdout
