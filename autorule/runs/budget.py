"""A limit on what a run may spend, shared by all its shards in a process.

What counts are the calls that the run sends; what the cache answers is free. Once the limit is reached no further
request goes out: those in flight are taken in, and every other ends as a Failure of kind `budget`.
"""

import threading
from pathlib import Path
from typing import NamedTuple

from autorule.config.models import BudgetConfig, ModelConfig
from autorule.errors import BudgetSpentError
from autorule.records import CallCounts

_lock = threading.Lock()
_budgets: dict[Path, "Budget"] = {}


class Budget:
    def __init__(self, limits: BudgetConfig) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self.tokens = 0
        self.cost = 0.0

    def spend(self, counts: CallCounts, model: ModelConfig) -> None:
        with self._lock:
            self.tokens += counts.prompt_tokens + counts.completion_tokens
            self.cost += cost_of(counts, model) or 0.0

    def add(self, other: "Budget") -> None:
        """Counts what another run spent."""
        with self._lock:
            self.tokens += other.tokens
            self.cost += other.cost

    @property
    def reached(self) -> bool:
        """Whether nothing more may be sent."""
        tokens, cost = self._limits.max_tokens_total, self._limits.max_cost
        return (tokens is not None and self.tokens >= tokens) or (cost is not None and self.cost >= cost)

    def left(self) -> BudgetConfig:
        """What may still be spent. Raises BudgetSpentError when that is nothing."""
        if self.reached:
            raise BudgetSpentError(f"the budget is spent, {self}; raise the limit, or leave it out, and run again")
        tokens, cost = self._limits.max_tokens_total, self._limits.max_cost
        return BudgetConfig(
            max_tokens_total=None if tokens is None else tokens - self.tokens,
            max_cost=None if cost is None else cost - self.cost,
        )

    def __str__(self) -> str:
        parts = []
        if self._limits.max_tokens_total is not None:
            parts.append(f"{self.tokens:,} of {self._limits.max_tokens_total:,} tokens (max_tokens_total)")
        if self._limits.max_cost is not None:
            parts.append(f"{self.cost:.4f} of {self._limits.max_cost:g} (max_cost)")
        return " and ".join(parts) or "no limit"


class Account(NamedTuple):
    """What one model is asked goes on this budget, at the prices of the model."""

    budget: Budget
    model: ModelConfig

    def spend(self, counts: CallCounts) -> None:
        self.budget.spend(counts, self.model)


def cost_of(counts: CallCounts, model: ModelConfig) -> float | None:
    """What the calls cost at the prices of the model; None when it has none."""
    if model.price_in is None or model.price_out is None:
        return None
    return (counts.prompt_tokens * model.price_in + counts.completion_tokens * model.price_out) / 1e6


def budget_of(folder: Path, limits: BudgetConfig) -> Budget:
    """The budget of the run in `folder`, one for this process."""
    with _lock:
        return _budgets.setdefault(folder.resolve(), Budget(limits))


def reset_budget(folder: Path) -> None:
    """Forgets what was spent: a run that is started again has its whole budget."""
    with _lock:
        _budgets.pop(folder.resolve(), None)
