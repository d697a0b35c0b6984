"""The rule set in use. A request is answered by the one that it was accepted under, whatever comes after."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from autorule.records import CallCounts
from autorule.rewards import RuleReward
from autorule.rules.rule_sets import dump_rule_set
from autorule.serving.batching import Batcher


class Serving:
    """One rule set in use: its reward, its queue, and how many requests were accepted under it and wait."""

    def __init__(self, reward: RuleReward, batcher: Batcher, version: str | None) -> None:
        self.reward = reward
        self.batcher = batcher
        self.version = version
        """In the registry; None for a rule set from a file."""
        self.sha256 = hashlib.sha256(dump_rule_set(reward.rule_set).encode()).hexdigest()
        self.n_requests = 0


class Refused(NamedTuple):
    """What could not be put in use."""

    version: str | None
    """None when even that could not be read."""
    reason: str


class Live:
    """All methods are called on the event loop's thread: nothing is switched in the middle of one."""

    def __init__(
        self,
        reward: RuleReward,
        make_batcher: Callable[[RuleReward], Batcher],
        name: str | None = None,
        version: str | None = None,
    ) -> None:
        self.name = name
        """Under which the registry keeps the rule set; None for a rule set from a file."""
        self._make_batcher = make_batcher
        self.now = Serving(reward, make_batcher(reward), version)
        self._leaving: list[Serving] = []
        self._counts_before = CallCounts()
        self.n_switches = 0
        self.refused: Refused | None = None
        """Why the version that the registry calls current is not in use; None when it is."""

    @contextmanager
    def accepted(self) -> Iterator[Serving]:
        """What answers a request, held until it is answered."""
        serving = self.now
        serving.n_requests += 1
        try:
            yield serving
        finally:
            serving.n_requests -= 1
            self._close_idle()

    def switch(self, reward: RuleReward, version: str) -> None:
        """Answers requests that come from now on by another rule set."""
        self._leaving.append(self.now)
        self.now = Serving(reward, self._make_batcher(reward), version)
        self.n_switches += 1
        self.refused = None
        self._close_idle()

    @property
    def n_waiting(self) -> int:
        return sum(serving.batcher.n_waiting for serving in (self.now, *self._leaving))

    @property
    def counts(self) -> CallCounts:
        """Calls of the verifier so far, by all rule sets."""
        return sum((serving.reward.counts for serving in (self.now, *self._leaving)), self._counts_before)

    @property
    def is_scoring(self) -> bool:
        """Whether a thread is still at work."""
        return any(serving.batcher.is_scoring for serving in (self.now, *self._leaving))

    def give_up(self) -> None:
        """Answers whoever waits that the server is ending."""
        for serving in (self.now, *self._leaving):
            serving.batcher.give_up()

    def close(self) -> None:
        for serving in (self.now, *self._leaving):
            serving.batcher.close()

    def _close_idle(self) -> None:
        """Ends the threads of rule sets that were replaced and have answered all that was theirs."""
        for serving in [one for one in self._leaving if not one.n_requests]:
            self._leaving.remove(serving)
            self._counts_before += serving.reward.counts
            serving.batcher.close()
