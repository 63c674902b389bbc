"""CLIP's figures with a tiny random CLIP, against the library's own path through pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors.torch import load_file, save_file

from motionlift.errors import InputError, ModelError
from motionlift.measure.alignment import ClipModel, clip_alignment
from motionlift.video.clip import Clip
from tests import twins


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    twins.clip(path)
    return path


def video(frames: int = 11, height: int = 20, width: int = 30) -> Clip:
    """Frames in colours of their own, more of them than a batch."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 256, (frames, 1, 1, 3), generator=generator, dtype=torch.uint8)
    noise = torch.randint(0, 40, (frames, height, width, 3), generator=generator, dtype=torch.uint8)
    return Clip.of(colours // 2 + noise, 8.0)


def expected(folder: Path, frames: np.ndarray, prompt: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines with the prompt and between neighbours, by transformers' own classes and PIL."""
    from transformers import CLIPModel, CLIPTokenizer

    from tests.twins.pictures import CLIPImageProcessorPil

    model = CLIPModel.from_pretrained(folder).eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(prompt, padding="max_length", truncation=True, return_tensors="pt")
    pictures = [Picture.fromarray(frame) for frame in frames]
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=pictures, return_tensors="pt")
    with torch.no_grad():
        found = model(**tokens, **pixels)
    images, text = found.image_embeds, found.text_embeds
    return (images @ text[0]).numpy(), (images[1:] * images[:-1]).sum(-1).numpy()


def test_the_figures_are_those_of_the_model(folder: Path):
    clip = video()
    found = clip_alignment(clip, ClipModel(str(folder)), "a red star")
    alike, consistent = expected(folder, clip.frames.numpy(), "a red star")
    assert found.text == pytest.approx(float(alike.mean()), abs=1e-5)
    assert found.frames == pytest.approx(float(consistent.mean()), abs=1e-5)
    assert clip_alignment(clip, ClipModel(str(folder)), "  ").text is None


def test_what_decides_its_numbers(folder: Path, tmp_path: Path):
    """The weights by a hash, since a folder has no revision."""
    about = ClipModel(str(folder)).about
    assert about["name"] == str(folder) and "revision" not in about
    assert {"side", "patch", "weights"} < about.keys() and about == ClipModel(str(folder)).about
    other = shutil.copytree(folder, tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    save_file({name: tensor + 0.01 for name, tensor in tensors.items()}, other / "model.safetensors", {"format": "pt"})
    changed = ClipModel(str(other)).about
    assert changed["weights"] != about["weights"] and changed["side"] == about["side"]


def test_red_is_red(folder: Path):
    clip = video()
    swapped = Clip.of(clip.frames.flip(-1), 8.0)
    model = ClipModel(str(folder))
    own, other = (clip_alignment(each, model, "a red star").text for each in (clip, swapped))
    right, _ = expected(folder, clip.frames.numpy(), "a red star")
    wrong, _ = expected(folder, swapped.frames.numpy(), "a red star")
    assert abs(right.mean() - wrong.mean()) > 1e-3, "else this test could not tell"
    assert (own, other) == (pytest.approx(right.mean(), abs=1e-5), pytest.approx(wrong.mean(), abs=1e-5))


def test_frames_that_are_the_same_are_consistent(folder: Path):
    still = Clip.of(video().frames[:1].expand(10, -1, -1, -1), 8.0)
    assert clip_alignment(still, ClipModel(str(folder))).frames == pytest.approx(1.0)
    assert np.isnan(clip_alignment([still.frames[0].numpy()], ClipModel(str(folder))).frames)
    with pytest.raises(InputError, match="no frame came"):
        clip_alignment([], ClipModel(str(folder)))


def test_frames_are_streamed(folder: Path):
    """No more than a batch is read before one is encoded."""
    model = ClipModel(str(folder))
    read, encoded = [0], [0]

    def frames():
        for frame in video(40):
            read[0] += 1
            assert read[0] - encoded[0] <= 9
            yield frame

    for _ in model.of_frames(frames()):
        encoded[0] += 1
    assert encoded[0] == 40


def test_a_long_prompt_is_cut(folder: Path):
    words = " ".join(["red star"] * 500)
    assert clip_alignment(video(2), ClipModel(str(folder)), words).text is not None


@pytest.mark.parametrize("held", ["nothing", "no weights", "another model"])
def test_what_is_no_clip_model_is_refused(held: str, folder: Path, tmp_path: Path):
    if held == "no weights":
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    if held == "another model":
        (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ModelError, match="not to be had as a CLIP model"):
        ClipModel(str(tmp_path))


@pytest.mark.parametrize("lacking", ["tensor", "size", "tokenizer"])
def test_a_clip_model_of_which_a_part_is_missing_is_refused(lacking: str, folder: Path, tmp_path: Path):
    """Transformers would fill in random numbers, or a vocabulary without words."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    if lacking == "tokenizer":
        for path in [*tmp_path.glob("tokenizer*"), *tmp_path.glob("vocab*"), *tmp_path.glob("merges*")]:
            path.unlink()
    else:
        tensors = load_file(tmp_path / "model.safetensors")
        name = next(name for name in tensors if name.startswith("vision_model") and name.endswith("fc1.weight"))
        cut = tensors.pop(name)
        save_file(
            tensors | ({name: cut[:-1].clone()} if lacking == "size" else {}),
            tmp_path / "model.safetensors",
            {"format": "pt"},
        )
    with pytest.raises(
        ModelError, match={"tokenizer": "tokenizer"}.get(lacking, r"lacks 1 of CLIP's tensors|not to be had")
    ):
        ClipModel(str(tmp_path))
