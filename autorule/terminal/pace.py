"""How fast work goes and how long it will take: only what was asked takes time, what was known before does not."""

from collections import deque

from autorule.runs.progress import Step

WINDOW_S = 300.0
"""The rate is that of the last while: a server may become slow, or come back."""
BETWEEN_MARKS_S = 1.0


class Pace:
    """Of the work of one name, which may be announced in several rounds."""

    def __init__(self, now: float) -> None:
        self.total = self.done = 0
        self.began = self.latest = now
        self._sent = self._cached = 0
        self._marks = deque([(now, 0.0)])
        """(time, items asked by then), the oldest first."""

    def add(self, step: Step, now: float) -> None:
        self.latest = now
        if step.total is not None:
            self.total += step.total
            return
        self.done += step.done
        self._sent += step.done if step.calls is None else step.calls.sent
        self._cached += 0 if step.calls is None else step.calls.cached
        if not self._sent:  # the clock of the rate begins when something is asked
            self._marks[0] = (now, 0.0)
        elif now - self._marks[-1][0] >= BETWEEN_MARKS_S:
            self._marks.append((now, self._asked))
            while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW_S:
                self._marks.popleft()

    @property
    def _asked(self) -> float:
        """Items in calls that were sent. An item may have many calls, and the cache some of them."""
        calls = self._sent + self._cached
        return self.done * self._sent / calls if calls else 0.0

    @property
    def n_known(self) -> int:
        """Items that nobody was asked for: the cache had them, the data, or a run before."""
        return self.done - round(self._asked)

    def rate(self, now: float) -> float | None:
        """Items asked in a second; None while that can't be told."""
        since, asked_by_then = self._marks[0]
        asked = self._asked - asked_by_then
        return asked / (now - since) if asked > 0 and now > since else None

    def seconds_left(self, now: float) -> float | None:
        """If all that is left has to be asked; None while that can't be told, and when nothing is left."""
        rate, left = self.rate(now), self.total - self.done
        return left / rate if rate and left > 0 else None
