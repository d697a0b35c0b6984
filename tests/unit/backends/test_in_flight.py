"""Many coroutines with a limit, driven from a thread."""

import threading

import pytest

from autorule.backends.in_flight import InFlight

PATIENCE_S = 20


@pytest.fixture
def in_flight():
    own = InFlight(2)
    yield own
    own.close()


async def double(job):
    return 2 * job


def test_jobs_that_break_off_are_an_error_after_what_was_done(in_flight):
    """A request that can't be made, such as of a conversation that a chat template refuses, must not hang the run."""

    def jobs():
        yield from range(5)
        raise ValueError("the sixth can't be made")

    def drive():
        try:
            found.extend(in_flight.run(double, jobs()))
        except ValueError as error:
            found.append(str(error))

    for _ in range(2):  # every place is free again
        found = []
        thread = threading.Thread(target=drive, daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        assert sorted(found[:-1]) == [0, 2, 4, 6, 8] and found[-1] == "the sixth can't be made"
    assert sorted(in_flight.run(double, range(9))) == list(range(0, 18, 2))
