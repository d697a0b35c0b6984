"""What a server tells of itself is a hint: whatever it says, nothing ends."""

import pytest

from autorule.backends.vllm_server import cache_settings


@pytest.mark.parametrize("size", ["0", "00", "٤²", "٤", "9" * 5000, "1234567", "-16", "1.5", "", "None"])
def test_a_block_size_that_is_none_is_not_known(size):
    assert cache_settings(f'vllm:cache_config_info{{block_size="{size}",enable_prefix_caching="True"}} 1') is None


def test_a_block_size_is_read():
    metrics = '# HELP x\nvllm:cache_config_info{block_size="16",enable_prefix_caching="True"} 1\n'
    assert cache_settings(metrics) == (16, True)
