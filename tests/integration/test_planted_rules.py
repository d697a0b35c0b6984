"""Does synthesis find what is there? Rules planted in 2,000 chains, among noise, broken answers and bad merges."""

import json
from collections import Counter

import pytest

from autorule.config.layers import build_config, load_preset
from autorule.config.runs import ExtractConfig
from autorule.errors import RunFailedError
from autorule.flows.extract_rules import extract_rules
from autorule.records import CandidateRule, DroppedCandidate
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.files import CANDIDATES, DROPPED, RULE_SET, read_records
from tests.planted import meaning

N_PAIRS = 2000


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    rows = ({"prompt": f"Question {i}?", "chosen": f"Good {i}.", "rejected": f"Bad {i}."} for i in range(N_PAIRS))
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return {
        "pairs": folder / "pairs.jsonl",
        "outputs": folder,
        "cache": {"path": folder / "cache.sqlite"},
        "model": {"backend": "scripted", "model": "tests.planted:planter"},
    }


@pytest.mark.long
def test_the_default_preset_recovers_planted_rules(settings):
    config = build_config(ExtractConfig, load_preset("default"), settings)
    manifest = extract_rules.fn(config)
    folder = config.outputs / manifest.run_id
    candidates = {c.candidate_id: c for c in read_records(folder / CANDIDATES, CandidateRule)}
    assert len({c.text for c in candidates.values()}) >= 3000
    noise = sum(not meaning(c.text).startswith("rule ") for c in candidates.values())
    assert 0.07 <= noise / len(candidates) <= 0.13

    rules = load_rule_set(folder / RULE_SET).rules
    recovered = Counter(meaning(rule.text) for rule in rules)
    planted = {key for key in recovered if key.startswith("rule ")}
    assert len(planted) >= 38
    assert len(rules) - len(planted) <= 4, "duplicates and false rules"

    behind = {key for rule in rules for key in rule.candidate_ids}
    dropped = {d.candidate_id for d in read_records(folder / DROPPED, DroppedCandidate)}
    set_aside = {c.candidate_id for c in candidates.values() if c.lint and c.lint != ("compound",)}
    assert behind | dropped | set_aside == set(candidates), "every candidate is accounted for"
    assert len(behind) + len(dropped) + len(set_aside) == len(candidates)
    for rule in rules:
        own = [meaning(candidates[key].text) == meaning(rule.text) for key in rule.candidate_ids]
        assert sum(own) >= 0.9 * len(own), "the candidates behind a rule say what it says"
    assert manifest.funnel.imbalances() == []
    assert manifest.funnel.mining_failed <= 0.01 * N_PAIRS, "broken JSON is asked for again"


def test_a_single_merge_says_that_it_would_overflow_the_context(settings):
    config = build_config(ExtractConfig, load_preset("paper"), settings, {"limit": N_PAIRS, "run_id": "paper"})
    with pytest.raises(RunFailedError, match=r"distinct candidates needs about .* the context has 32,768"):
        extract_rules.fn(config)
    manifest = json.loads((config.outputs / "paper" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["usage"].get("synthesis", {"sent": 0})["sent"] == 0, "it was not sent"
    assert (config.outputs / "paper" / CANDIDATES).exists(), "nothing that was finished is lost"
