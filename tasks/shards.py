"""The shard loop: a task works on one shard, and a shard that fails does not sink the run.

Inside a Prefect flow run the shards are task runs, on the engine that the settings name; outside one (the command line
without a server, a test) the same functions run in threads. A shard reads its part of one stage file and writes its
part of the next, so that nothing big passes through Prefect.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from prefect import Task, unmapped
from prefect.futures import PrefectFuture, as_completed
from pydantic import BaseModel

from autorule.backends import stopping
from autorule.config.models import ModelConfig
from autorule.errors import CacheError, DiskError, RunFailedError, in_words, with_kind
from autorule.records import CallCounts, Failure, Stage
from autorule.report.text import shortened
from autorule.runs import progress
from autorule.runs.files import FAILURES, RecordType, part_path, read_records, write_records
from autorule.runs.run_folder import Run
from autorule.tasks.runners import PARALLEL_SHARDS, current_runner
from autorule.tasks.shard_tasks import ShardReport
from autorule.tasks.stage_logs import StageLog
from autorule.tasks.steps import in_flow_run

LARGEST_SHARD = 4
"""Times the shard size, for the sake of a group of records that belong together."""

log = logging.getLogger(__name__)


def write_parts(
    run: Run,
    name: str,
    records: Iterable[RecordType],
    shard_size: int,
    group: Callable[[RecordType], Any] = lambda record: record,
) -> tuple[int, int]:
    """Cuts records into the parts of a stage file, as they come; (records, shards). Records that follow each other with
    the same `group` stay in one part."""
    n_records = n_shards = 0
    shard: list[RecordType] = []
    for record in records:
        full = len(shard) >= shard_size and group(record) != group(shard[-1])
        if full or len(shard) >= LARGEST_SHARD * shard_size:
            write_records(part_path(run.folder, name, n_shards), shard)
            shard, n_shards = [], n_shards + 1
        shard.append(record)
        n_records += 1
    if shard:
        write_records(part_path(run.folder, name, n_shards), shard)
        n_shards += 1
    return n_records, n_shards


def read_parts(run: Run, name: str, n_shards: int, kind: type[RecordType]) -> Iterator[RecordType]:
    """The records of a stage file that is still in parts."""
    for shard in range(n_shards):
        yield from read_records(part_path(run.folder, name, shard), kind)


def write_shard(
    folder: Path,
    shard: int,
    n_done: int,
    results: dict[str, Sequence[BaseModel]],
    failures: Sequence[Failure],
    calls: CallCounts,
) -> ShardReport:
    """Writes what a shard made: its part of each stage file (name -> records) and of the failures."""
    for name, records in results.items():
        write_records(part_path(folder, name, shard), records)
    if failures:
        write_records(part_path(folder, FAILURES, shard), failures)
    return ShardReport(shard=shard, n_done=n_done, calls=calls)


def run_shards(
    task: Task[..., ShardReport],
    run: Run,
    stage: Stage,
    n_shards: int,
    config: BaseModel,
    model: ModelConfig,
    source: str,
    item_id: str,
    n_results: Callable[[dict[str, Any]], int] = lambda record: 1,
    required: bool = True,
) -> int:
    """Runs `task(folder, shard, config)` for every shard, and collects failures and call counts into the run.

    `model` is asked; `source` is the stage file whose parts go in, `item_id` the field that names their records. A
    shard that raises is noted in the manifest, with a Failure for each of the `n_results` of a record; the others go
    on. Returns the number of failures. Raises RunFailedError when there is nothing else, unless the run can do without
    (`required`), DiskError and CacheError at once: what is asked then could not be kept.
    """
    stage_log = StageLog(run, stage, n_shards)
    outcomes = _run_all(task, run.folder, n_shards, config, stage, model)
    n_done = 0
    calls = CallCounts()
    failures: list[Failure] = []
    for shard, outcome in enumerate(outcomes):
        if isinstance(outcome, ShardReport):
            n_done += outcome.n_done
            calls += outcome.calls
            part = part_path(run.folder, FAILURES, shard)
            if part.exists():
                failures += read_records(part, Failure)
                part.unlink()
        else:
            rows = _rows_of(run.folder, source, shard)
            trace = None if in_flow_run() else outcome  # Prefect has shown it
            why = shortened(in_words(outcome), 300)
            log.error("%s shard %d (%s) failed: %s", stage, shard, rows, why, exc_info=trace)
            failures += _failures_of_shard(run.folder, source, shard, stage, item_id, n_results, outcome)
            run.update(failed_shards=(*run.manifest.failed_shards, f"{stage} shard {shard}: {in_words(outcome)}"))
    run.add_usage(stage, calls)
    run.add_failures(failures)
    stage_log.end(n_done, len(failures))
    if failures and not n_done and required:
        run.stop_if_over_budget()
        message, n = Counter(f"{failure.kind}: {failure.message}" for failure in failures).most_common(1)[0]
        raise RunFailedError(f"{stage}: all {len(failures)} requests failed, {n} of them with {message}")
    return len(failures)


def _run_all(
    task: Task[..., ShardReport], folder: Path, n_shards: int, config: BaseModel, stage: Stage, model: ModelConfig
) -> list[ShardReport | BaseException]:
    folder = folder.resolve()  # a worker may be elsewhere
    if in_flow_run():
        shards = {"folder": unmapped(folder), "shard": list(range(n_shards)), "config": unmapped(config)}
        runner = current_runner()
        futures = list(runner.for_model(model).map(task, shards))
        if runner.config.engine != "threads":  # what other processes report of their progress is not heard here
            for done in as_completed(futures):
                report = _outcome(done)
                if isinstance(report, ShardReport):
                    progress.advance(stage, report.n_done, report.calls)
        return [_raised(_outcome(future)) for future in futures]

    def outcome(shard: int) -> ShardReport | BaseException:
        try:
            return task.fn(folder, shard, config)
        except Exception as error:  # noqa: BLE001 - one shard must not sink the run; run_shards reports it
            return _raised(error)

    pool = ThreadPoolExecutor(
        current_runner().config.workers or PARALLEL_SHARDS, thread_name_prefix=f"autorule-{stage}"
    )
    try:
        return list(pool.map(outcome, range(n_shards)))
    except (DiskError, CacheError):
        stopping.stop()  # nor may the shards at work ask on
        pool.shutdown(cancel_futures=True)
        stopping.begin()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _raised(outcome: ShardReport | BaseException) -> ShardReport | BaseException:
    """The outcome, unless it is one after which nothing more should be asked: that is raised."""
    if isinstance(outcome, DiskError | CacheError):
        raise outcome
    return outcome


def _outcome(future: PrefectFuture[ShardReport]) -> ShardReport | BaseException:
    """What a shard reports, or why it failed; a worker process that died raises here instead of there."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001 - one shard must not sink the run; run_shards reports it
        return error


def _failures_of_shard(
    folder: Path,
    source: str,
    shard: int,
    stage: Stage,
    item_id: str,
    n_results: Callable[[dict[str, Any]], int],
    error: BaseException,
) -> list[Failure]:
    message = f"its shard failed: {with_kind(error)}"
    with part_path(folder, source, shard).open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    return [
        Failure(stage=stage, kind="provider", message=message, item_id=record[item_id])
        for record in records
        for _ in range(n_results(record))
    ]


def _rows_of(folder: Path, source: str, shard: int) -> str:
    """Which rows of the input a shard holds, for its log; its records where they have no row."""
    with part_path(folder, source, shard).open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    rows = [record["row"] for record in records if record.get("row") is not None]
    return f"rows {min(rows)} to {max(rows)}" if rows else f"{len(records)} records"
