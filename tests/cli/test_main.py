"""The command line from outside: what it takes, what it prints, what it refuses, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import diffusers
import numpy as np
import pytest
import torch
import transformers
import typer.main
from safetensors.torch import save_file

import motionlift.demo
from motionlift.cli.app import app
from motionlift.cli.main import run
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from tests import twins

PROMPT = "a red star on the blue field"
QUICK = ("--steps", "2", "--set", "share=0.5", "--set", "inner=1")
HEAVY = ("torch", "diffusers", "transformers", "cv2", "av", "matplotlib", "numpy")


@pytest.fixture(scope="module", autouse=True)
def _no_progress_bars() -> Iterator[None]:
    """As ``cli.main`` has it, which tests cannot call: it changes the whole process."""
    for log in (diffusers.utils.logging, transformers.utils.logging):
        log.disable_progress_bar()
    yield
    for log in (diffusers.utils.logging, transformers.utils.logging):
        log.enable_progress_bar()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "twin"
    twins.cogvideox().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "table"
    twins.cogvideox(rotary=False).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of the world; the first shows one object that moves, the second shows two."""
    folder = tmp_path_factory.mktemp("world") / "clips"
    assert run(["world", str(folder), "--count", "16", "--seed", "4", "--frames", "17", "--size", "32"]) == 0
    truths = {path: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    one = next(path for path, told in truths.items() if len(told["objects"]) == 1 and told["motion"] == "line")
    two = next(path for path, told in truths.items() if len(told["objects"]) == 2)
    for old, new in ((one, "one"), (two, "two")):
        for suffix in (".mp4", ".json"):
            old.with_suffix(suffix).rename(folder / (new + suffix))
    return folder


@pytest.fixture(scope="module")
def motion(clips: Path, model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "line.safetensors"
    assert run(["lift", str(clips / "one.mp4"), "--model", model, "--output", str(path), *QUICK]) == 0
    return path


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def left_behind(folder: str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The one line that a command line is refused with."""
    capsys.readouterr()
    before = left_behind()
    assert run(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert left_behind() == before
    return told.err


# What it takes


def test_the_command_line_is_frozen():
    group = typer.main.get_command(app)
    taken = {
        name: [word for parameter in command.params for word in sorted(parameter.opts)]
        for name, command in group.commands.items()  # pyright: ignore[reportAttributeAccessIssue]
    }
    assert taken == {
        "transfer": [
            *("reference", "--prompt", "--method", "--model", "--output", "--seed", "--frames", "--steps", "--read"),
            *("--source-prompt", "--pair", "--set", "--device"),
            *("--slower", "--interpolate", "--between", "--upscale", "--side-by-side", "--json"),
        ],
        "lift": [
            *("reference", "--output", "--method", "--model", "--frames", "--steps", "--read"),
            *("--source-prompt", "--subject", "--set", "--run", "--previews", "--slower", "--device", "--json"),
        ],
        "cast": [
            *("motion", "--prompt", "--model", "--output", "--seed", "--steps"),
            *("--target", "--strength", "--mix", "--interpolate", "--between", "--upscale"),
            *("--set", "--device", "--keep-motion", "--json"),
        ],
        "export": ["motion", "output", "--for", "--rank"],
        "inspect": [
            *("reference", "--output", "--method", "--model", "--frames", "--read"),
            *("--source-prompt", "--subject", "--set", "--device"),
        ],
        "score": [
            *("reference", "generated", "--prompt", "--truth", "--metrics", "--tracker", "--tracker-weights"),
            *("--clip-model", "--legacy", "--from-start", "--json"),
        ],
        "world": ["folder", "--count", "--seed", "--frames", "--size"],
        "bench": ["run", "--jobs", "--output", "--again"],
        "report": ["records", "--output"],
        "models": [],
        "methods": ["--json"],
        "cache": ["--clear"],
        "demo": ["--output"],
    }


def test_nothing_heavy_is_imported_before_a_command_needs_it():
    program = f"import sys, motionlift.cli, motionlift.commands; print(sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 0
    told = capsys.readouterr().out
    for name in ("transfer", "lift", "cast", "inspect", "score", "world", "models", "methods", "cache", "demo"):
        assert f" {name} " in told


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("motionlift 0.")


# What it does


def test_transfer_writes_a_video_and_its_record_and_repeats_bit_for_bit(
    clips: Path, model: str, capsys: pytest.CaptureFixture[str]
):
    arguments = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK, "--seed", "3"]
    for name in ("first.mp4", "second.mp4"):
        assert run([*arguments, "--output", name]) == 0
    assert left_behind() == ["first.json", "first.mp4", "second.json", "second.mp4"]
    assert Path("first.mp4").read_bytes() == Path("second.mp4").read_bytes()
    told = capsys.readouterr()
    for words in ("phase", "forward", "backward", "peak memory", "motion error", "wrote first.mp4 and first.json"):
        assert words in told.out
    record = json.loads(Path("first.json").read_text())
    assert record["command"] == ["motionlift", *arguments, "--output", "first.mp4"]
    assert record["reference"] == str(clips / "one.mp4")
    assert record["seed"] == 3
    assert record["settings"]["steps"] == 2
    # one guided step: an injection pass and one inner step; two denoising steps of two; one pass to lift
    assert record["passes"] == {"forward": 1 + 2 + 4, "backward": 1}
    assert Clip.read("first.mp4", frames=9, fps=8, aspect=(32, 32)).frames.shape == (9, 32, 32, 3)


def test_json_is_all_that_is_printed(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    assert run(["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK, "--json"]) == 0
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert record == json.loads(Path("out.json").read_text())
    assert record["seconds"] > 0
    assert record["passes"]["forward"] > record["passes"]["backward"] > 0
    assert record["peak_memory_bytes"] > 10**6
    assert record["output"]["path"] == "out.mp4"
    assert set(record["motion_error"]) == {"aligned_error", "direction_cosine", "seen_share"}
    assert told.err == ""


def test_truth_that_is_not_known_is_not_measured(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    Path("two.mp4").write_bytes((clips / "two.mp4").read_bytes())
    for truth in ((clips / "two.json").read_text(), "{", '{"objects": [{"track": [[0, "x"]]}]}', "[1]", None):
        Path("two.json").unlink(missing_ok=True)
        if truth is not None:
            Path("two.json").write_text(truth)
        assert run(["transfer", "two.mp4", "--prompt", PROMPT, "--model", model, "--method", "none", *QUICK[:2]]) == 0
        assert "motion_error" not in json.loads(Path("out.json").read_text())
    assert "motion error" not in capsys.readouterr().out


def test_side_by_side_shows_the_reference_and_the_same_result(clips: Path, model: str):
    arguments = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, *QUICK]
    assert run([*arguments, "--output", "alone.mp4"]) == 0
    assert run([*arguments, "--output", "both.mp4", "--side-by-side"]) == 0
    both = Clip.read("both.mp4", frames=9, fps=8, aspect=(256, 520), longest=520)
    assert both.frames.shape == (9, 256, 520, 3)
    given, made = (
        Clip.read(path, frames=9, fps=8, aspect=(1, 1)).resized(16, 16).pixels()
        for path in (clips / "one.mp4", "alone.mp4")
    )
    for own, other, half in ((given, made, slice(0, 256)), (made, given, slice(264, 520))):
        shown = Clip.of(both.frames[:, :, half], 8.0).resized(16, 16).pixels()
        assert (shown - own).abs().mean() < 0.2 * (shown - other).abs().mean()
    record = json.loads(Path("both.json").read_text())
    assert record["side_by_side"] is True
    assert record["motion_error"] == json.loads(Path("alone.json").read_text())["motion_error"]


def test_words_and_crops_are_mentioned(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    frames = torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(12, 48, 64, 3) * 16
    Clip.of(frames, 8.0).save("wide.mp4")
    assert run(["transfer", "wide.mp4", "--prompt", "a purple star", "--model", model, *QUICK, "--json"]) == 0
    told = capsys.readouterr()
    assert "does not know the word(s) purple\n" in told.err
    assert "note: frames were cropped from 64x48 to 48x48" in told.err
    json.loads(told.out)


def test_lift_then_cast_is_transfer(clips: Path, model: str, motion: Path):
    common = ["--prompt", PROMPT, "--model", model, "--seed", "1"]
    assert run(["transfer", str(clips / "one.mp4"), *common, *QUICK, "--output", "at-once.mp4"]) == 0
    assert run(["cast", str(motion), *common, "--output", "in-two.mp4"]) == 0
    assert Path("at-once.mp4").read_bytes() == Path("in-two.mp4").read_bytes()
    assert json.loads(Path("in-two.json").read_text())["motion"] == str(motion)


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


def test_kept_positions_are_reused(model: str, motion: Path, capsys: pytest.CaptureFixture[str]):
    common = ["--prompt", PROMPT, "--model", model, "--json"]
    optimised = ["--set", "target=positions", "--keep-motion", "kept.safetensors"]
    assert run(["cast", str(motion), *common, *optimised]) == 0
    assert any(name.startswith("positions.0.") for name in Motion.load("kept.safetensors").tensors)
    capsys.readouterr()
    assert run(["cast", "kept.safetensors", *common, "--set", "target=saved"]) == 0
    assert json.loads(capsys.readouterr().out)["passes"]["backward"] == 0
    assert "no saved positions" in refused(capsys, 1, "cast", str(motion), *common, "--set", "target=saved")


def test_inspect_draws_arrows(clips: Path, model: str):
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, "--read", "flow"]) == 0
    assert left_behind() == ["inspect.mp4", "inspect.png"]
    assert Clip.read("inspect.mp4", frames=9, fps=8, aspect=(1, 1)).frames.shape[0] == 9
    assert Path("inspect.png").read_bytes().startswith(b"\x89PNG")


MOTIONFLOW = ("--method", "motionflow", "--source-prompt", "a blue ring on the field")


def test_inspect_draws_attention_maps(clips: Path, model: str):
    subjects = ("--subject", "ring", "--subject", "field", "--set", "block=1,2", "--set", "steps=3")
    assert run(["inspect", str(clips / "one.mp4"), "--model", model, *MOTIONFLOW, *subjects]) == 0
    assert left_behind() == ["inspect.mp4", "inspect.png"]
    drawn = Clip.read("inspect.mp4", frames=9, fps=8, aspect=(1, 1)).frames
    assert drawn.shape[1] > 2 * 192 and drawn.shape[2] > 2 * 192, "two subjects in two layers"


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
    assert Path("once.mp4").read_bytes() == Path("two.mp4").read_bytes()


def test_words_that_cannot_be_paired_are_refused(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--method", "motionflow", "--model", model]
    told = [*start, "--source-prompt", "a blue ring on the field"]
    for given, words in {
        ("--pair", "ring"): "give SUBJECT=TARGET",
        ("--pair", "=star"): "give SUBJECT=TARGET",
        ("--pair", "dog=star"): "dog is not in the source prompt",
        ("--pair", "ring=dog"): "dog is not in the prompt",
        ("--set", "subjects=ring"): "1 subjects (ring) and 0 targets (none)",
        ("--pair", "ring=star", "--set", "targets=star"): "targets is given by an option of its own and by --set",
    }.items():
        assert words in refused(capsys, 1, *told, *given)
    assert "give source_prompt" in refused(capsys, 1, *start, "--pair", "ring=star")


def test_the_world_is_written_and_can_be_read_again():
    assert run(["world", "clips", "--count", "2", "--seed", "5", "--frames", "9", "--size", "48"]) == 0
    assert left_behind("clips") == ["0000.json", "0000.mp4", "0001.json", "0001.mp4"]
    truth = json.loads(Path("clips/0001.json").read_text())
    assert {"caption", "motion", "camera", "background", "objects"} <= set(truth)
    assert {"pattern", "rgb"} <= set(truth["background"])
    for item in truth["objects"]:
        assert {"shape", "colour", "rgb", "size", "orientation", "track"} <= set(item)
        assert np.shape(item["track"]) == (9, 2)
    clip = Clip.read("clips/0001.mp4", frames=9, fps=8, aspect=(1, 1))
    assert (clip.frames.shape, clip.notices) == ((9, 48, 48, 3), ())
    x, y = (int(48 * value) for value in truth["objects"][-1]["track"][0])
    there = clip.frames[0, y - 1 : y + 2, x - 1 : x + 2].float().mean(dim=(0, 1))
    if truth["objects"][-1]["shape"] not in ("ring",):
        assert (there - torch.tensor(truth["objects"][-1]["rgb"])).abs().max() < 30
    first = Path("clips/0000.mp4").read_bytes()
    assert run(["world", "again", "--count", "1", "--seed", "5", "--frames", "9", "--size", "48"]) == 0
    assert Path("again/0000.mp4").read_bytes() == first


def test_score_gives_each_figure_as_a_key(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, truth = str(clips / "one.mp4"), str(clips / "one.json")
    caption = json.loads(Path(truth).read_text())["caption"]
    assert run(["score", one, one, "--prompt", caption, "--truth", truth, "--legacy", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    record = json.loads(told.out)
    assert record["motion_fidelity"] == record["motion_fidelity_moving"] == 1.0
    assert record["motion_discrepancy"] == 0.0
    assert record["aligned_error"] < 0.05
    assert (record["colour"], record["reference"], record["tracker"]) == (1.0, one, "flow")
    assert {"motion_fidelity_legacy", "ssim", "histogram", "temporal_consistency", "moving_share"} <= record.keys()
    assert {"clip_text", "image_reward"} <= record["left_out"].keys()


def test_score_writes_what_is_undefined_as_null(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from motionlift.measure import score

    found = score.Scores({"motion_fidelity_legacy": float("nan"), "ssim": 0.5}, {"lpips": "why"}, ("a notice",))
    monkeypatch.setattr(score, "score", lambda *_, **__: found)
    one = str(clips / "one.mp4")
    assert run(["score", one, one, "--json"]) == 0
    record = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert (record["motion_fidelity_legacy"], record["ssim"], record["left_out"]) == (None, 0.5, {"lpips": "why"})
    assert run(["score", one, one]) == 0
    told = capsys.readouterr()
    assert "undefined" in told.out and "0.5000" in told.out and "why" in told.out
    assert told.err == "note: a notice\n"


def test_score_gives_what_is_asked(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, two = str(clips / "one.mp4"), str(clips / "two.mp4")
    assert run(["score", one, two, "--metrics", "ssim, motion_fidelity", "--tracker", "lucas-kanade", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record.keys() - {"reference", "generated", "prompt", "tracker", "left_out", "notices"} == {
        "ssim",
        "motion_fidelity",
    }
    assert (record["tracker"], record["left_out"]) == ("lucas-kanade", {})


def test_score_without_weights_gives_what_it_can(clips: Path, capsys: pytest.CaptureFixture[str]):
    one = str(clips / "one.mp4")
    names = "motion_fidelity,clip_text,clip_frames,ssim"
    asked = {
        "--clip-model": ("no/such", "not to be had as a CLIP model"),
        "--tracker": ("cotracker", "CoTracker is not here"),
    }
    for option, (value, words) in asked.items():
        assert run(["score", one, one, "--prompt", "a red star", "--metrics", names, option, value, "--json"]) == 0
        record = json.loads(capsys.readouterr().out)
        left_out = record["left_out"]
        assert words in left_out["clip_frames" if option == "--clip-model" else "motion_fidelity"]
        assert record.keys() & {*names.split(",")} == {*names.split(",")} - left_out.keys() >= {"ssim"}
    weights = ["--tracker", "cotracker", "--tracker-weights", "none.pth"]
    assert run(["score", one, one, "--metrics", "motion_fidelity", *weights, "--json"]) == 0
    assert "CoTracker is not here" in json.loads(capsys.readouterr().out)["left_out"]["motion_fidelity"]


def test_score_takes_the_beginning_of_a_longer_reference(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, short = str(clips / "one.mp4"), "short.mp4"
    whole = Footage.of(one)
    Clip.of(torch.from_numpy(np.stack(list(whole)[:5])), whole.fps).save(short)
    assert run(["score", one, short, "--metrics", "motion_fidelity", "--from-start", "--json"]) == 0
    notices = json.loads(capsys.readouterr().out)["notices"]
    assert len(notices) == 1 and f"the first {5 / whole.fps:.2f} s are taken" in notices[0]


def test_what_cannot_be_scored_is_refused(clips: Path, capsys: pytest.CaptureFixture[str]):
    one = str(clips / "one.mp4")
    for name, words in bad_references(Path.cwd(), (clips / "one.mp4").read_bytes()).items():
        for pair in ((name, one), (one, name)):
            told = refused(capsys, 1, "score", *pair)
            assert name in told and words in told
    for arguments, words in {
        ("--metrics", "beauty"): "'beauty' came; allowed are motion_fidelity",
        ("--metrics", ","): "no name came; allowed are motion_fidelity",
        ("--tracker", "eyes"): "'eyes' is unknown; allowed are flow, lucas-kanade, cotracker",
        ("--tracker-weights", "own.pth"): "takes no weights",
        ("--truth", "none.json"): "is no file",
        ("--truth", str(clips / "two.json")): "tells of 2 objects",
    }.items():
        assert words in refused(capsys, 1, "score", one, one, *arguments)


def test_methods_and_models_are_listed(capsys: pytest.CaptureFixture[str]):
    assert run(["methods", "--json"]) == 0
    listed = {method["name"]: method for method in json.loads(capsys.readouterr().out)}
    assert set(listed) == {"ditflow", "injection", "moft", "motionflow", "motionmatcher", "none", "smm", "vmc"}
    assert listed["ditflow"]["settings"]["temperature"] == {"default": 2.0, "allowed": "a number from 0.001 to 1000"}
    assert run(["methods"]) == 0
    told = capsys.readouterr().out
    assert all(f"{name}: {method['summary']}" in told for name, method in listed.items())
    matrix = told.split("settings of every method")[0]
    assert "cogvideox" in matrix and "unet3d" in matrix
    assert all(name in matrix for name in listed), "every method has a row"
    assert "no: target is" in matrix, "a pair that cannot work says why"
    assert run(["models"]) == 0
    told = capsys.readouterr().out
    assert "tiny-dit" in told
    assert "CogVideoXPipeline" in told


def test_demo_makes_its_page_in_the_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def page(folder: Path, advance: Callable[[str, float], None]) -> Path:
        advance("making it", 0.5)
        return folder / "index.html"

    monkeypatch.setattr(motionlift.demo, "make_demo", page)
    assert run(["demo", "--output", "shown"]) == 0
    assert capsys.readouterr().out == "wrote shown/index.html\n"


# What it refuses


def bad_references(folder: Path, good: bytes) -> dict[str, str]:
    """Files that are no reference, and what is said of each."""
    (folder / "folder.mp4").mkdir()
    (folder / "empty.mp4").touch()
    (folder / "truncated.mp4").write_bytes(good[: len(good) // 2])
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4096))
    Clip.of(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), 8.0).save(folder / "one-frame.mp4")
    with av.open(folder / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux([*stream.encode(sound), *stream.encode(None)])
    return {
        "missing.mp4": "does not exist",
        "folder.mp4": "is a folder",
        "empty.mp4": "is empty",
        "truncated.mp4": "damaged",
        "noise.mp4": "no video",
        "one-frame.mp4": "holds one frame",
        "sound.mp4": "sound only",
    }


def test_bad_references_are_refused_before_a_model_is_loaded(clips: Path, capsys: pytest.CaptureFixture[str]):
    for name, words in bad_references(Path.cwd(), (clips / "one.mp4").read_bytes()).items():
        for command in (["transfer", name, "--prompt", PROMPT], ["lift", name], ["inspect", name]):
            told = refused(capsys, 1, *command, "--model", "no-such-folder/twin")
            assert name in told
            assert words in told


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
    assert "steps is given by an option of its own and by --set steps=4" in refused(
        capsys, 1, *prompted, "--steps", "3", "--set", "steps=4"
    )
    assert "steps is '5000'" in refused(capsys, 1, *prompted, "--steps", "5000")
    assert "read is 'tea leaves'; allowed is attention or flow" in refused(capsys, 1, *prompted, "--read", "tea leaves")
    told = refused(capsys, 1, *prompted, "--method", "magic")
    assert "'magic'" in told
    assert "ditflow, injection" in told


def test_what_the_model_refuses(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT]
    assert "no/such" in refused(capsys, 1, *start, "--model", "./no/such")
    assert "'no-such-model' is not to be had" in refused(capsys, 1, *start, "--model", "no-such-model")
    start += ["--model", model]
    assert "block 7 does not exist" in refused(capsys, 1, *start, "--set", "block=7")
    assert "10 frames do not fit" in refused(capsys, 1, *start, "--frames", "10")
    assert "device 'abacus' is not there" in refused(capsys, 1, *start, "--device", "abacus")
    long = ["transfer", str(clips / "one.mp4"), "--prompt", "red " * 9, "--model", model]
    assert "the prompt has 10 tokens" in refused(capsys, 1, *long)


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
        str(clips / "one.mp4"): "damaged",
    }.items():
        told = refused(capsys, 1, "cast", name, "--prompt", PROMPT, "--model", "no/such")
        assert name in told
        assert words in told
    told = refused(capsys, 1, "cast", str(motion), "--prompt", PROMPT, "--model", other_model)
    assert "does not fit" in told


def test_a_model_that_gives_no_numbers_is_refused(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = twins.cogvideox()
    with torch.no_grad():
        broken.transformer.proj_out.weight.fill_(torch.inf)
    broken.save_pretrained(tmp_path / "broken")
    start = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", str(tmp_path / "broken")]
    assert "no longer finite after step 1" in refused(capsys, 1, *start, *QUICK)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfr"], ["transfr", "see motionlift --help"]),
        (["transfer"], ["Missing", "see motionlift transfer --help"]),
        (["transfer", "a.mp4"], ["--prompt", "see motionlift transfer --help"]),
        (["transfer", "a.mp4", "--promt", "x"], ["--promt", "--prompt"]),
        (["transfer", "a.mp4", "--prompt", "x", "--seed", "-1"], ["--seed", "-1"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "one"], ["--frames", "'one'"]),
        (["transfer", "a.mp4", "--prompt", "x", "--frames", "1"], ["--frames", "1", "1025"]),
        (["transfer", "a.mp4", "--set"], ["--set", "see motionlift transfer --help"]),
        (["world", "a", "--count", "0"], ["--count", "0", "10000"]),
        (["world", "a", "--frames", "2000"], ["--frames", "2000", "1025"]),
        (["world", "a", "--size", "8"], ["--size", "8", "16", "512"]),
        (["cast", "a", "b", "--prompt", "x"], ["b", "see motionlift cast --help"]),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]):
    told = refused(capsys, 2, *arguments)
    assert all(word in told for word in words), told


def test_an_odd_size_is_refused(capsys: pytest.CaptureFixture[str]):
    assert "size is 33" in refused(capsys, 1, "world", "clips", "--size", "33")


# What it is as a program


def test_as_a_program_it_prints_one_line_and_no_traceback():
    told = subprocess.run(
        [sys.executable, "-m", "motionlift", "transfer", "no\nsuch\x1b.mp4", "--prompt", PROMPT],
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "error: no such?.mp4 does not exist; give a video file\n"


def test_a_closed_pipe_is_no_fuss():
    reading, writing = os.pipe()
    os.close(reading)
    told = subprocess.run([sys.executable, "-m", "motionlift", "--version"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert told.stderr == b""
    assert told.returncode == 1


def test_ctrl_c_leaves_nothing(clips: Path, model: str, motion_cache: Path):
    command = ["transfer", str(clips / "one.mp4"), "--prompt", PROMPT, "--model", model, "--steps", "1000"]
    program = subprocess.Popen(
        [sys.executable, "-m", "motionlift", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 100
        while not list(motion_cache.glob("motions/*.safetensors")):  # lifted: sampling goes on for long
            assert program.poll() is None and time.monotonic() < until, program.communicate()
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=100)
    finally:
        program.kill()
    assert (program.returncode, out, err) == (130, "", "error: stopped; nothing was written\n")
    assert left_behind() == []
