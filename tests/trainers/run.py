"""Exports in the trainers' own code, each in an environment of its own: `make test-trainers`.

Their pins clash with ours and with each other. What does not install is said, and is a failure of this command.
"""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".trainers"
PACKAGES = {
    "verl": [["verl==0.9.1"]],
    "verifiers": [["verifiers==0.4.0"]],
    # Its other packages build CUDA code; the executor that asks for rewards needs these.
    "openrlhf": [["torch", "transformers", "aiohttp", "sympy", "pylatexenc"], ["--no-deps", "openrlhf==0.11.2"]],
}
"""Trainer -> what pip is given, one call after the other."""


def main() -> None:
    chosen = sys.argv[1:] or list(PACKAGES)
    outcomes = {name: test(name) for name in chosen}
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")
    raise SystemExit(any(outcome != "passed" for outcome in outcomes.values()))


def test(name: str) -> str:
    folder = ENVIRONMENTS / name
    python = folder / "bin/python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        for what in (*PACKAGES[name], ["pytest", "-e", f"{ROOT}[data,serve]"]):
            if subprocess.run([python, "-m", "pip", "install", "--quiet", *what]).returncode:
                return f"could not be installed: {what}"
        (folder / ".installed").touch()
    done = subprocess.run([python, "-m", "pytest", "-q", HERE / f"test_{name}.py", "-p", "no:cacheprovider"], cwd=ROOT)
    return "passed" if done.returncode == 0 else "failed"


if __name__ == "__main__":
    main()
