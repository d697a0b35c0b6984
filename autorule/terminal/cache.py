"""What the cache holds."""

from typing import TYPE_CHECKING

from autorule.terminal.console import out

if TYPE_CHECKING:
    from autorule.backends.answer_store import StoreStats


def print_cache(stats: "StoreStats") -> None:
    generations = sum(stats.generations_by_stage.values())
    stages = ", ".join(f"{n} {stage}" for stage, n in sorted(stats.generations_by_stage.items())) or "none"
    out.print(f"{stats.path}: {stats.n_bytes / 1e6:.1f} MB")
    out.print(
        f"answers: {generations} ({stages}), {stats.failed_generations} of them failures; verdicts: {stats.choices}"
    )
