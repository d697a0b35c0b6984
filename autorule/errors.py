"""What can go wrong, by the boundary that was crossed.

Everything a user can mend derives from AutoruleError, whose text is one line and says the fix; the command line
prints it without a trace. What goes wrong with one request of many is not an exception but a Failure record.
"""

import errno
from typing import Any, Self

SAID_CHARS = 200


def in_words(error: BaseException) -> str:
    """What an exception of Python or a package says, as part of a line; of several faults of a record, the first. Never
    empty: many say nothing but what they are."""
    said: Any = getattr(error, "strerror", None) or str(error)
    if callable(faults := getattr(error, "errors", None)):  # pydantic's
        first = faults()[0]
        said = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
    elif isinstance(error, KeyError):
        said = f"{said} is not there"
    elif isinstance(error, TimeoutError) and not said:
        said = f"it took too long ({type(error).__name__})"
    return " ".join(said.split())[:SAID_CHARS] or type(error).__name__


def with_kind(error: BaseException) -> str:
    """What an unforeseen exception is and all that it says: `ValueError: no such day`."""
    said = str(error).strip() or in_words(error)
    kind = type(error).__name__
    return said if said == kind else f"{kind}: {said}"


def first_line(error: BaseException) -> str:
    """The same of packages that say much in many lines."""
    return str(error).strip().partition("\n")[0] or in_words(error)


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


class AutoruleError(Exception):
    """A problem that the user can mend; the message names the thing, the value and the fix."""


class ConfigError(AutoruleError):
    """A setting is impossible, or two settings contradict each other."""


class DiskError(ConfigError, OSError):
    """A file or folder that can't be written or is gone. It has the arguments of an OSError: number, words, file."""

    @classmethod
    def of(cls, error: OSError, path: Any = None) -> Self:
        """The same fault, of `path` where that is given."""
        named = error.filename if path is None else path
        return cls(error.errno or 0, in_words(error), None if named is None else str(named))

    def __str__(self) -> str:
        where = "" if self.filename is None else f"{self.filename}: "
        return f"{where}{self.strerror}; {DISK_FIXES.get(self.errno or 0, 'mend that, or choose another place')}"


DISK_FIXES = {
    errno.ENOSPC: "free space on its disk",
    errno.EDQUOT: "free space: your quota on its disk is used up",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENOENT: "it is gone, or its folder is: put it back, or choose another place",
    errno.ENOTDIR: "part of its path is a file: choose another place",
    errno.EISDIR: "it is a folder: move it away, or choose another place",
    errno.EEXIST: "something else stands there: move it away, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "let your user write there, or choose another place",
    errno.EPERM: "let your user write there, or choose another place",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "it is a link, which might lead to what belongs to others: remove it",
    errno.EIO: "its disk fails: choose another place",
    errno.ESTALE: "its disk went away: mount it again, or choose another place",
}
"""Faults of disks and folders, and what a user can do."""


class CacheError(ConfigError):
    """The file of answers can't be used."""


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

    `final`: asking again would change nothing: no rule applies, or the completion holds what can't be judged.
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
