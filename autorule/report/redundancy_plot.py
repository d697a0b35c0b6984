"""Which rules say the same: correlations of each two as a heat map, and the pairs that are nearly one rule."""

from typing import Any

import numpy as np

from autorule.evaluation.records import Matrix
from autorule.evaluation.selection import DUPLICATE_PHI
from autorule.report.axes import whole_axis
from autorule.report.drawing import BLUE, GREY, ORANGE, Plot
from autorule.report.text import counted, number

MOST_PAIRS = 10
SHAPE = 0.85
"""Height over width."""
DEEPER = 0.7
"""Exponent of |φ|: a weak correlation is still seen on a light and on a dark ground."""


def pairs_alike(matrix: Matrix) -> list[tuple[int, int, float]]:
    """(number, number, φ) of the rules with |φ| of at least DUPLICATE_PHI, the strongest first."""
    upper = [(i + 1, j + 1, matrix[i][j]) for i in range(len(matrix)) for j in range(i + 1, len(matrix))]
    return sorted((one for one in upper if abs(one[2]) >= DUPLICATE_PHI), key=lambda one: -abs(one[2]))


def redundancy_plot(name: str, of: str, matrix: Matrix) -> Plot:
    """Colour stands on the ground of the page: none at all where two rules have nothing to do with each other."""
    phi = np.array(matrix, dtype=np.float64)
    never = np.flatnonzero(np.diag(phi) == 0)  # a rule that varies correlates with itself
    side = min(8.6, 3.6 + 0.05 * len(phi))

    def draw(figure: Any) -> None:
        figure.set_layout_engine("none")
        axes, bar = (
            figure.add_axes((0.1, 0.12, 0.7, 0.7 / SHAPE)),
            figure.add_axes((0.83, 0.2, 0.025, 0.7 / SHAPE - 0.16)),
        )
        n = len(phi) + 0.5
        shown = phi.copy()
        np.fill_diagonal(shown, 0)
        _depths(axes, shown, (0.5, n, n, 0.5))
        axes.plot((0.5, n), (0.5, n), color=GREY, lw=max(0.8, 60 / len(phi) ** 1.2))
        for index in never:
            for start, size in (((0.5, index + 0.5), (n - 0.5, 1)), ((index + 0.5, 0.5), (1, n - 0.5))):
                _hatch(axes, start, size)
        axes.set_aspect("equal")
        axes.spines[:].set_visible(True)
        axes.set_xlabel("rule")
        axes.set_ylabel("rule")
        whole_axis(axes.xaxis)
        whole_axis(axes.yaxis)
        _depths(bar, np.linspace(1, -1, 201)[:, None], (0, 1, -1, 1))
        bar.set_aspect("auto")
        bar.set_xticks([])
        bar.yaxis.tick_right()
        bar.yaxis.set_label_position("right")
        bar.set_ylabel(f"correlation (φ) of {of.partition(' (')[0]}")
        bar.spines[:].set_visible(True)

    return Plot(
        name, f"Redundancy: correlation of {of}", _words(of, matrix, len(never)), draw, side, side * SHAPE,
        (BLUE, ORANGE) * 2,
    )  # fmt: skip


def _words(of: str, matrix: Matrix, n_never: int) -> str:
    alike = pairs_alike(matrix)
    words = f"Correlation of the {of} of each two of {len(matrix)} rules: {counted(len(alike), 'pair')} of rules with "
    words += f"φ of {DUPLICATE_PHI} or more, or −{DUPLICATE_PHI} or less"
    if alike:
        words += ": " + ", ".join(f"{i} and {j} ({number(value)})" for i, j, value in alike[:MOST_PAIRS])
        words += ", and others" if len(alike) > MOST_PAIRS else ""
    else:
        strongest = max((abs(matrix[i][j]), i, j) for i in range(len(matrix)) for j in range(i + 1, len(matrix)))
        _, i, j = strongest
        words += f". The strongest is between rules {i + 1} and {j + 1}: {number(matrix[i][j])}"
    words += ". Grey on the diagonal: a rule and itself."
    return words + (f" Hatched: {counted(n_never, 'rule')} without a correlation, for want of variance."
                    if n_never else "")  # fmt: skip


def _depths(axes: Any, values: "np.ndarray[Any, Any]", extent: tuple[float, ...]) -> None:
    """Two pictures, one for each sign, of one colour each, since the page gives colours by its theme."""
    from matplotlib.colors import to_rgb

    for colour, depth in ((BLUE, np.maximum(values, 0)), (ORANGE, np.maximum(-values, 0))):
        pixels = np.empty((*values.shape, 4))
        pixels[..., :3], pixels[..., 3] = to_rgb(colour), depth**DEEPER
        axes.imshow(pixels, interpolation="none", extent=extent)


def _hatch(axes: Any, start: tuple[float, float], size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(start, *size, hatch="//////", fill=False, edgecolor=GREY, lw=0.3))
