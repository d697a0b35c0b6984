from pathlib import Path

import pytest

from autorule.config.layers import build_config, load_preset, load_settings
from autorule.config.models import EMBEDDED, ModelConfig
from autorule.config.runs import ExtractConfig
from autorule.errors import ConfigError


def test_later_layers_win_and_nested_settings_merge():
    config = build_config(
        ExtractConfig, {"pairs": "a.jsonl", "mining": {"max_rules": 3, "asks": 1}}, {"mining": {"max_rules": 5}}
    )
    assert (config.mining.max_rules, config.mining.asks) == (5, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": "a", "minning": {}}, "unknown setting minning, did you mean mining?"),
        ({"pairs": "a", "mining": {"max_ruls": 1}}, "setting mining.max_ruls, did you mean mining.max_rules?"),
        ({"pairs": "a", "extractor": {"modle": "m"}}, "setting extractor.modle, did you mean extractor.model?"),
        ({"pairs": "a", "xyz": 1}, "unknown setting xyz; there are model, "),
        ({"pairs": "a", "model": {"backend": "scripted"}}, "model: backend scripted needs model: a .jsonl file"),
        ({"pairs": "a", "mining": {"max_rules": 0}}, "mining.max_rules"),
        ({"pairs": "a", "run_id": "../x"}, "run_id"),
        ({"pairs": "a", "model": {"backend": "openai_compatible", "model": "m"}}, "needs base_url"),
        ({"pairs": "a", "model": {"backend": "openai_compatible", "base_url": "http://x/v1"}}, "needs model"),
        ({"pairs": "a", "model": {"base_url": "http://me:secret@host/v1"}}, "holds a user name or password"),
        ({"pairs": "a", "model": {"base_url": "localhost:8000"}}, "no http"),
        ({"pairs": "a", "verification": {"choices": ["Yes"]}}, "verification.choices"),
    ],
)
def test_impossible_settings_name_the_field(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config(ExtractConfig, settings)


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(ConfigError) as caught:
        build_config(ModelConfig, {"base_url": "http://me:hunter2@host/v1"})
    assert "hunter2" not in str(caught.value)


def test_the_embedded_preset_is_a_valid_config():
    config = build_config(ExtractConfig, load_preset(EMBEDDED), {"pairs": "a.jsonl"})
    assert config.mining.prompt == "mining.small"


def test_an_unreadable_config_file_is_one_error(tmp_path):
    bad = tmp_path / "c.toml"
    bad.write_text("a = [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"c\.toml"):
        load_settings(bad)


def test_a_name_that_the_locale_has_no_letters_for_is_told_with_the_way_to_have_them():
    """Under LC_ALL=C each byte of a name beyond ASCII is half of a surrogate pair."""
    name = "データ/a.jsonl".encode().decode("ascii", "surrogateescape")
    with pytest.raises(
        ConfigError, match=r"pairs: データ/a\.jsonl has letters that this locale .* has not; set PYTHONUTF8=1"
    ):
        build_config(ExtractConfig, {"pairs": Path(name)})
    with pytest.raises(ConfigError, match=r"pairs: bad\\udcff is no UTF-8 text; rename the file or folder"):
        build_config(ExtractConfig, {"pairs": Path("bad\udcff")})
