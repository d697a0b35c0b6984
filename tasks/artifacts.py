"""What a flow run shows in the Prefect UI: progress while it runs, tables, plots and links at its end.

Outside a flow run all of this is nothing. Artifacts are shown, never read back, and a server that does not take one
ends no run.
"""

import base64
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event

from autorule import stopping
from autorule.evaluation.records import Evaluation
from autorule.evaluation_terminal import shown_interval
from autorule.report.steps import funnel_steps
from autorule.rule_sets import load_rule_set
from autorule.run_folder import EVALUATION, RULE_SET, Run
from autorule.tasks.steps import in_flow_run
from autorule.terminal import printable

MOST_ROWS = 50
"""Of a table: the rest is in the run folder, and on the report's page."""
SHOWN_PLOTS = ("agreement", "accuracy")

log = logging.getLogger(__name__)


class Progress:
    """A bar in the UI; `total` steps."""

    def __init__(self, name: str, total: int) -> None:
        self._total, self._done, self._id = total, 0, None
        with never_fatal():
            if in_flow_run() and total:
                made: Any = create_progress_artifact(progress=0.0, key=_key(name), description=f"{name}: 0 of {total}")
                self._id = made if isinstance(made, UUID) else None

    def advance(self) -> None:
        self._done += 1
        if self._id is not None:
            with never_fatal():
                update_progress_artifact(self._id, progress=100.0 * self._done / self._total)


@contextmanager
def shown(run: Run) -> Iterator[Run]:
    """The run as a context, whose results are shown at its end, unless it is cancelled: then its calls end at once."""
    stopping.begin()
    try:
        with run:
            yield run
    except Exception:
        publish(run)
        raise
    except BaseException:  # SIGTERM, as Prefect raises it, or Ctrl-C
        stopping.stop()
        raise
    publish(run)


def publish(run: Run) -> None:
    """The funnel, rules, evaluation and plots of a finished run, links to its files, and its lineage as events."""
    if not in_flow_run():
        return
    for show in (_show_funnel, _show_rules, _show_evaluation, _show_report, _tell_lineage):
        with never_fatal():
            show(run)


def _show_funnel(run: Run) -> None:
    lines = ["| step | in | out | the rest |", "|---|---:|---:|---|"]
    for step in funnel_steps(run.manifest.funnel):
        lines.append(f"| {step.name} | {step.n_in:,} | {step.n_out:,} | {step.rest} |")
    create_markdown_artifact("\n".join(lines), key="funnel", description="What became of every row")


def _show_rules(run: Run) -> None:
    path = run.folder / RULE_SET
    if path.exists():
        rules = load_rule_set(path).rules
        rows = [
            {"rule": printable(rule.criterion), "support": rule.support, "weight": rule.weight}
            for rule in rules[:MOST_ROWS]
        ]
        create_table_artifact(rows, key="rules", description=f"{len(rows)} of {len(rules)} rules, best supported first")
        create_link_artifact(path.resolve().as_uri(), key="rule-set", link_text=f"rule set: {path}")


def _show_evaluation(run: Run) -> None:
    path = run.folder / EVALUATION
    if not path.exists():
        return
    found = Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
    surest = sorted(found.rules, key=lambda one: -(one.agreement.low or 0.0))
    rows = [
        {
            "rule": printable(one.text), "decision": one.decision, "agreement": shown_interval(one.agreement),
            "told apart": one.n_discordant,
        }
        for one in surest[:MOST_ROWS]
    ]  # fmt: skip
    create_table_artifact(rows, key="evaluation", description=f"Rules on {found.n_pairs} pairs, surest first")
    ways = [
        {"way": way.name, "accuracy": shown_interval(way.accuracy), "pairs": way.n_pairs} for way in found.accuracies
    ]
    create_table_artifact(ways, key="accuracy", description="Which side is preferred, and baselines")


def _show_report(run: Run) -> None:
    """The page beside the run, and its first plots as images. Needs the extra `report`; without it there is none."""
    from autorule.errors import MissingExtraError
    from autorule.report.write import write_report

    try:
        page = write_report(run.folder)
    except MissingExtraError as error:
        log.info("no report: %s", error)
        return
    create_link_artifact(page.resolve().as_uri(), key="report", link_text=f"report: {page}")
    for name in SHOWN_PLOTS:
        picture = page.parent / f"{name}.png"
        if picture.exists():
            shown = base64.b64encode(picture.read_bytes()).decode()
            create_markdown_artifact(f"![{name}](data:image/png;base64,{shown})", key=f"plot-{name}")


def _tell_lineage(run: Run) -> None:
    """Which files, by hash, this run read and made: the open-source server keeps no assets, but it keeps events."""
    manifest = run.manifest
    made = {name: _sha256(run.folder / name) for name in (RULE_SET, EVALUATION) if (run.folder / name).exists()}
    emit_event(
        event=f"autorule.{manifest.flow}.finished",
        resource={"prefect.resource.id": f"autorule.run.{manifest.run_id}", "prefect.resource.name": manifest.run_id},
        payload={
            "inputs": {name: file.sha256 for name, file in manifest.inputs.items()},
            "outputs": made,
            "prompts": dict(manifest.prompts),
            "models": dict(manifest.models),
            "status": manifest.status,
        },
    )


def _sha256(path: Path) -> str:

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _key(name: str) -> str:
    """An artifact's key: lower case, digits and dashes."""
    return "".join(char if char.isalnum() else "-" for char in name.lower()) + "-progress"


@contextmanager
def never_fatal() -> Iterator[None]:
    """What goes wrong inside is a warning: it is only shown."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what is only shown must not end what was computed
        log.warning("an artifact was not written: %r", error)
