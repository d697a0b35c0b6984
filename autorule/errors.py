"""What can go wrong, by the boundary that was crossed.

Everything a user can mend derives from AutoruleError, whose text is one line and says the fix; the command line
prints it without a trace. What goes wrong with one request of many is not an exception but a Failure record.
"""

from typing import Any

SAID_CHARS = 200


def in_words(error: Exception) -> str:
    """What an exception of Python or a package says, as part of a line; of several faults of a record, the first."""
    said: Any = getattr(error, "strerror", None) or str(error)
    if callable(faults := getattr(error, "errors", None)):  # pydantic's
        first = faults()[0]
        said = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
    elif isinstance(error, KeyError):
        said = f"{said} is not there"
    return " ".join(said.split())[:SAID_CHARS] or type(error).__name__


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


class AutoruleError(Exception):
    """A problem that the user can mend; the message names the thing, the value and the fix."""


class ConfigError(AutoruleError):
    """A setting is impossible, or two settings contradict each other."""


class InputError(AutoruleError):
    """An input file is missing, empty, unreadable or in an unknown layout."""


class RuleSetError(AutoruleError):
    """A rule set file can't be read, or does not fit this version."""


class NothingKeptError(RuleSetError):
    """A selection keeps no rule: a finding about the rules, with the figures that it was found by."""

    def __init__(self, message: str, weightings: Any) -> None:
        super().__init__(message)
        self.weightings = weightings


class PromptError(AutoruleError):
    """A prompt file is malformed, or its placeholders and the values given do not match."""


class BackendError(AutoruleError):
    """A model can't be reached or loaded at all, so that no request could succeed."""


class MissingExtraError(AutoruleError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'autorule[{extra}]'")


class UnscoredError(AutoruleError):
    """A completion has no reward, and its trainer knows no unscored ones.

    `final`: asking again would change nothing, since no rule applies.
    """

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class RunFailedError(AutoruleError):
    """A run ended without all its results; what it finished is on disk and in the cache."""


class BudgetSpentError(RunFailedError):
    """A run stopped because it may spend no more; what it finished is on disk and in the cache."""


class ParseError(Exception):
    """A model's answer is not what its prompt asked for. Becomes a Failure record, never a default value."""
