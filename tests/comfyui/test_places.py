"""Motions are read and written in ComfyUI's folders, and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionlift.errors import InputError, MotionError, OutputError
from motionlift.motion.file import Motion
from tests.adapters import adapter_of, linear_of, motion_of
from tests.comfyui.conftest import Comfy
from tests.twins import TRANSFORMERS

BEYOND = [
    "../x",
    "motions/../../x",
    "/tmp/x",
    "",
    "  ",
    ".",
    "a/b/../../../x",
    "..",
    "link/x",
    "motions/../../output-2/x",
]
"""Prefixes that lead out of the output folder, or name nothing."""
IMPOSSIBLE = ["a\0b", "x" * 300, "file/x"]
"""Prefixes that no file can have."""
OUTSIDE = [
    "../secret.safetensors",
    "../output/../secret.safetensors",
    "../secret.safetensors [output]",
    "link/secret.safetensors",
]
"""Names that lead to a motion that is there, beyond the folders."""
NOTHING = ["", ".", "nobody.safetensors", "a\0b", "x" * 5000, "walk.safetensors [temp]", "motions [output]"]
"""Names of nothing that can be read."""


@pytest.fixture
def motion() -> Motion:
    model = TRANSFORMERS["wan-2.1"].model()
    return motion_of(model, adapter_of(dict([*linear_of(model).items()][:1])))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def save(comfy: Comfy, motion: Motion) -> Callable[[str], Any]:
    return lambda prefix: comfy.nodes["MotionliftSaveMotion"]().run(motion, prefix)


@pytest.mark.parametrize("prefix", [*BEYOND, *IMPOSSIBLE])
def test_nothing_is_written_beyond_the_output_folder(comfy: Comfy, save: Callable[[str], Any], prefix: str):
    (comfy.base / "output-2").mkdir()
    (comfy.base / "output" / "link").symlink_to(comfy.base / "output-2", target_is_directory=True)
    (comfy.base / "output" / "file").write_text("mine")
    before = files_in(comfy.base.parent)
    with pytest.raises(OutputError) as told:
        save(prefix)
    assert "\n" not in str(told.value) and len(str(told.value)) < 600
    assert files_in(comfy.base.parent) == before


def test_motions_are_numbered_and_none_is_replaced(comfy: Comfy, save: Callable[[str], Any]):
    told = [save(prefix)["ui"]["motions"][0] for prefix in ("walk", "walk", "deep/er/walk", "walk%width%")]
    assert [(each["subfolder"], each["filename"]) for each in told] == [
        ("", "walk_00001_.safetensors"),
        ("", "walk_00002_.safetensors"),
        ("deep/er", "walk_00001_.safetensors"),
        ("", "walk0_00001_.safetensors"),
    ]
    assert len(files_in(comfy.base / "output")) == 4


def test_motions_of_both_folders_are_listed_and_read(comfy: Comfy, motion: Motion, save: Callable[[str], Any]):
    load = comfy.nodes["MotionliftLoadMotion"]
    save("motions/walk")
    motion.save(comfy.base / "input" / "given.safetensors")
    (comfy.base / "input" / "other.safetensors").write_bytes(b"no motion")
    comfy.nodes["MotionliftSaveAdapter"]().run(motion, "loras/walk", 0)
    listed = load.INPUT_TYPES()["required"]["motion"][0]
    assert listed == ["given.safetensors", "motions/walk_00001_.safetensors [output]"]
    for name in listed:
        assert load.VALIDATE_INPUTS(name) is True
        assert load().run(name)[0].digest() == motion.digest()


def test_a_motion_that_changed_is_read_again(comfy: Comfy, motion: Motion):
    load, path = comfy.nodes["MotionliftLoadMotion"], comfy.base / "input" / "given.safetensors"
    told = [load.IS_CHANGED("given.safetensors")]
    for size in (1, 2):
        path.write_bytes(bytes(size))
        told.append(load.IS_CHANGED("given.safetensors"))
    assert len({*told}) == 3 and told[-1] == load.IS_CHANGED("given.safetensors")


@pytest.mark.parametrize("name", [*OUTSIDE, *NOTHING])
def test_nothing_is_read_beyond_the_folders(comfy: Comfy, motion: Motion, name: str):
    motion.save(comfy.base / "secret.safetensors")
    motion.save(comfy.base / "temp" / "walk.safetensors")
    (comfy.base / "output" / "motions").mkdir()
    (comfy.base / "input" / "link").symlink_to(comfy.base, target_is_directory=True)
    load = comfy.nodes["MotionliftLoadMotion"]
    refusal = load.VALIDATE_INPUTS(name)
    assert isinstance(refusal, str) and "\n" not in refusal and len(refusal) < 600
    with pytest.raises(InputError):
        load().run(name)


def test_a_file_that_is_no_motion_is_refused_in_words(comfy: Comfy):
    (comfy.base / "input" / "other.safetensors").write_bytes(b"no motion")
    with pytest.raises(MotionError) as told:
        comfy.nodes["MotionliftLoadMotion"]().run("other.safetensors")
    assert "\n" not in str(told.value)
