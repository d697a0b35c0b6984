"""A run while it goes on: its folder, held by one process, and its manifest, which says what is in it.

The folder may be in an object store (autorule.storage).
"""

import fcntl
import secrets
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from autorule import __version__
from autorule.config.runs import RunConfig
from autorule.errors import BudgetSpentError, ConfigError, InputError, RunFailedError, in_words
from autorule.records import CallCounts, Failure, Stage
from autorule.runs.budget import reset_budget
from autorule.runs.files import FAILURES, MANIFEST, PARTS, STAGE_FILES, part_path, write_records
from autorule.runs.finished_shards import clear_unfinished
from autorule.runs.manifest import InputFile, RunManifest, Status, describe_input, utc_now
from autorule.storage import append_text, is_local, remove_folder, write_text, writing

LOCK = ".lock"


def _take_folder(folder: Path) -> AbstractContextManager[Any]:
    """Makes the folder, and holds it for this process; the system lets go of it when the process ends, however it ends.

    An object store has no locks: there it is only tried whether the folder can be written. Raises ConfigError when it
    can't, or another process holds it.
    """
    try:
        if not is_local(folder):
            write_text(folder / LOCK, "")
            return nullcontext()
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except Exception as error:
        if is_local(folder) and not isinstance(error, OSError):
            raise  # each store has exceptions of its own, for no key, no right, no such place
        raise ConfigError(f"run folder {folder} can't be made: {error}; choose another with --out") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(f"run folder {folder} is in use by a run that goes on; give another run id") from error
    return lock


def _refuse_completed(folder: Path) -> None:
    if (before := _manifest_of(folder)) is not None and before.status == "completed":
        raise ConfigError(f"run folder {folder} holds a completed run; leave out the run id or give another")


def completed_before(folder: Path, config: RunConfig, inputs: dict[str, Path]) -> bool:
    """Whether the folder holds a completed run on the same inputs with the same settings; budget and cache aside."""
    manifest = _manifest_of(folder)
    described = {name: describe_input(path) for name, path in inputs.items() if path.is_file()}
    return manifest is not None and manifest.status == "completed" and _is_same_work(manifest, config, described)


def _clear_other_work(folder: Path, config: RunConfig, inputs: dict[str, InputFile]) -> None:
    """Removes what a run with other settings or inputs left: its files must not stand beside this run's manifest."""
    manifest = _manifest_of(folder)
    if manifest is not None and not _is_same_work(manifest, config, inputs):
        for name in {*manifest.files, *STAGE_FILES}:  # an attempt that was killed has noted few of those before it
            (folder / name).unlink(missing_ok=True)
        if (folder / PARTS).exists():
            for part in (folder / PARTS).iterdir():
                part.unlink()


def _is_same_work(manifest: RunManifest, config: RunConfig, inputs: dict[str, InputFile]) -> bool:
    # The folder is the run's id, made up the first time maybe; the others change no answer.
    aside = {"budget", "cache", "runner", "run_id", "max_unscored"}
    before = {name: value for name, value in manifest.config.items() if name not in aside}
    return before == config.model_dump(mode="json", exclude=aside) and manifest.inputs == inputs


def _manifest_of(folder: Path) -> RunManifest | None:
    path = folder / MANIFEST
    try:
        return RunManifest.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None
    except ValueError as error:
        raise InputError(
            f"{path} can't be read: {in_words(error)}; give another run id, or remove its folder"
        ) from error


def new_run_id(source: Path) -> str:
    """A name for a run on the file `source` that no other run has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{source.name.partition('.')[0]}-{secrets.token_hex(2)}"


class Run:
    """A run while it goes on: its folder, and its manifest, which is on disk after every change.

    As a context it ends the run: as completed, as failed with results when shards failed, or as failed when an
    exception went through, which it passes on.
    """

    def __init__(self, folder: Path, manifest: RunManifest, lock: AbstractContextManager[Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock = lock
        self._over_budget: list[Failure] = []

    @classmethod
    def start(cls, flow: str, config: RunConfig, inputs: dict[str, Path], run_id: str | None = None) -> Self:
        """Makes the folder, or takes over that of a run that did not complete. `run_id` goes before that of the config.

        Raises ConfigError when the run completed, still goes on in another process, or the folder can't be made.
        """
        run_id = run_id or config.run_id or new_run_id(next(iter(inputs.values())))
        folder = config.outputs / run_id
        if is_local(folder):
            _refuse_completed(folder)
        lock = _take_folder(folder)
        try:
            _refuse_completed(folder)  # it may have completed just before
        except BaseException:
            with lock:
                (folder / LOCK).unlink(missing_ok=True)
            raise
        described = {name: describe_input(path) for name, path in inputs.items() if path.is_file()}
        _clear_other_work(folder, config, described)
        reset_budget(folder)
        (folder / FAILURES).unlink(missing_ok=True)
        clear_unfinished(folder / PARTS)
        manifest = RunManifest(
            run_id=run_id,
            flow=flow,
            status="running",
            autorule_version=__version__,
            started_at=utc_now(),
            config=config.model_dump(mode="json"),
            inputs=described,
        )
        run = cls(folder, manifest, lock)
        run.update()
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            try:
                self._end(error)
            finally:
                if error is None:
                    (self.folder / LOCK).unlink(missing_ok=True)

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            status: Status = "stopped" if isinstance(error, BudgetSpentError) else "failed"
            self.update(status=status, message=f"{type(error).__name__}: {error}", ended_at=utc_now())
            return
        imbalances = self.manifest.funnel.imbalances()
        problems = [*self.manifest.failed_shards, *(f"counts do not add up: {problem}" for problem in imbalances)]
        if problems:
            message = f"{len(problems)} problems: {'; '.join(problems)}"
            self.update(status="failed_with_results", message=message, ended_at=utc_now())
            raise RunFailedError(f"{message}; what was finished is in {self.folder}; run again to complete it")
        self.update(status="completed", ended_at=utc_now())
        remove_folder(self.folder / PARTS)  # last: until the manifest says so, finished shards are worth keeping

    def update(self, **changes: Any) -> None:
        """Changes fields of the manifest and writes it."""
        self.manifest = self.manifest.model_copy(update=changes)
        write_text(self.folder / MANIFEST, self.manifest.model_dump_json(indent=2) + "\n")

    def count(self, **counts: int) -> None:
        """Adds to counts of the funnel."""
        funnel = self.manifest.funnel
        self.update(funnel=funnel.model_copy(update={k: getattr(funnel, k) + n for k, n in counts.items()}))

    def add_usage(self, stage: Stage, counts: CallCounts) -> None:
        usage = dict(self.manifest.usage)
        usage[stage] = usage.get(stage, CallCounts()) + counts
        self.update(usage=usage)

    def add_model(self, stage: Stage, identity: str, prompt_sha256: str) -> None:
        self.update(
            models={**self.manifest.models, stage: identity}, prompts={**self.manifest.prompts, stage: prompt_sha256}
        )

    def add_prompts(self, prompts: dict[str, str]) -> None:
        """Notes the sha256 of prompts that a stage may ask besides its own."""
        self.update(prompts={**self.manifest.prompts, **prompts})

    def write(self, name: str, records: Iterable[BaseModel]) -> int:
        """Writes a file of the run and notes how many records it holds."""
        n = write_records(self.folder / name, records)
        self.note_file(name, n)
        return n

    def note_file(self, name: str, n_records: int) -> None:
        """Notes a file of the run that was written elsewhere."""
        self.update(files={**self.manifest.files, name: n_records})

    def join_parts(self, name: str, n_shards: int) -> int:
        """Makes the stage file out of the parts that are there, which the next stage reads; the number of records."""
        parts = [part for shard in range(n_shards) if (part := part_path(self.folder, name, shard)).exists()]
        target = self.folder / name
        n = 0
        with writing(target, "wb") as file:
            for part in parts:
                with part.open("rb") as lines:
                    for line in lines:
                        file.write(line)
                        n += 1
        self.note_file(name, n)
        return n

    def add_failures(self, failures: Iterable[Failure]) -> int:
        """Appends to the failures of the run; how many were added."""
        added = list(failures)
        append_text(self.folder / FAILURES, "".join(failure.model_dump_json() + "\n" for failure in added))
        self._over_budget += [failure for failure in added if failure.kind == "budget"]
        self.update(files={**self.manifest.files, FAILURES: self.manifest.files.get(FAILURES, 0) + len(added)})
        return len(added)

    def stop_if_over_budget(self) -> None:
        """Raises BudgetSpentError when requests were not sent because the budget was spent."""
        if self._over_budget:
            first = self._over_budget[0]
            raise BudgetSpentError(
                f"{len(self._over_budget)} requests of {first.stage} {first.message}; raise the limit, or leave it "
                f"out, and run again to go on: finished answers are in the cache ({self.folder})"
            )
