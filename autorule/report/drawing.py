"""A figure as files with fixed colours, and as a copy inside the page that follows its theme.

The page forbids style attributes and loads nothing, so in the copy styles become presentation attributes, and colours
of the palette become the custom properties that page.css defines for light and dark.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, LINE = "#222326", "#5b6068", "#d4d7dc"
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#b34900", "#007a59", "#a04279", "#6b6f76"
"""After Okabe and Ito, darker: told apart also by people who see fewer colours, and as text on white. Shapes and words
tell the same."""
THEMED = {
    INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BLUE: "var(--blue)", ORANGE: "var(--orange)",
    GREEN: "var(--green)", PURPLE: "var(--purple)", GREY: "var(--grey)",
}  # fmt: skip
SETTINGS = {
    "font.family": ["DejaVu Sans"], "font.size": 8.5, "svg.fonttype": "none", "text.color": INK,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.7, "axes.formatter.use_mathtext": False, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "grid.color": LINE, "grid.linewidth": 0.6,
    "legend.frameon": False, "lines.linewidth": 1.5, "text.parse_math": False, "path.simplify": False,
    "image.composite_image": False,
}  # fmt: skip
RASTER_DPI = 144
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Plot:
    name: str
    """Of its files."""
    title: str
    words: str
    """What the plot shows, for who can't see it."""
    draw: "Callable[[Figure], None]"
    width: float
    """Inches."""
    height: float
    tints: tuple[str, ...] = ()
    """Of its pictures, in the order in which they are drawn: each has one colour of the palette; its alpha tells."""


@dataclass(frozen=True)
class Drawn:
    plot: Plot
    svg: str
    png: bytes
    inline: str
    """The SVG for the page, with title and description."""


def draw(plot: Plot) -> Drawn:
    """Draws a plot; the same plot gives the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    svg, png = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": plot.name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has other fonts
        figure = Figure(figsize=(plot.width, plot.height), dpi=RASTER_DPI, layout="constrained")
        plot.draw(figure)
        # The canvases themselves: savefig would draw everything once more beforehand, to no end here.
        for ground in (figure.patch, *(axes.patch for axes in figure.axes)):
            ground.set_visible(False)
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # it is laid out already
        figure.set_dpi(RASTER_DPI)  # an SVG has its own
        figure.patch.set(visible=True, facecolor="white")
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    text = svg.getvalue().decode("utf-8")
    return Drawn(plot, _on_white(text), png.getvalue(), _inline(text, plot))


def _on_white(svg: str) -> str:
    """The SVG with a white ground, for viewers whose own is dark."""
    head, tag, rest = svg.partition("<svg ")
    attributes, end, body = rest.partition(">")
    return f'{head}{tag}{attributes}{end}\n <rect width="100%" height="100%" fill="#ffffff"/>{body}'


def _inline(svg: str, plot: Plot) -> str:
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    for element in root.iter():
        _without_style(element)
        _with_own_ids(element, plot.name, used)
    _tint(root, plot)
    left, top, width, height = (float(part) for part in root.attrib["viewBox"].split())
    root.attrib.clear()
    root.attrib.update(
        {"viewBox": f"{left:g} {top:g} {width:g} {height:g}", "width": f"{width * 96 / 72:.0f}", "role": "img"}
    )
    root.attrib["aria-labelledby"] = f"{plot.name}-title {plot.name}-desc"
    for position, (tag, text) in enumerate((("title", plot.title), ("desc", plot.words))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{plot.name}-{tag}"})
        element.text = text
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


def _tint(root: "ElementTree.Element[str]", plot: Plot) -> None:
    """Pictures hold their colours fixed; in the page a filter floods what they cover with that of the theme."""
    for colour in dict.fromkeys(plot.tints):
        named = {"id": f"{plot.name}-tint-{colour[1:]}", "color-interpolation-filters": "sRGB"}
        tint = ElementTree.Element(f"{{{SVG}}}filter", {**named, "x": "0", "y": "0", "width": "1", "height": "1"})
        ElementTree.SubElement(tint, f"{{{SVG}}}feFlood", {"flood-color": THEMED[colour]})
        ElementTree.SubElement(tint, f"{{{SVG}}}feComposite", {"in2": "SourceAlpha", "operator": "in"})
        root.insert(0, tint)
    for image, colour in zip(root.iter(f"{{{SVG}}}image"), plot.tints, strict=False):
        image.attrib["filter"] = f"url(#{plot.name}-tint-{colour[1:]})"


def _without_style(element: "ElementTree.Element[str]") -> None:
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = re.search(r"(?<![\d.])[\d.]++px", value)
            element.attrib["font-size"] = size[0] if size else "8.5px"
        elif name and name != "font-family":
            element.attrib[name] = THEMED.get(value.lower(), value)


def _with_own_ids(element: "ElementTree.Element[str]", prefix: str, used: set[str]) -> None:
    """Ids are unique in a page of many plots; those that nothing points to go."""
    own = element.attrib.pop("id", None)
    if own in used:
        element.attrib["id"] = f"{prefix}-{own}"
    for name, value in element.attrib.items():
        if name in (f"{{{XLINK}}}href", "href") and value.startswith("#"):
            element.attrib[name] = f"#{prefix}-{value[1:]}"
        elif value.startswith("url(#"):
            element.attrib[name] = f"url(#{prefix}-{value[5:]}"
