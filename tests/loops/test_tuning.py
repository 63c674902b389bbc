"""Tuned motions from the outside: lifted, kept, gone on with, cast at a strength, mixed, and exported to other programs."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from motionlift.cli import main
from motionlift.core.cost import Step
from motionlift.core.tensors import INVERTED
from motionlift.errors import InputError, MotionError, SettingError, Stopped
from motionlift.loops.invert import invert
from motionlift.models.loading import load
from motionlift.motion import cache, names, run_files
from motionlift.motion.adapter import DIFFERENCE, DOWN, UP, with_end
from motionlift.motion.file import Motion
from motionlift.motion.lock import LOCK
from motionlift.motion.run_files import CHECKPOINT
from motionlift.video.marks import SHEET
from motionlift.video.sheets import contact_sheet
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import finished, ignore, lift
from tests.twins import PICTURED, cogvideox, unet3d
from tests.work.trials import PROMPT, a_clip, refusal
from tests.work.trials import TUNED as QUICK

MATCHED = {**QUICK, "rank": 4}


@pytest.fixture(scope="module")
def model() -> Any:
    return load(cogvideox(), "cpu")


@pytest.fixture(scope="module")
def walk(model: Any) -> Motion:
    return lift(a_clip(), model, "vmc", settings=QUICK, cached=False)


@pytest.fixture(scope="module")
def matched(model: Any) -> Motion:
    return lift(a_clip(), model, "motionmatcher", settings=MATCHED, cached=False)


def frames(motion: Motion, model: Any, **more: Any) -> torch.Tensor:
    return cast(motion, PROMPT, model, **more).clip.frames


# Casting


@pytest.mark.slow
def test_a_tuned_motion_is_a_file_like_any_other(model: Any, walk: Motion, tmp_path: Path):
    walk.save(tmp_path / "walk.safetensors")
    again = Motion.load(tmp_path / "walk.safetensors")
    assert torch.equal(frames(again, model), frames(walk, model))
    names = {name.rpartition(".")[0] for name in walk.tensors if name.startswith("adapter.")}
    assert names == {f"adapter.transformer.transformer_blocks.{n}.attn1.to_{part}" for n in range(3) for part in "qkv"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["walk", "matched"])
def test_strength_goes_from_nothing_to_more_than_all(model: Any, name: str, request: pytest.FixtureRequest):
    motion = request.getfixturevalue(name)
    without = replace(
        motion, tensors={key: value * (not key.startswith("adapter.")) for key, value in motion.tensors.items()}
    )
    bare = frames(without, model).float()
    moved = [
        (frames(motion, model, settings={"strength": part}).float() - bare).abs().mean() for part in (0.0, 0.5, 1.5)
    ]
    assert moved[0] == 0 and 0.01 < moved[1] < moved[2]
    said = refusal(SettingError, lambda: frames(motion, model, settings={"strength": 1.6}))
    assert "strength is 1.6; allowed is a number from 0 to 1.5" in said


@pytest.mark.slow
def test_factors_are_on_where_they_were_tuned_alone(model: Any, matched: Motion):
    """With all timesteps left alone, the adapter is never on."""
    never = replace(matched, settings={**matched.settings, "clean_share": 0.99})
    bare = replace(
        matched, tensors={key: value * (not key.startswith("adapter.")) for key, value in matched.tensors.items()}
    )
    assert not torch.equal(frames(matched, model), frames(bare, model))
    steps = [level.timestep for level in model.schedule(3).levels]
    assert steps[0] == 999 and steps[1] < 990
    only_first = frames(never, model)
    assert not torch.equal(only_first, frames(bare, model)) and not torch.equal(only_first, frames(matched, model))


@pytest.mark.slow
def test_motions_are_mixed(model: Any, walk: Motion, matched: Motion):
    both = cast(walk, PROMPT, model, mixed=[(matched, 0.5)])
    assert not torch.equal(both.clip.frames, frames(walk, model))
    assert both.record["mixed"] == [{"motion_sha256": matched.digest(), "strength": 0.5}]
    assert torch.equal(frames(walk, model, mixed=[(matched, 0.0)]), frames(walk, model))


@pytest.mark.slow
def test_what_cannot_be_mixed_is_refused(model: Any, walk: Motion):
    guided = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    assert "none holds no adapter" in refusal(MotionError, lambda: frames(walk, model, mixed=[(guided, 1.0)]))
    assert "only tuned motions can be mixed" in refusal(
        SettingError, lambda: frames(guided, model, mixed=[(walk, 1.0)])
    )
    assert "allowed is a number from 0 to 1.5" in refusal(
        SettingError, lambda: frames(walk, model, mixed=[(walk, 2.0)])
    )
    other = replace(walk, identity="0" * 64)
    assert "mix motions of one model" in refusal(MotionError, lambda: frames(walk, model, mixed=[(other, 1.0)]))


@pytest.mark.parametrize("part", ["adapter.transformer.transformer_blocks.0.attn1.to_q.difference", None])
def test_an_adapter_that_is_not_whole_is_refused(model: Any, walk: Motion, part: str | None):
    tensors = {key: value for key, value in walk.tensors.items() if not key.startswith("adapter.")}
    if part:
        tensors[part] = torch.ones(2, 2)
    said = refusal(MotionError, lambda: frames(replace(walk, tensors=tensors), model))
    assert ("was tuned on another model" if part else "holds no adapter") in said


def test_other_settings_of_tuning_need_another_lift(model: Any, walk: Motion):
    said = refusal(SettingError, lambda: frames(walk, model, settings={"tuning_lr": 0.5}))
    assert "tuning_lr is 0.5, but the motion was lifted with 0.01: lift it again with tuning_lr=0.5" in said


@pytest.mark.slow
def test_a_stopped_cast_says_that_what_was_tuned_stays(model: Any, tmp_path: Path):
    def stop(step: Any) -> None:
        if step.phase == "sample":
            raise KeyboardInterrupt

    for folder, stays in ((None, "the lifted motion stays in the cache"), (tmp_path / "run", f"{tmp_path / 'run'}")):
        with pytest.raises(Stopped, match=f"nothing was written, but .*{stays}; the same command goes on from there"):
            transfer(a_clip(), PROMPT, model, method="vmc", settings=QUICK, folder=folder, advance=stop)
    with pytest.raises(KeyboardInterrupt) as nothing:
        transfer(a_clip(), PROMPT, model, method="vmc", settings=QUICK, cached=False, advance=stop)
    assert not isinstance(nothing.value, Stopped)


# Lifting


@pytest.mark.slow
def test_only_what_matters_to_lifting_tunes_anew(model: Any):
    def tuned(**changes: Any) -> int:
        steps: list[Step] = []
        lift(a_clip(), model, "vmc", settings={**QUICK, **changes}, advance=steps.append)
        return sum(step.phase == "tune" for step in steps)

    assert [tuned(), tuned(), tuned(strength=0.5), tuned(cfg=3.0), tuned(negative_prompt="a dog")] == [2, 0, 0, 0, 0]
    assert [tuned(tuning_steps=3), tuned(source_prompt="a red dog")] == [3, 2]


@pytest.mark.slow
def test_a_named_folder_gets_its_run_even_where_the_motion_is_cached(model: Any, tmp_path: Path):
    first = lift(a_clip(), model, "vmc", settings=QUICK)
    again = lift(a_clip(), model, "vmc", settings=QUICK, folder=tmp_path / "run", previews=1)
    assert again.digest() == first.digest()
    assert (tmp_path / "run" / run_files.LOSSES).exists() and (tmp_path / "run" / run_files.CHECKPOINT).exists()


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "file"))
    assert (
        lift(a_clip(), model, "vmc", settings=QUICK).digest()
        == lift(a_clip(), model, "vmc", settings=QUICK, cached=False).digest()
    )


@pytest.mark.slow
def test_a_folder_keeps_the_run_and_pictures_of_it(model: Any, tmp_path: Path):
    folder = tmp_path / "run"
    settings = {**QUICK, "tuning_steps": 4}
    motion = lift(a_clip(), model, "vmc", settings=settings, cached=False, folder=folder, previews=2)
    assert {path.name for path in folder.iterdir()} >= {run_files.CHECKPOINT, run_files.LOSSES, run_files.PREVIEWS}
    assert sorted(path.name for path in (folder / run_files.PREVIEWS).iterdir()) == ["000002.png", "000004.png"]
    bare = lift(a_clip(), model, "vmc", settings=settings, cached=False)
    assert motion.digest() == bare.digest(), "previews change nothing"
    longer = lift(a_clip(), model, "vmc", settings={**settings, "tuning_steps": 6}, cached=False, folder=folder)
    straight = lift(a_clip(), model, "vmc", settings={**settings, "tuning_steps": 6}, cached=False)
    assert longer.digest() == straight.digest(), "a run may go on for longer"
    said = refusal(MotionError, lambda: lift(a_clip(), model, "vmc", settings=settings, cached=False, folder=folder))
    assert "holds a run of 6 steps, and 4 are asked for" in said
    said = refusal(
        MotionError, lambda: lift(a_clip(seed=1), model, "vmc", settings=settings, cached=False, folder=folder)
    )
    assert "holds another run: its frames, source differ" in said


@pytest.mark.slow
def test_an_interrupted_run_is_gone_on_with_even_without_a_folder(model: Any, motion_cache: Path):
    settings = {**QUICK, "tuning_steps": 6}

    def stop(step: Any) -> None:
        if step.phase == "tune" and step.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt, match=r"what was tuned so far stays in .*; the same command goes on from there"
    ):
        lift(a_clip(), model, "vmc", settings=settings, advance=stop)
    (stopped,) = (path for path in (motion_cache / "runs").iterdir() if path.is_dir())
    assert cache.state().runs == 1
    assert cache.state().run_bytes == sum(own.stat().st_size for own in stopped.iterdir()) > 0
    seen: list[int] = []
    motion = lift(
        a_clip(),
        model,
        "vmc",
        settings=settings,
        advance=lambda step: seen.append(step.index) if step.phase == "tune" else None,
    )
    assert seen == [4, 5]
    assert motion.digest() == lift(a_clip(), model, "vmc", settings=settings, cached=False).digest()
    assert [own.name for own in (motion_cache / "runs").iterdir()] == [cache.TAG], (
        "a finished run leaves no checkpoint there"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("method", "settings"), [("vmc", QUICK), ("motionmatcher", MATCHED)])
def test_the_tuned_network_inverts_where_that_is_asked(model: Any, method: str, settings: dict[str, Any]):
    """As the same network with what was tuned added to its weights does, at every level, wherever it was tuned."""
    asked = {**settings, "inverted_with": "empty", "inversion": True}
    steps: list[Step] = []
    before = lift(a_clip(), model, method, settings=asked, cached=False)
    motion = lift(
        a_clip(), model, method, settings={**asked, "inverted_by": "tuned"}, cached=False, advance=steps.append
    )
    assert [step.phase for step in steps] == ["tune"] * 2 + ["invert"] * 3
    assert motion.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(own, before.tensors[name]) for name, own in motion.tensors.items() if name != INVERTED)
    other = load(cogvideox(), "cpu")
    adapter = names.adapter(motion.tensors)
    ups = with_end(adapter, UP)
    added = with_end(adapter, DIFFERENCE) or {name: ups[name] @ own for name, own in with_end(adapter, DOWN).items()}
    for name, own in added.items():
        layer: Any = other.network.get_submodule(name)
        layer.weight.data += own
    latents = motion.tensors["latents"]
    steps_of_other = invert(other, latents, other.text.encode("", motion.source.shape), 3, motion.source.shape)
    expected = finished(steps_of_other, ignore)[0]
    torch.testing.assert_close(motion.tensors[INVERTED], expected, atol=1e-4, rtol=1e-3)
    assert (before.tensors[INVERTED] - expected).abs().max() > 0.01, "else this test could not tell"


@pytest.mark.slow
def test_a_motion_that_a_tuned_network_inverted_takes_as_many_passes(model: Any):
    settings = {**QUICK, "inverted_by": "tuned"}
    video = transfer(a_clip(), PROMPT, model, method="vmc", settings=settings, cached=False)
    assert video.record["passes"]["forward"] == 3 + 2 + 6


PREVIEWED = {
    "vmc": {},
    "vmc, inverted when tuned": {"inverted_by": "tuned"},
    "motionmatcher": {"rank": 4},
    "motiondirector": {"rank": 4, "preset": "released", "steps": 3, "tuning_steps": 2, "beta": 0.5, "strength": 0.5},
}
"""By method what is tuned before a preview: whole weights, factors, and factors with dropout and others for looks."""


def same_pixels(one: Path, other: Path) -> bool:
    with Image.open(one) as shown, Image.open(other) as expected:
        return shown.size == expected.size and shown.tobytes() == expected.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", PREVIEWED)
def test_a_preview_is_the_cast_of_the_same_prompt_and_seed(model: Any, name: str, tmp_path: Path):
    settings, method = {**QUICK, "tuning_steps": 4, **PREVIEWED[name]}, name.split(",")[0]
    if settings.get("beta"):
        settings["inversion"] = True
    run = tmp_path / "run"
    motion = lift(a_clip(), model, method, settings=settings, cached=False, folder=run, previews=1)
    (preview,) = (run / run_files.PREVIEWS).iterdir()
    later = cast(motion, QUICK["source_prompt"], model, seed=0)
    contact_sheet(later.clip, tmp_path / "later.png")
    assert same_pixels(preview, tmp_path / "later.png")
    with Image.open(preview) as shown:
        told = shown.info
    steps = str(settings["tuning_steps"])
    assert {name: told[name] for name in ("step", "seed", "prompt")} == {
        "step": steps,
        "seed": "0",
        "prompt": QUICK["source_prompt"],
    }
    assert told["Description"] == f"preview of tuning, step {steps} of {steps}, seed 0, prompt: {told['prompt']}"
    assert SHEET.wrote(preview)
    bare = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    assert not torch.equal(cast(bare, QUICK["source_prompt"], model).clip.frames, later.clip.frames), "it was tuned"


@pytest.mark.slow
def test_a_preview_in_windows_that_begin_with_pictures_is_the_cast_with_its_first(tmp_path: Path):
    model, settings = PICTURED["cogvideox"].model(), {**QUICK, "window": 9}
    clip = a_clip(frames=17)
    kept = {"cached": False, "folder": tmp_path / "run", "previews": 1}
    motion = lift(clip, model, "vmc", frames=17, settings=settings, **kept)
    assert motion.windows is not None
    Image.fromarray(clip.frames[0].numpy()).save(tmp_path / "first.png")
    later = cast(motion, QUICK["source_prompt"], model, picture=tmp_path / "first.png")
    contact_sheet(later.clip, tmp_path / "later.png")
    (preview,) = (tmp_path / "run" / run_files.PREVIEWS).iterdir()
    assert same_pixels(preview, tmp_path / "later.png")


@pytest.mark.slow
def test_a_preview_that_was_stopped_is_made_when_the_run_goes_on(model: Any, tmp_path: Path):
    def stop(step: Any) -> None:
        if step.phase == "sample":
            raise KeyboardInterrupt

    run = tmp_path / "run"
    for advance in (stop, stop):  # in the middle of the first, then of what was made up for
        with pytest.raises(KeyboardInterrupt):
            lift(a_clip(), model, "vmc", settings=QUICK, folder=run, previews=2, advance=advance)
        assert not list(run.rglob("*.png"))
    lift(a_clip(), model, "vmc", settings=QUICK, folder=run, previews=2)
    assert sorted(path.name for path in run.rglob("*.png")) == ["000001.png", "000002.png"]


def test_a_finished_run_leaves_nothing_though_its_motion_is_too_large_to_keep(
    model: Any, motion_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", "1000")
    motion = lift(a_clip(), model, "vmc", settings=QUICK)
    assert motion.adapter() and cache.state().files == 0
    assert [own.name for own in (motion_cache / "runs").iterdir()] == [cache.TAG] and cache.state().runs == 0


def test_what_cannot_be_lifted_is_refused(model: Any, tmp_path: Path):
    assert "tunes nothing" in refusal(SettingError, lambda: lift(a_clip(), model, "none", folder=tmp_path))
    assert "name one" in refusal(SettingError, lambda: lift(a_clip(), model, "vmc", settings=QUICK, previews=2))
    said = refusal(InputError, lambda: lift(a_clip(), model, "vmc", settings={**QUICK, "source_prompt": "red"}))
    assert "has no subject" in said
    said = refusal(SettingError, lambda: lift(a_clip(), model, "vmc", settings={**QUICK, "attention": "spatial"}))
    assert "attends jointly" in said


@pytest.mark.slow
def test_a_written_prompt_of_tuning_and_a_motion_that_holds_one_need_no_tagger(
    model: Any, monkeypatch: pytest.MonkeyPatch
):
    reduced = lift(a_clip(), model, "vmc", settings=QUICK, cached=False)
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    assert reduced.settings["tuning_prompt"] == "a ring"
    assert cast(reduced, PROMPT, model).record["tuning_prompt"] == "a ring"
    told = {**QUICK, "tuning_prompt": "a ring"}
    assert lift(a_clip(), model, "vmc", settings=told, cached=False).digest() == reduced.digest()
    said = refusal(SettingError, lambda: lift(a_clip(), model, "vmc", settings=QUICK, cached=False))
    assert "motionlift[captions]" in said
    long = {**QUICK, "tuning_prompt": "red " * 99}
    assert "the tuning prompt does not fit" in refusal(InputError, lambda: lift(a_clip(), model, "vmc", settings=long))


@pytest.mark.slow
def test_transfer_tunes_and_casts(model: Any):
    video = transfer(a_clip(), PROMPT, model, method="vmc", settings=QUICK, cached=False)
    assert video.record["passes"] == {"forward": 3 + 2 + 6, "backward": 2, "work": 3 + 2 + 6 + 2 * 2}
    assert video.record["tuning_prompt"] == "a ring" and len(video.record["losses"]) == 2


# Command line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip and both twins."""
    folder = tmp_path_factory.mktemp("command")
    a_clip().save(folder / "clip.mp4")
    cogvideox().save_pretrained(folder / "dit")
    unet3d().save_pretrained(folder / "unet")
    return folder


def words(place: Path, output: Path, *more: str, method: str = "vmc", model: str = "dit", steps: int = 2) -> list[str]:
    start = [
        "lift",
        str(place / "clip.mp4"),
        "--model",
        str(place / model),
        "--method",
        method,
        "--output",
        str(output),
    ]
    told = {"steps": 3, "tuning_steps": steps, "tuning_lr": 0.01}
    return [
        *start,
        "--source-prompt",
        "a blue ring",
        *[word for name, value in told.items() for word in ("--set", f"{name}={value}")],
        *more,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "twin"), [("vmc", "unet"), ("motionmatcher", "dit")])
def test_lift_cast_mix_and_export(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, twin: str
):
    walk, model = tmp_path / "walk.safetensors", ["--model", str(place / twin)]
    folder = ["--run", str(tmp_path / "run"), "--previews", "1"]
    assert main.run(words(place, walk, *folder, method=method, model=twin)) == 0
    told = "a ring" if method == "vmc" else "a blue ring"
    assert f"note: tuned with the prompt '{told}'" in capsys.readouterr().err
    assert (tmp_path / "run" / "previews" / "000002.png").is_file()
    spoken = ["--prompt", "a red star", "--output", str(tmp_path / "out.mp4")]
    more = ["--strength", "0.8", "--mix", f"{walk}=0.3"]
    assert main.run(["cast", str(walk), *spoken, *model, *more]) == 0
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["settings"]["strength"] == 0.8 and record["mixed"][0]["strength"] == 0.3
    rank = ["--rank", "2", "--for", "peft"] if method == "vmc" else []
    assert main.run(["export", str(walk), str(walk), *rank]) == 1
    assert "it is the motion itself; choose another name" in capsys.readouterr().err
    assert main.run(["export", str(walk), str(tmp_path / "lora.safetensors"), *rank]) == 0
    assert ("factors of rank 2 miss" in capsys.readouterr().err) == (method == "vmc")
    held = set(Motion.load(walk).adapter())
    if method == "vmc":
        layers = {name.removeprefix("unet.").removesuffix(".difference") for name in held}
        held = {layer + end for layer in layers for end in (".lora_A.weight", ".lora_B.weight")}
        assert main.run(["export", str(walk), str(tmp_path / "never.safetensors"), "--rank", "2"]) == 1
        assert "diffusers loads no adapters of" in capsys.readouterr().err
        assert not (tmp_path / "never.safetensors").exists()
    assert set(load_file(tmp_path / "lora.safetensors")) == held
    assert (tmp_path / "lora.safetensors").stat().st_mode == walk.stat().st_mode, (
        "whoever may read the one may read the other"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--mix", "a=b"], "the strength of --mix a=b is 'b'; allowed is a number from 0 to 1.5"),
        (["--mix", "nowhere.safetensors"], "does not exist"),
        (["--strength", "3"], "allowed is a number from 0 to 1.5"),
    ],
)
def test_bad_casts_are_refused_in_one_line(
    place: Path, walk: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
):
    walk.save(tmp_path / "walk.safetensors")
    start = ["cast", str(tmp_path / "walk.safetensors"), "--prompt", "a star", "--model", str(place / "dit")]
    assert main.run([*start, "--output", str(tmp_path / "out.mp4"), *more]) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def started(arguments: list[str], *launcher: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, *(launcher or ["-m"]), "motionlift", *arguments]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def steps_done(folder: Path) -> int:
    """Of a run that goes on: those of its last checkpoint, 0 where there is none yet."""
    try:
        with safe_open(folder / CHECKPOINT, "pt") as file:
            return json.loads(file.metadata()["step"])
    except OSError:
        return 0


@pytest.mark.slow
def test_killed_at_random_points_it_ends_the_same(place: Path, tmp_path: Path):
    """Points are steps and not seconds: a slow machine and a fast one are killed as often."""
    folder, killed = tmp_path / "run", tmp_path / "killed.safetensors"
    whole = started(words(place, tmp_path / "whole.safetensors", steps=1500), MOTIONLIFT_CACHE=str(tmp_path / "one"))
    assert whole.wait(300) == 0, whole.stderr.read()
    again = words(place, killed, "--run", str(folder), steps=1500)
    generator = random.Random(0)
    points = [0, *sorted(generator.sample(range(1, 1200), 3))]
    for point in points:
        run = started(again, MOTIONLIFT_CACHE=str(tmp_path / "two"))
        lock = folder / LOCK
        while run.poll() is None and not (lock.exists() and steps_done(folder) >= point):
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.2))
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL, run.stderr.read()
        lock.unlink(missing_ok=True)
    last = started(again, MOTIONLIFT_CACHE=str(tmp_path / "two"))
    assert last.wait(300) == 0, last.stderr.read()
    assert Motion.load(killed).digest() == Motion.load(tmp_path / "whole.safetensors").digest()


@pytest.mark.slow
def test_two_processes_tune_one_adapter(place: Path, tmp_path: Path):
    """Of two processes with one draw each, the step is that of one process with both draws."""
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "-m"]
    output = tmp_path / "two.safetensors"
    run = started(words(place, output), *launcher, MOTIONLIFT_CACHE=str(tmp_path / "cache"))
    said, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    assert said.count("wrote") == 1
    one = tmp_path / "one.safetensors"
    assert main.run(words(place, one, "--set", "accumulation=2")) == 0
    two, both = Motion.load(output), Motion.load(one)
    names = [name for name in two.tensors if name.startswith("adapter.")]
    assert names
    for name in names:
        torch.testing.assert_close(two.tensors[name], both.tensors[name], atol=1e-5, rtol=1e-3)
    alone = tmp_path / "alone.safetensors"
    assert main.run(words(place, alone)) == 0
    single = Motion.load(alone)
    assert not all(torch.allclose(two.tensors[name], single.tensors[name], atol=1e-5, rtol=1e-3) for name in names)
