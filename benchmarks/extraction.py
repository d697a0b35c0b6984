"""What extraction costs beside the model: orchestration, memory, synthesis.

    python benchmarks/extraction.py orchestration|memory|synthesis|all

Prints tables and writes benchmarks/results/extraction.json, one section for each part; the other sections stay.
Nothing here is a test: figures depend on the machine and on what else it does, which is why they record its load.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loopback_server import loopback_server
from workload import write_pairs

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "extraction.json"
PACKAGES = ("autorule", "pydantic", "aiohttp", "numpy", "scikit-learn", "prefect", "tenacity")
CONCURRENCY = 64
LATENCY_S = 0.2
MAX_ORCHESTRATION_RATIO = 1.10
"""With Prefect, to the same run without it."""
ROUNDS = 3
MAX_MEMORY_RATIO = 1.2
PREFECT_START_S = 120


def orchestration(n_calls: int) -> dict[str, Any]:
    """The calls of the first two stages through the whole flow, with Prefect and without, in alternating runs.

    What counts is from the first call to the end of mining; the start of a flow run is told apart.
    """
    ideal_s = n_calls * LATENCY_S / CONCURRENCY
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "prefect": []}
    with tempfile.TemporaryDirectory() as folder:
        pairs = Path(folder, "pairs.jsonl")
        write_pairs(pairs, n_calls // 2)
        for number in range(ROUNDS):
            for name, done in runs.items():
                own = Path(folder, f"{name}-{number}")
                own.mkdir()
                done.append(_extract(own, pairs, name == "prefect"))
    medians = {name: statistics.median(run["stages_s"] for run in done) for name, done in runs.items()}
    starts = {name: statistics.median(run["before_first_call_s"] for run in done) for name, done in runs.items()}
    ratio = medians["prefect"] / medians["plain"]
    print(f"\n{n_calls} calls of {LATENCY_S} s, {CONCURRENCY} at a time: ideally {ideal_s:.1f} s")
    columns = ("stages_s", "before_first_call_s", "flow_s", "cpu_s", "server_cpu_s", "most_in_flight")
    rows = [(name, *(run[column] for column in columns)) for name, done in runs.items() for run in done]
    print_table(("run", *columns), rows)
    print(f"Prefect: {ratio:.3f} times the time without it (medians of {ROUNDS}); at most {MAX_ORCHESTRATION_RATIO}")
    return {"n_calls": n_calls, "latency_s": LATENCY_S, "concurrency": CONCURRENCY, "ideal_s": ideal_s,
            "median_stages_s": medians, "median_before_first_call_s": starts, "ratio": ratio,
            "ideal_ratios": {name: median / ideal_s for name, median in medians.items()},
            "target_ratio": MAX_ORCHESTRATION_RATIO, "met": ratio <= MAX_ORCHESTRATION_RATIO, "runs": runs}  # fmt: skip


def _extract(folder: Path, pairs: Path, prefect: bool) -> dict[str, Any]:
    with ExitStack() as stack:
        base_url = stack.enter_context(loopback_server(LATENCY_S))
        environment = stack.enter_context(prefect_server(folder)) if prefect else None
        arguments = {"folder": str(folder), "pairs": str(pairs), "concurrency": CONCURRENCY, "base_url": base_url}
        return measure("extract", {**arguments, "prefect": prefect}, environment)


def memory(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Peak memory of the first two stages by number of pairs, against a server that answers at once."""
    runs = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, loopback_server(0.0) as base_url:
            pairs = Path(folder, "pairs.jsonl")
            write_pairs(pairs, size)
            arguments = {"folder": folder, "pairs": str(pairs), "base_url": base_url, "concurrency": CONCURRENCY}
            runs[str(size)] = measure("stages", arguments)
    ratio = runs[str(sizes[-1])]["peak_mb"] / runs[str(sizes[0])]["peak_mb"]
    print(f"\nPeak memory of {sizes[-1]} pairs is {ratio:.3f} times that of {sizes[0]}")
    rows = [(size, run["wall_s"], *run["peak_mb_after"].values()) for size, run in runs.items()]
    print_table(("pairs", "wall_s", "MB import", "MB draw", "MB interpretation", "MB mining"), rows)
    return {"backend": "loopback server without latency", "ratio": ratio, "target_ratio": MAX_MEMORY_RATIO,
            "met": ratio <= MAX_MEMORY_RATIO, "runs": runs}  # fmt: skip


def synthesis(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Cost of synthesis by number of distinct candidates, with a merger that answers at once."""
    runs = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measure("synthesize", {"folder": folder, "n_distinct": size}))
    print("\nSynthesis, without model time; tokens are estimated")
    columns = ("distinct", "candidates", "wall_s", "cpu_s", "peak_mb_before", "peak_mb", "merge_calls",
               "prompt_tokens", "completion_tokens", "rules")  # fmt: skip
    print_table(columns, [tuple(run[column] for column in columns) for run in runs])
    return {"runs": runs}


def measure(job: str, arguments: dict[str, Any], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """One job of measured.py in a fresh interpreter, with the load of the machine before and after it."""
    before = os.getloadavg()
    result = subprocess.run(
        [sys.executable, str(HERE / "measured.py"), job, json.dumps(arguments)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        sys.exit(f"{job} failed:\n{result.stderr[-4000:]}")
    return {**json.loads(result.stdout.splitlines()[-1]), "load_before": before, "load_after": os.getloadavg()}


@contextmanager
def prefect_server(folder: Path) -> Iterator[dict[str, str]]:
    """A Prefect server in a process of its own while the block runs; the environment that points to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "prefect.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        wait_for(f"{api}/health", process)
        yield environment
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Polls until the URL answers. Exits when its process ends or the time is up."""
    deadline = time.monotonic() + PREFECT_START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.25)
    process.terminate()
    sys.exit(f"no Prefect server at {url}")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_average": os.getloadavg(),
    }


def print_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    shown = [[f"{cell:.3g}" if isinstance(cell, float) and cell < 10 else
              f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    for row in (columns, *shown):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("orchestration", "memory", "synthesis", "all"))
    parser.add_argument("--calls", type=int, default=20_000, help="calls of orchestration")
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000], help="sizes of memory")
    parser.add_argument("--distinct", type=int, nargs="+", default=[500, 1000, 2000, 4000, 8000], help="of synthesis")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to merge the figures into")
    asked = parser.parse_args()
    parts = {
        "orchestration": lambda: orchestration(asked.calls),
        "memory": lambda: memory(tuple(asked.pairs)),
        "synthesis": lambda: synthesis(tuple(asked.distinct)),
    }
    for name in parts if asked.part == "all" else (asked.part,):
        facts = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        section = {**facts, **parts[name]()}
        known = json.loads(asked.results.read_text()) if asked.results.exists() else {}
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        asked.results.write_text(json.dumps({**known, name: section}, indent=2) + "\n")


if __name__ == "__main__":
    main()
