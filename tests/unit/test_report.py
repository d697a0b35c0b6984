"""The report of a run as files: what is on the page, what is left out, and that hostile text stays text."""

import base64
import hashlib
import html
import re
from xml.etree import ElementTree

import pytest

from autorule.errors import InputError, MissingExtraError, RuleSetError
from autorule.evaluation.records import Interval
from autorule.report.contents import _edges, read_contents
from autorule.report.drawing import draw
from autorule.report.plots import evaluation_plots
from autorule.report.rule_table import rule_table
from autorule.report.text import percent, shortened, visible
from autorule.report.write import PLOTS, write_report
from autorule.run_folder import EVALUATION, MANIFEST, RULE_SET
from tests.reported_runs import HOSTILE, evaluation_run, extraction_run

SECTIONS = (
    "glance", "funnel", "rules", "agreement", "preferred", "weightings", "rewards", "redundancy", "curves", "slices",
    "cost", "provenance",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return evaluation_run(tmp_path_factory.mktemp("run"), n_rules=50, n_prompts=120, rounds=100)


@pytest.fixture(scope="module")
def page(run):
    return write_report(run).read_text(encoding="utf-8")


def section(page, name):
    return re.search(rf'<section aria-labelledby="{name}">.*?</section>', page, re.S)[0]


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


def test_differences_of_shares_are_points():
    assert (percent(0.513), percent(-0.0125, signed=True), percent(None)) == ("51.3%", "−1.2 pp", "–")


def test_an_extraction_says_what_it_does_not_have(tmp_path):
    page = write_report(extraction_run(tmp_path)).read_text(encoding="utf-8")
    assert "20 set aside by lint" in section(page, "funnel")
    assert len(re.findall(r'<tr id="rule-\d+"', page)) == 8 and 'id="decision"' not in page
    for name in ("agreement", "preferred", "weightings", "rewards", "redundancy", "curves", "slices"):
        assert section(page, name).count('class="absent"') == 1 and "<figure" not in section(page, name)
    assert "the settings name no prices" in section(page, "cost")


def test_held_out_rewards_of_an_extraction_are_shown(tmp_path):
    run = extraction_run(tmp_path, held_out=True)
    page = write_report(run).read_text(encoding="utf-8")
    rewards = read_contents(run).rewards
    assert [side.name for side in rewards.sides] == ["chosen", "rejected"]
    assert all(sum(side.counts) == side.n and side.n + side.n_unscored == 60 for side in rewards.sides)
    assert "Chosen has the higher reward" in section(page, "glance") and "<figure" in section(page, "rewards")


def test_parts_that_an_evaluation_lacks_are_left_out(tmp_path):
    absent = {
        "weightings": None, "no_weightings": "too few <prompts>", "curves": None, "margins": (), "slices": (),
        "phi_verdicts": (), "phi_differences": (),
    }  # fmt: skip
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100, changes=absent)
    page = write_report(run).read_text(encoding="utf-8")
    assert "too few &lt;prompts&gt;" in section(page, "weightings") and "<table" not in section(page, "weightings")
    for name in ("redundancy", "curves", "slices"):
        assert 'class="absent"' in section(page, name) and "<figure" not in section(page, name)
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


def test_leaked_pairs_and_unfinished_runs_are_warned_of(tmp_path):
    run = evaluation_run(tmp_path, n_rules=3, n_prompts=30, rounds=100, changes={"leaked_pairs": 7})
    manifest = read_contents(run).manifest
    failed = manifest.model_copy(update={"status": "failed_with_results", "message": "shard <3> failed"})
    (run / MANIFEST).write_text(failed.model_dump_json())
    page = write_report(run).read_text(encoding="utf-8")
    warned = re.findall(r'<p class="warning">.*?</p>', page)
    assert len(warned) == 2 and "7 of 30 pairs" in warned[1] and "shard &lt;3&gt; failed" in warned[0]


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0.5, 0.5], [0.0, 1.0]),
        ([0.0, 0.25, 0.5, 1.0], [-0.125, 0.375, 0.875, 1.375]),
    ],
)
def test_bins_of_rewards_on_a_grid_hold_as_many_points_of_it(values, edges):
    import numpy as np

    assert _edges(np.array(values)).tolist() == pytest.approx(edges)


def test_every_reward_lies_in_a_bin():
    import numpy as np

    values = np.random.default_rng(0).normal(size=500)
    counts, edges = np.histogram(values, _edges(values))
    assert counts.sum() == 500 and len(edges) <= 26
    grid = np.random.default_rng(0).integers(0, 51, 500) / 50
    assert np.histogram(grid, _edges(grid))[0].sum() == 500


def test_a_heat_map_of_two_hundred_rules_is_a_small_picture(tmp_path):
    import numpy as np

    phi = np.random.default_rng(0).uniform(-1, 1, (200, 200))
    matrix = tuple(tuple(map(float, row)) for row in phi)
    run = evaluation_run(tmp_path, n_rules=2, n_prompts=20, rounds=100, changes={"phi_verdicts": matrix})
    [plot] = [p for p in evaluation_plots(read_contents(run).evaluation) if p.name == "redundancy-verdicts"]
    drawn = draw(plot)
    assert len(drawn.inline) < 1_000_000 and "data:image/png" in drawn.inline


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
