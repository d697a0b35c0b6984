"""What the Prefect UI shows of runs, in a real browser: names, logs, task runs, artifacts, and the form of a run."""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from autorule.local_prefect.api import call_api
from tests.browser.prefect_story import HOSTILE, runs_of, tell
from tests.integration.prefect_project import artifacts_of

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]
HEADER = "What became of every row"
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def story(browser, prefect, tmp_path_factory):
    return tell(tmp_path_factory.mktemp("story"), prefect[1])


@pytest.fixture
def open_page(browser, story):
    """Opens a page of the UI and waits for a text on it; at the end nothing may have left this machine."""
    contexts, wrong = [], []

    def note(url):
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != f"127.0.0.1:{story.port}":
            wrong.append(f"request: {url[:200]}")

    def open_it(path, text):
        contexts.append(browser.new_context(viewport={"width": 1400, "height": 1000}))
        page = contexts[-1].new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: note(request.url))
        page.on("websocket", lambda socket: note(socket.url))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(f"http://127.0.0.1:{story.port}{path}")
        page.get_by_text(text).first.wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert wrong == []


def open_tab(page, name, text):
    """What a tab of a run says, once the text is there."""
    page.locator("li.p-tab", has_text=name).first.click()
    content = page.locator(".p-tabs__content")
    content.get_by_text(text).first.wait_for()
    return content.inner_text()


def open_run(open_page, story, run):
    return open_page(f"/runs/flow-run/{run}", call_api(story.port, f"flow_runs/{run}")["name"])


def open_artifact(open_page, story, run, key, text):
    return open_page(f"/artifacts/artifact/{artifacts_of(story.port, run)[key]['id']}", text)


def test_the_dashboard_and_the_list_of_deployments(open_page):
    page = open_page("/dashboard", "rules-pool")
    page.get_by_text("Task Runs").first.wait_for()
    page = open_page("/deployments", "refresh-rules")
    text = page.locator("main, body").first.inner_text()
    flows = ("extract-rules", "repeat-extraction", "score-completions", "evaluate-rules", "export-rules")
    assert all(flow in text for flow in flows)


def test_the_list_of_runs_names_data_model_and_date(open_page):
    text = open_page("/runs", "held_out_pairs · m").locator("body").inner_text()
    today = f"{datetime.now(UTC):%Y-%m-}"
    for name in ("sample_pairs · m", "held_out_pairs · m", "broken · tests.scripts:breaks_or_fails"):
        assert f"{name} · {today}" in text


def test_a_run_reads_like_a_story(open_page, story):
    page = open_run(open_page, story, story.extraction)
    logs = open_tab(page, "Logs", "run mined: completed")
    steps = (
        r"run mined begins; its folder is /",
        r"rows → pairs: 48 in, 48 out",
        r"interpretation begins: 48 requests in 5 shards, asked of openai_compatible:m",
        r"interpretation ends: 48 done, 0 failed; 48 calls sent, 0 from the cache; 480 \+ 240 tokens; "
        r"[\d.]+ s, [\d.,]+ requests a second",
        r"mining begins: 48 requests in 5 shards",
        r"mining ends: 48 done, 0 failed",
        r"synthesis begins: 48 candidates, \d+ after folding",
        r"synthesis: \d+ done, 0 failed; \d+ calls? sent",
        r"synthesis ends: \d+ rules",
        r"candidates → rules: 48 in, \d+ out",
        r"run mined: completed",
    )
    assert re.search("[\\s\\S]*?".join(steps), logs), logs
    tasks = open_tab(page, "Task Runs", "draw-pairs")
    assert {"draw-pairs", "interpret-0", "interpret-4", "mine-0", "mine-4", "synthesize-rules"} <= set(tasks.split())
    artifacts = open_tab(page, "Artifacts", "rule-set")
    for line in (
        HEADER, "rules, best supported first", "interpretation: 48 of 48", "mining: 48 of 48", "The rule set",
        "The report of the run",
    ):  # fmt: skip
        assert line in artifacts


def test_the_log_of_a_failed_shard_says_which_rows_and_why(open_page, story):
    page = open_run(open_page, story, story.broken)
    logs = open_tab(page, "Logs", "run broken-seed0: failed with results")
    for line in (
        "interpretation shard 1 (rows 3 to 4) failed: told to break by <b>row</b> ⟨U+001B⟩[31mtwo",
        "interpretation shard 2: 1 failed, row 5: provider: HTTP 418",
        "interpretation ends: 3 done, 3 failed",
        "pairs → chains: 6 in, 3 out; 3 failed",
    ):
        assert line in logs, line
    assert page.locator(".p-tabs__content b").count() == 0


def test_the_funnel_and_the_rules_are_tables_of_text(open_page, story):
    page = open_artifact(open_page, story, story.extraction, "funnel", HEADER)
    page.get_by_role("cell", name="mined chains → candidates").wait_for()
    page = open_artifact(open_page, story, story.extraction, "rules", "The response should")
    assert HOSTILE in page.locator("tbody td").all_inner_texts()
    assert page.locator("td img, td b, td a, td code").count() == 0


def test_the_evaluation_and_the_accuracy_have_intervals(open_page, story):
    page = open_artifact(open_page, story, story.evaluation, "evaluation", "Rules on 16 pairs, surest first")
    text = page.locator("table").first.inner_text()
    assert HOSTILE in text and re.search(r"unproven\s+\d+\.\d% \(\d+\.\d–\d+\.\d\)\s+\d+", text), text
    page = open_artifact(open_page, story, story.evaluation, "accuracy", "as rewarded")
    text = page.locator("table").first.inner_text()
    assert all(way in text for way in ("random", "longer response", "one call")), text
    logs = open_tab(open_run(open_page, story, story.evaluation), "Logs", "run measured: completed")
    assert re.search(r"verification begins: \d+ verdicts in 4 shards", logs)
    assert re.search(r"verification ends: \d+ done, 0 failed; .* tokens; .* verdicts a second", logs)
    assert re.search(r"baselines end: 16 done, 0 failed", logs)


@pytest.mark.parametrize("name", ["agreement", "accuracy"])
def test_plots_are_images(open_page, story, name):
    page = open_artifact(open_page, story, story.evaluation, f"plot-{name}", "How often each")
    plot = page.locator("img[alt^='How often each']")
    plot.wait_for()
    page.wait_for_function("plot => plot.complete && plot.naturalWidth > 300", arg=plot.element_handle())


@pytest.mark.parametrize(("key", "file"), [("rule-set", "03_rule_set.json"), ("report", "report/index.html")])
def test_links_lead_to_files_that_are_there(open_page, story, key, file):
    page = open_artifact(open_page, story, story.evaluation, key, file)
    path = (story.folder / "outputs/measured" / file).resolve()
    assert page.locator("a[href^='file:']").get_attribute("href") == path.as_uri()
    assert path.is_file() and str(path) in page.locator("body").inner_text()


def test_progress_ends_at_its_end(open_page, story):
    page = open_artifact(open_page, story, story.evaluation, "verification-progress", "Progress: 100%")
    assert re.search(r"verification: (\d+) of \1\b", page.locator("body").inner_text())


FORMS = {
    "extract-rules": (
        "Pairs", "file with the preference pairs", "Held out", "Shard size", "pairs in one task (at least 1)",
        "Backend", "requests in flight at each server", "Timeout (seconds)", "Temperature",
        "most rules of the rule set", "P(yes) from which a rule counts as satisfied (at least 0, at most 1)",
    ),
    "repeat-extraction": ("Pairs", "Repeats", "extract so often, each with a seed of its own, and compare"),
    "evaluate-rules": ("Pairs", "Rules", "rule set file", "False discovery rate", "resamples behind each interval"),
    "score-completions": ("Completions", "file with prompts and the completions to score", "Shard size"),
    "export-rules": ("Rules", "rule set file", "Targets", "Out", "each target gets one of its own in it"),
    "refresh-rules": ("Name", "of the rule set in the registry", "Held out", "Max exploit rate"),
}  # fmt: skip


@pytest.mark.parametrize("flow", FORMS)
def test_the_form_of_a_run_explains_its_settings(open_page, story, flow):
    deployment = call_api(story.port, f"deployments/name/{flow}/default")
    page = open_page(f"/deployments/deployment/{deployment['id']}/run", FORMS[flow][1])
    for words in FORMS[flow]:
        page.get_by_text(words).first.wait_for(state="attached")
    text = page.locator("body").inner_text()
    assert all(text.index(FORMS[flow][0]) < text.index(words) for words in FORMS[flow][1:])


def test_the_form_starts_with_defaults_and_keeps_to_bounds(open_page, story):
    deployment = call_api(story.port, "deployments/name/score-completions/default")["id"]
    before = runs_of(story.port, "score-completions")
    page = open_page(f"/deployments/deployment/{deployment}/run", "completions in one task (at least 1)")

    def setting(title):
        return page.locator(".schema-form-property").filter(has=page.get_by_text(title, exact=True)).last

    size = setting("Shard size (Optional)").locator("input")
    assert size.input_value() == "2000"
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("is a required property").first.wait_for()
    for title in ("Completions", "Rules"):
        setting(title).locator("textarea").fill("none.jsonl")
    size.fill("-5")
    with page.expect_response("**/create_flow_run") as refused:
        page.get_by_role("button", name="Submit").click()
    assert "-5 is less than the minimum of 1" in refused.value.text()
    assert runs_of(story.port, "score-completions") == before
