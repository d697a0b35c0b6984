"""Every pattern of the library takes a number of steps that grows with the text, not with its square."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from re import _parser

import pytest

import autorule
from tests.pattern_steps import Steps, pieces

ROOT = Path(__file__).parents[2]
AT_THE_BEGINNING = {"match", "fullmatch"}
COMMON = (" ", "\n", "a", "1", ".", "-", "`", '"', " \n", "a ", "a. ", "A b ")
N = 60
MOST_PUMPS = 20


def held_in(value):
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from held_in(one)
    elif isinstance(value, dict):
        yield from held_in(list(value.values()))


def named_patterns():
    """The patterns that modules hold, and the methods that are called under their names."""
    for module in pkgutil.walk_packages(autorule.__path__, "autorule."):
        if module.name.endswith("__main__"):
            continue
        try:
            loaded = importlib.import_module(module.name)
        except ImportError:  # of an extra that is not there
            continue
        source = Path(loaded.__file__).read_text(encoding="utf-8")
        for name, value in vars(loaded).items():
            for number, pattern in enumerate(held_in(value)):
                methods = set(re.findall(rf"\b{name}\.(\w+)\(", source)) if pattern is value else set()
                yield f"{module.name}.{name}[{number}]", pattern, methods


def unnamed_patterns():
    """The patterns that stand where they are used."""
    for path in [path for own in ("autorule", "flows", "tasks") for path in sorted((ROOT / own).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "re"
                and node.func.attr not in ("compile", "escape")
                and isinstance(node.args[0], ast.Constant)
            ):
                flags = [ast.unparse(one) for one in [*node.args[1:], *(k.value for k in node.keywords)]]
                flags = re.NOFLAG if not any("MULTILINE" in flag for flag in flags) else re.MULTILINE
                yield f"{path.relative_to(ROOT)}:{node.lineno}", re.compile(node.args[0].value, flags), {node.func.attr}


PATTERNS = {
    name: (pattern, methods) for found in (named_patterns, unnamed_patterns) for name, pattern, methods in found()
}


def test_the_patterns_are_found():
    assert len(PATTERNS) > 50


def pumps_for(pattern):
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    own = sorted(pieces(_parser.parse(source, pattern.flags & ~re.UNICODE)), key=lambda piece: (len(piece), piece))
    pairs = [one + other for one in own[:5] for other in own[:5] if one != other]
    return list(dict.fromkeys([*COMMON, *own[-MOST_PUMPS:], *pairs]))


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_steps_that_grow_with_the_text(name):
    pattern, methods = PATTERNS[name]
    steps, at_the_beginning = Steps(pattern), bool(methods) and methods <= AT_THE_BEGINNING
    for pump in pumps_for(pattern):
        for head, tail in (("", "\0"), ("a", "x")):
            n_times = max(2, N // len(pump))
            short, long = (head + pump * n + tail for n in (n_times, 2 * n_times))
            n, twice = steps.of(short, at_the_beginning), steps.of(long, at_the_beginning)
            assert twice <= 2.6 * n + 20, (pump, tail, n, twice)


@pytest.mark.parametrize(
    ("source", "is_linear"),
    [
        (r"\s+$", False), (r"(?<!\s)\s+$", True), (r"\s*\nx", False), (r"a*ab", False), (r"<!--.*?-->", False),
        (r"(?:a|b)*+c", False), (r"\ba*+c", True), (r"a{1,20}b", True), (r"^a+b", True), (r"\b(\w++)\W+\1$", True),
    ],
)  # fmt: skip
def test_the_count_tells_squares_from_lines(source, is_linear):
    pattern = re.compile(source, re.DOTALL)
    texts = [(pump * N + "\0", pump * 2 * N + "\0") for pump in (" ", "\n", "a", "ab", "<!--", "a ")]
    counts = [(Steps(pattern).of(short), Steps(pattern).of(long)) for short, long in texts]
    assert all(twice <= 2.6 * n + 20 for n, twice in counts) == is_linear


@pytest.mark.parametrize("name", PATTERNS)
def test_the_counting_matcher_finds_what_python_finds(name):
    pattern, _ = PATTERNS[name]
    for pump in pumps_for(pattern)[:MOST_PUMPS]:
        text = f"a {pump}{pump}b\n{pump} c"
        found = pattern.search(text) if isinstance(pattern.pattern, str) else pattern.search(text.encode())
        assert Steps(pattern).first(text) == (found and found.span()), text
