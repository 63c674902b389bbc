"""From names and paths to finished videos: what repeats, what is refused, what it costs."""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.core.cost import Step
from motionlift.core.lattice import Lattice
from motionlift.errors import InputError, ModelError, MotionError, OutputError, SettingError
from motionlift.models import loading
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import lift as lifting
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift, read_reference
from motionlift.work.prepare import check_prompt
from tests.motion.test_file import assert_same
from tests.twins import cogvideox, unet3d

QUICK = {"steps": 3, "share": 0.67, "inner": 1, "block": 1}
PROMPT = "a red star on a blue field"


def a_clip(seed: int = 0, frames: int = 9, height: int = 32, width: int = 32, fps: float = 8.0) -> Clip:
    """A bright square that moves over noise."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 90, (frames, height, width, 3), generator=generator, dtype=torch.uint8)
    for number in range(frames):
        left = 2 + number * (width - 14) // max(frames - 1, 1)
        pixels[number, height // 3 : height // 3 + 8, left : left + 8] = 255
    return Clip.of(pixels, fps)


@pytest.fixture(scope="module")
def model() -> Any:
    return load(cogvideox(), "cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the twin."""
    folder = tmp_path_factory.mktemp("models") / "twin"
    cogvideox().save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A folder of the twin, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "twin"))


@pytest.fixture(scope="module")
def motion(model: Any) -> Motion:
    return lift(a_clip(), model, settings=QUICK, cached=False)


def refusal(kind: type[Exception], act: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert message.isprintable() and 20 < len(message) < 700, message
    return message


# Models


def test_a_folder_and_a_pipeline_are_the_same_model(model: Any, saved: Path):
    loaded = load(str(saved), "cpu")
    assert loaded.name == str(saved)
    assert (loaded.identity, loaded.fingerprint) == (model.identity, model.fingerprint)
    text = load(saved).text(PROMPT)
    assert torch.equal(text, model.text(PROMPT))


def test_a_folder_named_from_home(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    assert load("~/twin").name == "~/twin"
    assert "is not to be had" in refusal(ModelError, lambda: load("~/none"))
    assert "is not to be had" in refusal(ModelError, lambda: load("~nobody-has-this-name/twin"))


@pytest.mark.parametrize("name", ["tiny-dot", "", "a" * 5000, "a\0b", "two\nlines", "/none/there", "./none", "a/b/c"])
def test_unknown_models(name: str):
    message = refusal(ModelError, lambda: load(name))
    assert "tiny-dit" in message and "hub name" in message


def test_hub_names_without_a_network():
    started = time.monotonic()
    message = refusal(ModelError, lambda: load("nobody/nothing"))
    assert "'nobody/nothing'" in message and "tiny-dit" in message
    assert time.monotonic() - started < 60, "it hung on the network"


@pytest.mark.parametrize(
    "index", ["", "{", "[]", "3", "null", "{}", '{"_class_name": 3}', '{"_class_name": null}', "\xff"]
)
def test_an_index_that_is_no_index(copied: Path, index: str):
    (copied / "model_index.json").write_text(index, encoding="latin-1")
    refusal(ModelError, lambda: load(copied))


def test_folders_that_hold_no_pipeline(tmp_path: Path):
    (tmp_path / "model_index.json").mkdir()
    for path in (tmp_path, tmp_path / "model_index.json"):
        assert "model_index.json" in refusal(ModelError, lambda path=path: load(path))


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "WanPipeline", "os", "Tokenizer"])
def test_classes_that_no_backbone_serves(copied: Path, name: str):
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
    assert f"no backbone serves {name}; allowed are models of CogVideoXPipeline" in refusal(
        ModelError, lambda: load(copied)
    )


@pytest.mark.parametrize("thing", [None, 3, object(), torch.nn.Linear(1, 1)])
def test_things_that_are_no_model(thing: Any):
    assert "no backbone serves" in refusal(ModelError, lambda: load(thing))


PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_missing(copied: Path, part: str):
    shutil.rmtree(copied / part)
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))


def weights(folder: Path, part: str) -> Path:
    (found,) = (folder / part).glob("*.safetensors")
    return found


def test_a_tokenizer_without_words(copied: Path):
    (copied / "tokenizer" / "tokenizer.json").unlink()
    assert "tokenizer is empty" in refusal(ModelError, lambda: load(copied))


@pytest.mark.parametrize("part", PARTS[:3])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_damaged_weights(copied: Path, part: str, damage: str):
    path = weights(copied, part)
    data = path.read_bytes()
    path.unlink()
    left = {"empty": b"", "cut": data[: len(data) // 2], "noise": bytes(range(256)) * 20}
    if damage in left:
        path.write_bytes(left[damage])
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))


@pytest.mark.parametrize("part", PARTS[:3])
@pytest.mark.parametrize("config", ["", "{", "[]", "{}"])
def test_damaged_configurations(copied: Path, part: str, config: str):
    (copied / part / "config.json").write_text(config)
    refusal(ModelError, lambda: load(copied))


class _Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    ("part", "name"), [("transformer", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")]
)
def test_pickled_weights_are_not_read(copied: Path, tmp_path: Path, part: str, name: str):
    weights(copied, part).unlink()
    trap = tmp_path / "was-unpickled"
    torch.save({"weight": _Touch(trap)}, copied / part / name)
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))
    assert not trap.exists()


def test_code_in_a_model_is_not_run(copied: Path, tmp_path: Path):
    trap = tmp_path / "was-run"
    program = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nclass Evil: pass\n"
    for place in (copied / "vae" / "evil.py", copied / "evil.py"):
        place.write_text(program)
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps(index | {"vae": ["evil", "Evil"]}))
    refusal(ModelError, lambda: load(copied))
    assert not trap.exists()


@pytest.mark.parametrize("name", ["cuda", "auto"])
@pytest.mark.parametrize(("rank", "gpus", "own"), [(None, 1, 0), ("1", 2, 1), ("3", 1, 0)])
def test_processes_have_a_gpu_each_as_far_as_there_are(
    name: str, rank: str | None, gpus: int, own: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: torch.empty(1))
    monkeypatch.delenv("LOCAL_RANK", raising=False) if rank is None else monkeypatch.setenv("LOCAL_RANK", rank)
    assert loading.device_named(name) == torch.device("cuda", own)


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:99", "cpu cpu", "privateuseone"])
def test_devices_that_are_not_there(device: str):
    assert "allowed are auto, cpu" in refusal(SettingError, lambda: load("tiny-dot", device))


# Lifting and casting


def test_lift_and_cast_equal_transfer(model: Any, motion: Motion, tmp_path: Path):
    path = tmp_path / "walk.safetensors"
    motion.save(path)
    apart = cast(Motion.load(path), PROMPT, model, seed=5)
    together = transfer(a_clip(), PROMPT, model, seed=5, settings=QUICK, cached=False)
    assert torch.equal(apart.clip.frames, together.clip.frames)
    assert apart.record["losses"] == together.record["losses"]
    assert_same(apart.motion, together.motion)
    assert together.reference is not None
    assert torch.equal(together.reference.frames, a_clip().frames)


def test_the_motion_matters(model: Any, motion: Motion):
    """Neither guidance nor injection is without effect: the test above compares something."""
    other = lift(a_clip(seed=1), model, settings=QUICK, cached=False)
    guided, unguided = (cast(motion, PROMPT, model, settings=values) for values in ({"inject": False}, {"share": 0}))
    assert not torch.equal(guided.clip.frames, unguided.clip.frames)
    assert not torch.equal(cast(motion, PROMPT, model).clip.frames, cast(other, PROMPT, model).clip.frames)


def test_seeds(model: Any, motion: Motion, tmp_path: Path):
    digests = []
    for number, seed in enumerate((3, 3, 4)):
        path = tmp_path / f"{number}.mp4"
        cast(motion, PROMPT, model, seed=seed).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    cast(motion, PROMPT, model, seed=2**63 - 1)


@pytest.mark.parametrize("method", ["none", "injection", "smm", "moft", "ditflow"])
def test_a_run_repeats_from_its_record(model: Any, tmp_path: Path, method: str):
    values = {name: value for name, value in QUICK.items() if name != "block" or method in ("smm", "moft", "ditflow")}
    first = transfer(a_clip(), PROMPT, model, method=method, seed=7, settings=values, cached=False)
    first.save(tmp_path / "first.mp4")
    record = json.loads((tmp_path / "first.json").read_text())
    again = transfer(
        a_clip(),
        record["prompt"],
        model,
        method=record["method"],
        seed=record["seed"],
        frames=record["frames"],
        settings=record["settings"],
        cached=False,
    )
    assert torch.equal(first.clip.frames, again.clip.frames)
    again.save(tmp_path / "again.mp4")
    repeated = json.loads((tmp_path / "again.json").read_text())
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()
    changing = {"seconds", "phases", "peak_memory_bytes", "output"}
    assert {name: record[name] for name in record.keys() - changing} == {
        name: repeated[name] for name in repeated.keys() - changing
    }


def test_files_and_other_clips(model: Any, tmp_path: Path):
    """A file made by ``Clip.save``, with both readers; the flow reads it at its own size."""
    path = tmp_path / "reference.mp4"
    a_clip(frames=12, height=96, width=128).save(path)
    for read in ("attention", "flow"):
        video = transfer(path, PROMPT, model, settings=QUICK | {"read": read})
        assert video.clip.frames.shape == (9, 32, 32, 3)
        assert video.record["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert video.record["losses"]
        assert "cropped" in video.record["reference_notices"][0]
    field = video.motion.tensors["displacement"]
    assert field.shape == (3, 3, 16, 2)
    assert not field.isnan().all()


@pytest.mark.parametrize(
    "sizes", [(9, 32, 32), (4, 32, 32), (2, 16, 16), (30, 32, 32), (9, 32, 90), (9, 90, 32), (9, 7, 1), (9, 601, 1203)]
)
def test_clips_of_any_length_and_aspect(model: Any, sizes: tuple[int, int, int]):
    clip = a_clip(0, *sizes) if min(sizes) > 8 else Clip.of(torch.zeros(*sizes, 3, dtype=torch.uint8), 8)
    wide = read_reference(clip, model, None)
    frames, height, width = wide.frames.shape[:3]
    assert frames == 9
    assert abs(height - width) <= 1 and max(height, width) <= lifting.LONGEST_SIDE
    lifted = lift(clip, model, settings=QUICK)
    assert lifted.grid == Lattice(3, 4, 4) and lifted.source.shape == model.shape


def test_a_clip_of_one_frame(model: Any):
    assert "at least two" in refusal(InputError, lambda: lift(a_clip(frames=1), model, settings=QUICK))


def test_more_frames(model: Any):
    longer = lift(a_clip(frames=17), model, frames=17, settings=QUICK)
    assert longer.grid.frames == 5
    video = cast(longer, PROMPT, model)
    assert len(video.clip.frames) == 17 and video.record["frames"] == 17


@pytest.mark.parametrize("frames", [0, 1, 2, 7, 10, -9, True, 8 * 10**9, 10**400])
def test_frames_that_do_not_fit(model: Any, frames: int):
    assert "allowed" in refusal(SettingError, lambda: lift(a_clip(), model, frames=frames, settings=QUICK))


# What is refused


@pytest.mark.parametrize("prompt", ["", "  \n "])
def test_empty_prompts(model: Any, motion: Motion, prompt: str):
    assert "empty" in refusal(InputError, lambda: cast(motion, prompt, model))
    assert "empty" in refusal(InputError, lambda: transfer(a_clip(), prompt, model))


def test_long_prompts(model: Any, motion: Motion):
    fits, longer = "a dog on a red field the"[:24], "a dog on a red field the star"
    check_prompt(fits, model)
    before = model.passes.forward
    for act in (
        lambda: check_prompt(longer, model),
        lambda: cast(motion, longer, model),
        lambda: transfer(a_clip(), longer, model, settings=QUICK),
    ):
        assert "9 tokens" in refusal(InputError, act)
    assert "at most 10000" in refusal(InputError, lambda: cast(motion, "a " * 10**6, model))
    assert model.passes.forward == before


@pytest.mark.parametrize("seed", [-1, 2**63, True, 10**400])
def test_seeds_out_of_range(model: Any, motion: Motion, seed: int):
    for act in (lambda: cast(motion, PROMPT, model, seed=seed), lambda: transfer(a_clip(), PROMPT, model, seed=seed)):
        assert "allowed is a whole number from 0 to" in refusal(SettingError, act)


BAD: dict[str, Any] = {"lr": "fast", "steps": 0, "temperature": -1, "colour": "red", "inject": 3}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_settings_and_methods_come_before_a_model_is_loaded(motion: Motion, name: str, monkeypatch: Any):
    monkeypatch.setattr(lifting, "load", lambda *_: pytest.fail("a model was loaded"))
    values = {name: BAD[name]}
    refusal(SettingError, lambda: lift("none.mp4", settings=values))
    refusal(SettingError, lambda: cast(motion, PROMPT, settings=values))
    refusal(SettingError, lambda: transfer("none.mp4", PROMPT, settings=values))
    assert "ditflow" in refusal(SettingError, lambda: lift("none.mp4", method="fly"))
    assert "ditflow" in refusal(SettingError, lambda: transfer("none.mp4", PROMPT, method="fly"))
    refusal(InputError, lambda: transfer("none.mp4", ""))
    refusal(SettingError, lambda: transfer("none.mp4", PROMPT, seed=-1))


def test_blocks_that_the_model_lacks(model: Any):
    for block in (3, "0,3", [1, 99]):
        message = refusal(SettingError, lambda block=block: lift(a_clip(), model, settings={"block": block}))
        assert "allowed are 0 to 2" in message


def test_blocks_that_were_not_lifted(model: Any, motion: Motion):
    assert "nothing of block 2" in refusal(MotionError, lambda: cast(motion, PROMPT, model, settings={"block": 2}))
    smm = lift(a_clip(), model, "smm", settings=QUICK)
    assert "nothing of block 0" in refusal(MotionError, lambda: cast(smm, PROMPT, model, settings={"block": "1,0"}))
    flow = lift(a_clip(), model, settings=QUICK | {"read": "flow"})
    cast(flow, PROMPT, model, settings={"block": 2})


def test_motions_without_their_tensors(model: Any, motion: Motion):
    latents = motion.tensors["latents"]
    only = replace(motion, tensors={"latents": latents})
    assert "nothing of block 1" in refusal(MotionError, lambda: cast(only, PROMPT, model))
    for tensors in ({}, {"latents": latents[:, :, 1:]}, {"latents": latents[0]}):
        without = replace(motion, tensors={**motion.tensors, "latents": torch.zeros(0), **tensors})
        assert "latents" in refusal(MotionError, lambda without=without: cast(without, PROMPT, model))


def test_motions_of_another_model(motion: Motion):
    other = load(cogvideox(rotary=False))
    named = replace(motion, model="zai-org/CogVideoX-5b")
    message = refusal(MotionError, lambda: cast(named, PROMPT, other))
    assert "zai-org/CogVideoX-5b" in message and other.name in message


def test_motions_of_another_lattice(model: Any, motion: Motion):
    message = refusal(MotionError, lambda: cast(replace(motion, grid=Lattice(3, 4, 5)), PROMPT, model))
    assert "3x4x5" in message and "3x4x4" in message


# Saved positions


def test_positions_are_saved_and_reused(model: Any, tmp_path: Path):
    values = QUICK | {"target": "positions", "inner": 2}
    first = transfer(a_clip(), PROMPT, model, settings=values)
    saved = {name for name in first.motion.tensors if name.startswith("positions.")}
    assert saved == {f"positions.{step}.{kind}" for step in (0, 1) for kind in model.positions(model.shape)}
    first.motion.save(tmp_path / "walk.safetensors")
    reused = cast(Motion.load(tmp_path / "walk.safetensors"), "the dog", model, settings={"target": "saved"})
    assert reused.record["passes"]["backward"] == 0
    plain = cast(first.motion, "the dog", model, settings={"target": "latents", "inner": 0})
    assert not torch.equal(reused.clip.frames, plain.clip.frames)
    same = cast(first.motion, PROMPT, model, settings={"target": "saved"})
    assert torch.equal(same.clip.frames, first.clip.frames), "the same prompt and seed with the positions kept"


def test_later_positions_replace_earlier_ones(model: Any):
    """Those of other steps would be taken for theirs."""
    first = transfer(a_clip(), PROMPT, model, settings=QUICK | {"target": "positions", "share": 1.0})
    second = cast(first.motion, PROMPT, model, settings={"steps": 2, "share": 0.5})
    kept = {name.split(".")[1] for name in second.motion.tensors if name.startswith("positions.")}
    assert kept == {"0"}
    assert (second.motion.settings["steps"], second.motion.settings["share"]) == (2, 0.5)


def test_positions_that_are_not_there(model: Any, motion: Motion):
    message = refusal(MotionError, lambda: cast(motion, PROMPT, model, settings={"target": "saved"}))
    assert "target=positions" in message


# Cache


@pytest.mark.parametrize("method", ["ditflow", "smm", "moft"])
def test_lifting_again_costs_nothing(model: Any, method: str, monkeypatch: pytest.MonkeyPatch):
    first = lift(a_clip(), model, method, settings=QUICK)
    before = model.passes.forward
    monkeypatch.setattr(model, "encode", lambda _pixels: pytest.fail("the reference was encoded"))
    second = lift(a_clip(), model, method, settings=QUICK)
    assert_same(first, second)
    assert model.passes.forward == before


def counted(model: Any, act: Callable[[], Motion]) -> tuple[Motion, int]:
    before = model.passes.forward
    return act(), model.passes.forward - before


def test_a_cached_lift_costs_the_same_video(model: Any):
    videos = [transfer(a_clip(), PROMPT, model, settings=QUICK) for _ in range(2)]
    assert torch.equal(videos[0].clip.frames, videos[1].clip.frames)
    passes = [video.record["passes"]["forward"] for video in videos]
    assert passes[0] == passes[1] + 1


def test_what_is_lifted_anew(model: Any, motion_cache: Path):
    def forwards(clip: Clip | None = None, used: Any = model, method: str = "ditflow", **values: Any) -> int:
        return counted(used, lambda: lift(clip or a_clip(), used, method, settings=QUICK | values))[1]

    assert (forwards(), forwards()) == (1, 0)
    assert forwards(block=2) == 1
    assert forwards(lr=0.5) == 0, "it matters to casting alone"
    assert forwards(method="smm") == 1
    assert forwards(a_clip(seed=1)) == 1
    assert forwards(replace(a_clip(), fps=4.0)) == 1
    assert counted(model, lambda: lift(a_clip(), model, settings=QUICK, cached=False))[1] == 1
    other = cogvideox()
    torch.nn.init.normal_(other.transformer.proj_out.bias)
    assert forwards(used=load(other)) == 1
    assert (forwards(), forwards(block=2)) == (0, 0)
    for path in motion_cache.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    assert (forwards(), forwards()) == (1, 0)


def test_clips_cut_out_of_one_file_are_lifted_apart(model: Any, tmp_path: Path):
    """They share the hash of the file."""
    path = tmp_path / "reference.mp4"
    a_clip(frames=20, height=64, width=128).save(path)
    cropped, padded = (Clip.read(path, frames=9, fps=8, aspect=(1, 1), fit=fit) for fit in ("crop", "pad"))
    later = replace(cropped, frames=cropped.frames.flip(0))
    lifted = [lift(clip, model, settings=QUICK) for clip in (cropped, padded, later)]
    apart = [lift(clip, model, settings=QUICK, cached=False) for clip in (cropped, padded, later)]
    for one, other in zip(lifted, apart, strict=True):
        assert_same(one, other)
    assert len({motion.digest() for motion in lifted}) == 3


def test_a_cached_motion_names_the_model_that_asked(model: Any, saved: Path):
    lift(a_clip(), model, settings=QUICK)
    from_folder, forwards = counted(again := load(saved), lambda: lift(a_clip(), again, settings=QUICK))
    assert forwards == 0
    assert from_folder.model == str(saved)


def test_a_cache_that_cannot_be_written(model: Any, motion_cache: Path):
    motion_cache.write_text("a file")
    first, second = (lift(a_clip(), model, settings=QUICK) for _ in range(2))
    assert_same(first, second)


def test_a_bad_cap_is_refused_before_work(model: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", "4 GB")
    before = model.passes.forward
    assert "MOTIONLIFT_CACHE_BYTES" in refusal(SettingError, lambda: lift(a_clip(), model, settings=QUICK))
    assert model.passes.forward == before
    lift(a_clip(), model, settings=QUICK, cached=False)


# What a run tells


def test_the_record(model: Any, tmp_path: Path):
    steps: list[Step] = []
    video = transfer(a_clip(), PROMPT, model, seed=2, settings=QUICK, cached=False, advance=steps.append)
    record = json.loads(json.dumps(video.record, allow_nan=False))
    assert record["settings"]["steps"] == 3 and record["settings"]["block"] == [1]
    assert (record["prompt"], record["seed"], record["method"], record["frames"]) == (PROMPT, 2, "ditflow", 9)
    assert record["model"] == {"name": model.name, "identity": model.identity, "fingerprint": model.fingerprint}
    assert record["source"]["sha256"] == a_clip().sha256
    assert record["motion_sha256"] == lift(a_clip(), model, settings=QUICK).digest()
    assert {"motionlift", "torch", "diffusers", "python"} <= record["versions"].keys()
    assert record["peak_memory_bytes"] > 2**20
    assert len(record["losses"]) == 2 and all(map(math.isfinite, record["losses"]))
    # One pass to lift; in each of two guided steps one to inject and one to optimise; two for each of three steps.
    assert record["passes"] == {"forward": 1 + 2 * 2 + 2 * 3, "backward": 2}
    assert [step.phase for step in steps] == ["lift", "guide", "sample", "guide", "sample", "sample"]
    assert all(0 <= step.index < step.total for step in steps)


def test_phases_add_up(model: Any):
    started = time.perf_counter()
    video = transfer(a_clip(), PROMPT, model, settings=QUICK, cached=False)
    elapsed = time.perf_counter() - started
    record = video.record
    assert [phase["name"] for phase in record["phases"]] == ["read", "lift", "cast", "decode"]
    assert record["seconds"] == pytest.approx(sum(phase["seconds"] for phase in record["phases"]), abs=1e-3)
    assert 0 < record["seconds"] <= elapsed
    for kind in ("forward", "backward"):
        assert record["passes"][kind] == sum(phase["passes"][kind] for phase in record["phases"])
    assert [phase["passes"]["forward"] for phase in record["phases"]] == [0, 1, 10, 0]


def test_saving_writes_both_files(model: Any, motion: Motion, tmp_path: Path):
    video = cast(motion, PROMPT, model)
    video.save(tmp_path / "out.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.json"}
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["output"] == {
        "path": str(tmp_path / "out.mp4"),
        "sha256": hashlib.sha256((tmp_path / "out.mp4").read_bytes()).hexdigest(),
    }
    assert {name: record[name] for name in record if name != "output"} == json.loads(json.dumps(video.record))
    assert Clip.read(tmp_path / "out.mp4", frames=9, fps=8, aspect=(32, 32)).frames.shape == (9, 32, 32, 3)


@pytest.mark.parametrize("name", ["out.gif", "out", "none/out.mp4", "folder.mp4"])
def test_saving_where_it_cannot_be(model: Any, motion: Motion, tmp_path: Path, name: str):
    (tmp_path / "folder.mp4").mkdir()
    video = cast(motion, PROMPT, model, settings={"steps": 1})
    refusal(OutputError, lambda: video.save(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_nothing_is_written_where_the_record_cannot_be(model: Any, motion: Motion, tmp_path: Path):
    (tmp_path / "out.json").mkdir()
    video = cast(motion, PROMPT, model, settings={"steps": 1})
    refusal(OutputError, lambda: video.save(tmp_path / "out.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_stopping_leaves_the_model_as_it_was(model: Any, motion: Motion):
    """Ctrl-C in a notebook: the traceback lives on, and with it whatever the loop had hooked in."""
    before = cast(motion, PROMPT, model).clip.frames

    def stop(step: Step) -> None:
        if step.phase == "guide":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:
        cast(motion, PROMPT, model, advance=stop)
    hooks = [module for module in model.network.modules() if module._forward_pre_hooks]
    assert held.value.__traceback__ is not None and hooks == []
    assert torch.equal(cast(motion, PROMPT, model).clip.frames, before)


def test_what_was_settled_when_lifting_cannot_be_changed_when_casting(model: Any, motion: Motion):
    with pytest.raises(SettingError, match="read is 'flow', but the motion was lifted with 'attention': lift it again"):
        cast(motion, PROMPT, model, settings={"read": "flow"})
    channels = lift(a_clip(), model, "moft", settings=QUICK, cached=False)
    with pytest.raises(SettingError, match=r"channel_share is 0\.5, but the motion was lifted with 0\.04"):
        cast(channels, PROMPT, model, settings={"channel_share": 0.5})


# Inversion


INVERTING = {**QUICK, "inversion": True, "source_prompt": "a blue star on the field"}


def test_inverted_noise_is_part_of_the_motion_and_kept(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    first = lift(a_clip(), model, settings=INVERTING)
    before = model.passes.forward
    second = lift(a_clip(), model, settings=INVERTING)
    assert model.passes.forward == before, "it came from the cache"
    assert first.tensors["inverted"].shape == first.tensors["latents"].shape
    assert_same(first, second)
    other = lift(a_clip(), model, settings={**INVERTING, "source_prompt": "a red ring"})
    assert not torch.equal(first.tensors["inverted"], other.tensors["inverted"])


def test_sampling_can_start_from_the_inverted_noise(model: Any):
    motion = lift(a_clip(), model, "none", settings={"steps": 3, "inversion": True}, cached=False)
    seeds = [cast(motion, PROMPT, model, seed=seed, settings={"beta": 1.0}).clip.frames for seed in (1, 2)]
    assert torch.equal(*seeds), "nothing of the seed is left"
    mixed = [cast(motion, PROMPT, model, seed=seed, settings={"beta": 0.5}).clip.frames for seed in (1, 2)]
    assert not torch.equal(*mixed) and not torch.equal(mixed[0], seeds[0])
    fresh = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    plain = cast(fresh, PROMPT, model, seed=1).clip.frames
    assert torch.equal(cast(motion, PROMPT, model, seed=1, settings={"beta": 0.0}).clip.frames, plain)


def test_what_inversion_refuses(model: Any):
    motion = lift(a_clip(), model, "none", settings={"steps": 3, "inversion": True}, cached=False)
    told = refusal(SettingError, lambda: cast(motion, PROMPT, model, settings={"beta": 0.5, "steps": 5}))
    assert "inverted in 3 steps" in told
    fresh = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    assert "needs the inverted noise" in refusal(
        SettingError, lambda: cast(fresh, PROMPT, model, settings={"beta": 0.5})
    )
    lost = replace(motion, tensors={"latents": motion.tensors["latents"]})
    assert "holds no inverted noise" in refusal(MotionError, lambda: cast(lost, PROMPT, model, settings={"beta": 0.5}))
    long = {"inversion": True, "source_prompt": "red " * 30}
    assert "the source prompt does not fit" in refusal(InputError, lambda: lift(a_clip(), model, "none", settings=long))


def test_words_are_checked_before_the_network_runs(model: Any):
    before = model.passes.forward
    for settings, words in (
        ({}, "needs to know what the reference shows"),
        ({"source_prompt": "a blue star", "subjects": ["dog"]}, "dog is not in the source prompt"),
        ({"source_prompt": "a blue star", "subjects": [1]}, "subjects is [1]; allowed is words"),
    ):
        assert words in refusal(
            SettingError, lambda settings=settings: lift(a_clip(), model, "motionflow", settings=settings)
        )
    pair = {"source_prompt": "a blue star", "subjects": ["star"], "targets": ["dog"]}
    assert "dog is not in the prompt" in refusal(
        SettingError, lambda: transfer(a_clip(), PROMPT, model, method="motionflow", settings=pair)
    )
    assert model.passes.forward == before


def test_a_displacement_on_a_coarse_lattice_is_saved_and_cast(tmp_path: Path):
    """Layers of a UNet have lattices of their own."""
    unet = load(unet3d(), "cpu")
    motion = lift(a_clip(frames=4), unet, frames=4, settings={**QUICK, "block": [0, 2], "inject": False}, cached=False)
    assert {motion.tensors[f"displacement.{block}"].shape[2] for block in (0, 2)} == {64, 16}
    motion.save(tmp_path / "coarse.safetensors")
    again = Motion.load(tmp_path / "coarse.safetensors")
    assert_same(motion, again)
    frames = cast(again, PROMPT, unet).clip.frames
    assert torch.equal(frames, cast(motion, PROMPT, unet).clip.frames)
