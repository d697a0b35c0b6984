"""The folder of a name.

    REGISTRY/NAME/v0001/rule_set.json   a version, which never changes
    REGISTRY/NAME/current.json          which version is current
    REGISTRY/NAME/history.jsonl         what was done, when, by whom and why

The order of the steps makes every state between them readable. A version is taken by making its folder, which one
process alone can do on any file system; its file is whole before any event names it. A switch is first an event, then
current.json: one that was cut off between the two is finished by the next command that writes.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from autorule.errors import ConfigError, InputError, RuleSetError, in_words
from autorule.registry.history import SWITCHES, Action, Event, Pointer, append_event, read_events, way_of
from autorule.registry.promotion import Decision
from autorule.registry.versions import sha256_of, take_version, version_folders
from autorule.rules.rule_sets import RuleSet, dump_rule_set, load_rule_set
from autorule.runs.manifest import utc_now
from autorule.storage import open_no_link, write_text

REGISTRY = Path("outputs/registry")
RULE_SET = "rule_set.json"
CURRENT = "current.json"
HISTORY = "history.jsonl"
LOCK = ".lock"
FIRST = "the first version: nothing was compared"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Published(NamedTuple):
    version: str
    is_new: bool
    """False: this content was published before."""
    is_current: bool


class RuleSetRegistry:
    """The versions of one name. Reading needs no lock; commands that write wait for each other."""

    def __init__(self, registry: Path, name: str) -> None:
        """Nothing is made on disk. Raises ConfigError for a name that is no plain folder name."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"name {name!r:.80}: take up to 64 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or a digit"
            )
        self.name = name
        self.folder = registry / name

    def check_known(self) -> None:
        """Raises InputError when nothing was ever published under the name."""
        if not self.versions():
            raise InputError(
                f"{self.folder.parent} has no rule set {self.name!r}; publish one: "
                f"autorule registry publish {self.name} RULE_SET --reason ..."
            )

    def versions(self) -> list[str]:
        """All versions, oldest first. A folder without a rule set is of a command that was cut off, and is none."""
        return [version for version in version_folders(self.folder) if (self.folder / version / RULE_SET).exists()]

    def history(self) -> list[Event]:
        """Oldest first. Raises InputError for a broken file."""
        return read_events(self.folder / HISTORY)

    def current(self) -> Pointer | None:
        """The current version; None where there is none. Where current.json is gone or torn, the history tells.

        Raises InputError when neither can be read.
        """
        return self._pointer() or self._switched_to()

    def known_current(self) -> Pointer:
        """The current version. Raises InputError where there is none, and as `current` does."""
        self.check_known()
        pointer = self.current()
        if pointer is None:
            raise InputError(
                f"{self.folder} has no current version; its versions are {', '.join(self.versions())}: make one "
                f"current with autorule registry rollback {self.name} --to VERSION --reason ..."
            )
        return pointer

    def unfinished(self) -> Pointer | None:
        """The version that a command made current without living to write it down; None where all is well."""
        told = self._switched_to()
        return None if told == self._pointer() else told

    def path(self, version: str | None = None) -> Path:
        """The file of a version, or of the current one, with the content that was published.

        Raises InputError for an unknown version, RuleSetError when its file is not what was published.
        """
        if version is None:
            pointer = self.known_current()
            return self._checked(pointer.version, pointer.sha256)
        self.check_known()
        return self._checked(version)

    def load(self, version: str | None = None) -> RuleSet:
        """The rule set of a version, or of the current one. Raises as `path` and `load_rule_set` do."""
        return load_rule_set(self.path(version))

    def pointed(self, pointer: Pointer) -> RuleSet:
        """The rule set of a pointer. Raises RuleSetError when the file is another, InputError when it is gone."""
        return load_rule_set(self._checked(pointer.version, pointer.sha256))

    def publish(self, rule_set: RuleSet, by: str, reason: str, run: str | None = None) -> Published:
        """Keeps a rule set as a version. The first one becomes current; later ones wait for a promotion.

        The same content again is the same version, and no event. Raises ConfigError when the folder can't be written
        and for an empty reason.
        """
        with self.writing(by, reason):
            version, is_new = self.keep(rule_set, by, reason)
            if self.current() is None:
                self.note("promoted", version, by, FIRST, run=run)
            return Published(version, is_new, self.current_version() == version)

    def roll_back(self, to: str | None, by: str, reason: str) -> Event:
        """Makes an earlier version current: `to`, or that which was current before. What it did, as an event.

        Raises InputError for an unknown version and where none was current before, ConfigError for the current one.
        """
        self.check_known()
        with self.writing(by, reason):
            version = to if to is not None else self._before()
            self._checked(version)
            if version == self.current_version():
                raise ConfigError(f"{self.name} {version} is current already; name another with --to")
            return self.note("rolled_back", version, by, reason)

    @contextmanager
    def writing(self, by: str, reason: str) -> Iterator[None]:
        """Holds the name for one command, after a switch that was cut off has been finished.

        Raises ConfigError for an empty reason and when the folder can't be written.
        """
        for what, text in (("by", by), ("reason", reason)):
            if not text.strip() or any("\ud800" <= char <= "\udfff" for char in text):
                raise ConfigError(f"{what} {text!r:.80}: say it in words, for those who read the history")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / LOCK, "a", opener=open_no_link) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if (left := self.unfinished()) is not None:
                    self._point(left)
                yield
        except OSError as error:
            raise ConfigError(
                f"registry {self.folder} can't be written: {in_words(error)}; choose another folder"
            ) from error

    def keep(self, rule_set: RuleSet, by: str, reason: str) -> tuple[str, bool]:
        """(version of this content, whether it is new). The caller is `writing`."""
        text = dump_rule_set(rule_set)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        noted = self._published()
        same = (known for known in self.versions() if noted.get(known, sha256) == sha256 == self._sha256(known))
        version = next(same, None)
        is_new = version is None
        if version is None:
            version = take_version(self.folder, [event.version for event in self.history()])
            write_text(self.folder / version / RULE_SET, text)
            with (self.folder / version / RULE_SET).open("rb") as file:
                os.fsync(file.fileno())  # before an event names it
        if version not in noted:
            self.note("published", version, by, reason)
        return version, is_new

    def note(
        self,
        action: Action,
        version: str,
        by: str,
        reason: str,
        decision: Decision | None = None,
        run: str | None = None,
    ) -> Event:
        """Adds an event; one that promotes or rolls back makes the version current. The caller is `writing`."""
        pointer = Pointer(version=version, sha256=self._sha256(version))
        event = Event(
            time=utc_now(), action=action, **pointer.model_dump(), by=by, reason=reason.strip(), decision=decision,
            run=run, current=version if action in SWITCHES else self.current_version(),
        )  # fmt: skip
        append_event(self.folder / HISTORY, event)
        if action in SWITCHES:
            self._point(pointer)
        return event

    def current_version(self) -> str | None:
        pointer = self.current()
        return None if pointer is None else pointer.version

    def _point(self, pointer: Pointer) -> None:
        write_text(self.folder / CURRENT, pointer.model_dump_json() + "\n")

    def _pointer(self) -> Pointer | None:
        """What current.json says; None where it is not there or not whole."""
        try:
            return Pointer.model_validate_json((self.folder / CURRENT).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise InputError(f"{self.folder / CURRENT} can't be read: {error.strerror}") from error

    def _switched_to(self) -> Pointer | None:
        last = next((event for event in reversed(self.history()) if event.action in SWITCHES), None)
        return None if last is None else Pointer(version=last.version, sha256=last.sha256)

    def _before(self) -> str:
        """The version that was current before the present one was. Going back twice goes back two steps."""
        way = way_of(self.history())
        if len(way) < 2:
            raise InputError(f"{self.name}: no version was current before {self.current_version()}; name one with --to")
        return way[-2]

    def _published(self) -> dict[str, str]:
        return {event.version: event.sha256 for event in self.history() if event.action == "published"}

    def _checked(self, version: str, sha256: str | None = None) -> Path:
        """The file of a version that is what was published, by the history unless a hash is given."""
        if version not in self.versions():
            known = ", ".join(self.versions()[-5:])
            raise InputError(f"{self.name} has no version {version!r:.40}; the last ones are {known}")
        path = self.folder / version / RULE_SET
        found, expected = self._sha256(version), sha256 or self._published().get(version)
        if expected is not None and found != expected:
            raise RuleSetError(
                f"{path} was changed since it was published (sha256 {found[:12]}, published was {expected[:12]}); "
                "restore it, or publish the change as a new version"
            )
        return path

    def _sha256(self, version: str) -> str:
        return sha256_of(self.folder / version / RULE_SET)
