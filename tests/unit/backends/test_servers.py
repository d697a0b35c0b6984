from autorule.backends.servers import Route, Servers


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def two():
    clock = Clock()
    servers = Servers(("http://a/v1", "http://b/v1"), clock)
    return servers, list(servers), clock


def test_a_conversation_goes_to_the_least_busy_server_and_stays_there():
    servers, (a, b), _ = two()
    a.outstanding = 2
    route = Route()
    assert servers.choose(route) is b
    b.outstanding = 9
    assert servers.choose(route) is b
    assert servers.choose(Route()) is a


def test_a_server_that_is_away_is_left_out_and_tried_again_after_ever_longer_pauses():
    servers, (a, b), clock = two()
    route = Route()
    assert servers.choose(route) is a
    assert servers.went_away(a)
    assert not servers.went_away(a), "several requests notice it, once it is news"
    assert servers.choose(route) is b, "the conversation moves on"
    clock.now = 1.5
    assert servers.choose(Route()) is a
    servers.went_away(a)
    clock.now = 3.0
    assert servers.choose(Route()) is b, "the second pause is twice as long"
    servers.came_back(a)
    assert servers.choose(Route()) is a


def test_when_all_are_away_the_first_to_be_tried_again_is_asked():
    servers, (a, b), clock = two()
    servers.went_away(b)
    clock.now = 0.5
    servers.went_away(a)
    assert servers.choose(Route()) is b
    assert not servers.any_is_there()


def test_paths_stand_under_or_beside_the_version():
    _, (a, _), _ = two()
    assert (a.at("chat/completions"), a.at("/metrics")) == ("http://a/v1/chat/completions", "http://a/metrics")
