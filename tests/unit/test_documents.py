"""What documents say of the code: paths that are there, and a map of the house that is true."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "prompts/README.md", "outputs/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
_, MAP, WAY = re.findall(r"^```\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S)
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
LAYERS = TOOLS["importlinter"]["contracts"][0]["layers"]
WINGS = [layer.split(" | ") for layer in LAYERS]
RANK = {wing: rank for rank, wings in enumerate(WINGS) for wing in wings}
"""0 stands at the top."""


def imports():
    """(wing that imports, wing that is imported)."""
    folders = {"autorule": ROOT / "autorule", "autorule.flows": ROOT / "flows", "autorule.tasks": ROOT / "tasks"}
    for package, folder in folders.items():
        for path in folder.rglob("*.py"):
            own = (package, *path.relative_to(folder).with_suffix("").parts)
            wing = ".".join(own).split(".")[1]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autorule"):
                    named = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                    yield from ((wing, other) for other in named if other != wing)


IMPORTS = set(imports())
WAYS = [
    (one, other)
    for chain in re.findall(r"\w+(?: → \w+)+", WAY)
    for one, other in zip(chain.split(" → "), chain.split(" → ")[1:], strict=False)
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_path_that_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/.])(?:autorule|flows|tasks|prompts|tests|benchmarks|docs|examples)/[\w./-]*\w", text)
    named += [path.replace(".", "/") + ".py" for path in re.findall(r"-m (autorule\.[\w.]*\w)", text)]
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_import_that_a_document_shows_works(document):
    for line in re.findall(r"^\s*(from autorule[\w.]* import .*)$", document.read_text(encoding="utf-8"), re.MULTILINE):
        exec(line, {})


def test_the_map_shows_the_layers_as_they_are_held():
    shown = [re.split(r"  +", line)[0] for line in MAP.splitlines()]
    assert shown == [layer for layer in LAYERS if layer != "__main__"]


def test_the_way_of_a_pair_and_of_a_rule_is_drawn():
    on_it = {wing for way in WAYS for wing in way}
    assert {"preferences", "extraction", "rules", "verification", "rewards", "evaluation", "serving"} <= on_it


@pytest.mark.parametrize(("caller", "called"), sorted(set(WAYS)))
def test_an_arrow_is_true_of_the_code_and_allowed_by_the_contract(caller, called):
    assert RANK[caller] < RANK[called]
    assert (caller, called) in IMPORTS
