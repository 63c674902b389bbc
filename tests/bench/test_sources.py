"""References and prompts of every source."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.bench import sources
from motionlift.bench.references import clip_of, named_prompt_scene, named_reference, prompt_scene, reference
from motionlift.bench.sources import Davis, Folder, Things, World, read_pictures, read_table
from motionlift.bench.words import Words
from motionlift.core.model import Model
from motionlift.errors import InputError
from motionlift.models.loading import load
from motionlift.video.clip import Clip

HEAD = "clip,caption,subject,scene\n"


@pytest.fixture(scope="module")
def model() -> Model:
    return load("tiny-dit", "cpu")


@pytest.fixture
def davis(tmp_path: Path) -> Davis:
    """Two clips of five frames; the second has larger ones, and the table names both."""
    for clip, side in (("bear", 64), ("bus", 1200)):
        (tmp_path / clip).mkdir()
        for number in range(5):
            picture = np.full((side // 2, side, 3), 40 * number, np.uint8)
            Image.fromarray(picture).save(tmp_path / clip / f"{number:05d}.jpg", quality=95)
    table = tmp_path / "prompts.csv"
    table.write_text(HEAD + 'bear,"a bear, walking",a dog,a dog in snow\nbus,a bus,a ship,a ship at sea\n')
    return Davis(tmp_path, table, frames=4)


def test_the_world(model: Model):
    world = World(2, first=5, prompts=2)
    asked = world.asked(17)
    assert world.size() == len(asked) == 4
    assert [(each.reference, each.number, each.kind) for each in asked] == [
        ("0005", 5, "0"), ("0005", 5, "1"), ("0006", 6, "0"), ("0006", 6, "1")
    ]  # fmt: skip
    assert asked[1].prompt == prompt_scene(5, 1, 17).caption() != asked[0].prompt
    opened, told = world.open(asked[1], model.about), world.told(asked[1], "motionflow", {}, 17)
    scene = reference(5, 17)
    assert isinstance(opened.reference, Clip) and torch.equal(opened.reference.frames, clip_of(scene, 8.0).frames)
    assert told["source_prompt"] == scene.caption()
    assert told["targets"][0] in asked[1].prompt


def test_the_truth_of_the_world_itself(model: Model):
    """The reference moves as it should, and does not look as the prompt says."""
    world = World(1)
    opened = world.open(world.asked(17)[0], model.about)
    assert opened.truth is not None and isinstance(opened.reference, Clip)
    figures = opened.truth(opened.reference.frames)
    assert figures["aligned_error"] < 0.01 and figures["direction_cosine"] > 0.95
    assert figures["colour"] == 0 and figures["looks"] < 1 and figures["looks_leaked"] == 1


def test_things(model: Model):
    """References of things on grounds that have names, and prompts that cross kinds, judged by who knows them."""
    things = Things(2, first=3)
    asked = things.asked(17)
    assert [(each.reference, each.number, each.kind) for each in asked] == [("0003", 3, "0"), ("0004", 4, "0")]
    scene, wanted = named_reference(3, 17), named_prompt_scene(3, 0, 17)
    assert asked[0].prompt == wanted.caption() and (things.kind, World.kind) == ("things", "world")
    told = things.told(asked[0], "motionflow", {}, 17)
    assert told["source_prompt"] == scene.caption() and told["targets"][0] in asked[0].prompt
    opened = things.open(asked[0], model.about)
    assert opened.truth is not None and isinstance(opened.reference, Clip)
    figures = opened.truth(opened.reference.frames)
    assert figures["aligned_error"] < 0.01 and figures["direction_cosine"] > 0.9 and figures["seen_share"] == 1
    assert figures["colour"] == figures["shape"] == figures["background"] == figures["looks"] == 0
    assert figures["looks_leaked"] == 1
    right = opened.truth(clip_of(wanted, 8.0).frames)
    assert right["looks"] == 1 and right["looks_leaked"] == 0 and right["aligned_error"] > 0.02


def test_a_folder(tmp_path: Path, model: Model):
    for name in ("b.mp4", "a.MP4", "notes.txt"):
        (tmp_path / name).touch()
    folder = Folder(tmp_path, ("a star", "a ring"))
    asked = folder.asked(17)
    assert folder.size() == 4
    assert [(each.reference, each.number, each.prompt) for each in asked] == [
        ("a.MP4", 0, "a star"), ("a.MP4", 0, "a ring"), ("b.mp4", 1, "a star"), ("b.mp4", 1, "a ring")
    ]  # fmt: skip
    assert folder.open(asked[2], model.about).reference == tmp_path / "b.mp4"


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no MP4 file"):
        Folder(tmp_path, ("a",)).asked(17)


def test_too_many_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MOST_REFERENCES", 1)
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    with pytest.raises(InputError, match="holds 2 references; at most 1"):
        Folder(tmp_path, ("a",)).asked(17)


def test_files_are_counted_without_all_that_is_asked_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sources, "Asked", None)
    assert Folder(tmp_path, ("a star",) * 1000).size() == 2000


def test_a_table_is_counted_before_its_names_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MOST_REFERENCES", 2)
    table = tmp_path / "prompts.csv"
    table.write_text(HEAD + "bear,a,b,c\n" * 3)
    with pytest.raises(InputError, match="holds 3 references; at most 2"):
        read_table(table, ("clip",))


def test_davis(davis: Davis, model: Model):
    asked = davis.asked(17)
    assert davis.size() == 6
    assert [(each.reference, each.kind, each.prompt) for each in asked[:3]] == [
        ("bear", "caption", "a bear, walking"), ("bear", "subject", "a dog"), ("bear", "scene", "a dog in snow")
    ]  # fmt: skip
    opened = davis.open(asked[1], model.about)
    assert opened.frames == 4 and opened.truth is None
    assert davis.told(asked[1], "vmc", {}, 17) == {"source_prompt": "a bear, walking"}
    assert isinstance(opened.reference, Clip) and opened.reference.fps == 8.0
    means = opened.reference.frames.float().mean(dim=(1, 2, 3))
    assert torch.allclose(means, torch.tensor([0.0, 40.0, 80.0, 120.0]), atol=2), "the first frames, in order"
    wide = davis.open(asked[4], model.about)
    assert isinstance(wide.reference, Clip) and davis.told(asked[4], "ditflow", {}, 17) == {}
    assert wide.reference.frames.shape[1:3] == (512, 1024), "no larger than any model needs"


def test_what_files_show_and_not_where_they_lie(tmp_path: Path):
    for folder, made in (("one", b"first"), ("two", b"second"), ("three", b"first")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").write_bytes(made)
    one, two, three = (dict(Folder(tmp_path / name, ("a star",)).contents()) for name in ("one", "two", "three"))
    assert one == three == {"a.mp4": hashlib.sha256(b"first").hexdigest()[:12]} and two.keys() == one.keys()
    assert two != one and World(3).contents() == {}


def test_files_that_cannot_be_read_are_left_to_their_cells(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    assert set(Folder(tmp_path, ("a star",)).contents().values()) == {"unreadable"}


def test_what_pictures_show(davis: Davis):
    """The pictures that take part, how many are wanted, and what methods are told of them; nothing else."""
    before = dict(davis.contents())
    assert before.keys() == {"bear", "bus"} and len(set(before.values())) == 2
    assert all(replace(davis, frames=frames).contents() != before for frames in (3, 5, 6))
    fourth, fifth = (davis.path / "bear" / f"{number:05d}.jpg" for number in (3, 4))
    fifth.write_bytes(b"")
    davis.prompts.write_text(davis.prompts.read_text().replace("a dog", "a cow"))
    assert davis.contents() == before
    fourth.write_bytes(fourth.read_bytes() + b"\0")
    assert davis.contents()["bear"] != before["bear"] and davis.contents()["bus"] == before["bus"]
    davis.prompts.write_text(davis.prompts.read_text().replace("a bus", "a coach"))
    assert davis.contents()["bus"] != before["bus"]


def test_words_of_a_folder(tmp_path: Path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"one")
    table = tmp_path / "captions.csv"
    table.write_text("clip,caption,subjects\na.mp4,a red star and a dog,red star; dog\nb.mp4,a bus,\n")
    targets = (("a ring and a cat", ("ring", "cat")),)
    folder = Folder(tmp_path, ("a ring and a cat", "a moon"), table, targets)
    asked = folder.asked(17)
    assert [each.words for each in asked] == [
        Words("a red star and a dog", ("red star", "dog"), ("ring", "cat")),
        Words("a red star and a dog", ("red star", "dog")),
        Words("a bus", (), ("ring", "cat")),
        Words("a bus"),
    ]
    assert folder.told(asked[0], "vmc", {}, 17) == {"source_prompt": "a red star and a dog"}
    assert folder.told(asked[0], "motionflow", {}, 17) == {
        "source_prompt": "a red star and a dog", "subjects": ["red star", "dog"], "targets": ["ring", "cat"]
    }  # fmt: skip
    assert folder.told(asked[0], "ditflow", {}, 17) == {} != folder.told(asked[0], "ditflow", {"inversion": True}, 17)


def test_what_is_told_is_a_part_of_what_a_file_shows(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"one")
    table = tmp_path / "captions.csv"
    table.write_text("clip,caption\na.mp4,a star\n")
    plain, told = Folder(tmp_path, ("a ring",)), Folder(tmp_path, ("a ring",), table)
    aimed = replace(told, targets=(("a ring", ("ring",)),))
    before = [each.contents()["a.mp4"] for each in (plain, told, aimed)]
    assert len(set(before)) == 3
    table.write_text("clip,caption\na.mp4,a moon\n")
    after = [each.contents()["a.mp4"] for each in (plain, told, aimed)]
    assert after[0] == before[0] and after[1] != before[1]


def test_a_file_without_a_caption_is_refused(tmp_path: Path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    table = tmp_path / "captions.csv"
    table.write_text("clip,caption\nb.mp4,a star\n")
    with pytest.raises(InputError, match=r"has no line for a\.mp4 \(1 of 2 files"):
        Folder(tmp_path, ("a ring",), table).check()
    table.write_text("clip,text\nb.mp4,a star\n")
    with pytest.raises(InputError, match="has no column caption; needed are clip, caption"):
        Folder(tmp_path, ("a ring",), table).check()


def test_words_of_davis(davis: Davis):
    davis.prompts.write_text(
        HEAD.strip()
        + ",subjects,targets\n"
        + "bear,a bear,a dog,a dog in snow,bear,dog\nbus,a bus,a ship,a ship at sea,,\n"
    )
    asked = davis.asked(17)
    assert [each.words for each in asked[:3]] == [
        Words("a bear", ("bear",), ("bear",)), Words("a bear", ("bear",), ("dog",)), Words("a bear", ("bear",), ("dog",))
    ]  # fmt: skip
    assert all(each.words == Words("a bus") for each in asked[3:])
    before = davis.contents()
    davis.prompts.write_text(davis.prompts.read_text().replace("bear,dog\n", "bear,a dog\n"))
    assert davis.contents()["bear"] != before["bear"] and davis.contents()["bus"] == before["bus"]


def test_only_the_first_clips_of_the_table_take_part(davis: Davis):
    assert {each.reference for each in Davis(davis.path, davis.prompts, 4, clips=1).asked(17)} == {"bear"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,caption,subject\nbear,a,b\n", "has no column scene; needed are clip, caption, subject, scene"),
        ("", "has no column clip, caption"),
        (HEAD, "has no lines below its head"),
        (HEAD + "bear,a,b\n", "line 2: scene is empty"),
        (HEAD + "bear,a,b,c\nbear,a,b,c\n", "names clip 'bear' twice"),
        (HEAD + "../bear,a,b,c\n", "line 2: clip is '../bear'; give the name of a folder"),
        (HEAD + "..,a,b,c\n", "give the name of a folder"),
        (HEAD + "cow,a,b,c\nbear,a,b,c\n", "holds no folder 'cow'"),
        (HEAD + f"bear,{'a' * 11_000},b,c\n", "prompts.csv, line 2, caption: the prompt has 11000 characters"),
        (
            HEAD + "bear,a bear, walking,a dog,a dog in snow\n",
            "line 2: more cells than columns; put text that holds a comma",
        ),
    ],
)
def test_tables_that_are_refused(davis: Davis, text: str, told: str):
    davis.prompts.write_text(text)
    with pytest.raises(InputError) as refusal:
        davis.asked(17)
    assert told in str(refusal.value)


def test_tables_of_other_programs(tmp_path: Path):
    path = tmp_path / "prompts.csv"
    path.write_bytes("﻿clip,caption,more\r\nbear, a bear ,x\r\n".encode())
    assert read_table(path, ("clip", "caption")) == [{"clip": "bear", "caption": "a bear"}]
    path.write_bytes(b"clip,caption\nbear,\xe9\n")
    with pytest.raises(InputError, match="give a CSV file in UTF-8"):
        read_table(path, ("clip", "caption"))


def test_a_table_that_is_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "prompts.csv")
    with pytest.raises(InputError, match="is no file; give a table"):
        read_table(tmp_path / "prompts.csv", ("clip",))


def test_missing_frames_are_no_jump_of_the_motion(davis: Davis):
    bear = davis.path / "bear"
    (bear / "00001.jpg").rename(bear / "00009.jpg")
    with pytest.raises(InputError, match="bear lacks frames between 00000 and 00002"):
        read_pictures(bear, 4)
    (bear / "00003.jpg").rename(bear / "00006.jpg")
    (bear / "00009.jpg").unlink()
    assert len(read_pictures(bear, 3)) == 3, "0, 2, 4: every second frame"
    (bear / "00002.jpg").rename(bear / "last.jpg")
    (bear / "00000.jpg").rename(bear / "first.jpg")
    assert len(read_pictures(bear, 4)) == 4, "names that are no numbers"


def test_pictures_that_are_refused(davis: Davis, monkeypatch: pytest.MonkeyPatch):
    bear = davis.path / "bear"
    with pytest.raises(InputError, match="holds 5 JPEG files; 6 are needed"):
        read_pictures(bear, 6)
    (bear / "00002.jpg").write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"00002.jpg is no JPEG picture"):
        read_pictures(bear, 4)
    Image.new("RGB", (32, 64)).save(bear / "00002.jpg")
    with pytest.raises(InputError, match="pictures of different sizes"):
        read_pictures(bear, 4)
    whole = (bear / "00001.jpg").read_bytes()
    (bear / "00001.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"00001.jpg is no JPEG picture"):
        read_pictures(bear, 4)
    monkeypatch.setattr(sources, "MOST_PICTURE_BYTES", 10)
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_pictures(bear, 4)
