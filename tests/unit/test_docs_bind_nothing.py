"""Examples in the documentation must not open Prefect's server, which has no password, to a network."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPEN = re.compile(r"0\.0\.0\.0|\bNodePort\b(?!`)|LoadBalancer|-p 4200|--publish|kind: Ingress|hostPort", re.IGNORECASE)


@pytest.mark.parametrize("name", ["docs/prefect.md", "docs/scale.md", "prefect.yaml", "README.md"])
def test_no_example_opens_the_server(name):
    path = ROOT / name
    blocks = re.findall(r"^```.*?^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks or path.suffix == ".yaml"
    assert not [found for block in blocks or [path.read_text(encoding="utf-8")] for found in OPEN.findall(block)]
