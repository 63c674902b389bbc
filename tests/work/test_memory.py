"""Memory as people write it, and as there is."""

import pytest
import torch

from motionlift.core.memory import read_memory
from motionlift.errors import SettingError
from motionlift.work import memory
from motionlift.work.memory import room


@pytest.mark.parametrize(
    ("given", "expected"),
    [("12GB", 12 * 10**9), ("12 gb", 12 * 10**9), ("1.5GiB", 3 * 2**29), ("800MB", 8 * 10**8), (4096, 4096)],
)
def test_sizes_with_units(given: str | int, expected: int):
    assert read_memory(given) == expected


@pytest.mark.parametrize("given", ["12", "GB", "", "twelve GB", "1e9GB", "12XB", "12GB free", "nanGB", True])
def test_what_is_no_size_is_refused_in_one_line(given: str):
    with pytest.raises(SettingError, match="give a number and a unit, such as 12GB"):
        read_memory(given)


@pytest.mark.parametrize("given", ["0GB", "-1GB", "-0.5MB", 0, -5])
def test_nothing_and_less_are_refused(given: str | int):
    with pytest.raises(SettingError, match="more than nothing"):
        read_memory(given)


def test_more_than_there_is_is_refused_and_less_is_taken():
    cpu = torch.device("cpu")
    with pytest.raises(SettingError, match=r"main memory has .* give no more than it has"):
        room(cpu, "9000TB")
    assert room(cpu, "1MB").bytes == 10**6 and room(cpu, "1MB").asked
    assert room(cpu).bytes > 0 and not room(cpu).asked


def test_a_container_has_less_than_its_machine(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert room(torch.device("cpu")).bytes == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert room(torch.device("cpu")).bytes > 1_000_000


def test_a_card_that_is_not_here_can_be_planned_for():
    assert room(torch.device("cuda"), "12GB").bytes == 12 * 10**9
