"""What every shard's task has in common: it is done only once, it is limited, and faults of the machine are retried."""

import inspect
import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from autorule.config.models import ModelConfig
from autorule.prompting import load_prompt
from autorule.records import CallCounts, Record, Stage
from autorule.runs import progress
from autorule.runs.files import FAILURES, PARTS, RULE_SET, part_path
from autorule.runs.finished_shards import find_finished, note_finished, shard_key
from autorule.tasks.limits import endpoint_slots

RETRY_AFTER_S = [2, 10, 60]
INFRASTRUCTURE = (OSError, sqlite3.OperationalError)
"""A disk, a network or a storage that fails, perhaps not for long; what a model answers is never retried here."""

log = logging.getLogger(__name__)


class ShardReport(Record):
    """What one shard did."""

    shard: int
    n_done: int
    """Requests with a usable answer."""
    calls: CallCounts = CallCounts()


Work = Callable[[Path, int, Any], ShardReport]


def shard_task(
    stage: Stage,
    name: str,
    reads: Sequence[str],
    writes: Sequence[str],
    model: Callable[[Any], ModelConfig],
    prompt: Callable[[Any], str | None],
) -> Callable[[Work], Task[..., ShardReport]]:
    """Makes `work(folder, shard, config)` a task named `name`-shard.

    `reads`: stage files of which the shard reads its part, and the rule set; `writes`: those of which it writes its
    part. `model` and `prompt` tell from the config which model is asked with which prompt. A shard that was finished
    before, by a run of the same settings on the same input, is not done again.
    """

    def decorate(work: Work) -> Task[..., ShardReport]:
        @wraps(work)
        def once(folder: Path, shard: int, config: BaseModel) -> ShardReport:
            asked = prompt(config)
            inputs = [folder / name if name == RULE_SET else part_path(folder, name, shard) for name in reads]
            settings = [stage, model(config).model_dump_json(), load_prompt(asked).sha256 if asked else ""]
            key = shard_key(inputs, settings)
            before = find_finished(folder / PARTS, stage, shard, key)
            if before is not None:
                log.info("%s shard %d was finished before: %d results taken over", stage, shard, before.n_done)
                progress.advance(stage, before.n_done, before.calls.as_cached())
                return ShardReport(shard=shard, n_done=before.n_done, calls=before.calls.as_cached())
            failures = part_path(folder, FAILURES, shard)
            failures.unlink(missing_ok=True)  # of an attempt whose process died
            with endpoint_slots(model(config)):
                report = work(folder, shard, config)
            if not failures.exists():
                made = [path for target in writes if (path := part_path(folder, target, shard)).exists()]
                note_finished(folder / PARTS, stage, shard, key, made, report.n_done, report.calls)
            return report

        once.__signature__ = inspect.signature(work)  # type: ignore[attr-defined]
        return task(
            name=f"{name}-shard",
            task_run_name=name + "-{shard}",
            cache_policy=NO_CACHE,
            retries=len(RETRY_AFTER_S),
            retry_delay_seconds=RETRY_AFTER_S,
            retry_condition_fn=_is_infrastructure,
        )(once)

    return decorate


def _is_infrastructure(task: Any, task_run: Any, state: Any) -> bool:
    """Whether a failed task run is worth another try."""
    return isinstance(state.result(raise_on_failure=False), INFRASTRUCTURE)
