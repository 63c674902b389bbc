"""Folders of pictures are read as videos."""

import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image, PpmImagePlugin

from motionlift.errors import InputError
from motionlift.video import folder
from motionlift.video.animated import UNREADABLE
from motionlift.video.clip import Clip
from motionlift.video.flattening import eight_bits
from motionlift.video.folder import pictures_of
from motionlift.video.footage import Footage
from motionlift.video.part import Part
from tests.video.made import SQUARE, beside_rest, grey, levels, mean_error, numbers

ASSUMED = "a folder does not say how many pictures a second it has; 24 were assumed"


def laid(path, names, height: int = 64, width: int = 64):
    """A folder whose pictures are of the levels that their place in ``names`` says."""
    path.mkdir(exist_ok=True)
    for name, image in zip(names, levels(len(names), height, width), strict=True):
        Image.fromarray(image).save(path / name, lossless=True, quality=100)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "webp", "bmp", "tif", "gif", "ppm", "tga", "jp2", "avif"])
def test_every_common_kind_of_picture(tmp_path, suffix):
    clip = Clip.read(laid(tmp_path / "a", [f"{number:05}.{suffix}" for number in range(6)]), frames=6, fps=8,
                     aspect=SQUARE, part=Part(rate=8))  # fmt: skip
    assert numbers(clip) == list(range(6))
    assert mean_error(clip.frames, np.stack(levels(6))) < 2
    assert clip.fps == 8 and beside_rest(clip) == ()


@pytest.mark.parametrize("name", ["{}.png", "frame_{}.png", "shot2-frame{}-left.png", "{:07}.png", " {} é.png"])
def test_pictures_come_in_the_order_of_their_numbers(tmp_path, name):
    clip = Clip.read(
        laid(tmp_path / "a", [name.format(number) for number in range(8, 20)]), frames=12, fps=24, aspect=SQUARE
    )
    assert numbers(clip) == list(range(12))
    assert clip.notices == (ASSUMED,)


@pytest.mark.parametrize(
    "name",
    ["frame_{:03}_1920x1080.png", "img_{}_v2.png", "{}_of_12.png", "2024-01-02 {} 7.png", "cam1_{:05}_left2.png"],
)
def test_the_number_that_differs_is_the_one_that_counts(tmp_path, name):
    found = pictures_of(laid(tmp_path / "a", [name.format(number) for number in range(12)]))
    assert [path.name for path in found.paths] == [name.format(number) for number in range(12)]
    assert found.notices == ()


def test_a_few_of_another_name_are_left_out_wherever_their_number_stands(tmp_path):
    names = [f"img_{number % 9}_v{1 + (number > 8)}.png" for number in range(12)]
    found = pictures_of(laid(tmp_path / "a", names))
    assert [path.name for path in found.paths] == names[:9]
    assert found.notices == ("3 other pictures of the folder were left out, whose names differ in more than a number",)


def test_a_picture_without_a_number_is_no_frame_of_a_series(tmp_path):
    found = pictures_of(laid(tmp_path / "a", ["frame.png", "frame1.png", "frame2.png"]))
    assert [path.name for path in found.paths] == ["frame1.png", "frame2.png"]
    assert found.notices[0].startswith("1 other pictures")


def test_one_series_may_be_in_several_formats(tmp_path):
    names = [f"{number:05}.{'jpg' if number < 8 else 'JPEG' if number < 10 else 'png'}" for number in range(20)]
    clip = Clip.read(laid(tmp_path / "a", names), frames=20, fps=24, aspect=SQUARE)
    assert numbers(clip) == list(range(20)) and clip.notices == (ASSUMED,)
    found = pictures_of(laid(tmp_path / "b", [*names[:3], *names[10:]]))
    assert [path.name for path in found.paths] == [*names[:3], *names[10:]]
    assert found.notices[0].startswith("numbers are missing in the folder, first after 00002.jpg")


def test_numbers_that_come_in_two_formats_are_two_series(tmp_path):
    path = laid(tmp_path / "a", [*[f"{number}.jpg" for number in range(5)], *[f"{number}.png" for number in range(5)]])
    with pytest.raises(InputError, match=r"2 series of pictures: 0\.jpg to 4\.jpg \(5\), 0\.png to 4\.png \(5\);"):
        pictures_of(path)
    laid(path, ["5.png"])
    found = pictures_of(path)
    assert [path.name for path in found.paths] == [f"{number}.png" for number in range(6)]
    assert found.notices[0].startswith("5 other pictures")


SEVERAL = {
    "takes": ([f"take{take}_{number}.png" for take in (1, 2) for number in range(1, 13)], "take1_1.png to take1_12.png (12)"),
    "takes of other lengths": (
        [f"take{take}_{number}.png" for take in (1, 2, 3) for number in range(1, 8 + take)],
        "take1_1.png to take1_8.png (8), take2_1.png to take2_9.png (9), take3_1.png to take3_10.png (10);",
    ),
    "more takes than are named": (
        [f"s{take}_{number:04}.png" for take in range(1, 7) for number in range(12 + take)],
        "s1_0000.png to s1_0012.png (13), s2_0000.png to s2_0013.png (14), s3_0000.png to s3_0014.png (15) and 3 more;",
    ),
    "eyes": (
        [f"{number:04}_{eye}.png" for eye, frames in (("left", 9), ("right", 7)) for number in range(frames)],
        "0000_left.png to 0008_left.png (9), 0000_right.png to 0006_right.png (7);",
    ),
    "cameras": (
        [f"{number:04}_cam{camera}.png" for camera in (1, 2) for number in range(7 + camera)],
        "0000_cam1.png to 0007_cam1.png (8), 0000_cam2.png to 0008_cam2.png (9);",
    ),
}  # fmt: skip
"""Names of several series in one folder, and how they are told."""


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_series_of_which_any_may_be_meant_are_refused_by_their_names(tmp_path, kind):
    names, told = SEVERAL[kind]
    for name in names:
        (tmp_path / name).touch()
    message = refused(tmp_path)
    assert told in message and message.endswith("; put each into a folder of its own, and give one of these")
    assert "\n" not in message


def test_a_long_series_is_taken_beside_short_ones(tmp_path):
    names = [f"take1_{number}.png" for number in range(1, 31)]
    for name in [*names, *(f"take2_{number}.png" for number in range(1, 6))]:
        (tmp_path / name).touch()
    found = pictures_of(tmp_path)
    assert [path.name for path in found.paths] == names and found.notices[0].startswith("5 other pictures")


def test_the_rate_says_how_fast_pictures_follow_each_other(tmp_path):
    path = laid(tmp_path / "a", [f"{number}.png" for number in range(17)])
    assert numbers(Clip.read(path, frames=5, fps=6, aspect=SQUARE, part=Part(rate=24))) == [0, 4, 8, 12, 16]
    assert numbers(Clip.read(path, frames=5, fps=6, aspect=SQUARE, part=Part(rate=12))) == [0, 2, 4, 6, 8]
    every = Clip.read(path, frames=5, fps=6, aspect=SQUARE, part=Part(rate=12), every_frame=True)
    assert numbers(every) == [0, 1, 2, 3, 4] and every.fps == 12
    assert Footage.of(path).fps == pytest.approx(24) and Footage.of(path).notices == (ASSUMED,)


def test_other_files_of_the_folder_are_left_out_and_other_pictures_are_told(tmp_path):
    path = laid(tmp_path / "a", [f"{number}.png" for number in range(6)])
    for name in ("notes.txt", ".hidden.png", "Thumbs.db"):
        (path / name).write_bytes(b"x")
    (path / "6.png").mkdir()
    assert Clip.read(path, frames=6, fps=24, aspect=SQUARE).notices == (ASSUMED,)
    laid(path, ["mask_0.png", "mask_1.png"])
    assert "2 other pictures of the folder were left out, whose names differ in more than a number" in (
        Clip.read(path, frames=6, fps=24, aspect=SQUARE).notices
    )


def test_missing_numbers_are_told_and_steps_are_not(tmp_path):
    path = laid(tmp_path / "a", ["0.png", "5.png", "10.png", "15.png"])
    assert pictures_of(path).notices == ()
    (path / "10.png").unlink()
    laid(path, ["20.png"])
    assert pictures_of(path).notices == (
        "numbers are missing in the folder, first after 5.png: its pictures were taken one after the other",
    )


def test_pictures_of_several_sizes_and_sixteen_bits_and_turned_by_a_camera(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    half = np.full((64, 32), 200 << 8, np.uint16)
    half[:32] = 50 << 8
    Image.fromarray(half).save(path / "0.png")
    turned = Image.fromarray(np.full((16, 32), 120, np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(path / "1.png", exif=exif)
    clip = Clip.read(path, frames=2, fps=24, aspect=(64, 32))
    assert clip.frames.shape == (2, 64, 32, 3)
    assert clip.frames[0, 10, 10].tolist() == [50] * 3 and clip.frames[0, 50, 10].tolist() == [200] * 3
    assert (clip.frames[1] == 120).all()
    assert "frames change their size in the middle of the video; all were brought to that of the first" in clip.notices


def test_what_is_no_folder_of_frames_is_refused(tmp_path, monkeypatch):
    def refusal(path) -> str:
        with pytest.raises(InputError) as refused:
            Clip.read(path, frames=4, fps=8, aspect=SQUARE)
        return str(refused.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is a folder without pictures; give one of pictures (JPEG, PNG, ...), or a video file" in refusal(empty)
    assert "holds one frame; a motion needs at least two" in refusal(laid(tmp_path / "one", ["0.png"]))
    several = laid(tmp_path / "two", ["a0.png", "a1.png", "b0.png", "b1.png"])
    assert "holds 2 series of pictures: a0.png to a1.png (2), b0.png to b1.png (2); put each into a folder" in refusal(
        several
    )
    damaged = laid(tmp_path / "damaged", ["0.png", "1.png", "2.png", "3.png"])
    (damaged / "1.png").write_bytes((damaged / "1.png").read_bytes()[:50])
    assert "1.png is no picture, or is damaged; replace it, or take it out of the folder" in refusal(damaged)
    (damaged / "1.png").write_bytes(b"no picture")
    assert "1.png is no picture" in refusal(damaged)
    small = laid(tmp_path / "small", ["0.png", "1.png"], 4, 4)
    assert "is 4x4 pixels; give a video of 8 to 16384 pixels a side" in refusal(small)
    large = tmp_path / "large"
    large.mkdir()
    for number in range(2):
        Image.new("1", (9000, 9000)).save(large / f"{number}.png")
    assert "is 9000x9000 pixels; give a video of at most 64 million pixels a frame" in refusal(large)
    monkeypatch.setattr(folder, "MOST_ENTRIES", 3)
    assert "holds more than 3 entries" in refusal(damaged)


def test_an_archive_is_refused_with_the_hint_to_unpack_it(tmp_path):
    path = laid(tmp_path / "a", ["0.png", "1.png"])
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        archive.write(path / "0.png")
    heads = {"a.7z": b"7z\xbc\xaf\x27\x1c", "a.rar": b"Rar!", "a.tar": b"x" * 257 + b"ustar", "a.tgz": b"\x1f\x8b"}
    for name, head in heads.items():
        (tmp_path / name).write_bytes(head + b"rest")
    for name in ("frames.zip", "a.7z", "a.rar", "a.tar", "a.tgz"):
        with pytest.raises(
            InputError, match=r"is an archive \(.*\): unpack it, and give the folder of pictures or the video"
        ):
            Clip.read(tmp_path / name, frames=2, fps=8, aspect=SQUARE)


def test_the_hash_is_of_what_the_pictures_are(tmp_path):
    path = laid(tmp_path / "a", ["0.png", "1.png", "2.png"])
    read = lambda: Clip.read(path, frames=3, fps=24, aspect=SQUARE).sha256  # noqa: E731
    before = read()
    assert before == read()
    Image.fromarray(np.full((64, 64, 3), grey(9), np.uint8)).save(path / "2.png")
    assert before != read()


@pytest.mark.parametrize("suffix", ["jfif", "JPE", "jif", "dib", "pbm", "pgm", "j2k"])
def test_pictures_under_their_other_names_are_read(tmp_path, suffix):
    form = {"jfif": "JPEG", "jpe": "JPEG", "jif": "JPEG", "j2k": "JPEG2000"}.get(suffix.lower())
    path = tmp_path / "a"
    path.mkdir()
    for number in range(4):
        picture = Image.new("1" if suffix == "pbm" else "L", (64, 64), grey(number))
        picture.save(path / f"{number}.{suffix}", form)
    assert len(pictures_of(path).paths) == 4
    assert Clip.read(path, frames=4, fps=24, aspect=SQUARE).frames.shape == (4, 64, 64, 3)


def test_pictures_of_floats_are_refused_as_such(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    for number in range(3):
        Image.fromarray(np.full((64, 64), number / 4, np.float32)).save(path / f"{number}.tif")
    with pytest.raises(InputError, match=r"0\.tif is a picture of floats, .* save it with 8 or 16 bits, such as PNG"):
        Clip.read(path, frames=3, fps=24, aspect=SQUARE)


@pytest.mark.parametrize("kind", [np.int32, np.int16])
def test_pictures_of_wide_or_signed_integers_are_refused_as_such(tmp_path, kind):
    path = tmp_path / "a"
    path.mkdir()
    for number in range(3):
        cv2.imwrite(str(path / f"{number}.tif"), np.full((64, 64), number * 9000, kind))
    told = r"0\.tif holds integers of 32 bits, or signed ones, .* save it with 8 or 16 bits, such as PNG"
    with pytest.raises(InputError, match=told):
        Clip.read(path, frames=3, fps=24, aspect=SQUARE)


@pytest.mark.parametrize("white", [100, 1023, 65535])
@pytest.mark.parametrize("bands", [1, 3])
def test_ppm_of_any_white_is_as_pillow_reads_it(tmp_path, white, bands):
    numbers = np.random.default_rng(0).integers(0, white + 1, (9, 16, bands)).astype(">u2" if white > 255 else "u1")
    path = tmp_path / "0.ppm"
    path.write_bytes(b"P%d # white\n16 9 %d\n" % (4 + (bands + 1) // 2, white) + numbers.tobytes())
    with Image.open(path) as picture:
        own = np.asarray(picture, np.float64) / (65535 if picture.mode == "I" else 255)
    with Image.open(path) as picture:
        read = np.asarray(eight_bits(picture))
    assert np.abs(read - 255 * own.reshape(9, 16, bands)).max() <= 1
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UNREADABLE), Image.open(path) as picture:
        eight_bits(picture)


def test_deep_ppm_is_not_scaled_number_by_number(tmp_path, monkeypatch):
    path = tmp_path / "0.ppm"
    path.write_bytes(b"P6 64 64 65535\n" + bytes(64 * 64 * 6))
    monkeypatch.setattr(PpmImagePlugin.PpmDecoder, "decode", None)
    with Image.open(path) as picture:
        assert np.asarray(eight_bits(picture)).shape == (64, 64, 3)


def test_a_wide_picture_in_memory_is_read_as_far_as_it_is_of_sixteen_bits():
    deep = Image.fromarray(np.full((8, 8), 200 << 8, np.int32))
    assert np.asarray(eight_bits(deep)).tolist() == [[[200] * 3] * 8] * 8
    for beyond in (-1, 65536):
        deep.putpixel((0, 0), beyond)
        with pytest.raises(InputError, match="the picture holds integers of 32 bits"):
            eight_bits(deep)


def test_a_folder_that_has_none_says_where_they_are(tmp_path):
    def refusal(path) -> str:
        with pytest.raises(InputError) as refused:
            pictures_of(path)
        return str(refused.value)

    bear = tmp_path / "JPEGImages" / "480p" / "bear"
    bear.mkdir(parents=True)
    laid(bear, ["00000.jpg", "00001.jpg"])
    for given in (bear.parent, bear.parent.parent, tmp_path):
        assert refusal(given).endswith(f"is a folder without pictures; give the one below that has some: {bear}")
    for name, told in [
        ("x.mp4", "give the video that is in it: {path}"),
        ("x.exr", "pictures such as x.exr are not read: save them as PNG"),
        ("x.zip", "unpack x.zip, which is in it, and give the folder of pictures"),
    ]:
        (tmp_path / name).write_bytes(b"x")
        assert refusal(tmp_path).endswith(told.format(path=tmp_path / name))


@pytest.mark.parametrize(
    ("frame", "mask"),
    [
        ("{:05}.jpg", "{:05}_mask.png"),
        ("img{}.png", "depth_{}.png"),
        ("{}.png", "{}-alpha.png"),
        ("a{}.jpg", "gt_a{}.jpg"),
    ],
)
@pytest.mark.parametrize("more", [0, 2])
def test_images_beside_their_masks_are_the_frames(tmp_path, frame, mask, more):
    names = [frame.format(number) for number in range(5)]
    path = laid(tmp_path / "a", [*names, *(mask.format(number) for number in range(5 + more))])
    found = pictures_of(path)
    assert [each.name for each in found.paths] == names
    assert found.notices[0].startswith(f"{5 + more} other pictures of the folder were left out")
    alone = laid(tmp_path / "b", [mask.format(number) for number in range(5)])
    assert len(pictures_of(alone).paths) == 5


def test_names_without_numbers_follow_the_alphabet(tmp_path):
    found = pictures_of(laid(tmp_path / "a", ["c.png", "a.png", "b.jpg"]))
    assert [path.name for path in found.paths] == ["a.png", "b.jpg", "c.png"]
    assert found.notices == (folder.ALPHABETICAL,)


def refused(path) -> str:
    with pytest.raises(InputError) as error:
        pictures_of(path)
    return str(error.value)


def moving(path, count: int = 3):
    images = [Image.fromarray(image) for image in levels(count)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=125)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.MOV", "clip.3gp"])
def test_a_cover_beside_a_video_is_no_reference(tmp_path, name):
    path = laid(tmp_path / "a", ["thumb.jpg"])
    (path / name).write_bytes(b"x")
    assert refused(path) == f"{path} holds one picture; give the video that is in it: {path / name}"
    (path / "other.mkv").write_bytes(b"x")
    assert refused(path).endswith(f"give one of the videos that are in it: {path / name}")
    laid(path, ["1.png", "2.png"])
    assert f"{name} of the folder was left out: to read the video, give that file" in pictures_of(path).notices


@pytest.mark.parametrize("name", ["cat.gif", "cat.png", "cat.apng", "cat.webp", "cat.avif"])
def test_the_one_moving_picture_of_a_folder_is_to_be_given_itself(tmp_path, name):
    path = tmp_path / "a"
    path.mkdir()
    moving(path / name)
    assert refused(path) == f"{path} holds one picture; give the moving picture that is in it: {path / name}"


def test_the_pages_of_one_tiff_are_to_be_saved_one_by_one(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    moving(path / "stack.tif")
    told = "holds one picture; stack.tif holds several, which are read as files of their own: save each as one, such as PNG"
    assert refused(path).endswith(told)


def test_that_the_pictures_of_a_folder_move_is_told(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    for number in range(4):
        moving(path / f"{number}.gif")
    told = "pictures of the folder hold several frames each, such as 0.gif, and the first was taken"
    clip = Clip.read(path, frames=4, fps=24, aspect=SQUARE)
    assert f"{told}; to read one of them as it moves, give that file" in clip.notices
    for number in range(4):
        (path / f"{number}.gif").unlink()
        moving(path / f"{number}.tif")
    assert told.replace("gif", "tif") in Clip.read(path, frames=4, fps=24, aspect=SQUARE).notices


@pytest.mark.parametrize("word", ["flow", "depth", "normal", "alpha"])
def test_a_series_that_is_called_as_masks_are_is_taken_where_a_cover_alone_is_beside_it(tmp_path, word):
    names = [f"{word}_{number:03}.png" for number in range(6)]
    path = laid(tmp_path / "a", [*names, "cover.jpg"])
    assert [each.name for each in pictures_of(path).paths] == names
    laid(path, ["cover1.jpg", "cover2.jpg"])
    found = pictures_of(path)
    assert [each.name for each in found.paths] == ["cover1.jpg", "cover2.jpg"]
    told = f"pictures such as {names[0]} were taken for masks by their names: to read them, give a folder of them alone"
    assert told in found.notices


def test_a_folder_that_may_not_be_read_is_passed_by(tmp_path, monkeypatch):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "video").mkdir()
    laid(tmp_path / "video" / "frames", ["0.png", "1.png"])
    inside = type(tmp_path).iterdir

    def iterdir(path):
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return inside(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", iterdir)
    assert refused(tmp_path).endswith(f"give the one below that has some: {tmp_path / 'video' / 'frames'}")


def test_what_is_wrong_with_a_picture_is_told(tmp_path, monkeypatch):
    def refusal() -> str:
        with pytest.raises(InputError) as error:
            Clip.read(path, frames=3, fps=24, aspect=SQUARE)
        return str(error.value)

    path = laid(tmp_path / "a", ["0.png", "1.png", "2.png"])
    (path / "1.png").write_bytes(b"")
    assert refusal() == f"{path / '1.png'} is empty; replace it, or take it out of the folder"
    opened = Image.open

    def denied(file, *given, **options):
        if file == path / "0.png":
            raise PermissionError(13, "Permission denied")
        return opened(file, *given, **options)

    monkeypatch.setattr(Image, "open", denied)
    told = f"{path / '0.png'} may not be read (permission denied); allow it, or take it out of the folder"
    assert refusal() == told
