"""Draws results/*.json: `python draw.py` writes results/curves.png."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("rules*.json"))]
    figure, axes = pyplot.subplots(1, len(reports), figsize=(4 * len(reports), 3.6), sharey=True, layout="constrained")
    for axis, report in zip(axes if len(reports) > 1 else [axes], reports, strict=True):
        for text, values in report["rules"].items():
            axis.plot(smooth(values), linewidth=1, label=text.removeprefix("The response should "))
        axis.plot(smooth(report["fraction"]), color="black", linewidth=2, label="fraction")
        axis.set(title=f"{report['trained_on']}, seed {report['seed']}", xlabel="step", ylim=(0, 1.02))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(RESULTS / "curves.png", dpi=110)


def smooth(values: list[float], width: int = 5) -> list[float]:
    """Means over the last `width` steps."""
    return [sum(values[max(0, i - width + 1) : i + 1]) / min(i + 1, width) for i in range(len(values))]


if __name__ == "__main__":
    main()
