"""Which rules say the same: correlations of each two as a heat map, and the pairs that are nearly one rule."""

from typing import Any

import numpy as np

from autorule.report.axes import whole_axis
from autorule.report.drawing import BLUE, GREY, ORANGE, Plot
from autorule.report.text import counted, number
from autorule.statistics.records import Matrix
from autorule.statistics.redundancy import DUPLICATE_PHI

MOST_PAIRS = 10
MOST_HATCHED = 600
"""Single cells; each is a shape of its own in the file."""
SHAPE = 0.85
"""Height over width."""
DEEPER = 0.7
"""Exponent of |φ|: a weak correlation is still seen on a light and on a dark ground."""


def pairs_alike(matrix: Matrix) -> list[tuple[int, int, float]]:
    """(number, number, φ) of the rules with |φ| of at least DUPLICATE_PHI, the strongest first."""
    return [one for one in _strongest_first(matrix) if abs(one[2]) >= DUPLICATE_PHI]


def _strongest_first(matrix: Matrix) -> list[tuple[int, int, float]]:
    upper = ((i, j) for i in range(len(matrix)) for j in range(i + 1, len(matrix)))
    known = [(i + 1, j + 1, value) for i, j in upper if (value := matrix[i][j]) is not None]
    return sorted(known, key=lambda one: -abs(one[2]))


def redundancy_plot(name: str, of: str, matrix: Matrix) -> Plot:
    """Colour stands on the ground of the page: none at all where two rules have nothing to do with each other."""
    phi = np.array(matrix, dtype=np.float64)
    unknown = np.isnan(phi)
    never = np.flatnonzero(unknown.all(axis=0))
    single = [cell for cell in np.argwhere(unknown) if not np.isin(cell, never).any()]
    side = min(8.6, 3.6 + 0.05 * len(phi))

    def draw(figure: Any) -> None:
        figure.set_layout_engine("none")
        axes, bar = (
            figure.add_axes((0.1, 0.12, 0.7, 0.7 / SHAPE)),
            figure.add_axes((0.83, 0.2, 0.025, 0.7 / SHAPE - 0.16)),
        )
        n = len(phi) + 0.5
        shown = np.nan_to_num(phi)
        np.fill_diagonal(shown, 0)
        _depths(axes, shown, (0.5, n, n, 0.5))
        axes.plot((0.5, n), (0.5, n), color=GREY, lw=max(0.8, 60 / len(phi) ** 1.2))
        for index in never:
            for start, size in (((0.5, index + 0.5), (n - 0.5, 1)), ((index + 0.5, 0.5), (1, n - 0.5))):
                _hatch(axes, start, size)
        for i, j in single if len(single) <= MOST_HATCHED else ():
            _hatch(axes, (j + 0.5, i + 0.5), (1, 1))
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
        name, f"Redundancy: correlation of {of}", _words(of, matrix), draw, side, side * SHAPE,
        (BLUE, ORANGE) * 2,
    )  # fmt: skip


def _words(of: str, matrix: Matrix) -> str:
    alike, known = pairs_alike(matrix), _strongest_first(matrix)
    words = f"Correlation of the {of} of each two of {len(matrix)} rules: {counted(len(alike), 'pair')} of rules with "
    words += f"φ of {DUPLICATE_PHI} or more, or −{DUPLICATE_PHI} or less"
    if alike:
        words += ": " + ", ".join(f"{i} and {j} ({number(value)})" for i, j, value in alike[:MOST_PAIRS])
        words += ", and others" if len(alike) > MOST_PAIRS else ""
    elif known:
        i, j, value = known[0]
        words += f". The strongest is between rules {i} and {j}: {number(value)}"
    words += ". Grey on the diagonal: a rule and itself."
    n_unknown = len(matrix) * (len(matrix) - 1) // 2 - len(known)
    if n_unknown:
        unknown = f"{counted(n_unknown, 'pair')} of rules whose correlation is unknown: they share few verdicts, or one"
        words += f" Hatched: {unknown} of them never varies."
    return words


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
