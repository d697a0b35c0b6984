"""The report of a run as files: what is on the page, what is left out, and that hostile text stays text."""

import base64
import hashlib
import html
import re
from xml.etree import ElementTree

import pytest

from autorule.errors import InputError, MissingExtraError, RuleSetError
from autorule.report.contents import read_contents
from autorule.report.plots import evaluation_plots
from autorule.report.rule_table import rule_table
from autorule.report.text import shortened, visible
from autorule.report.write import PLOTS, write_report
from autorule.runs.files import EVALUATION, RULE_SET
from autorule.statistics.records import Interval
from tests.reported_runs import HOSTILE, evaluation_run, extraction_run, section

SECTIONS = (
    "glance", "funnel", "rules", "agreement", "preferred", "calibration", "weightings", "rewards", "redundancy",
    "curves", "slices", "cost", "provenance",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return evaluation_run(tmp_path_factory.mktemp("run"), n_rules=50, n_prompts=120, rounds=100)


@pytest.fixture(scope="module")
def page(run):
    return write_report(run).read_text(encoding="utf-8")


def absent_sections(page):
    """The line that says what is not there."""
    return re.search(r'<p class="absent">Not in this run: (.*?)\.</p>', page)[1]


def test_an_evaluation_is_shown_with_all_its_sections(page, run):
    assert all(f'<h2 id="{name}">' in section(page, name) for name in SECTIONS)
    found = read_contents(run).evaluation
    assert len(re.findall(r'<tr id="rule-\d+"', page)) == 50
    assert f"{found.accuracies[0].accuracy.value:.1%}" in section(page, "glance")
    for decision in ("keep", "reversed", "unproven"):
        n = sum(rule.decision == decision for rule in found.rules)
        assert n and section(page, "rules").count(f'data-decision="{decision}"') == n
    assert "123 " in section(page, "funnel") or ">123<" in section(page, "funnel")
    assert "1,200" in section(page, "cost") and "1.2518" in section(page, "cost")
    assert read_contents(run).rule_set_sha256 in section(page, "provenance")
    assert 'class="absent"' not in section(page, "rewards")


def test_every_plot_lies_beside_the_page_and_in_it(page, run):
    contents = read_contents(run)
    names = {plot.name for plot in evaluation_plots(contents.evaluation)} | {"rewards"}
    assert names <= set(PLOTS) and {"agreement", "accuracy"} <= names
    files = {path.name for path in (run / "report").iterdir()}
    assert files == {"index.html"} | {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    for name in names:
        root = ElementTree.parse(run / "report" / f"{name}.svg").getroot()
        assert root.tag.endswith("svg")
        assert (run / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f'id="{name}-title"' in page and f'aria-labelledby="{name}-title {name}-desc"' in page


def test_ids_are_unique_and_references_lead_somewhere(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert {one or other for one, other in references} <= set(ids)


def test_the_page_needs_nothing_and_lets_nothing_in(page):
    assert not re.findall(r"""\ssrc=|@import|https?://(?!www\.w3\.org/(?:2000/svg|1999/xlink)")""", page)
    assert not re.search(r'<[^>]+\s(?:style|on\w+)="', page)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])
    assert policy.startswith("default-src 'none';")
    for tag in ("script", "style"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_page_with_fifty_rules_is_small(page):
    assert len(page.encode()) < 8_000_000


def test_the_same_run_gives_the_same_bytes(run, page, tmp_path):
    write_report(run, tmp_path / "again")
    first = {path.name: path.read_bytes() for path in (run / "report").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == first


def test_hostile_text_is_shown_as_text(tmp_path):
    run = evaluation_run(tmp_path, n_rules=12, n_prompts=60, hostile=True, rounds=100)
    page = write_report(run).read_text(encoding="utf-8")
    for text in HOSTILE:
        assert html.escape(visible(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert page.count("<script") == 1 and "<img" not in page and "<svg onload" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert "7 * 7" in page and "<b>" not in page
    labels = (run / "report" / "agreement.svg").read_text(encoding="utf-8")
    assert "$x^2$" in labels and "mathtext" not in labels


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ünïcode 漢字 🍐", "plain – ünïcode 漢字 🍐"),
        ("a\nb\tc", "a↵b⇥c"),
        ("\x00\x1b\x7f", "⟨U+0000⟩⟨U+001B⟩⟨U+007F⟩"),
        ("\u202eabc\u2066", "⟨U+202E⟩abc⟨U+2066⟩"),
        ("\ud800\ufffe", "⟨U+D800⟩⟨U+FFFE⟩"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_what_is_invisible_is_written_out(text, shown):
    assert visible(text) == shown


def test_text_is_shortened_by_its_width():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
    assert shortened("漢字漢字", 6) == "漢字…"
    assert shortened("a\n\n b", 6) == "a↵↵ b"


def test_an_extraction_says_what_it_does_not_have(tmp_path):
    page = write_report(extraction_run(tmp_path)).read_text(encoding="utf-8")
    assert "20 set aside by lint" in section(page, "funnel")
    assert len(re.findall(r'<tr id="rule-\d+"', page)) == 8 and 'id="decision"' not in page
    shown = re.findall(r'<h2 id="([^"]+)">', page)
    assert shown == ["glance", "funnel", "rules", "cost", "provenance"]
    assert re.findall(r'<a href="#([^"]+)">', page.partition("<nav")[2].partition("</nav>")[0]) == shown
    for title in ("Agreement", "Which side is preferred", "Weightings", "Rewards", "Redundancy", "Slices"):
        assert title in absent_sections(page)
    assert "the settings name no prices" in section(page, "cost") and "<figure" not in page


def test_parts_that_an_evaluation_lacks_are_left_out(tmp_path):
    absent = {
        "weightings": None, "no_weightings": "too few <prompts>", "curves": None, "margins": (), "slices": (),
        "phi_verdicts": (), "phi_differences": (),
    }  # fmt: skip
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100, changes=absent)
    page = write_report(run).read_text(encoding="utf-8")
    assert "too few &lt;prompts&gt;" in section(page, "weightings") and "<table" not in section(page, "weightings")
    for name, title in (("redundancy", "Redundancy"), ("curves", "Learning curves"), ("slices", "Slices")):
        assert f'<h2 id="{name}">' not in page and title in absent_sections(page)
    assert "Flips" in section(page, "rules").partition("No figures in this run for")[2]
    assert not (run / "report" / "margins.svg").exists()


def test_plots_of_an_earlier_report_do_not_stay(tmp_path):
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100)
    write_report(run)
    assert (run / "report" / "agreement.svg").exists()
    (run / EVALUATION).unlink()
    write_report(run)
    assert {path.name for path in (run / "report").iterdir()} == {"index.html", "rewards.svg", "rewards.png"}


def test_flips_have_a_column_each_and_missing_figures_no_number(tmp_path):
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100)
    contents = read_contents(run)
    flips = ({"paraphrase": 0.25}, {"paraphrase": None}, {"paraphrase": 0.0})
    rules = [
        rule.model_copy(update={"flips": own, "agreement": Interval(value=None, low=None, high=None)})
        for rule, own in zip(contents.evaluation.rules, flips, strict=True)
    ]
    changed = contents.evaluation.model_copy(update={"rules": tuple(rules)})
    (run / EVALUATION).write_text(changed.model_dump_json())
    table = rule_table(read_contents(run))
    labels = [column.label for column in table.columns]
    at = labels.index("Flips: paraphrase")
    assert {(row.number, row.cells[at].text, row.cells[at].sort) for row in table.rows} == {
        (1, "25.0%", 0.25), (2, "–", None), (3, "0.0%", 0.0),
    }  # fmt: skip
    assert "Agreement" in table.without and "Flips" not in table.without
    assert "agreement" not in {plot.name for plot in evaluation_plots(changed)}


def test_one_word_for_one_thing(page):
    assert "uniform" not in re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S).lower()
    weightings = section(page, "weightings")
    assert "equal weights, kept rules" in weightings and '<th scope="row">all rules alike ' in weightings


def test_reasons_and_heat_maps_lead_to_the_rules_that_they_name(page):
    assert re.search(
        r'with those of <a href="#rule-1">rule 1</a> with 0\.\d\d, over \d+ that both have</bdi>',
        section(page, "rules"),
    )
    assert re.search(r'<a href="#rule-1">rule 1</a> and <a href="#rule-50">rule 50</a>', section(page, "redundancy"))


def test_what_is_no_run_or_no_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        write_report(tmp_path)
    run = extraction_run(tmp_path)
    foreign = tmp_path / "site"
    foreign.mkdir()
    (foreign / "index.html").write_text("<p>mine</p>")
    with pytest.raises(InputError, match="--out"):
        write_report(run, foreign)
    assert (foreign / "index.html").read_text() == "<p>mine</p>"
    (run / EVALUATION).write_text('{"n_pairs": 3}')
    with pytest.raises(InputError, match=f"{EVALUATION} can't be read: n_prompts"):
        write_report(run)
    (run / EVALUATION).unlink()
    (run / RULE_SET).write_text("{")
    with pytest.raises(RuleSetError):
        write_report(run)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_the_way_to_get_it(package, tmp_path, monkeypatch):
    import sys

    run = extraction_run(tmp_path, held_out=True)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*autorule\[report\]"):
        write_report(run)
