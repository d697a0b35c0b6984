"""The report in a real browser: opened from disk, used by mouse and keyboard, wide and narrow, light and dark."""

from itertools import pairwise

import pytest

from autorule.report.contents import read_contents
from autorule.report.text import visible
from autorule.report.write import write_report
from autorule.run_folder import EVALUATION
from tests.reported_runs import HOSTILE, evaluation_run

pytestmark = pytest.mark.slow
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
    page.get_by_role("button", name="#", exact=True).click()
    assert [int(value) for value in sort_values(page, "#")] == list(range(1, 51))
    before = sort_values(page, AGREEMENT)
    assert None in before[:-2] and own.get_attribute("aria-sort") is None
    own.get_by_role("button").click()
    values = sort_values(page, AGREEMENT)
    assert own.get_attribute("aria-sort") == "descending" and is_sorted(values, descending=True)
    assert values != before and values[-2:] == [None, None]
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
    assert rows.count() == 0 and status.text_content() == "0 of 50 rules"


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
