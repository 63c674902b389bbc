"""Memory as people write it, and as there is."""

from pathlib import Path

import pytest
import torch

from motionlift.core.memory import read_memory
from motionlift.errors import SettingError
from motionlift.work import memory
from motionlift.work.memory import room


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *[(given, 12 * 10**9) for given in ("12GB", "12 gb", "12G", "12.0 g", "12.GB")],
        *[("1.5GiB", 3 * 2**29), ("1.5Gi", 3 * 2**29), ("800MB", 8 * 10**8), (".5GB", 5 * 10**8), (4096, 4096)],
    ],
)
def test_sizes_with_units(given: str | int, expected: int):
    assert read_memory(given) == expected


@pytest.mark.parametrize(
    "given", ["12", "GB", "", ".", ".GB", "12B", "twelve GB", "1e9GB", "12XB", "12GB free", "nanGB", True]
)
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
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "none")
    assert room(torch.device("cpu")).bytes == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert room(torch.device("cpu")).bytes > 1_000_000


def test_a_card_that_is_not_here_can_be_planned_for():
    assert room(torch.device("cuda"), "12GB").bytes == 12 * 10**9


def group(folder: Path, limit: str, used: int, **files: int) -> None:
    """A control group of the second version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text("".join(f"{name} {size}\n" for name, size in files.items()))


def free_in(root: Path, told: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """What may be used in control groups under a folder, of a process that is told where it is."""
    (root / "told").write_text(told)
    monkeypatch.setattr(memory, "CGROUPS", root)
    monkeypatch.setattr(memory, "OWN_GROUPS", root / "told")
    return room(torch.device("cpu")).bytes


def test_pages_of_files_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A container that read large files uses all that it may, and the system drops them as soon as it needs the memory."""
    group(tmp_path, "1000000", 990_000, anon=90_000, inactive_file=500_000, active_file=200_000)
    assert free_in(tmp_path, "0::/\n", monkeypatch) == 710_000


def test_the_least_of_the_limits_around_a_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As under SLURM and systemd, which limit groups within others."""
    group(tmp_path / "system.slice", "1000000", 700_000)
    group(tmp_path / "system.slice" / "job_7", "600000", 400_000)
    group(tmp_path / "system.slice" / "job_7" / "step_0", "max", 400_000)
    assert free_in(tmp_path, "0::/system.slice/job_7/step_0\n", monkeypatch) == 200_000
    group(tmp_path / "system.slice", "1000000", 900_000)
    assert free_in(tmp_path, "0::/system.slice/job_7/step_0\n", monkeypatch) == 100_000


def test_groups_of_the_first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = tmp_path / "memory" / "slurm" / "job_7"
    own.mkdir(parents=True)
    (own / "memory.limit_in_bytes").write_text("800000\n")
    (own / "memory.usage_in_bytes").write_text("700000\n")
    (own / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 200000\ntotal_active_file 100000\n")
    told = "5:devices:/slurm\n4:cpu,memory:/slurm/job_7\n1:name=systemd:/\n0::/\n"
    assert free_in(tmp_path, told, monkeypatch) == 400_000


@pytest.mark.parametrize(
    "told", ["", "0::\n", "nonsense\n", "4:memory:slurm\n", "0::/not/there\n", "0::/../..\n", "\n"]
)
def test_what_is_told_wrongly_limits_nothing_more(told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    group(tmp_path, "1000000", 400_000)
    (tmp_path / "memory.stat").write_text("no number\nanon\n")
    assert free_in(tmp_path, told, monkeypatch) == 600_000


def test_what_pytorch_keeps_of_tensors_that_are_gone_is_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (4 * 10**9, 24 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 18 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 10 * 10**9)
    card = torch.device("cuda:0")
    assert room(card).bytes == 12 * 10**9
    assert room(card, held=9 * 10**9).bytes == 21 * 10**9
    assert room(card, held=17 * 10**9).bytes == 24 * 10**9, "no more than it has"


def test_apples_gpus_share_main_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 20 * 10**9)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 6 * 10**9)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 15 * 10**9)
    place = torch.device("mps:0")
    main = room(torch.device("cpu")).bytes
    found = room(place)
    assert found.bytes == 14 * 10**9 and found.is_shared
    assert found.main == pytest.approx(main + 9 * 10**9, rel=0.05), (
        "what is kept of tensors that are gone is free there too"
    )
    assert room(place, held=30 * 10**9).bytes == 20 * 10**9


def test_main_memory_beside_a_device_that_is_here(monkeypatch: pytest.MonkeyPatch):
    free = {"cpu": ("cpu", 30, 64), "cuda": ("a card", 20, 24), "mps": ("mps", 0, None)}
    monkeypatch.setattr(memory, "_of", lambda device: free[device.type])
    assert room(torch.device("cuda:0")).main == 30
    assert room(torch.device("cuda:0"), 20, waiting=7).main == 37
    assert room(torch.device("cpu")).main is None and room(torch.device("mps"), 20).main is None
