"""Lifting and casting from the command line: what is written, printed, refused, and left behind."""

import hashlib
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from motionlift.cli.main import run
from motionlift.methods import methods
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from tests import twins
from tests.adapters import adapter_of, linear_of
from tests.cli.calls import PROMPT, QUICK, bad_references, frames_of, left_behind, refused, without_phases

ENDS = ("lora_A.weight", "lora_B.weight")
MOTIONFLOW = ("--method", "motionflow", "--source-prompt", "a blue ring on the field")


@pytest.mark.slow
def test_transfer_writes_a_video_and_its_record_and_repeats_bit_for_bit(
    clips: Path, model: str, capsys: pytest.CaptureFixture[str]
):
    arguments = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK, "--seed", "3"]
    for name in ("first.mp4", "second.mp4"):
        assert run([*arguments, "--output", name]) == 0
    assert left_behind() == ["first.json", "first.mp4", "second.json", "second.mp4"]
    assert Path("first.mp4").read_bytes() == Path("second.mp4").read_bytes()
    told = capsys.readouterr()
    for words in ("phase", "forward", "backward", "peak memory", "wrote first.mp4 and first.json"):
        assert words in told.out
    record = json.loads(Path("first.json").read_text())
    assert record["command"] == ["motionlift", *arguments, "--output", "first.mp4"]
    assert record["reference"] == str(clips / "one.mp4")
    assert record["seed"] == 3
    assert record["settings"]["steps"] == 2
    # one guided step: an injection pass and one inner step; two denoising steps of two; one pass to lift
    assert (record["passes"]["forward"], record["passes"]["backward"]) == (1 + 2 + 4, 1)
    assert Clip.read("first.mp4", frames=9, fps=8, aspect=(32, 32)).frames.shape == (9, 32, 32, 3)


@pytest.mark.slow
def test_json_is_all_that_is_printed(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    assert run(["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK, "--json"]) == 0
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert record == json.loads(Path("out.json").read_text())
    assert record["seconds"] > 0
    assert record["passes"]["forward"] > record["passes"]["backward"] > 0
    assert record["peak_memory_bytes"] > 10**6
    assert record["output"]["path"] == "out.mp4"
    # whether a twin moves as its reference does is a matter of its random weights and of OpenCV's version
    assert all("hardly moves like its motion" in line for line in without_phases(told.err).splitlines())


@pytest.mark.slow
def test_a_transfer_judges_nothing_though_the_truth_lies_beside_the_reference(clips: Path, model: str):
    assert (clips / "one.json").is_file()
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--method", "none"]
    assert run([*start, *QUICK[:2]]) == 0
    assert not {key for key in json.loads(Path("out.json").read_text()) if "error" in key}


@pytest.mark.slow
def test_a_video_begins_with_a_picture(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = tmp_path / "ti2v"
    twins.TRANSFORMERS["wan-2.2-ti2v"].build().save_pretrained(model)
    Image.new("RGB", (90, 60), (200, 30, 30)).save("photo.png")
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", str(model), "--size", "64x64"]
    capsys.readouterr()
    assert run([*start, "--frames", "5", *QUICK, "--picture", "photo.png"]) == 0
    assert "the picture: frames were cropped from 90x60 to 60x60 for the shape 64x64" in capsys.readouterr().err
    record = json.loads(Path("out.json").read_text())
    assert record["picture"] == "photo.png"
    assert record["picture_sha256"] == hashlib.sha256(Path("photo.png").read_bytes()).hexdigest()
    assert "is no picture" in refused(capsys, 1, *start, "--overwrite", "--picture", str(clips / "one.mp4"))


def test_a_model_of_text_alone_refuses_a_picture(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    Image.new("RGB", (90, 60)).save("photo.png")
    start = ("transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model)
    assert "from text alone" in refused(capsys, 1, *start, "--picture", "photo.png")


@pytest.mark.slow
def test_side_by_side_shows_the_reference_and_the_same_result(clips: Path, model: str):
    arguments = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK]
    assert run([*arguments, "--output", "alone.mp4"]) == 0
    assert run([*arguments, "--output", "both.mp4", "--side-by-side"]) == 0
    assert left_behind() == ["alone.json", "alone.mp4", "both-side-by-side.mp4", "both.json", "both.mp4"]
    assert np.array_equal(frames_of("alone.mp4"), frames_of("both.mp4")), "it is beside the result, not instead of it"
    both = Clip.read("both-side-by-side.mp4", frames=9, fps=8, aspect=(256, 520), longest=520)
    assert both.frames.shape == (9, 256, 520, 3)
    given, made = (
        Clip.read(path, frames=9, fps=8, aspect=(1, 1)).resized(16, 16).pixels()
        for path in (clips / "one.mp4", "alone.mp4")
    )
    for own, other, half in ((given, made, slice(0, 256)), (made, given, slice(264, 520))):
        shown = Clip.of(both.frames[:, :, half], 8.0).resized(16, 16).pixels()
        assert (shown - own).abs().mean() < 0.2 * (shown - other).abs().mean()


def with_sound(path: str, frames: np.ndarray, seconds: float | None = None) -> None:
    """A video at 8 frames a second with a tone that rises after half a second; it lasts as long as the video, or so long."""
    with av.open(path, "w") as container:
        video, sound = container.add_stream("libx264", rate=8), container.add_stream("aac", rate=48_000, layout="mono")
        video.height, video.width = frames.shape[1:3]
        for image in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        times = np.arange(6 * len(frames) * 1000) / 48_000
        tone = 0.5 * np.sin(2 * np.pi * np.where(times < 0.5, 500, 1500) * times)
        tone = tone if seconds is None else tone[: round(seconds * 48_000)]
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux([*sound.encode(frame), *sound.encode(None), *video.encode(None)])


@pytest.mark.slow
def test_the_sound_of_the_part_that_is_read_is_kept(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    with_sound("r.mp4", frames_of(clips / "one.mp4"))
    start = ["transfer", "r.mp4", "--prompt", PROMPT, "--model", model, "--method", "none", *QUICK[:2], "--keep-sound"]
    start += ["--start", "0.25"]
    assert "is of no use to a GIF, which has no sound; write .mp4 or .webm or .mov" in refused(
        capsys, 1, *start, "--output", "x.gif"
    )
    assert run([*start, "--side-by-side", "--output", "x.webm"]) == 0
    assert "wrote x.webm and x.webm.json and x-side-by-side.webm" in capsys.readouterr().out
    for name in ("x.webm", "x-side-by-side.webm"):
        with av.open(name) as container:
            assert len(list(container.decode(video=0))) == 9
        with av.open(name) as container:
            heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert len(heard) / 48_000 == pytest.approx(9 / 8, abs=0.03)
        pitches = [
            np.abs(np.fft.rfft(heard[round(time * 48_000) :][:4800] * np.hanning(4800), 48_000)).argmax()
            for time in (0.05, 0.13, 0.27, 0.9)
        ]
        assert pitches == pytest.approx([500, 500, 1500, 1500], abs=3)
    mute = ["transfer", str(clips / "one.mp4"), *start[2:], "--output", "y.mp4"]
    assert run(mute) == 0
    assert capsys.readouterr().err.count("one.mp4 has no sound to keep") == 1
    assert any("has no sound to keep" in told for told in json.loads(Path("y.json").read_text())["notices"])
    with av.open("y.mp4") as container:
        assert not container.streams.audio


@pytest.mark.slow
def test_a_part_without_sound_is_told_and_gets_none(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    with_sound("r.mp4", frames_of(clips / "one.mp4"), seconds=0.3)
    start = ["transfer", "r.mp4", "--prompt", PROMPT, "--model", model, "--method", "none", *QUICK[:2], "--keep-sound"]
    assert run([*start, "--start", "1", "--output", "x.mp4"]) == 0
    told = "r.mp4 has no sound to keep from 1 s to 2.12 s, which is the part that is read"
    assert capsys.readouterr().err.count(told) == 1
    assert told in json.loads(Path("x.json").read_text())["notices"]
    with av.open("x.mp4") as container:
        assert not container.streams.audio


@pytest.mark.slow
def test_frames_are_written_to_a_folder_and_drawings_in_any_form(clips: Path, model: str):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--method", "none", *QUICK[:2]]
    assert run([*start, "--output", "frames"]) == 0
    assert left_behind("frames") == [f"{number:05d}.png" for number in range(9)]
    assert json.loads(Path("frames.json").read_text())["output"]["path"] == "frames"
    assert run(["again", "frames", "--overwrite", "--output", "frames"]) == 0
    assert left_behind() == ["frames", "frames.json"]
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, "--read", "flow", "--output", "arrows.gif"]) == 0
    assert left_behind() == ["arrows.gif", "arrows.gif.png", "frames", "frames.json"]
    with Image.open("arrows.gif") as picture:
        assert picture.n_frames == 9  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.slow
def test_words_and_crops_are_mentioned(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    frames = torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(12, 48, 64, 3) * 16
    Clip.of(frames, 8.0).save("wide.mp4")
    assert run(["transfer", "wide.mp4", "--prompt", "a purple star", "--model", model, *QUICK, "--json"]) == 0
    told = capsys.readouterr()
    assert "does not know the word(s) purple; purple: it knows the colours red, blue\n" in told.err
    assert "note: frames were cropped from 64x48 to 48x48" in told.err
    json.loads(told.out)


@pytest.mark.slow
def test_unknown_words_of_every_prompt_are_told_once(
    clips: Path, model: str, motion: Path, capsys: pytest.CaptureFixture[str]
):
    def notes(*command: str) -> list[str]:
        assert run([*command, "--model", model, "--overwrite"]) == 0
        told = [line.split(" does not know the word(s) ") for line in capsys.readouterr().err.splitlines()]
        return [line[1].partition(";")[0] for line in told if len(line) == 2]

    one = str(clips / "one.mp4")
    words = ("--source-prompt", "a zebra star", "--negative-prompt", "ugly, ugly")
    assert notes("transfer", one, "--prompt", "a purple star", *QUICK, *words) == [
        "purple",
        "ugly of the negative prompt",
        "zebra of the source prompt",
    ]
    assert notes("lift", one, *words[:2]) == notes("inspect", one, *words[:2]) == ["zebra of the source prompt"]
    assert notes("cast", str(motion), "--prompt", PROMPT, *words[2:]) == ["ugly of the negative prompt"]
    tuned = ("--set", "tuning_prompt=a lion", "--set", "tuning_steps=1", "--steps", "2", "--set", "reduced=false")
    assert notes("lift", one, "--method", "vmc", *words[:2], *tuned) == [
        "zebra of the source prompt",
        "lion of the tuning prompt",
    ]


@pytest.mark.slow
def test_lift_then_cast_is_transfer(clips: Path, model: str, motion: Path):
    common = ["--prompt", PROMPT, "--model", model, "--seed", "1"]
    assert run(["transfer", str(clips / "one.mp4"), *common, *QUICK, "--output", "at-once.mp4"]) == 0
    assert run(["cast", str(motion), *common, "--output", "in-two.mp4"]) == 0
    assert np.array_equal(frames_of("at-once.mp4"), frames_of("in-two.mp4"))
    assert json.loads(Path("in-two.json").read_text())["motion"] == str(motion)


TUNED = ("--method", "vmc", "--source-prompt", "a blue ring on the field", "--steps", "2", "--set", "tuning_steps=2")


@pytest.mark.slow
def test_a_transfer_that_tunes_keeps_its_run_and_is_cast_at_a_strength(clips: Path, model: str):
    one, common = str(clips / "one.mp4"), ["--prompt", PROMPT, "--model", model]
    kept = ("--run", "run", "--previews", "1")
    assert run(["transfer", one, *common, *TUNED, *kept, "--strength", "0.5", "--output", "half.mp4"]) == 0
    assert {"checkpoint.safetensors", "loss.csv", "previews"} <= {*left_behind("run")}
    assert left_behind("run/previews") == ["000002.png"]
    assert json.loads(Path("half.json").read_text())["settings"]["strength"] == 0.5
    assert run(["lift", one, "--model", model, *TUNED, "--output", "tuned.safetensors"]) == 0
    assert run(["cast", "tuned.safetensors", *common, "--strength", "0.5", "--output", "in-two.mp4"]) == 0
    assert np.array_equal(frames_of("half.mp4"), frames_of("in-two.mp4"))


def test_of_several_processes_the_first_alone_writes(
    clips: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--method", "none"]
    assert run([*start, *QUICK[:2]]) == 0
    assert (left_behind(), capsys.readouterr().out) == ([], "")


def test_what_a_transfer_cannot_keep_or_weigh_is_refused(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model]
    assert "--run is of no use to ditflow; methods that take it: motiondirector, motionmatcher, vmc" in refused(
        capsys, 1, *start, *QUICK, "--run", "run"
    )
    assert "--strength is of no use to ditflow" in refused(capsys, 1, *start, *QUICK, "--strength", "0.5")
    assert "kept in the folder of a run; name one by --run" in refused(capsys, 1, *start, *TUNED, "--previews", "1")
    assert "--strength is '2'" in refused(capsys, 1, *start, *TUNED, "--strength", "2")


@pytest.mark.slow
def test_what_is_not_to_be_shown_is_told_in_one_command_or_in_two(clips: Path, model: str, motion: Path):
    common = ["--prompt", PROMPT, "--model", model]
    away = ("--negative-prompt", "a blue dog")
    assert run(["transfer", str(clips / "one.mp4"), *common, *QUICK, *away, "--output", "once.mp4"]) == 0
    assert json.loads(Path("once.json").read_text())["settings"]["negative_prompt"] == "a blue dog"
    assert run(["cast", str(motion), *common, *away, "--output", "two.mp4"]) == 0
    assert np.array_equal(frames_of("once.mp4"), frames_of("two.mp4"))
    assert run(["cast", str(motion), *common, "--output", "without.mp4"]) == 0
    assert not np.array_equal(frames_of("once.mp4"), frames_of("without.mp4"))


@pytest.mark.slow
def test_lifting_again_runs_no_network(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    records = []
    for name in ("first.safetensors", "second.safetensors"):
        assert run(["lift", str(clips / "one.mp4"), "--model", model, "--output", name, "--json"]) == 0
        records.append(json.loads(capsys.readouterr().out))
    assert [record["passes"]["forward"] for record in records] == [1, 0]
    assert [record["from_cache"] for record in records] == [False, True]
    assert records[0]["grid"] == {"frames": 3, "height": 4, "width": 4}
    assert records[0]["source"]["shape"] == {"frames": 9, "height": 32, "width": 32}
    assert records[0]["seconds"] > 0
    assert Path("first.safetensors").read_bytes() == Path("second.safetensors").read_bytes()
    assert run(["cache"]) == 0
    assert "1 motion " in capsys.readouterr().out
    assert run(["cache", "--clear"]) == 0
    assert run(["cache"]) == 0
    assert "0 motions " in capsys.readouterr().out


@pytest.mark.slow
def test_kept_positions_are_reused(model: str, motion: Path, capsys: pytest.CaptureFixture[str]):
    common = ["--prompt", PROMPT, "--model", model, "--json", "--overwrite"]
    optimised = ["--set", "target=positions", "--keep-motion", "kept.safetensors"]
    assert run(["cast", str(motion), *common, *optimised]) == 0
    assert any(name.startswith("positions.0.") for name in Motion.load("kept.safetensors").tensors)
    capsys.readouterr()
    assert run(["cast", "kept.safetensors", *common, "--set", "target=saved"]) == 0
    assert json.loads(capsys.readouterr().out)["passes"]["backward"] == 0
    assert "no saved positions" in refused(capsys, 1, "cast", str(motion), *common, "--set", "target=saved")


@pytest.mark.slow
def test_inspect_draws_arrows(clips: Path, model: str):
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, "--read", "flow"]) == 0
    assert left_behind() == ["inspect.mp4", "inspect.png"]
    assert Clip.read("inspect.mp4", frames=9, fps=8, aspect=(1, 1)).frames.shape[0] == 9
    assert Path("inspect.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_inspect_draws_attention_maps(clips: Path, model: str):
    subjects = ("--subject", "ring", "--subject", "field", "--set", "block=1,2", "--set", "steps=3")
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, *MOTIONFLOW, *subjects]) == 0
    assert left_behind() == ["inspect.mp4", "inspect.png"]
    drawn = Clip.read("inspect.mp4", frames=9, fps=8, aspect=(1, 1)).frames
    assert drawn.shape[1] > 2 * 192 and drawn.shape[2] > 2 * 192, "two subjects in two layers"


@pytest.mark.slow
def test_words_are_paired_in_one_command_or_in_two(clips: Path, model: str):
    common = [*MOTIONFLOW, "--model", model, *QUICK]
    pairs = ("--pair", "ring=star", "--pair", "field=field")
    assert run(["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, *common, *pairs, "--output", "once.mp4"]) == 0
    settings = json.loads(Path("once.json").read_text())["settings"]
    assert (settings["subjects"], settings["targets"]) == (["ring", "field"], ["star", "field"])
    subjects = ("--subject", "ring", "--subject", "field")
    assert run(["lift", str(clips / "one.mp4"), *common, *subjects, "--output", "maps.safetensors"]) == 0
    targets = ("--target", "star", "--target", "field")
    assert run(["cast", "maps.safetensors", "--prompt", PROMPT, "--model", model, *targets, "--output", "two.mp4"]) == 0
    assert np.array_equal(frames_of("once.mp4"), frames_of("two.mp4"))


@pytest.mark.slow
def test_words_that_cannot_be_paired_are_refused(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--method", "motionflow", "--model", model]
    told = [*start, "--source-prompt", "a blue ring on the field"]
    for given, words in {
        ("--pair", "ring"): "give SUBJECT=TARGET",
        ("--pair", "=star"): "give SUBJECT=TARGET",
        ("--pair", "dog=star"): "dog is not in the source prompt",
        ("--pair", "ring=dog"): "dog is not in the prompt",
        ("--set", "subjects=ring"): "1 subjects (ring) and 0 targets (none)",
        ("--pair", "ring=star", "--set", "targets=star"): "--pair and --set targets=star are both given",
    }.items():
        assert words in refused(capsys, 1, *told, *given)
    assert "give source_prompt" in refused(capsys, 1, *start, "--pair", "ring=star")


@pytest.fixture
def unloadable(tmp_path: Path) -> str:
    """A folder that says it is a pipeline, and holds none of its parts."""
    folder = tmp_path / "unloadable"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "WanPipeline"}', encoding="utf-8")
    return str(folder)


@pytest.mark.slow
def test_bad_references_are_refused_before_a_model_is_loaded(
    clips: Path, unloadable: str, capsys: pytest.CaptureFixture[str]
):
    for name, words in bad_references(Path.cwd(), (clips / "one.mp4").read_bytes()).items():
        for command in (["transfer", name, "--prompt", PROMPT], ["lift", name], ["inspect", name]):
            told = refused(capsys, 1, *command, "--model", unloadable)
            assert name in told
            assert words in told


@pytest.mark.slow
def test_bad_outputs_are_refused_before_a_model_is_loaded(clips: Path, capsys: pytest.CaptureFixture[str]):
    reference = str(clips / "one.mp4")
    Path("folder.mp4").mkdir()
    Path("kept.mp4").touch(mode=0o444)
    Path("shut").mkdir(mode=0o555)
    Path("taken.json").mkdir()
    for output, words in {
        "folder.mp4": "it is a folder",
        "nowhere/out.mp4": "there is no folder",
        "kept.mp4": "read-only",
        "shut/out.mp4": "read-only",
        "out.avi": "must end in .mp4",
        "taken.mp4": "taken.json: it is a folder",
    }.items():
        told = refused(capsys, 1, "transfer", reference, "--prompt", PROMPT, "--model", "no/such", "--output", output)
        assert output.removesuffix(".mp4") in told
        assert words in told
    Path("same.mp4").symlink_to(reference)
    for command in (["transfer", reference, "--prompt", PROMPT], ["inspect", reference]):
        assert "it is the reference" in refused(capsys, 1, *command, "--output", "same.mp4")
    assert "must end in .safetensors" in refused(capsys, 1, "lift", reference, "--output", "motion.pt")
    assert "it is a file" in refused(capsys, 1, "world", reference)
    assert "there is no folder" in refused(capsys, 1, "world", "no/parent")
    for command in (["world"], ["demo", "--output"]):
        assert "https://a.b/c: it is an address" in refused(capsys, 1, *command, "https://a.b/c")
    Path("run.yaml").write_text(
        "models: [tiny-dit]\nmethods: [none]\nreferences: [world: {count: 1}]\noutput: s3://a/b\n"
    )
    assert "s3://a/b: it is an address" in refused(capsys, 1, "bench", "run.yaml")


@pytest.mark.slow
def test_bad_words_and_settings_are_refused_before_a_model_is_loaded(clips: Path, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--model", "no/such"]
    assert "the prompt is empty" in refused(capsys, 1, *start, "--prompt", "  ")
    for given, words in {
        "speed=3": ["'speed'", "allowed are steps"],
        "temperature": ["'temperature'", "name=value"],
        "temperature=hot": ["'hot'", "a number from 0.001 to 1000"],
        "temperature=0": ["'0'", "a number from 0.001 to 1000"],
        "temperature=nan": ["'nan'", "a number"],
        "steps=0": ["'0'", "a whole number from 1 to 1000"],
        "steps=2.5": ["'2.5'", "a whole number"],
        "target=motion": ["'motion'", "latents or positions or saved"],
        "inject=perhaps": ["'perhaps'", "true or false"],
        "block=top": ["'top'", "whole numbers"],
    }.items():
        told = refused(capsys, 1, *start, "--prompt", PROMPT, "--set", given)
        assert all(word in told for word in words), told
    prompted = [*start, "--prompt", PROMPT]
    assert "given twice" in refused(capsys, 1, *prompted, "--set", "lr=1", "--set", "lr=2")
    assert "--steps and --set steps=4 are both given" in refused(
        capsys, 1, *prompted, "--steps", "3", "--set", "steps=4"
    )
    assert "--steps is '5000'" in refused(capsys, 1, *prompted, "--steps", "5000")
    assert "--read is 'tea leaves'; allowed is attention or flow" in refused(
        capsys, 1, *prompted, "--read", "tea leaves"
    )
    told = refused(capsys, 1, *prompted, "--method", "magic")
    assert "'magic'" in told
    assert ", ".join(sorted(methods())) in told


@pytest.mark.slow
def test_what_the_model_refuses(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT]
    assert "no/such" in refused(capsys, 1, *start, "--model", "./no/such")
    assert "'no-such-model' is not to be had" in refused(capsys, 1, *start, "--model", "no-such-model")
    start += ["--model", model]
    assert "block 7 does not exist" in refused(capsys, 1, *start, "--set", "block=7")
    assert "10 frames do not fit" in refused(capsys, 1, *start, "--frames", "10")
    assert "device 'abacus' is not there" in refused(capsys, 1, *start, "--device", "abacus")
    assert "dtype is 'fp8'; allowed are auto, bf16, fp16, fp32" in refused(capsys, 1, *start, "--dtype", "fp8")
    long = ["transfer", str(clips / "one.mp4"), "--prompt", "red " * 9, "--model", model]
    assert "the prompt has 10 tokens" in refused(capsys, 1, *long)


@pytest.mark.slow
def test_an_adapter_becomes_part_of_the_model(
    clips: Path, model: str, motion: Path, capsys: pytest.CaptureFixture[str]
):
    twin = twins.TRANSFORMERS["cogvideox-rotary"].model()
    adapter = {f"{name}": own for name, own in adapter_of(linear_of(twin)).items()}
    extra = {name.replace("transformer_blocks.0", "transformer_blocks.9"): own.clone() for name, own in adapter.items()}
    save_file(adapter, "star.safetensors")
    save_file(adapter | extra, "longer.safetensors")
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK]
    plain, half = (Path(f"{name}.mp4") for name in ("plain", "half"))
    assert run([*start, "--output", str(plain)]) == 0
    assert run([*start, "--output", str(half), "--lora", "star.safetensors:0.5"]) == 0
    assert not np.array_equal(frames_of(plain), frames_of(half))
    records = [json.loads(path.with_suffix(".json").read_text())["model"] for path in (plain, half)]
    (added,) = records[1].pop("loras")
    assert (added["file"], added["weight"], added["part"]) == ("star.safetensors", 0.5, "transformer")
    assert added["sha256"] == hashlib.sha256(Path("star.safetensors").read_bytes()).hexdigest()
    assert records[0]["identity"] == records[1]["identity"] and records[0]["fingerprint"] != records[1]["fingerprint"]
    capsys.readouterr()
    again = ["--lora", "star.safetensors:0.5", "--lora", "longer.safetensors:-0.5"]
    assert run(["cast", str(motion), "--prompt", PROMPT, "--model", model, *again]) == 0
    assert "6 layers of longer.safetensors are not in" in capsys.readouterr().err
    for weight, kept in (("0.5", True), ("0.4", False)):  # of the first there is a motion from above
        told = ["--lora", f"star.safetensors:{weight}", "--json", "--overwrite"]
        assert run(["lift", str(clips / "one.mp4"), "--model", model, *QUICK, *told]) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["from_cache"] == kept and record["model"]["loras"] == [added | {"weight": float(weight)}]
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, *again[:2]]) == 0


@pytest.mark.slow
def test_bad_adapters_are_refused(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    save_file({f"transformer.single_blocks.0.q.{end}": torch.ones(2, 2) for end in ENDS}, "foreign.safetensors")
    Path("star.ckpt").touch()
    for given, words in {
        "gone.safetensors": "is not there",
        "star.ckpt": "is a pickle",
        "foreign.safetensors": "diffusers does not load foreign.safetensors",
        "foreign.safetensors:7": "allowed is a number from -4 to 4",
        "foreign.safetensors:high": "has one network",
    }.items():
        start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model]
        assert words in refused(capsys, 1, *start, "--lora", given)


def test_bad_motions_are_refused(
    clips: Path, model: str, other_model: str, motion: Path, capsys: pytest.CaptureFixture[str]
):
    cut = motion.read_bytes()[:-100]
    Path("cut.safetensors").write_bytes(cut)
    save_file({"weight": torch.zeros(2)}, "weights.safetensors")
    for name, words in {
        "none.safetensors": "does not exist",
        "cut.safetensors": "damaged",
        "weights.safetensors": "no motion",
        str(clips / "one.mp4"): "it is a video; give a motion file",
    }.items():
        told = refused(capsys, 1, "cast", name, "--prompt", PROMPT, "--model", model)
        assert name in told
        assert words in told
    told = refused(capsys, 1, "cast", str(motion), "--prompt", PROMPT, "--model", other_model)
    assert "does not fit" in told


@pytest.mark.slow
def test_a_model_that_gives_no_numbers_is_refused(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = twins.cogvideox()
    with torch.no_grad():
        broken.transformer.proj_out.weight.fill_(torch.inf)
    broken.save_pretrained(tmp_path / "broken")
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", str(tmp_path / "broken")]
    assert "no longer finite after step 1" in refused(capsys, 1, *start, *QUICK)


@pytest.mark.slow
def test_the_part_that_is_read_is_chosen_by_options(model: str, capsys: pytest.CaptureFixture[str]):
    """A folder of a square that rests for a second and then moves at the right edge, on nothing."""
    Path("frames").mkdir()
    for number in range(48):
        sprite = np.zeros((32, 96, 4), np.uint8)
        top = max(0, number - 24)
        sprite[top // 2 : top // 2 + 8, 80:92] = (250, 250, 250, 255)
        Image.fromarray(sprite).save(f"frames/{number:05}.png")
    common = ("--model", model, "--quiet", "--fps", "24")
    assert run(["inspect", "frames", *common, "--read", "flow", "--duration", "1"]) == 0
    told = capsys.readouterr().err
    assert "note: transparent parts of the video were laid on grey" in told
    assert "note: nothing moves in the first 1.0 s; motion begins at 1.1 s: --start 1" in told
    part = ("--start", "1", "--crop", "motion", "--background", "#102040")
    assert run(["transfer", "frames", "--prompt", PROMPT, *common, *QUICK, *part]) == 0
    told = capsys.readouterr().err
    assert "laid on #102040" in told and "where things move" in told and "nothing moves" not in told
    made = ["frames", "out.mp4", "--metrics", "histogram", "--json"]
    assert run(["score", *made]) == 0
    by_record = json.loads(capsys.readouterr().out)
    assert "record says that it was read: from 1 s on, cropped about 0.8" in by_record["notices"][0]
    where = [f"--{name}={value}" for name, value in {"start": 0, "crop": "0.5,0.5", "background": "white"}.items()]
    assert run(["score", *made, *where, "--to-end", "--fps", "24"]) == 0
    assert not any("record" in told for told in json.loads(capsys.readouterr().out)["notices"])
    assert run(["lift", "frames", *common, "--steps", "4", "--start", "1", "--crop", "0.9,0.5", "--json"]) == 0
    assert any(
        "the crop's middle at 0.9,0.5" in each for each in json.loads(capsys.readouterr().out)["reference_notices"]
    )


@pytest.mark.slow
def test_parts_that_cannot_be_read_are_refused_before_a_model_is_loaded(
    clips: Path, unloadable: str, capsys: pytest.CaptureFixture[str]
):
    for given, (code, words) in {
        ("--start", "-1"): (2, "'-1' came; allowed are seconds from 0 to 86400"),
        ("--start", "99"): (1, "and is to be read from 99 s; give an earlier --start"),
        ("--duration", "0"): (2, "allowed are seconds from 0.001"),
        ("--crop", "left"): (2, "give two numbers from 0 to 1"),
        ("--crop", "0.5,0.5", "--fit", "pad"): (1, "--crop is given, and --fit is pad"),
        ("--background", "rainbow"): (2, "give a colour such as grey, white or black, or #rrggbb"),
    }.items():
        for command in (["transfer", "--prompt", PROMPT], ["lift"], ["inspect"]):
            assert words in refused(capsys, code, *command, str(clips / "one.mp4"), "--model", unloadable, *given)


def test_an_adapter_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = [f"transformer.transformer_blocks.0.attn1.{layer}" for layer in ("to_q", "to_k", "to_out.0")]
    factors = {"lora_A": torch.zeros(4, 1920), "lora_B": torch.zeros(1920, 4)}
    save_file(
        {f"{name}.{factor}.weight": value.clone() for name in names for factor, value in factors.items()},
        tmp_path / "a.safetensors",
    )
    assert run(["adapter", str(tmp_path / "a.safetensors")]) == 0
    first, model, *rest = capsys.readouterr().out.splitlines()
    assert "low-rank factors (LoRA) of rank 4; 3 layers" in first and "CogVideoX 2B" in model
    assert rest[0] == "layers   transformer.transformer_blocks.*.attn1: to_k, to_out.0, to_q"
    assert any(line.startswith("read by  diffusers: pipeline.load_lora_weights") for line in rest)
    save_file({"a": torch.zeros(2)}, tmp_path / "b.safetensors")
    assert run(["adapter", str(tmp_path / "b.safetensors")]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "is no adapter" in told.err
