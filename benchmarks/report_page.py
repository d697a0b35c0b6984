"""The report of fifty rules on 5,000 pairs: `python benchmarks/report_page.py`, or with REPEATS.

Size of the page and of all files, time to build them in this process, and time until the load event in Chromium, the
median of five openings from disk. The target is a page that loads in under two seconds.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "report_page.json"
N_RULES, N_PAIRS = 50, 5000


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from autorule.report.write import write_report
    from tests.reported_runs import evaluation_run

    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        run = evaluation_run(Path(name), N_RULES, N_PAIRS, rounds=100)
        begun = time.perf_counter()
        page = write_report(run)
        built_s = time.perf_counter() - begun
        loads = load_times(page, repeats)
        report = {
            "rules": N_RULES,
            "pairs": N_PAIRS,
            "page_bytes": page.stat().st_size,
            "all_bytes": sum(path.stat().st_size for path in page.parent.iterdir()),
            "build_s": built_s,
            "load_s_median": statistics.median(loads),
            "load_s": loads,
        }
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def load_times(page: Path, repeats: int) -> list[float]:
    """Seconds from the start of the navigation to the end of the load event, each in a fresh context."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, chromium_path

    times = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        for _ in range(repeats):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            opened = context.new_page()
            opened.goto(page.as_uri(), wait_until="load")
            opened.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            times.append(opened.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
            context.close()
        browser.close()
    return times


if __name__ == "__main__":
    main()
