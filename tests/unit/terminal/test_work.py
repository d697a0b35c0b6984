"""What a log shows of long work."""

from autorule.runs.progress import Step
from autorule.terminal.work import StageLines


def lines_of(*events):
    """The lines after (time, step) events, then the last ones."""
    now, written = 0.0, []
    lines = StageLines(written.append, lambda: now)
    for at, step in events:
        now = at
        lines(step)
    n_before_the_end = len(written)
    lines.end()
    return written[:n_before_the_end], written[n_before_the_end:]


def test_a_stage_has_a_line_when_it_begins_and_one_a_minute():
    during, last = lines_of(
        (0, Step("mining", 0, 4000)),
        *((second, Step("mining", 10)) for second in range(1, 131)),
    )
    assert during == [
        "mining: 0 of 4,000",
        "mining: 600 of 4,000, 10.0/s, 1 min, about 6 min left",
        "mining: 1,200 of 4,000, 10.0/s, 2 min, about 5 min left",
    ]
    assert last == ["mining: 1,300 of 4,000, 10.0/s, 2 min, about 4 min left"]


def test_stages_have_lines_of_their_own_and_rounds_are_counted_together():
    during, last = lines_of(
        (0, Step("mining", 0, 2)),
        (0, Step("synthesis", 0, 0)),
        (1, Step("synthesis", 0, 5)),
        (2, Step("synthesis", 5)),
        (3, Step("synthesis", 0, 3)),
        (4, Step("mining", 2)),
        (5, Step("synthesis", 3)),
    )
    assert during == ["mining: 0 of 2", "synthesis: 0 of 5"]
    assert last == ["mining: 2 of 2, 0.5/s, 4 s", "synthesis: 8 of 8, 1.6/s, 5 s"]


def test_steps_of_work_that_was_not_announced_have_no_line():
    assert lines_of((0, Step("verification", 1))) == ([], [])
