"""Answers on disk: one SQLite file that outlives runs and survives a killed process.

WAL mode, and a commit for every answer that arrives: what was committed is never asked for again. The file is for
one machine (SQLite must not be shared over a network file system). Every attempt of a request is kept, with failures,
for the record; which one is served is up to whoever asks.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from autorule.errors import CacheError, in_words

SCHEMA = """
CREATE TABLE IF NOT EXISTS generations (
    key BLOB NOT NULL, attempt INTEGER NOT NULL, stage TEXT NOT NULL, failed INTEGER NOT NULL,
    payload TEXT NOT NULL, used_at INTEGER NOT NULL, PRIMARY KEY (key, attempt));
CREATE TABLE IF NOT EXISTS choices (
    key BLOB PRIMARY KEY, payload TEXT NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS generations_by_use ON generations (used_at);
"""
KEYS_PER_QUERY = 500
DAY_S = 86_400
WRITES_BETWEEN_SIZE_CHECKS = 500
EVICTED_SHARE = 0.1


PAYLOAD = "CAST(payload AS BLOB)"
"""As it stands in the file: whether it can be read is found out by whoever needs it."""


def _number(column: str) -> str:
    """A column of a file that anything may have been written to; 0 for what is no number."""
    return f"CAST({column} AS INTEGER)"


class StoredGeneration(NamedTuple):
    attempt: int
    failed: bool
    payload: bytes


class NewGeneration(NamedTuple):
    key: bytes
    attempt: int
    stage: str
    failed: bool
    payload: str


class StoreStats(NamedTuple):
    path: Path
    n_bytes: int
    generations_by_stage: dict[str, int]
    failed_generations: int
    choices: int


WAIT_S = 120.0
BEGINNING = b"SQLite format 3\0"


def _refuse_others(path: Path) -> None:
    """SQLite would make a short file of others its own."""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(len(BEGINNING))
        if beginning not in (b"", BEGINNING):
            raise sqlite3.DatabaseError("it is no cache file")


class AnswerStore:
    """Thread-safe; several processes may use one file. Raises CacheError when the file can't be used."""

    def __init__(self, path: Path, max_bytes: int | None = None, wait_s: float = WAIT_S) -> None:
        """`wait_s`: the most that is waited for another process that writes."""
        self.path = path
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._writes = 0
        self._unwritten: list[tuple[str, list[tuple]]] = []  # type: ignore[type-arg]
        with self._mendable("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_others(path)
            self._connection = sqlite3.connect(path, timeout=wait_s, check_same_thread=False)
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(SCHEMA)

    def generations(self, keys: Sequence[bytes]) -> dict[bytes, list[StoredGeneration]]:
        """Every stored attempt of the keys, by attempt; keys without one are left out."""
        found: dict[bytes, list[StoredGeneration]] = {}
        columns = f"key, {_number('attempt')}, {_number('failed')}, {PAYLOAD}, {_number('used_at')}"
        query = f"SELECT {columns} FROM generations WHERE key IN ({{}}) ORDER BY attempt"
        stale = []
        for key, attempt, failed, payload, used_at in self._select(query, keys):
            found.setdefault(key, []).append(StoredGeneration(attempt, bool(failed), payload))
            if used_at < time.time() - DAY_S:
                stale.append(key)
        self._touch("generations", stale)
        return found

    def choices(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored payloads of the keys; keys without one are left out."""
        found, stale = {}, []
        query = f"SELECT key, {PAYLOAD}, {_number('used_at')} FROM choices WHERE key IN ({{}})"
        for key, payload, used_at in self._select(query, keys):
            found[key] = payload
            if used_at < time.time() - DAY_S:
                stale.append(key)
        self._touch("choices", stale)
        return found

    def put_generations(self, rows: Iterable[NewGeneration]) -> None:
        """Commits the rows in one transaction: after a crash either all are there or none is."""
        now = int(time.time())
        self._write("INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?, ?)", [(*row, now) for row in rows])

    def put_choices(self, rows: Iterable[tuple[bytes, str]]) -> None:
        """Commits the (key, payload) rows in one transaction."""
        now = int(time.time())
        self._write("INSERT OR REPLACE INTO choices VALUES (?, ?, ?)", [(*row, now) for row in rows])

    def stats(self) -> StoreStats:
        with self._mendable("read"), self._lock:
            by_stage = dict(
                self._connection.execute("SELECT stage, count(*) FROM generations GROUP BY stage").fetchall()
            )
            failed = self._connection.execute("SELECT count(*) FROM generations WHERE failed").fetchone()[0]
            choices = self._connection.execute("SELECT count(*) FROM choices").fetchone()[0]
            return StoreStats(self.path, self._n_bytes(), by_stage, failed, choices)

    def prune(self, max_bytes: int) -> int:
        """Removes the least recently used answers until the file holds at most `max_bytes`; how many went."""
        removed = 0
        with self._mendable("pruned"), self._lock:
            while self._n_bytes() > max_bytes:
                n_before = removed
                for table in ("generations", "choices"):
                    n_rows = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    oldest = f"SELECT key FROM {table} ORDER BY used_at LIMIT {max(1, int(n_rows * EVICTED_SHARE))}"
                    removed += self._connection.execute(f"DELETE FROM {table} WHERE key IN ({oldest})").rowcount
                self._connection.commit()
                if removed == n_before:
                    break
            self._connection.executescript("PRAGMA incremental_vacuum")  # execute() would free one page
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return removed

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _n_bytes(self) -> int:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return int((pages - free) * size)

    def _select(self, query: str, keys: Sequence[bytes]) -> Iterator[tuple]:  # type: ignore[type-arg]
        if self._unwritten:
            self._commit()
        for start in range(0, len(keys), KEYS_PER_QUERY):
            chunk = keys[start : start + KEYS_PER_QUERY]
            with self._mendable("read"), self._lock:
                rows = self._connection.execute(query.format(",".join("?" * len(chunk))), chunk).fetchall()
            yield from rows

    def _touch(self, table: str, keys: list[bytes]) -> None:
        if keys:
            now = int(time.time())
            self._write(f"UPDATE {table} SET used_at = ? WHERE key = ?", [(now, key) for key in keys])

    def _write(self, statement: str, rows: list[tuple]) -> None:  # type: ignore[type-arg]
        if rows:
            self._commit((statement, rows))

    def _commit(self, *written: tuple[str, list[tuple]]) -> None:  # type: ignore[type-arg]
        """What a full disk refuses is kept, and tried again before anything else is looked up: nothing is asked whose
        answer would be lost too."""
        with self._mendable("written"), self._lock:
            self._unwritten += written
            with self._connection:
                for statement, rows in self._unwritten:
                    self._connection.executemany(statement, rows)
            self._writes += sum(len(rows) for _, rows in self._unwritten)
            self._unwritten.clear()
            check_size = self._writes >= WRITES_BETWEEN_SIZE_CHECKS
        if check_size and self.max_bytes is not None:
            self._writes = 0
            self.prune(self.max_bytes)

    @contextmanager
    def _mendable(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why, fix = in_words(error), "free its disk, " if isinstance(error, sqlite3.OperationalError) else ""
            if isinstance(error, FileExistsError | NotADirectoryError):
                why = "part of its path is a file"
            elif os.path.isdir(self.path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
                why, fix = "it is a folder", ""
            raise CacheError(
                f"cache file {self.path} can't be {verb}: {why}; {fix}choose another file with --cache (cache.path), "
                "or run with --no-cache"
            ) from error
