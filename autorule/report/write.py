"""Writes a report: plots first, the page that shows them last."""

from pathlib import Path

from autorule.errors import InputError, MissingExtraError, in_words
from autorule.report.contents import Contents, read_contents
from autorule.report.drawing import Drawn, Plot, draw
from autorule.report.page import GENERATOR, page
from autorule.report.plots import evaluation_plots
from autorule.report.reward_plot import reward_plot
from autorule.storage import write_text

REPORT = "report"
PAGE = "index.html"


def write_report(run: Path, out: Path | None = None) -> Path:
    """Writes index.html, and every plot as SVG and PNG, into `out` (report/ in the run folder when None); the page.

    An earlier report is written over. Raises InputError when `run` holds no run, a file of it is broken, or `out` holds
    another page; MissingExtraError without matplotlib or Jinja2.
    """
    contents = read_contents(run)
    folder = run / REPORT if out is None else out
    target = folder / PAGE
    if target.exists() and GENERATOR not in target.read_text(encoding="utf-8", errors="replace")[:4000]:
        raise InputError(f"{target} is no report of autorule; give another folder with --out")
    drawn = draw_all(contents)
    text = page(contents, drawn)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_plots(folder, drawn, target)
        write_text(target, text)
    except OSError as error:
        raise InputError(f"{folder} can't be written: {in_words(error)}; give another folder with --out") from error
    return target


def draw_all(contents: Contents) -> list[Drawn]:
    plots: list[Plot] = [] if contents.evaluation is None else evaluation_plots(contents.evaluation)
    if contents.rewards is not None:
        plots.append(reward_plot(contents.rewards))
    try:
        return [draw(plot) for plot in plots]
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "matplotlib", "report", "a report") from error


def _write_plots(folder: Path, drawn: list[Drawn], page_path: Path) -> None:
    if page_path.exists():  # of an earlier report, which may have had a plot that this one has not
        for name in PLOTS:
            for suffix in ("svg", "png"):
                (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    for one in drawn:
        (folder / f"{one.plot.name}.svg").write_text(one.svg, encoding="utf-8")
        (folder / f"{one.plot.name}.png").write_bytes(one.png)


PLOTS = (
    "accuracy", "margins", "reliability", "agreement", "redundancy-verdicts", "redundancy-differences", "curve-rules",
    "curve-pairs", "rewards",
)  # fmt: skip
