"""Lines for a log, by a clock that tests set."""

from motionlift.core.progress import EVERY, Lines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines() -> tuple[Lines, Clock, list[str]]:
    clock, told = Clock(), list[str]()
    return Lines(told.append, clock), clock, told


def test_each_phase_has_one_line_however_many_its_steps():
    shown, clock, told = lines()
    for phase in ("load", "lift"):
        shown.show(phase)
    for step in range(50):
        clock.now += 0.1
        shown.show("guide", step + 1, 50, 0.5)
        shown.show("sample", step + 1, 50)
    assert told == ["phase: load", "phase: lift", "phase: guide", "phase: sample"]


def test_a_long_phase_says_every_thirty_seconds_how_far_it_is_and_how_long_it_takes_still():
    shown, clock, told = lines()
    for step in range(10):  # of 12 seconds each, the first before anything is told
        shown.show("tune", step + 1, 10, 0.125)
        clock.now += 12
    assert EVERY == 30
    assert told == [
        "phase: tune",
        "phase: tune, step 4 of 10, 72 seconds left, loss 0.125",
        "phase: tune, step 7 of 10, 36 seconds left, loss 0.125",
        "phase: tune, step 10 of 10, 0 seconds left, loss 0.125",
    ]


def test_a_phase_without_steps_says_every_thirty_seconds_that_it_is_at_work():
    shown, clock, told = lines()
    shown.still()
    shown.show("sample", 1, 1)
    clock.now += 40
    shown.still()
    shown.show("decode")
    for _ in range(7):
        clock.now += 10
        shown.still()
    shown.show("sample", 0, 1)
    assert told == [
        "phase: sample",
        *("phase: decode", "phase: decode, 30 seconds so far", "phase: decode, 60 seconds so far"),
        "phase: sample",
    ]


def test_a_run_that_goes_on_counts_its_own_steps_alone():
    shown, clock, told = lines()
    shown.show("tune", 200, 300)
    clock.now += 40
    shown.show("tune", 220, 300)
    assert told == ["phase: tune", "phase: tune, step 220 of 300, 160 seconds left"]


def test_all_phases_together_say_so_at_most_every_thirty_seconds():
    shown, clock, told = lines()
    for step in range(20):
        clock.now += 10
        shown.show("guide", step + 1, 20)
        shown.show("sample", step + 1, 20)
    gaps = 20 * 10 // EVERY
    assert gaps - 1 <= len(told) - 2 <= gaps


def test_a_phase_that_begins_again_is_a_phase_of_its_own():
    shown, clock, told = lines()
    for _ in range(2):
        for step in range(3):
            clock.now += 1
            shown.show("sample", step + 1, 3)
    assert told == ["phase: sample", "phase: sample"]


def test_before_a_second_step_nothing_is_known_of_the_time_left():
    shown, clock, told = lines()
    shown.show("sample", 1, 3)
    clock.now += 60
    shown.show("sample", 1, 3)
    assert told[1:] == ["phase: sample, step 1 of 3"]


def test_the_share_of_a_whole_is_told_in_percent():
    shown, clock, told = lines()
    for share in (0, 0.25, 0.5):
        shown.doing(f"part {share}", share)
        clock.now += 30
    assert told == [
        "phase: part 0",
        "phase: part 0.25, 25 of 100 percent, 90 seconds left",
        "phase: part 0.5, 50 of 100 percent, 60 seconds left",
    ]


def test_another_line_puts_off_the_next():
    shown, clock, told = lines()
    shown.show("sample", 1, 9)
    clock.now += 29
    shown.tell("1 of 2: done")
    clock.now += 29
    shown.show("sample", 2, 9)
    assert told == ["phase: sample", "1 of 2: done"]


def test_of_many_each_says_when_all_will_be_done_by_those_of_this_run():
    shown, clock, told = lines()
    clock.now += 500
    shown.counting("97 jobs of 3 motions", 3)
    for done in (4, 6):
        clock.now += 20
        shown.counted(f"{done}.mp4", done, 100)
    clock.now += 7200
    shown.counted("7.mp4", 7, 100)
    shown.counted("100.mp4", 100, 100)
    assert told == [
        "phase: 97 jobs of 3 motions",
        "4 of 100: 4.mp4, 32 minutes left",
        "6 of 100: 6.mp4, 21 minutes left",
        "7 of 100: 7.mp4, 47 hours left",
        "100 of 100: 100.mp4",
    ]
