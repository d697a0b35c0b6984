"""How many steps a backtracking matcher takes for a pattern on a text, as Python's own does them but for its shortcuts.

Steps, not seconds: they are the same on every machine, and grow with the square of the text where a pattern does.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from re import _constants as op
from re import _parser
from typing import Any

DEEPEST = 50_000
"""Frames of Python, for as long as a pattern is run: deep JSON must go on to be refused in the tests after it."""
CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
}
CATEGORIES |= {
    op.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    op.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    op.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}
OF_ONE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
"""What takes one character."""
Then = Callable[[int], bool]


@contextmanager
def deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Steps:
    """`Steps(pattern).of(text)`: the steps of finding all matches, or of matching at the beginning."""

    def __init__(self, pattern: "re.Pattern[Any]") -> None:
        source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        self._nodes = list(_parser.parse(source, pattern.flags & ~re.DEBUG))
        self._flags = pattern.flags
        self._text = ""
        self._groups: dict[int, Any] = {}
        self.n = 0

    def of(self, text: str, at_the_beginning: bool = False) -> int:
        with deep_recursion():
            return self._count(text, at_the_beginning)

    def _count(self, text: str, at_the_beginning: bool) -> int:
        self._text, self._groups, self.n = text, {}, 0
        start = 0
        while start <= len(text):
            end = self._match(start)
            if at_the_beginning:
                break
            start = end if end is not None and end > start else start + 1
        return self.n

    def first(self, text: str) -> tuple[int, int] | None:
        """Where the first match begins and ends."""
        self._text, self._groups, self.n = text, {}, 0
        ends = ((start, self._match(start)) for start in range(len(text) + 1))
        return next(((start, end) for start, end in ends if end is not None), None)

    def _match(self, start: int) -> int | None:
        found: list[int] = []
        return found[-1] if self._run(self._nodes, 0, start, lambda end: found.append(end) or True) else None

    def _run(self, nodes: Any, index: int, at: int, then: Then) -> bool:
        self.n += 1
        if index == len(nodes):
            return then(at)
        kind, value = nodes[index]
        if kind in OF_ONE:
            return self._takes(kind, value, at) and self._run(nodes, index + 1, at + 1, then)
        return bool(
            getattr(self, f"_{str(kind).lower()}")(value, at, lambda end: self._run(nodes, index + 1, end, then))
        )

    def _branch(self, value: Any, at: int, rest: Then) -> bool:
        return any(self._run(branch, 0, at, rest) for branch in value[1])

    def _subpattern(self, value: Any, at: int, rest: Then) -> bool:
        group, _, _, nodes = value

        def closed(end: int) -> bool:
            before = self._groups.get(group)
            self._groups[group] = (at, end)
            if rest(end):
                return True
            self._groups[group] = before
            return False

        return self._run(nodes, 0, at, closed)

    def _max_repeat(self, value: Any, at: int, rest: Then) -> bool:
        least, most, nodes = value
        if len(nodes) == 1 and nodes[0][0] in OF_ONE:
            return any(self._step(rest, at + n) for n in range(self._run_of(value, at), least - 1, -1))

        def more(n: int, now: int) -> bool:
            def again(end: int) -> bool:
                return end > now and more(n + 1, end)

            return (n < most and self._run(nodes, 0, now, again)) or (n >= least and rest(now))

        return more(0, at)

    def _min_repeat(self, value: Any, at: int, rest: Then) -> bool:
        least, most, nodes = value
        if len(nodes) == 1 and nodes[0][0] in OF_ONE:
            n = 0
            while n < least or not self._step(rest, at + n):
                if n >= most or not self._takes(*nodes[0], at + n):
                    return False
                n += 1
            return True

        def more(n: int, now: int) -> bool:
            return (n >= least and rest(now)) or (
                n < most and self._run(nodes, 0, now, lambda end: end > now and more(n + 1, end))
            )

        return more(0, at)

    def _possessive_repeat(self, value: Any, at: int, rest: Then) -> bool:
        least, most, nodes = value
        n, now = 0, at
        while n < most and (end := self._alone(nodes, now)) is not None and end > now:
            n, now = n + 1, end
        return n >= least and rest(now)

    def _atomic_group(self, nodes: Any, at: int, rest: Then) -> bool:
        return (end := self._alone(nodes, at)) is not None and rest(end)

    def _assert(self, value: Any, at: int, rest: Then) -> bool:
        return self._looks(value, at) and rest(at)

    def _assert_not(self, value: Any, at: int, rest: Then) -> bool:
        return not self._looks(value, at) and rest(at)

    def _looks(self, value: Any, at: int) -> bool:
        direction, nodes = value
        if direction > 0:
            return self._alone(nodes, at) is not None
        start = at - nodes.getwidth()[0]
        return start >= 0 and self._run(nodes, 0, start, lambda end: end == at)

    def _groupref(self, group: int, at: int, rest: Then) -> bool:
        if self._groups.get(group) is None:
            return False
        begin, end = self._groups[group]
        same = self._text[begin:end]
        self.n += len(same)
        return self._text[at : at + len(same)].lower() == same.lower() and rest(at + len(same))

    def _at(self, value: Any, at: int, rest: Then) -> bool:
        before, after = self._text[at - 1 : at] if at else "", self._text[at : at + 1]
        word = CATEGORIES[op.CATEGORY_WORD]
        is_boundary = bool(before and word(before)) != bool(after and word(after))
        multiline = bool(self._flags & re.MULTILINE)
        holds = {
            op.AT_BEGINNING: at == 0 or (multiline and before == "\n"),
            op.AT_BEGINNING_STRING: at == 0,
            op.AT_END: not after or (after == "\n" and (multiline or at == len(self._text) - 1)),
            op.AT_END_STRING: not after,
            op.AT_BOUNDARY: is_boundary,
            op.AT_NON_BOUNDARY: not is_boundary,
        }[value]
        return holds and rest(at)

    def _alone(self, nodes: Any, at: int) -> int | None:
        """Where the first match of the nodes ends."""
        found: list[int] = []
        return found[-1] if self._run(nodes, 0, at, lambda end: found.append(end) or True) else None

    def _step(self, rest: Then, at: int) -> bool:
        self.n += 1
        return rest(at)

    def _run_of(self, value: Any, at: int) -> int:
        _, most, nodes = value
        n = 0
        while n < most and self._takes(*nodes[0], at + n):
            n += 1
        return n

    def _takes(self, kind: Any, value: Any, at: int) -> bool:
        self.n += 1
        if at >= len(self._text):
            return False
        char = self._text[at]
        cases = {char, char.lower(), char.upper()} if self._flags & re.IGNORECASE else {char}
        if kind is op.ANY:
            return char != "\n" or bool(self._flags & re.DOTALL)
        if kind is op.LITERAL:
            return any(ord(one) == value for one in cases if len(one) == 1)
        if kind is op.NOT_LITERAL:
            return all(ord(one) != value for one in cases if len(one) == 1)
        negated = value[0][0] is op.NEGATE
        return any(is_in(one, value) for one in cases if len(one) == 1) != negated


def is_in(char: str, members: Any) -> bool:
    for kind, value in members:
        if kind is op.LITERAL and ord(char) == value:
            return True
        if kind is op.RANGE and value[0] <= ord(char) <= value[1]:
            return True
        if kind is op.CATEGORY and CATEGORIES[value](char):
            return True
    return False


def pieces(nodes: Any) -> set[str]:
    """What the pattern looks for: its runs of literals, and a character of each set."""
    found, run = set(), ""
    for kind, value in [*nodes, (None, None)]:
        if kind is op.LITERAL:
            run += chr(value)
            continue
        found, run = found | ({run, run[0], run[-1]} if run else set()), ""
        if kind is op.IN:
            found |= {char for char in " a1.-\n`*\"'_" if is_in(char, value) != (value[0][0] is op.NEGATE)}
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            found |= pieces(value[2])
        elif kind is op.SUBPATTERN:
            found |= pieces(value[3])
        elif kind is op.BRANCH:
            found |= set().union(*(pieces(branch) for branch in value[1]))
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            found |= pieces(value[1])
        elif kind is op.ATOMIC_GROUP:
            found |= pieces(value)
    return found
