"""What is told before PyTorch is imported."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from motionlift import lift
from motionlift.bench.mtbench import MTBench
from motionlift.bench.sources import Davis
from motionlift.cli import early, given_files
from motionlift.cli.main import run
from motionlift.core.model import Pictures
from motionlift.demo import PAGE
from motionlift.errors import ModelError, MotionError, SettingError
from motionlift.measure.score import figure_names
from motionlift.measure.trackers import TRACKERS, CoTracker
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.models.precision import AUTO, DTYPES
from motionlift.models.sources import BUNDLED_MODELS, check_name
from motionlift.settings import METHODS, known, settings_of
from motionlift.video.clip import Clip
from motionlift.work.prepare import check_fit
from tests.work.trials import refusal

CLIP = ["clip.mp4", "-p", "a red star"]
SLIPS = {
    ("transfer", "clipp.mp4", *CLIP[1:]): "clipp.mp4 does not exist (did you mean clip.mp4?)",
    ("transfer", "https://x.org/a.mp4", *CLIP[1:]): "https://x.org/a.mp4 is an address on the web",
    ("transfer", "empty.mp4", *CLIP[1:]): "empty.mp4 is empty",
    ("transfer", *CLIP, "--model", "tiny-dti"): "'tiny-dti' is not to be had (did you mean tiny-dit",
    ("transfer", *CLIP, "--model", "https://huggingface.co/a/b/tree/main"): "is not to be had (did you mean a/b?)",
    ("transfer", *CLIP, "--model", "no/such"): "'no/such' is not kept on this machine, and the hub is switched off",
    ("transfer", *CLIP, "--model", "no/such+no/adapter"): "'no/such' is not kept on this machine",
    ("cast", "motion.safetensors", "-p", "a red star", "--model", "no/such"): "'no/such' is not kept on this machine",
    ("transfer", *CLIP, "--method", "VCM"): "unknown method 'VCM' (did you mean vmc?)",
    ("transfer", *CLIP, "--set", "tresholds=1"): "unknown setting 'tresholds' (did you mean threshold?)",
    ("transfer", *CLIP, "--set", "lr=fast"): "--set lr is 'fast'; allowed is a number",
    ("transfer", *CLIP, "--steps", "0"): "--steps is '0'; allowed is a whole number from 1",
    ("transfer", *CLIP, "--read", "flwo"): "--read is 'flwo' (did you mean flow?); allowed is attention or flow",
    ("transfer", *CLIP, "--strength", "1"): "--strength is of no use to ditflow",
    ("transfer", *CLIP, "--device", "cdua"): "--device 'cdua' is not there (did you mean cuda?)",
    ("transfer", *CLIP, "--device", "cuda:one"): "--device 'cuda:one' is not there",
    ("transfer", *CLIP, "--dtype", "fp61"): "--dtype is 'fp61' (did you mean fp16?)",
    ("bench", "quick", "--device", "cdua"): "--device 'cdua' is not there (did you mean cuda?)",
    ("bench", "quick", "--memory", "12"): "--memory is '12'; give a number and a unit",
    ("transfer", *CLIP, "--memory", "12"): "--memory is '12'; give a number and a unit",
    (
        "transfer",
        *CLIP,
        "--weights",
        "int7",
    ): "--weights is 'int7' (did you mean int8?); allowed are own, fp8, int8, nf4",
    ("batch", "jobs.yaml", "--weights", "nf5"): "--weights is 'nf5' (did you mean nf4?); allowed are own, fp8",
    (
        "transfer",
        *CLIP,
        "--weights",
        "fp8",
        "--compile",
    ): "--weights fp8 changes weights while a pass runs, which --compile cannot",
    (
        "transfer",
        *CLIP,
        "--parallel",
        "2",
    ): "--parallel is '2'; give context=N, as context=2, with a whole number N from 2 to",
    ("transfer", *CLIP, "--parallel", "context=1"): "--parallel is 'context=1'; give context=N",
    ("transfer", *CLIP, "--parallel", "context=2"): "2 processes are to share the sequence, and 1 was started",
    ("transfer", *CLIP, "--size", "big"): "--size is 'big'",
    ("transfer", *CLIP, "--method", "motionflow"): "motionflow needs to know what the reference shows",
    (
        "lift",
        "clip.mp4",
        "--output",
        "m.safetensors",
        "--method",
        "inverted",
    ): "inverted needs to know what the reference",
    (
        *("transfer", *CLIP, "--method", "motionflow", "--source-prompt", "a blue ring"),
        *("--set", "subjects=ring,blue", "--set", "targets=star"),
    ): "there are 2 subjects (ring, blue) and 1 targets (star); name as many targets",
    ("transfer", *CLIP, "--size", "70x70"): "70x70 pixels do not fit tiny-wan: allowed are multiples of 16",
    (
        "lift",
        "clip.mp4",
        "--output",
        "m.safetensors",
        "--frames",
        "147",
        "--model",
        "tiny-dit",
    ): "147 frames do not fit tiny-dit",
    ("transfer", *CLIP, "--output", "no/out.mp4"): "cannot write no/out.mp4: there is no folder",
    ("transfer", *CLIP, "--picture", "none.png"): "none.png does not exist; give a picture, as --picture FILE",
    ("transfer", *CLIP, "--lora", "none.safetensors"): "the adapter 'none.safetensors' is not there",
    ("transfer", *CLIP, "--between", "tiny-unet"): "--between names the model of --interpolate",
    ("transfer", "clip.mp4", "-p", " "): "the prompt is empty",
    ("plan", "transfer", *CLIP, "--method", "dit"): "unknown method 'dit'",
    (
        "lift",
        "clip.mp4",
        "--method",
        "vmc",
        "--set",
        "form=cosine",
    ): "--set form is 'cosine' (did you mean cos?); allowed is cos or l2",
    (
        *("lift", "clip.mp4"),
        "--method",
        "vmc",
    ): "the source prompt '' has no subject once looks and places are left out",
    (
        "transfer",
        *CLIP,
        "--method",
        "vmc",
        "--source-prompt",
        "red",
    ): "the source prompt 'red' has no subject once looks",
    (
        *("lift", "clip.mp4"),
        "--method",
        "vmc",
        "--model",
        "tiny-dit",
        "--set",
        "reduced=true",
    ): "prompt '' has no subject",
    ("plan", "transfer", *CLIP, "--method", "vmc", "--source-prompt", "on a hill"): "'on a hill' has no subject",
    ("lift", "none.mp4"): "none.mp4 does not exist",
    ("cast", "none.safetensors", "-p", "a red star"): "none.safetensors does not exist; give a motion file",
    ("cast", "motion.safetensors", "-p", "a red star", "--strength", "1"): "--strength is of no use to smm",
    (
        "cast",
        "motion.safetensors",
        "-p",
        "a red star",
        "--set",
        "from=1",
    ): "unknown setting 'from' (did you mean form?)",
    ("edit", "motion.safetensors", "miror"): "(did you mean mirror?)",
    ("edit", "motion.safetensors", "move=2,0"): "write move=RIGHT,DOWN with numbers from -1 to 1",
    ("edit", "motions.safetensors", "mirror"): "(did you mean motion.safetensors?)",
    ("export", "motions.safetensors", "adapter.safetensors"): "(did you mean motion.safetensors?)",
    (
        *("export", "tuned.safetensors", "adapter.safetensors"),
        *("--for", "comfy-ui"),
    ): "--for is 'comfy-ui' (did you mean comfyui?); allowed are diffusers, comfyui, kohya, peft",
    (
        *("cast", "motion.safetensors", "-p", "a red star"),
        *("--keep-motion", "motion.safetensors"),
    ): "cannot write motion.safetensors: it is the motion itself",
    (
        *("cast", "motion.safetensors", "-p", "a red star"),
        *("--keep-motion", "https://a.b/k.safetensors"),
    ): "cannot write https://a.b/k.safetensors: it is an address",
    (
        "transfer",
        *CLIP,
        "-o",
        "https://a.b/x.mp4",
    ): "cannot write https://a.b/x.mp4: it is an address, and results go to",
    ("transfer", *CLIP, "-o", ""): "--output is empty, as a variable that is not set",
    ("transfer", *CLIP, "-o", "."): "cannot write '.': that names no file",
    ("transfer", "", *CLIP[1:]): "REFERENCE is empty, as a variable that is not set; give the name of a file or folder",
    ("plan", "lift", ""): "REFERENCE is empty, as a variable that is not set",
    ("transfer", *CLIP, "--picture="): "--picture is empty, as a variable that is not set",
    ("world", ""): "FOLDER is empty, as a variable that is not set",
    ("transfer", "z.zip", *CLIP[1:]): "z.zip is an archive (zip): unpack it",
    ("transfer", "text.txt", *CLIP[1:]): "text.txt is no video that can be read",
    ("lift", "others", "-o", "m.safetensors"): "others is a folder without pictures",
    ("inspect", "picture.png"): "picture.png holds one frame",
    ("transfer", *CLIP, "--start", "30"): "clip.mp4 shows 1.00 s, and is to be read from 30 s",
    ("transfer", *CLIP, "--picture", "text.txt"): "text.txt is no picture, or is damaged",
    ("score", "clip.mp4", "text.txt"): "text.txt is no video that can be read",
    ("score", "text.txt", "clip.mp4"): "text.txt is no video that can be read",
    (*("score", "clip.mp4", "clip.mp4"), "--clip-model", "https://a.b/c"): "https://a.b/c is an address on the web",
    ("cast", "clip.mp4", "-p", "a red star"): "clip.mp4 is no safetensors file: it is a video; give a motion file",
    ("cast", "others", "-p", "a red star"): "'others' is a folder; give a motion file made by motionlift lift",
    (
        "cast",
        "other.safetensors",
        "-p",
        "a red star",
    ): "other.safetensors is a safetensors file but no motion; give a motion",
    (*("cast", "tuned.safetensors", "-p", "a red star"), "--mix", "clip.mp4"): "clip.mp4 is no safetensors file: it is",
    ("export", "clip.mp4", "adapter.safetensors"): "clip.mp4 is no safetensors file: it is a video; give a motion file",
    (
        "export",
        "record.json",
        "adapter.safetensors",
    ): "record.json is no safetensors file: it is JSON; give a motion file",
    ("export", "clip.mp4", "adapter.safetensors", "--for", "comfui"): "--for is 'comfui' (did you mean comfyui?)",
    ("export", "clip.mp4", "adapter.bin"): "the name must end in .safetensors",
    ("adapter", "clip.mp4"): "clip.mp4 is no safetensors file: it is a video; give an adapter",
    (
        "transfer",
        *CLIP,
        "--set",
        "tuning_steps=4",
    ): "--set tuning_steps is of no use to ditflow; methods that take it: ",
    ("transfer", *CLIP, "--model", "/nowhere/model"): "'/nowhere/model' is not to be had: there is no such folder",
    ("transfer", *CLIP, "--model", "./nowhere/model"): "'./nowhere/model' is not to be had: there is no such folder",
    (
        *("transfer", *CLIP),
        *("--model", "tiny-unet+nobody-x/nothing-y"),
    ): "the motion adapter 'nobody-x/nothing-y' is not kept on this machine, and the hub is switched off (HF_HUB_OFFLINE)",
    ("transfer", *CLIP, "--preset", "released", "--method", "inverted"): "of inverted no released program",
    ("lift", "clip.mp4", "--set", "preset=fast", "--method", "none"): "preset is 'fast', but of none no cheaper",
    ("transfer", *CLIP, "--picture", "picture.png", "--model", "tiny-unet"): "tiny-unet makes videos from text alone",
    (
        *("cast", "tiny.safetensors", "-p", "a red star"),
        *("--model", "tiny-dit"),
    ): "the motion was lifted with tiny-wan (lattice 5x4x4) and does not fit tiny-dit: cast it with that model",
    ("export", "motion.safetensors", "adapter.safetensors"): "a motion of smm holds no adapter",
    ("bench", "bad.yaml"): "bad.yaml, line 2: expected",
    ("bench", "list.yaml"): "list.yaml, line 1: the run needs models, methods, references, output",
    ("bench", "others"): "others is a folder; give a run file",
    ("batch", "bad.yaml"): "bad.yaml, line 2: expected",
    ("batch", "text.txt"): "text.txt is no job file; its name ends in .yaml",
    ("batch", "--watch", "none"): "--watch 'none' is no folder",
    ("report", "others"): "others holds no records; give the file records.jsonl of a run, or its folder",
    ("report", "text.txt"): "text.txt holds no record of motionlift bench",
    ("report", "none.csv"): "none.csv does not exist; give the records of motionlift bench",
    ("protocol", "davi", "others"): "the protocol is 'davi' (did you mean davis?); allowed are davis and mtbench",
    ("protocol", "mtbench", "others", "--prompts", "text.txt"): "--prompts is of no use to mtbench",
    ("protocol", "davis", "none"): "none does not exist; give the folder that holds the clips' folders",
    ("protocol", "davis", "text.txt"): "text.txt is a file; give the folder that holds the clips' folders",
    ("demo", "-o", "no/such"): "there is no folder",
    ("demo", "-o", "text.txt"): "cannot write into text.txt: it is a file",
    ("demo", "-o", "others"): "index.html: it is there already; choose another folder, or give --overwrite",
    ("world", "others"): "cannot write others/0000.mp4: the file that is there is no world clip as motionlift wrote it",
    ("world", "no/such"): "there is no folder",
    ("world", "new", "--size", "65"): "--size is 65; give an even number of pixels",
    ("app", "--data", "text.txt"): "cannot write into text.txt: it is a file",
    (
        "transfer",
        *CLIP,
        "--preset",
        "relased",
    ): "--preset is 'relased' (did you mean released?); allowed is ours or fast",
    ("transfer", *CLIP, "--sampler", "unpic"): "--sampler is 'unpic' (did you mean unipc?)",
    ("transfer", *CLIP, "--set", "optimizer=admm"): "--set optimizer is 'admm' (did you mean adam?)",
    (
        "transfer",
        *CLIP,
        "--model",
        "https://civitai.com/models/1",
    ): "https://civitai.com/models/1 is an address on the web",
    ("transfer", *CLIP, "--model", "tiny-unet+https://a.b/c"): "https://a.b/c is an address on the web",
    ("transfer", *CLIP, "--model", "tiny-unet+https://hf.co/a/b"): "is not to be had (did you mean tiny-unet+a/b?)",
    (
        "transfer",
        *CLIP,
        "--method",
        "vmc",
        "--source-prompt",
        "a red star",
        "--run",
        "s3://a/b",
    ): "cannot write s3://a/b: it is an address",
    ("again", "https://a.b/c.mp4"): "https://a.b/c.mp4 is an address on the web, and nothing is fetched from there",
    ("again", "."): ". is a folder without a name of its own; give a video that motionlift transfer or cast wrote",
    ("again", "/dev/zero"): "/dev/zero is not a regular file; give a video that motionlift",
    ("inspect", "none.mp4"): "none.mp4 does not exist",
    ("score", "clip.mp4", "none.mp4"): "none.mp4 does not exist",
    (
        "score",
        "clip.mp4",
        "clip.mp4",
        "--metrics",
        "sim",
    ): "--metrics: 'sim' (did you mean ssim?) came; allowed are motion_fidelity",
    ("score", "clip.mp4", "clip.mp4", "--metrics", ","): "--metrics: no name came; allowed are motion_fidelity",
    ("score", "clip.mp4", "clip.mp4", "--tracker", "cotraker"): "--tracker is 'cotraker' (did you mean cotracker?)",
    (*("score", "clip.mp4", "clip.mp4"), "--tracker-weights", "w.pt"): "--tracker-weights are for --tracker cotracker",
    (
        "score",
        "clip.mp4",
        "clip.mp4",
        "--truth",
        "none.json",
    ): "none.json does not exist; give what motionlift world wrote",
    ("bench", "quik"): "give a run file, or one of kinds, papers, quick, things, world (did you mean quick?)",
    ("report", "none"): "none does not exist; give the records of motionlift bench",
}
"""Command lines with a slip, and what is said of it."""
GRID = {"frames": 5, "height": 4, "width": 4}
"""The lattice of a motion."""
PROGRAM = """
import contextlib, io, json, sys
from motionlift.cli.main import run
told = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as heard:
        code = run(arguments)
    told.append([code, heard.getvalue(), "torch" in sys.modules])
print(json.dumps(told))
"""


def _lay_out(folder: Path) -> None:
    """What the command lines name."""
    frames = torch.zeros(8, 32, 32, 3, dtype=torch.uint8)
    for number in range(8):
        frames[number, 8:16, 2 * number : 2 * number + 8] = 200
    Clip.of(frames, 8.0).save(folder / "clip.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.txt").write_text("no video\n")
    (folder / "record.json").write_text('{"command": ["motionlift"]}\n')
    (folder / "bad.yaml").write_text("a: [1\n")
    (folder / "list.yaml").write_text("- 1\n")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("0.png", "")
    Image.new("RGB", (8, 8)).save(folder / "picture.png")
    (folder / "others").mkdir()
    for name in ("0000.mp4", "index.html"):
        (folder / "others" / name).write_text("somebody's")
    told = {
        "motion": {"motionlift": json.dumps({"method": "smm"})},
        "tuned": {"motionlift": json.dumps({"method": "vmc"})},
        "tiny": {"motionlift": json.dumps({"method": "smm", "model": "tiny-wan", "grid": GRID})},
    }
    for name, about in {**told, "other": {"of": "others"}}.items():
        header = json.dumps({"__metadata__": about}).encode()
        (folder / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.slow
def test_a_slip_is_told_in_one_line_before_torch_is_imported(tmp_path: Path):
    _lay_out(tmp_path)
    asked = json.dumps([list(arguments) for arguments in SLIPS])
    done = subprocess.run([sys.executable, "-c", PROGRAM, asked], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    for (arguments, words), (code, line, imported) in zip(SLIPS.items(), json.loads(done.stdout), strict=True):
        assert words in line, arguments
        assert code == 1 and line.startswith("error: ") and line.count("\n") == 1, line
        assert not imported, arguments


@pytest.mark.parametrize(
    ("values", "model"),
    [
        ({"source_prompt": "a red star on a hill"}, "tiny-wan"),
        ({"tuning_prompt": "a star"}, "tiny-wan"),
        ({"reduced": False}, "tiny-wan"),
        ({}, "tiny-dit"),
        ({}, "folder"),
    ],
)
def test_words_that_vmc_takes_are_not_refused_early(
    values: dict[str, Any], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    early.check_words("vmc", values, model)


def test_the_models_that_are_known_early_to_have_whole_captions_are_those_of_vmc():
    assert {name for name, own in methods()["vmc"].presets.items() if not own.get("reduced", True)} == {
        *early.UNREDUCED
    }


def test_what_a_bundled_model_cannot_do_is_told_before_torch_is_imported(tmp_path: Path):
    (tmp_path / "clip.mp4").write_text("no video, which is seen later")
    program = (
        "import sys; from motionlift.cli import early; "
        "told = early.foretell('tiny-dit', 'a knight on a horse', 169); "
        "told += early.foretell('tiny-dit', 'a red star'); "
        "told += early.foretell('tiny-unet', 'a red star on a white plain background'); "
        "print(len(told), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "4 False\n"
    assert "note: tiny-dit cannot paint this prompt" in done.stderr and "10 times the 17 that tiny-dit" in done.stderr
    assert "names no background that tiny-dit knows" in done.stderr
    assert "tiny-unet has learned no plain background that is white" in done.stderr


@pytest.mark.parametrize(
    ("prompt", "strange"),
    [
        ("a red car on a grey road", "car, road"),
        ("A Fish in the sea, a fish", "fish, sea"),
        ("a red star on a blue plain background", None),
    ],
)
def test_what_the_bundled_stage_has_never_enlarged_is_told(
    prompt: str, strange: str | None, capsys: pytest.CaptureFixture[str]
):
    usual = early.foretell("tiny-wan", prompt)
    capsys.readouterr()
    added = early.foretell("tiny-wan", prompt, None, True)[len(usual) :]
    assert len(added) == (strange is not None)
    assert all(f"has never seen {strange}, and" in line and line in capsys.readouterr().err for line in added)


def test_figures_and_trackers_are_those_that_there_are():
    assert figure_names() == early.FIGURES
    assert tuple(TRACKERS) == early.TRACKERS and CoTracker.name == early.WEIGHED


def test_protocols_and_the_page_of_the_demo_are_those_that_there_are():
    assert (Davis.kind, MTBench.kind) == given_files.PROTOCOLS and given_files.DEMO_PAGE == PAGE


WRONG = {
    ("--fit", "cropp"): "'cropp' came (did you mean crop?)",
    ("--crop", "moton"): "or motion (did you mean motion?)",
    ("--background", "gery"): "or #rrggbb (did you mean grey",
}
"""Options that are refused as wrong usage, and what is said of each."""


@pytest.mark.parametrize(("options", "words"), WRONG.items())
def test_names_that_options_take_are_meant(options: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]):
    assert run(["transfer", *CLIP, *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_what_an_adapter_is_is_told_without_torch(tmp_path: Path):
    factors = {f"transformer.blocks.0.attn1.to_q.lora_{end}.weight": np.zeros((2, 2), np.float32) for end in "AB"}
    save_file(factors, tmp_path / "adapter.safetensors")
    program = (
        "import sys; from motionlift.cli.main import run; "
        "print(run(['adapter', 'adapter.safetensors']), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.endswith("\n0 False\n") and "low-rank factors (LoRA) of rank 2" in done.stdout, done.stderr


def test_every_method_takes_the_settings_that_are_looked_at_early():
    assert set(known()) == methods().keys()
    assert {name: method.Settings for name, method in methods().items()} == early.every_settings()


def test_a_method_in_one_file_is_asked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for path in METHODS.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("motionlift.settings.METHODS", tmp_path)
    with pytest.raises(SettingError, match=r"unknown method 'own'; allowed are"):
        settings_of("own")
    (tmp_path / "own.py").write_text("\nMETHOD = None\n")
    assert settings_of("own") is None and settings_of("vmc") is methods()["vmc"].Settings
    assert early.every_settings().keys() == methods().keys()


def test_presets_are_those_that_the_methods_have():
    assert {name: {*own.published} for name, own in methods().items()} == {
        name: {*own} for name, own in early.PUBLISHED.items()
    }


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_a_picture_is_refused_in_the_words_of_the_model(name: str, tmp_path: Path):
    model = load(name)
    if model.about.pictures is not Pictures.NEVER:
        early.check_begun(name, tmp_path)
        return
    told = refusal(SettingError, lambda: model.pictured(torch.zeros(1, 3, 64, 64)))
    assert refusal(SettingError, lambda: early.check_begun(name, tmp_path)) == told


@pytest.mark.slow
def test_a_motion_of_another_bundled_model_is_refused_in_the_words_of_the_model(tmp_path: Path):
    frames = torch.randint(0, 255, (17, 64, 64, 3), dtype=torch.uint8)
    motion = lift(Clip.of(frames, 8.0), model="tiny-dit", method="none", settings={"steps": 1})
    motion.save(tmp_path / "m.safetensors")
    given_files.check_lifted_with(tmp_path / "m.safetensors", "tiny-dit")
    told = refusal(MotionError, lambda: given_files.check_lifted_with(tmp_path / "m.safetensors", "tiny-unet"))
    assert told == refusal(MotionError, lambda: check_fit(motion, load("tiny-unet")))


def test_types_of_numbers_are_those_that_models_take():
    assert (AUTO, *DTYPES) == early.DTYPES


@pytest.mark.parametrize("name", ["tiny-dit", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "a/b+c/d", "a/b+folder"])
def test_names_that_may_be_models(name: str):
    check_name(name)


def test_a_folder_beside_that_holds_a_model_may_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "model_index.json").write_text("{}")
    (tmp_path / "my-modes").mkdir()
    with pytest.raises(ModelError, match=r"'my-mode' is not to be had \(did you mean my-model\?\)"):
        check_name("my-mode")
    with pytest.raises(ModelError, match="is not to be had; allowed"):
        check_name("one-of-nobody's")


@pytest.mark.parametrize("weights", ["nf4", "quanto-int8"])
def test_a_quantizer_is_for_models_that_are_not_bundled(weights: str):
    told = rf"^tiny-dit is small, and no quantizer holds its weights: leave --weights {weights} out$"
    with pytest.raises(SettingError, match=told):
        early.check_held("tiny-dit", weights)
    early.check_held("tiny-dit", "fp8")
    early.check_held("somewhere", weights)


def test_a_quantizer_that_is_not_installed_is_told_as_its_option_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.core.memory.find_spec", lambda _name: None)
    with pytest.raises(SettingError, match=r"^weights in nf4 need the package bitsandbytes, which is not installed"):
        early.weights("nf4")
    assert early.weights("own") == "own"
