"""What an exception says is never empty, wherever it is told."""

import ast
import asyncio
from pathlib import Path

import aiohttp
import pytest

from autorule.errors import first_line, in_words, with_kind

ROOT = Path(__file__).parents[2]
SAY_SOMETHING = {"json.JSONDecodeError", "csv.Error"}


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(), asyncio.CancelledError(), aiohttp.ServerTimeoutError(), aiohttp.ClientError(), KeyError(),
        ValueError(""), AssertionError(), OSError(), NotImplementedError("\n"), KeyboardInterrupt(), MemoryError(),
    ],
)  # fmt: skip
def test_an_exception_without_words_is_told_by_its_name(error):
    for told in (in_words(error), with_kind(error), first_line(error)):
        assert type(error).__name__ in told or "is not there" in told
        assert "\n" not in told and not told.endswith(": ")


def test_a_time_out_is_told_as_one():
    assert in_words(TimeoutError()) == "it took too long (TimeoutError)"
    assert in_words(TimeoutError("after 3 s")) == "after 3 s"
    assert with_kind(ValueError("no such day")) == "ValueError: no such day"


def test_exceptions_of_others_are_told_by_the_one_function_that_has_words_for_all():
    ours = {node.name for path in files() for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)}
    told = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files()
        for handler in ast.walk(parsed(path))
        if isinstance(handler, ast.ExceptHandler) and handler.name and not caught(handler) <= ours | SAY_SOMETHING
        for node in ast.walk(handler)
        if says(node, handler.name) and node not in alternatives(handler)
    ]
    assert told == []


def files():
    return [path for name in ("autorule", "tasks", "flows") for path in (ROOT / name).rglob("*.py")]


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def caught(handler):
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) for kind in kinds}


def alternatives(handler):
    """What is used only where it is not empty: `str(error) or "no reply"`."""
    return [part for node in ast.walk(handler) if isinstance(node, ast.BoolOp) for part in ast.walk(node)]


def says(node, name):
    """Whether the code puts the exception of this name into text as it is."""
    if isinstance(node, ast.FormattedValue):
        return isinstance(node.value, ast.Name) and node.value.id == name
    if not isinstance(node, ast.Call):
        return False
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    given = [one.id for one in node.args if isinstance(one, ast.Name)]
    return name in given and called in {"str", "repr", "info", "warning", "error", "debug"}
