"""Pictures of a folder belong together, and follow each other, by the numbers in their names."""

from pathlib import Path

import pytest

from motionlift.video.series import missing, series_of


def names_of(names: list[str]) -> list[list[str]]:
    """Series of names that come in another order, the longest first."""
    found = series_of([Path(name) for name in reversed(names)])
    return [[path.name for _, path in each] for each in sorted(found, key=lambda each: (-len(each), each[0][1].name))]


def seconds(count: int, rate: int = 24) -> list[float]:
    return [number / rate for number in range(count)]


TIMES = {
    "seconds": [f"{time:.3f}.jpg" for time in seconds(60)],
    "hundredths and a unit": [f"frame_{time:.2f}s.png" for time in seconds(60)],
    "a comma": [f"{time:.2f}".replace(".", ",") + ".png" for time in seconds(60)],
    "as Python writes them": [f"{number / 8}.png" for number in range(30)],
    "since 1970": [f"{1700000000 + time:.6f}.png" for time in seconds(60)],
    "screenshots": [f"Screenshot 2024-01-01 at 10.{15 + n // 24}.{n % 24 * 2:02}.png" for n in range(48)],
    "screenshots at midnight": [
        f"Screenshot 2024-01-0{1 + n // 20} at {(23 + n // 20) % 24:02}.{n % 20 + 3:02}.{7 * n % 60:02}.png"
        for n in range(40)
    ],
    "screenshots of GNOME": [f"Screenshot from 2024-01-01 10-{15 + n // 30}-{n % 30 * 2:02}.png" for n in range(48)],
    "screenshots of Android": [
        f"Screenshot_2024010{1 + n // 30}-{(23 + n // 30) % 24:02}{n % 30:02}20.png" for n in range(48)
    ],
    "snapshots of VLC": [
        f"vlcsnap-2024-05-01-10h{15 + n // 48}m{30 + n // 24 % 2}s{n % 24 * 41:03}.png" for n in range(96)
    ],
    "minutes and seconds": [f"a {n // 60}m{n % 60:02}.png" for n in range(100)],
    "hours": [f"00:00:{n // 24:02}.{n % 24 * 41:03}.png" for n in range(60)],
    "number and time": [f"{n}_{1714500000 + n // 3}_{n % 3}.png" for n in range(48)],
    "numbers that go on": [f"shot{1 + n // 24}_{n:04}.png" for n in range(48)],
}


@pytest.mark.parametrize("kind", TIMES)
def test_names_of_a_time_are_one_series(kind: str):
    assert names_of(TIMES[kind]) == [TIMES[kind]]


def shots(name: str, frames: int = 48) -> list[list[str]]:
    return [[name.format(shot, number) for number in range(frames)] for shot in (1, 2)]


@pytest.mark.parametrize(
    "name",
    [
        "shot{}_{:04}.png",
        "shot{}.{:04}.png",
        "take{}_{}.png",
        "{}_{:03}.png",
        "cam{} 2024-01-01 10-15-{:02}.png",
        "rec_20240501_10153{}_{:04}.png",
        "rec 2024-05-01 10.15.0{}-{:03}.png",
        "0000000{}_{:06}.png",
        "v1.{}.{}.png",
        "clip{}/../{:02}.png".replace("/../", "-"),
    ],
)
def test_shots_whose_numbers_start_again_are_several(name: str):
    assert names_of([each for shot in shots(name) for each in shot]) == shots(name)


def test_text_that_differs_makes_several_series():
    assert names_of(["a_001.png", "a_002.png", "b_001.png", "b_002.png"]) == [
        ["a_001.png", "a_002.png"],
        ["b_001.png", "b_002.png"],
    ]


def test_a_time_in_two_formats_is_two_series():
    names = [f"{time:.3f}." for time in seconds(48)]
    assert names_of([name + suffix for name in names for suffix in ("jpg", "png")]) == [
        [name + suffix for name in names] for suffix in ("jpg", "png")
    ]


def test_numbers_are_missing_from_what_is_counted_and_not_from_times():
    counted = series_of([Path(f"shot{1 + n // 24}_{n:04}.png") for n in range(48) if n != 9])
    assert missing(counted[0])[0].startswith("numbers are missing in the folder, first after shot1_0008.png")
    assert missing(series_of([Path(name) for name in TIMES["screenshots"]])[0]) == []
