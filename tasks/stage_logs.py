"""What a stage says in the log: how much it has to do when it begins, what came of it, at what rate, when it ends.

Which rows failed, and why, is said shard by shard. Texts of models and files are shown with their control characters
written out.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from autorule.records import CallCounts, Failure, Stage
from autorule.report.steps import funnel_steps
from autorule.report.text import shortened
from autorule.runs import progress
from autorule.runs.manifest import Funnel
from autorule.runs.run_folder import Run
from autorule.tasks.steps import in_flow_run

MOST_ROWS = 10
"""Rows that are named in one line; all of them are in the file of failures."""
MOST_REASONS = 5
MOST_CHARS = 300

log = logging.getLogger(__name__)


def let_counts_through() -> None:
    """In a flow run, to be called before anything is logged: Prefect gives the logger that its settings name a handler
    but no level, and without one only warnings would be shown."""
    ours = logging.getLogger("autorule")
    if in_flow_run() and ours.level == logging.NOTSET:
        ours.setLevel(logging.INFO)


class StageLog:
    """Says that a stage of so many shards begins, and at the end what came of it."""

    def __init__(self, run: Run, stage: Stage, n_shards: int) -> None:
        self._run, self._stage, self._started = run, stage, time.monotonic()
        self._before = run.manifest.usage.get(stage, CallCounts())
        self._unit = "verdicts" if stage == "verification" else "requests"
        model = shortened(run.manifest.models.get(stage, ""), MOST_CHARS)
        log.info(
            "%s begins: %s %s in %s%s", stage, f"{progress.announced(stage):,}", self._unit, counted(n_shards, "shard"),
            f", asked of {model}" if model else "",
        )  # fmt: skip

    def end(self, n_done: int, n_failed: int) -> None:
        """Once the usage of the stage is in the manifest."""
        calls = self._run.manifest.usage.get(self._stage, CallCounts()) - self._before
        seconds = time.monotonic() - self._started
        log.info("%s ends: %s", self._stage, results_text(n_done, n_failed, calls, seconds, self._unit))


def results_text(n_done: int, n_failed: int, calls: CallCounts, seconds: float, unit: str = "requests") -> str:
    """`45 done, 3 failed; 38 calls sent, 10 from the cache; 4,800 + 240 tokens; 12.3 s, 3.1 requests a second`: tokens
    in and out. The rate is that of the calls: what the cache had took no time."""
    rate = calls.sent / max(seconds, 1e-3)
    return (
        f"{n_done:,} done, {n_failed:,} failed; {counted(calls.sent, 'call')} sent, {calls.cached:,} from the cache; "
        f"{calls.prompt_tokens:,} + {calls.completion_tokens:,} tokens; {seconds:,.1f} s, {rate:,.1f} {unit} a second"
    )


def log_failures(stage: Stage, shard: int, failures: Iterable[Failure], rows: Mapping[str, int]) -> None:
    """Which rows of a shard failed, reason by reason; in a flow run only, a terminal shows the totals.

    `rows`: the row of the input behind each item that was asked.
    """
    if not in_flow_run():
        return
    found: dict[str, list[int | None]] = defaultdict(list)
    for failure in failures:
        item = failure.item_id if failure.item_id in rows else failure.item_id.partition(":")[0]  # of one rule
        found[f"{failure.kind}: {shortened(failure.message, MOST_CHARS)}"].append(rows.get(item))
    by_number = sorted(found.items(), key=lambda entry: -len(entry[1]))
    for reason, failed in by_number[:MOST_REASONS]:
        log.warning("%s shard %d: %s failed, %s: %s", stage, shard, f"{len(failed):,}", _named(failed), reason)
    if len(by_number) > MOST_REASONS:
        log.warning("%s shard %d: %d further reasons", stage, shard, len(by_number) - MOST_REASONS)


def log_funnel(funnel: Funnel, *names: str) -> None:
    """The named steps of the funnel, or all that were taken, a line each."""
    for step in funnel_steps(funnel):
        if not names or step.name in names:
            log.info(
                "%s: %s in, %s out%s", step.name, f"{step.n_in:,}", f"{step.n_out:,}", step.rest and f"; {step.rest}"
            )


def counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _named(rows: Sequence[int | None]) -> str:
    known = sorted({row for row in rows if row is not None})
    if not known:
        return "of no row"
    more = f" and {len(known) - MOST_ROWS:,} more" if len(known) > MOST_ROWS else ""
    return f"{'row' if len(known) == 1 else 'rows'} {', '.join(map(str, known[:MOST_ROWS]))}{more}"
