"""An export as a flow: what would end it ends it before anything is written, and what was cut off can be run again."""

import pytest

from autorule.errors import ConfigError
from autorule.export.config import ExportConfig
from autorule.flows.export_rules import export_rules
from autorule.rules.rule_sets import dump_rule_set
from tests.conftest import make_rule_set


@pytest.fixture
def config(tmp_path):
    (tmp_path / "rules.json").write_text(dump_rule_set(make_rule_set("Mention pears.")), encoding="utf-8")
    return ExportConfig(rules=tmp_path / "rules.json", targets=("trl", "verl"), out=tmp_path / "exports")


def test_an_unknown_target_leaves_nothing_behind(config):
    with pytest.raises(ConfigError, match="no export 'trk'"):
        export_rules.fn(config.model_copy(update={"targets": ("trl", "trk")}))
    assert not config.out.exists()


def test_an_export_that_was_cut_off_can_be_run_again(config):
    files = {path: path.read_bytes() for path in export_rules.fn(config)}
    (config.out / "verl" / "rule_set.json").unlink()
    assert export_rules.fn(config) == list(files) and {path: path.read_bytes() for path in files} == files
    (config.out / "trl" / "rule_reward.py").write_text("changed")
    with pytest.raises(ConfigError, match="trl exists and is not an empty folder"):
        export_rules.fn(config)
    assert (config.out / "trl" / "rule_reward.py").read_text() == "changed"
