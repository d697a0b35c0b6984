"""One answer that its parser trips over costs no other."""

import pytest

from autorule.backends.asking import ask
from autorule.backends.base import GenerateRequest
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import Sampling
from autorule.errors import ConfigError
from autorule.records import Failure
from tests.conftest import messages

REQUESTS = [
    GenerateRequest(
        request_id=f"r{n}", stage="mining", messages=messages(f"p{n}"), sampling=Sampling(), prompt_sha256=""
    )
    for n in range(3)
]


@pytest.mark.parametrize("fault", [ValueError("too many digits"), RecursionError(), KeyError("a"), TypeError("no len")])
@pytest.mark.parametrize("asks", [1, 2])
def test_whatever_a_parser_trips_over_is_the_failure_of_its_request(fault, asks):
    def parse(request, output):
        if request.request_id == "r1":
            raise fault
        return output.text

    found = {r.request_id: result for r, result in ask(ScriptedBackend(lambda _: "fine"), REQUESTS, parse, asks)}
    assert found["r0"] == found["r2"] == "fine"
    assert isinstance(found["r1"], Failure) and found["r1"].kind == "parse"
    assert type(fault).__name__ in found["r1"].message


def test_what_a_user_can_mend_ends_the_run_with_its_words():
    def parse(request, output):
        raise ConfigError("install it")

    with pytest.raises(ConfigError, match="install it"):
        list(ask(ScriptedBackend(lambda _: "fine"), REQUESTS, parse))
