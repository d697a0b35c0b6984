"""What a flow run shows in the Prefect UI at its end: tables, plots and links.

Outside a flow run all of this is nothing. Artifacts are shown, never read back, and a server that does not take one
ends no run.
"""

import base64
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.events import emit_event

from autorule.backends import stopping
from autorule.report.steps import funnel_steps
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.files import EVALUATION, RULE_SET
from autorule.runs.run_folder import Run
from autorule.statistics.records import Evaluation
from autorule.tasks.never_fatal import never_fatal
from autorule.tasks.progress_bars import progress_bars
from autorule.tasks.stage_logs import let_counts_through, log_funnel
from autorule.tasks.steps import in_flow_run
from autorule.tasks.table_cells import cell
from autorule.terminal.evaluation import shown_interval

MOST_ROWS = 50
"""Of a table: the rest is in the run folder, and on the report's page."""
SHOWN_PLOTS = {
    "agreement": "How often each rule agrees with people, on the pairs that it tells apart",
    "accuracy": "How often each way to score a pair prefers what people prefer",
}
HOW_TO_OPEN = "a file on the worker's machine: where the browser does not follow the link, copy its address"

log = logging.getLogger(__name__)


@contextmanager
def shown(run: Run) -> Iterator[Run]:
    """The run as a context, whose results are shown at its end, unless it is cancelled: then its calls end at once."""
    stopping.begin()
    let_counts_through()
    try:
        log.info("run %s begins; its folder is %s", run.manifest.run_id, run.folder.resolve())
        with progress_bars(), run:
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
    log_funnel(run.manifest.funnel)
    log.info("run %s: %s", run.manifest.run_id, run.manifest.status.replace("_", " "))
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
        rules = sorted(load_rule_set(path).rules, key=lambda rule: -rule.support)
        rows = [
            {"support": rule.support, "weight": rule.weight, "rule": cell(rule.criterion)} for rule in rules[:MOST_ROWS]
        ]
        create_table_artifact(rows, key="rules", description=f"{len(rows)} of {len(rules)} rules, best supported first")
        _show_link("rule-set", "The rule set", path)


def _show_evaluation(run: Run) -> None:
    path = run.folder / EVALUATION
    if not path.exists():
        return
    found = Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
    surest = sorted(found.rules, key=lambda one: -(one.agreement.low or 0.0))
    rows = [
        {
            "decision": one.decision,
            "agreement": shown_interval(one.agreement),
            "pairs told apart": one.n_discordant,
            "rule": cell(one.text),  # last: a long one must not push the others out of sight
        }
        for one in surest[:MOST_ROWS]
    ]
    create_table_artifact(rows, key="evaluation", description=f"Rules on {found.n_pairs} pairs, surest first")
    ways = [
        {"way": cell(way.name), "accuracy": shown_interval(way.accuracy), "pairs": way.n_pairs}
        for way in found.accuracies
    ]
    create_table_artifact(
        ways, key="accuracy", description="How often each way to score a pair prefers what people prefer"
    )


def _show_report(run: Run) -> None:
    """The page beside the run, and its first plots as images. Needs the extra `report`; without it there is none."""
    from autorule.errors import MissingExtraError
    from autorule.report.write import write_report

    try:
        page = write_report(run.folder)
    except MissingExtraError as error:
        log.info("no report: %s", error)
        return
    _show_link("report", "The report of the run", page)
    for name, words in SHOWN_PLOTS.items():
        picture = page.parent / f"{name}.png"
        if picture.exists():
            shown = base64.b64encode(picture.read_bytes()).decode()
            markdown = f"![{words}](data:image/png;base64,{shown})"
            create_markdown_artifact(markdown, key=f"plot-{name}", description=words)


def _show_link(key: str, name: str, path: Path) -> None:
    """A link to a file, with its path to copy: browsers open no file from a page of a server."""
    path = path.resolve()
    create_link_artifact(path.as_uri(), key=key, link_text=f"{name}: {path}", description=f"{name}, {HOW_TO_OPEN}")


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
