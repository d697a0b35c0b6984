"""A run while it goes on: its folder, held by one process, and its manifest, which says what is in it.

The folder may be in an object store (autorule.storage).
"""

import errno
import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from autorule import __version__
from autorule.config.runs import RunConfig
from autorule.errors import (
    DISK_FIXES,
    BudgetSpentError,
    CacheError,
    ConfigError,
    DiskError,
    InputError,
    RunFailedError,
    in_words,
    with_kind,
)
from autorule.records import CallCounts, Failure, Stage
from autorule.runs.budget import reset_budget
from autorule.runs.files import FAILURES, MANIFEST, PARTS, STAGE_FILES, part_path, write_records
from autorule.runs.finished_shards import clear_unfinished
from autorule.runs.manifest import InputFile, RunManifest, Status, describe_inputs, utc_now
from autorule.runs.run_ids import new_run_id
from autorule.runs.taking import LOCK, identity_of, take_folder
from autorule.storage import append_text, disk_faults_told, is_local, remove_folder, write_text, writing

log = logging.getLogger(__name__)


def _refuse_completed(folder: Path) -> None:
    if (before := _manifest_of(folder)) is not None and before.status == "completed":
        raise ConfigError(f"run folder {folder} holds a completed run; leave out the run id or give another")


def completed_before(folder: Path, config: RunConfig, inputs: dict[str, Path]) -> bool:
    """Whether the folder holds a completed run on the same inputs with the same settings; budget and cache aside."""
    manifest = _manifest_of(folder)
    described = describe_inputs(inputs)
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


class Run:
    """A run while it goes on: its folder, and its manifest, which is on disk after every change.

    As a context it ends the run: as completed, as failed with results when shards failed, or as failed when an
    exception went through, which it passes on.
    """

    def __init__(self, folder: Path, manifest: RunManifest, lock: AbstractContextManager[Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock = lock
        self._identity = identity_of(folder)
        self._over_budget: list[Failure] = []

    @classmethod
    def start(cls, flow: str, config: RunConfig, inputs: dict[str, Path], run_id: str | None = None) -> Self:
        """Makes the folder, or takes over that of a run that did not complete. `run_id` goes before that of the config.

        Raises ConfigError when the run completed, still goes on in another process, or the folder can't be made.
        """
        run_id = run_id or config.run_id or new_run_id(next(iter(inputs.values())))
        folder = config.outputs / run_id
        with disk_faults_told(folder):
            if is_local(folder):
                _refuse_completed(folder)
            lock = take_folder(folder)
            try:
                return cls._begin(flow, config, inputs, folder, lock)
            except BaseException:
                with lock:
                    raise

    @classmethod
    def _begin(
        cls, flow: str, config: RunConfig, inputs: dict[str, Path], folder: Path, lock: AbstractContextManager[Any]
    ) -> Self:
        try:
            _refuse_completed(folder)  # it may have completed just before
        except BaseException:
            (folder / LOCK).unlink(missing_ok=True)
            raise
        described = describe_inputs(inputs)
        _clear_other_work(folder, config, described)
        reset_budget(folder)
        (folder / FAILURES).unlink(missing_ok=True)
        clear_unfinished(folder / PARTS)
        manifest = RunManifest(
            run_id=folder.name,
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
            except OSError as fault:
                error = fault
            finally:
                if error is None:
                    (self.folder / LOCK).unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in DISK_FIXES:
                error = DiskError.of(error, error.filename or self.folder)
            if isinstance(error, DiskError | CacheError):
                raise RunFailedError(
                    f"{error}; then run again with --run-id {self.folder.name}: what was finished is kept"
                ) from error

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            status: Status = "stopped" if isinstance(error, BudgetSpentError) else "failed"
            with suppress(OSError):  # the error itself says more than that the disk is full
                self.update(status=status, message=with_kind(error), ended_at=utc_now())
            return
        imbalances = self.manifest.funnel.imbalances()
        problems = [*self.manifest.failed_shards, *(f"counts do not add up: {problem}" for problem in imbalances)]
        if problems:
            message = f"{len(problems)} problems: {'; '.join(problems)}"
            self.update(status="failed_with_results", message=message, ended_at=utc_now())
            raise RunFailedError(f"{message}; what was finished is in {self.folder}; run again to complete it")
        self.update(status="completed", ended_at=utc_now())
        try:
            remove_folder(self.folder / PARTS)  # last: until the manifest says so, finished shards are worth keeping
        except DiskError as fault:
            log.warning("the run is complete, but its parts can't be removed: %s", fault)

    def update(self, **changes: Any) -> None:
        """Changes fields of the manifest and writes it. Raises DiskError, also for a folder that is not the same."""
        if identity_of(self.folder) != self._identity:
            raise DiskError(errno.ENOENT, "it is not the folder that this run began in", str(self.folder))
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
