"""What the server counts, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from autorule.records import CallCounts
from autorule.rewards import Scored
from autorule.serving.live import Live

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter("autorule_requests", "Requests answered", ["dialect", "status"], **own)
        self.latency = Histogram(
            "autorule_request_seconds", "From request to answer", ["dialect"], buckets=LATENCY_BUCKETS, **own
        )
        self.waiting = Gauge("autorule_completions_waiting", "Completions that wait for a worker", **own)
        self._completions = Counter("autorule_completions", "Completions scored", **own)
        self._unscored = Counter("autorule_completions_unscored", "Completions without a reward", **own)
        self._sent = Counter("autorule_verifier_calls", "Calls sent to the verifier", **own)
        self._cached = Counter("autorule_cache_hits", "Verdicts that the cache answered", **own)
        self._verdicts = Counter("autorule_verdicts", "Verdicts", ["verdict"], **own)
        self._rule_mean = Gauge("autorule_rule_mean", "Share of verdicts that are yes, by rule", ["rule"], **own)
        self._rule_set = Gauge("autorule_rule_set", "1 for the rule set in use", ["name", "version", "sha256"], **own)
        self._switches = Counter("autorule_rule_set_switches", "Changes of the rule set in use", **own)
        self._refused = Gauge("autorule_rule_set_refused", "1 while the current version can't be used", **own)
        self._n_switches = 0
        self._counted = CallCounts()
        self._by_rule: dict[str, tuple[int, int]] = {}

    def count(self, scored: Iterable[Scored]) -> None:
        for one in scored:
            self._completions.inc()
            self._unscored.inc(one.reward is None)
            for verdict in one.verdicts:
                self._verdicts.labels(verdict.verdict or "unscored").inc()
                if verdict.verdict in ("yes", "no"):
                    yes, n = self._by_rule.get(verdict.rule_id, (0, 0))
                    self._by_rule[verdict.rule_id] = yes + (verdict.verdict == "yes"), n + 1
        for rule_id, (yes, n) in self._by_rule.items():
            self._rule_mean.labels(rule_id).set(yes / n)

    def count_calls(self, counts: CallCounts) -> None:
        """`counts`: all calls so far."""
        self._sent.inc(counts.sent - self._counted.sent)
        self._cached.inc(counts.cached - self._counted.cached)
        self._counted = counts

    def show_rule_set(self, live: Live) -> None:
        """Which rule set is in use, and whether the registry's current one is not."""
        self._rule_set.clear()
        self._rule_set.labels(live.name or "", live.now.version or "", live.now.sha256).set(1)
        self._switches.inc(live.n_switches - self._n_switches)
        self._n_switches = live.n_switches
        self._refused.set(live.refused is not None)

    def page(self) -> bytes:
        return bytes(generate_latest(self.registry))
