"""Time left: measured in the present stage, guessed for the later ones."""

from __future__ import annotations

from tmsa_core.server.time_left import TimeLeft, time_words


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_before_a_speed_is_known_the_guesses_count():
    times = TimeLeft([60, 120], Clock())
    assert times.update(0, 0.0) == (0.0, 180.0)
    assert times.update(0, 0.5) == (30 / 180, 150.0)


def test_the_speed_of_a_stage_that_is_resumed_counts_from_where_it_went_on():
    clock = Clock()
    times = TimeLeft([60, 120], clock)
    times.update(0, 0.8)
    clock.now += 10
    share, left = times.update(0, 0.9)
    assert round(left) == 10 + 120 and share == 54 / 180


def test_the_speed_follows_the_last_minute():
    clock = Clock()
    times = TimeLeft([60], clock)
    for second in range(100):
        times.update(0, second / 1000)
        clock.now += 1
    for second in range(100):
        _, left = times.update(0, 0.1 + second / 200)
        clock.now += 1
    assert abs(left - (1 - 0.1 - 99 / 200) * 200) < 2


def test_a_new_stage_starts_with_its_guess():
    clock = Clock()
    times = TimeLeft([60, 120], clock)
    times.update(0, 0.1)
    clock.now += 50
    assert times.update(1, 0.0) == (60 / 180, 120.0)


def test_times_are_said_in_words():
    words = [time_words(seconds) for seconds in (5, 61, 3600, 9000)]
    assert words == ["less than a minute", "about 2 minutes", "about 60 minutes", "about 2 hours"]
