"""A visitor cancels only the own work."""

from tmsa_core.server.jobs import CancellationFlags


def test_only_what_is_under_way_can_be_cancelled():
    stops = CancellationFlags()
    assert not stops.cancel("me")
    stops.begin("me")
    assert stops.cancel("me") and stops.of("me").is_set()
    stops.end("me")
    assert not stops.cancel("me") and not stops.of("me").is_set()


def test_a_flag_concerns_one_visitor_and_a_new_start_clears_it():
    stops = CancellationFlags()
    stops.begin("me")
    stops.begin("you")
    stops.cancel("me")
    assert not stops.of("you").is_set()
    stops.begin("me")
    assert not stops.of("me").is_set()


def test_ending_twice_is_no_error():
    stops = CancellationFlags()
    stops.end("me")
    stops.begin("me")
    stops.end("me")
    stops.end("me")
    assert not stops.cancel("me")
