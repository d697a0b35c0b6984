"""The report in a real browser: opened from disk, used by mouse and keyboard, wide and narrow, light and dark."""

import re
import shutil
import subprocess
from itertools import pairwise

import pytest

from autorule.report.contents import read_contents
from autorule.report.redundancy_plot import DEEPER
from autorule.report.text import visible
from autorule.report.write import write_report
from autorule.runs.files import EVALUATION
from tests.reported_runs import HOSTILE, evaluation_run

pytestmark = pytest.mark.long
AGREEMENT = "Agreement"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Fifty rules, the first of them hostile; the last one in the table agrees with nobody, for want of pairs."""
    folder = evaluation_run(tmp_path_factory.mktemp("run"), n_rules=50, n_prompts=100, hostile=True, rounds=100)
    found = read_contents(folder).evaluation
    unknown = {"value": None, "low": None, "high": None}
    rules = [*found.model_dump()["rules"]]
    for at in (7, 20):
        rules[at]["agreement"] = unknown
    (folder / EVALUATION).write_text(
        type(found).model_validate({**found.model_dump(), "rules": rules}).model_dump_json()
    )
    write_report(folder)
    return folder


@pytest.fixture
def open_page(browser, run):
    """Opens the page with settings of the browser; at the end nothing may have gone wrong."""
    contexts, wrong = [], []
    address = (run / "report" / "index.html").as_uri()

    def open_it(**settings):
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url == address or wrong.append(f"request: {request.url[:200]}"))
        page.goto(address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [one for one in wrong if one != "request: data:,"] == []


def header(page, label):
    return page.locator("#rule-table thead th").filter(has=page.get_by_role("button", name=label, exact=True))


def sort_values(page, label):
    """What the rows that are shown sort by in a column, in their order; None where a value is missing."""
    return page.evaluate(
        """label => {
          const headers = [...document.querySelectorAll("#rule-table thead th")];
          const column = headers.findIndex(header => header.textContent.trim() === label);
          return [...document.querySelectorAll("#rule-table tbody tr:not([hidden])")]
            .map(row => row.cells[column].dataset.sort ?? null);
        }""",
        label,
    )


def is_sorted(values, descending):
    known = [float(value) for value in values if value is not None]
    return known == sorted(known, reverse=descending) and values[len(known) :] == [None] * (len(values) - len(known))


def test_rules_sort_by_mouse_and_by_keyboard(open_page):
    page = open_page()
    own = header(page, AGREEMENT)
    first = sort_values(page, "#")
    assert own.get_attribute("aria-sort") == "descending" and is_sorted(sort_values(page, AGREEMENT), descending=True)
    page.get_by_role("button", name="#", exact=True).click()
    assert [int(value) for value in sort_values(page, "#")] == list(range(1, 51))
    before = sort_values(page, AGREEMENT)
    assert None in before[:-2] and own.get_attribute("aria-sort") is None
    own.get_by_role("button").click()
    values = sort_values(page, AGREEMENT)
    assert own.get_attribute("aria-sort") == "descending" and is_sorted(values, descending=True)
    assert values != before and values[-2:] == [None, None] and sort_values(page, "#") == first
    own.get_by_role("button").focus()
    page.keyboard.press("Enter")
    values = sort_values(page, AGREEMENT)
    assert own.get_attribute("aria-sort") == "ascending" and is_sorted(values, descending=False)
    assert values[-2:] == [None, None]
    page.keyboard.press("Space")
    assert own.get_attribute("aria-sort") == "descending"
    assert page.locator("#rule-table thead th[aria-sort]").count() == 1


def test_every_column_sorts(open_page):
    page = open_page()
    labels = page.locator("#rule-table thead button").all_text_contents()
    assert len(labels) >= 15
    for label in labels:
        own = header(page, label)
        own.get_by_role("button").click()
        values = sort_values(page, label)
        if own.get_attribute("data-kind") == "number":
            assert is_sorted(values, descending=own.get_attribute("aria-sort") == "descending"), label
    decisions = sort_values(page, "Decision")
    header(page, "Decision").get_by_role("button").click()
    assert sort_values(page, "Decision") == sorted(decisions)


def test_search_narrows_the_table_and_tells_the_count(open_page):
    page = open_page()
    status = page.get_by_role("status")
    assert status.text_content() == "50 of 50 rules" and status.get_attribute("aria-live") == "polite"
    page.get_by_label("Search rules").fill("NAMES ITS sources")
    rows = page.locator("#rule-table tbody tr:visible")
    n = rows.count()
    assert 0 < n < 50 and status.text_content() == f"{n} of 50 rules"
    assert all("names its sources" in text for text in rows.all_text_contents())
    page.get_by_label("Search rules").fill("no rule says this")
    assert rows.count() == 0 and status.text_content() == "No rule matches: 0 of 50 rules"
    page.get_by_label("Search rules").fill("no more than chance")  # stands in reasons only
    assert rows.count() == 0
    page.get_by_label("Search rules").fill("r49")
    assert rows.count() == 1 and rows.first.get_attribute("data-id") == "r49"


def test_rules_are_filtered_by_decision(open_page):
    page = open_page()
    page.get_by_label("Decision", exact=True).select_option("reversed")
    rows = page.locator("#rule-table tbody tr:visible")
    n = rows.count()
    assert 0 < n < 50 and page.get_by_role("status").text_content() == f"{n} of 50 rules"
    assert all("reversed" in text for text in rows.all_text_contents())
    link = rows.locator("td a").first
    target = page.locator(link.get_attribute("href"))
    link.click()
    assert target.is_visible()


def test_the_theme_is_that_of_the_system_until_it_is_toggled(open_page):
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    colours = light.evaluate(ground), dark.evaluate(ground)
    assert colours[0] != colours[1]
    for page, other in ((light, colours[1]), (dark, colours[0])):
        button = page.get_by_role("button", name="Dark theme")
        pressed = button.get_attribute("aria-pressed")
        axis = "getComputedStyle(document.querySelector('#plot-accuracy svg text')).fill"
        ink = page.evaluate(axis)
        button.click()
        assert page.evaluate(ground) == other and page.evaluate(axis) != ink
        assert button.get_attribute("aria-pressed") != pressed


@pytest.mark.parametrize("width", [380, 768, 1280])
def test_the_page_never_scrolls_sideways(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Nothing but what lies in a box that scrolls reaches past the edge.
    beyond = page.evaluate(
        """[...document.querySelectorAll("body *")].filter(element => !element.closest(".box, .canvas, .skip"))
           .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
           .map(element => element.outerHTML)"""
    )
    assert beyond == []
    box = page.locator(".box.tall")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto'")


def test_a_narrow_screen_shows_number_agreement_and_interval_of_each_rule(open_page):
    page = open_page(viewport={"width": 380, "height": 800})
    # Without scrolling sideways: ends of the marks in the table, and of the lines and numbers in the plot.
    cells = page.evaluate(
        """[...document.querySelectorAll("#rule-table tbody tr")].flatMap(row => [
             row.cells[0], ...row.cells[1].querySelectorAll(".bar, .share, .ends")])
           .map(part => part.getBoundingClientRect()).map(box => [box.left, box.right])"""
    )
    assert len(cells) == 50 + 48 * 3 and all(0 <= left < right <= 380 for left, right in cells)
    drawn = page.evaluate(
        r"""(() => {
          const texts = [...document.querySelectorAll("#plot-agreement svg text")];
          const parts = texts.filter(text => /^(\d+%?|20%|80%)$/.test(text.textContent));
          return parts.map(part => part.getBoundingClientRect()).map(box => [box.left, box.right]);
        })()"""
    )
    assert len(drawn) >= 48 + 4 and all(0 <= left < right <= 380 for left, right in drawn)


def test_bars_of_one_column_start_at_one_place(open_page):
    page = open_page()
    starts = page.evaluate(
        """[...document.querySelectorAll("table")].map(table => {
             const columns = {};
             for (const bar of table.querySelectorAll("td .bar, td .size")) {
               (columns[bar.closest("td").cellIndex] ??= new Set()).add(Math.round(bar.getBoundingClientRect().left));
             }
             return Object.values(columns).map(places => places.size);
           }).flat()"""
    )
    assert len(starts) >= 5 and set(starts) == {1}


def test_what_does_not_scroll_is_no_stop_for_the_keyboard(open_page):
    page = open_page(viewport={"width": 1280, "height": 900})
    page.wait_for_selector(".box.tall[tabindex]")
    wrong = page.evaluate(
        """[...document.querySelectorAll(".box, .canvas")].filter(box => {
             const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
             return scrolls !== box.hasAttribute("tabindex");
           }).length"""
    )
    names = [box.get_attribute("aria-label") for box in page.locator("[role=group]").all()]
    assert wrong == 0 and len(names) == len(set(names)) and page.get_by_role("region").count() == 0
    heights = page.evaluate("[...document.querySelectorAll('nav a')].map(link => link.getBoundingClientRect().height)")
    assert min(heights) >= 24


def test_on_paper_every_page_of_the_table_has_its_headers(open_page, tmp_path):
    page = open_page()
    page.emulate_media(media="print")
    shown = page.evaluate(
        """[...document.querySelectorAll("#rule-table thead th")].filter(head => head.checkVisibility())
           .map(head => [getComputedStyle(head.querySelector("button")).display, getComputedStyle(head).position])"""
    )
    assert 8 <= len(shown) <= 12 and all(one == ["contents", "static"] for one in shown)
    small = page.evaluate(
        """[...document.querySelectorAll("table *, figcaption, .help *")].filter(one => one.checkVisibility())
           .map(one => parseFloat(getComputedStyle(one).fontSize)).filter(size => size < 8 * 96 / 72 - 0.01).length"""
    )
    assert small == 0
    if shutil.which("pdftotext"):
        page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
        text = subprocess.run(
            ["pdftotext", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True
        ).stdout
        of_rules = [one for one in text.split("\f") if "that it tells apart" in one and "Provenance" not in one]
        assert len(of_rules) > 2 and all("Told apart" in one and "Decision" in one for one in of_rules)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_correlation_of_a_third_is_seen_on_both_grounds(open_page, scheme):
    page = open_page(color_scheme=scheme)
    colours = page.evaluate(
        """[...document.querySelectorAll("#plot-redundancy-verdicts feFlood")]
           .map(flood => getComputedStyle(flood).floodColor)"""
    )
    assert len(colours) == 2
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ground = [int(part) for part in re.findall(r"\d+", ground)[:3]]
    for colour in colours:
        parts = [int(part) for part in re.findall(r"\d+", colour)[:3]]
        mixed = [a + (b - a) * 0.3**DEEPER for a, b in zip(ground, parts, strict=True)]
        assert sum(abs(a - b) for a, b in zip(ground, mixed, strict=True)) > 100


def test_hostile_rules_are_text(open_page):
    page = open_page()
    texts = page.locator("#rule-table .text").all_text_contents()
    for text in HOSTILE:
        assert visible(text) in texts
    assert page.locator("img, iframe, object, embed, [onload], [onerror]").count() == 0
    assert page.locator("script").count() == 1 and page.locator("b").count() == 0


def test_every_plot_has_a_name_and_a_description(open_page):
    page = open_page()
    plots = page.locator("figure.plot svg")
    assert plots.count() >= 5 and page.get_by_role("img").count() == plots.count()
    for plot in plots.all():
        named, described = plot.get_attribute("aria-labelledby").split()
        assert len(page.locator(f"#{named}").text_content()) > 5
        assert len(page.locator(f"#{described}").text_content()) > 20
    assert page.locator("svg:not([role=img]):not([aria-hidden=true])").count() == 0


def test_headings_landmarks_and_tables_are_in_order(open_page):
    page = open_page()
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(heading => Number(heading.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1, role
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_without_a_script_everything_but_the_controls_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#rule-table tbody tr").count() == 50
    assert page.locator("#search").is_hidden() and page.locator("#theme").is_hidden()
