"""Names of runs: each names one folder in that of the outputs, whatever a user or a file is called."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autorule.config.layers import build_config
from autorule.config.runs import ExtractConfig
from autorule.errors import ConfigError
from autorule.runs.run_ids import new_run_id


@given(st.text())
@example("x" * 300)
@example("../x")
@example("a/b")
@example("a\0b")
@example("--no-cache")
@example(".")
@example("a\n")
@example("")
@example("üñ")
def test_a_run_id_names_one_folder_or_is_refused_in_one_line(run_id):
    try:
        config = build_config(ExtractConfig, {"pairs": "p.jsonl", "outputs": "o", "run_id": run_id})
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1 and "run_id" in str(error)
        return
    folder = config.outputs / run_id
    assert folder.parent == Path("o") and folder.name == run_id
    assert len(run_id) <= 200 and run_id.isascii() and not run_id.startswith((".", "-"))


@pytest.mark.parametrize("name", ["x" * 250 + ".jsonl", "ü" * 100, ".jsonl", "a b(1).csv", "-.json", "pairs.jsonl"])
def test_a_made_up_run_id_can_be_given_again(name):
    run_id = new_run_id(Path(name))
    assert build_config(ExtractConfig, {"pairs": "p.jsonl", "run_id": run_id}).run_id == run_id
    assert new_run_id(Path(name)) != run_id
