"""The rate and the time left count what is asked; what was known before is shown apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.records import CallCounts
from autorule.runs.progress import Step
from autorule.tasks.stage_logs import results_text
from autorule.terminal.pace import WINDOW_S, Pace
from autorule.terminal.work import StageLines

SENT, CACHED = CallCounts(sent=1), CallCounts(cached=1)


def test_a_resumed_run_promises_what_the_rest_will_take():
    """900 of 1,000 answers come from the cache within a second, the others take 1.5 s each."""
    now, written = 0.0, []
    lines = StageLines(written.append, lambda: now)
    lines(Step("mining", 0, 1000))
    for _ in range(900):
        now += 0.001
        lines(Step("mining", 1, calls=CACHED))
    for _ in range(40):
        now += 1.5
        lines(Step("mining", 1, calls=SENT))
    lines.end()
    assert written[0] == "mining: 0 of 1,000"
    assert written[-1] == "mining: 940 of 1,000, 900 known before, 0.7/s, 1 min, about 2 min left"


def test_a_stage_that_the_cache_serves_has_no_rate():
    now, written = 0.0, []
    lines = StageLines(written.append, lambda: now)
    lines(Step("mining", 0, 10))
    now = 0.5
    lines(Step("mining", 10, calls=CallCounts(cached=10)))
    lines.end()
    assert written[-1] == "mining: 10 of 10, 10 known before, 0 s"


def test_an_item_may_have_many_calls_of_which_the_cache_knows_some():
    pace = Pace(0)
    pace.add(Step("verification", 0, 1000), 0)
    for second in range(1, 11):
        pace.add(Step("verification", 20, calls=CallCounts(sent=5, cached=15)), second)
    assert (pace.done, pace.n_known) == (200, 150)
    assert pace.rate(10) == pytest.approx(5.0)


def test_the_rate_is_that_of_the_last_while():
    pace = Pace(0)
    pace.add(Step("mining", 0, 10**6), 0)
    for second in range(1, 1001):
        pace.add(Step("mining", 100, calls=CallCounts(sent=100)), second)
    for second in range(1001, 1001 + int(WINDOW_S) + 2):
        pace.add(Step("mining", 1, calls=SENT), second)
    assert pace.rate(1000 + WINDOW_S + 1) == pytest.approx(1.0, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50), st.integers(0, 50), st.floats(0, 100))))
def test_figures_are_possible_whatever_the_steps_are(steps):
    now, pace = 0.0, Pace(0)
    pace.add(Step("x", 0, 500), now)
    for done, sent, cached, later in steps:
        now += later
        pace.add(Step("x", done, calls=CallCounts(sent=sent, cached=cached)), now)
        assert 0 <= pace.n_known <= pace.done
        rate, left = pace.rate(now), pace.seconds_left(now)
        assert rate is None or rate > 0
        assert left is None or left >= 0


def test_what_a_stage_says_at_its_end_counts_its_calls_alone():
    calls = CallCounts(sent=38, cached=10, prompt_tokens=4800, completion_tokens=240)
    told = results_text(45, 3, calls, 12.3)
    assert told.endswith("12.3 s, 3.1 requests a second") and "38 calls sent, 10 from the cache" in told
