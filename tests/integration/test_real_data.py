"""Real preference data, where it is at hand, through the readers and the whole flow (scripted models)."""

import json
from pathlib import Path

import pytest

from autorule.config import ExtractConfig
from autorule.config_layers import build_config
from autorule.flows.extract_rules import extract_rules
from tests.integration.test_flows import lines

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not at {DATA}")


def run(tmp_path, name, **settings):
    base = {
        "pairs": DATA / name,
        "outputs": tmp_path,
        "cache": {"enabled": False},
        "model": {"backend": "scripted", "model": "tests.scripts:helpful"},
    }
    config = build_config(ExtractConfig, base, settings)
    manifest = extract_rules.fn(config)
    return manifest, tmp_path / manifest.run_id


def test_pandalm_rows_are_validated_and_drawn(tmp_path):
    manifest, folder = run(tmp_path, "pandalm/pandalm.jsonl", limit=60)
    funnel = manifest.funnel
    assert (funnel.rows_read, funnel.rows_rejected, funnel.pairs_valid, funnel.pairs_drawn) == (999, 157, 842, 60)
    rejected = [{reason["code"] for reason in row["reasons"]} for row in lines(folder / "rejected_rows.jsonl")]
    ties = [codes for codes in rejected if "tie" in codes]
    empty = [codes for codes in rejected if codes & {"empty_response_a", "empty_response_b"}]
    assert (len(ties), len(empty), len([codes for codes in ties if codes in empty and len(codes) > 1])) == (105, 54, 2)
    assert funnel.imbalances() == []


def test_r1_chains_are_taken_as_interpretations(tmp_path):
    manifest, folder = run(tmp_path, "r1_arena_hard/r1_arena_hard.jsonl", limit=40, shard_size=16)
    funnel = manifest.funnel
    assert (funnel.rows_read, funnel.rows_rejected, funnel.chains_given, funnel.chains) == (354, 31, 40, 40)
    assert "interpretation" not in {stage for stage, counts in manifest.usage.items() if counts.sent}
    source = {row["reasoning"] for row in map(json.loads, (DATA / "r1_arena_hard/r1_arena_hard.jsonl").open())}
    for line in lines(folder / "01_interpretations.jsonl"):
        assert line["chain"] in source
        assert line["chain_source"] == "given"
