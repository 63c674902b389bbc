"""Run files: what they mean, and that every refusal names the line."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lab.experiments import sweep
from motionlift.bench import run_file
from motionlift.bench.bundled import bundled_runs
from motionlift.bench.frozen import FROZEN
from motionlift.bench.measures import Measuring
from motionlift.bench.references import ONE_MOVES, SCENES
from motionlift.bench.run_file import MethodRun, ModelRun, as_read, read_run
from motionlift.bench.sources import Davis, Folder, Things, World
from motionlift.core.memory import Weights
from motionlift.errors import InputError
from motionlift.models.sources import BUNDLED_MODELS

RUN = """\
models: [tiny-dit]
methods:
  - none
references:
  - world: {count: 2}
output: runs/mine
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str) -> run_file.RunFile:
    Path("run.yaml").write_text(text, encoding="utf-8")
    return read_run("run.yaml")


def refused(text: str) -> str:
    with pytest.raises(InputError) as refusal:
        read(text)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_the_least_run():
    run = read(RUN)
    assert run.models == (ModelRun("tiny-dit"),) and run.methods == (MethodRun("none", {}),) and run.seeds == (0,)
    assert run.references == (World(2),) and run.measuring == Measuring() and run.output == Path("runs/mine")


def test_a_model_may_have_adapters(tmp_path: Path):
    star = tmp_path / "star.safetensors"
    save_file({"transformer.layer.lora_A.weight": torch.ones(1, 1)}, star)
    run = read(RUN.replace("[tiny-dit]", f"[tiny-dit, {{name: tiny-dit, loras: ['{star}:0.8']}}]"))
    assert run.models == (ModelRun("tiny-dit"), ModelRun("tiny-dit", (f"{star}:0.8",)))
    assert [str(model) for model in run.models] == ["tiny-dit", f"tiny-dit + {star}:0.8"]
    assert "is not there" in refused(RUN.replace("[tiny-dit]", "[{name: tiny-dit, loras: [gone.safetensors]}]"))
    assert "line 1: the adapter's weight is 9.0" in refused(
        RUN.replace("[tiny-dit]", f"[{{name: tiny-dit, loras: ['{star}:9']}}]")
    )
    assert "loras is a list" in refused(RUN.replace("[tiny-dit]", "[{name: tiny-dit, loras: a}]"))
    assert "a model lacks name" in refused(RUN.replace("[tiny-dit]", "[{loras: [a]}]"))


def test_a_model_may_compute_and_be_held_otherwise():
    """In the file and not at the command line: its videos change with it, and one run may set both beside each other."""
    run = read(RUN.replace("[tiny-dit]", "[tiny-dit, {name: tiny-dit, dtype: bf16, weights: fp8}]"))
    assert run.models == (ModelRun("tiny-dit"), ModelRun("tiny-dit", (), "bf16", Weights.FP8))
    assert [str(model) for model in run.models] == ["tiny-dit", "tiny-dit in bf16, weights in fp8"]
    assert read(RUN.replace("[tiny-dit]", "[{name: tiny-dit, dtype: auto, weights: own}]")).models == (
        ModelRun("tiny-dit"),
    )
    told = refused(RUN.replace("[tiny-dit]", "[{name: tiny-dit, dtype: int8}]"))
    assert "line 1: dtype is 'int8'; allowed are auto, bf16" in told
    told = refused(RUN.replace("[tiny-dit]", "[{name: tiny-dit, weights: fp4}]"))
    assert "line 1: weights are to be held as 'fp4'; allowed are own, fp8" in told


def test_a_grid_is_a_method_for_each_combination():
    methods = read(RUN.replace("- none", "- {name: vmc, settings: {form: cos}, grid: {tuning_lr: [1e-4, 0.1], rank: [1]}}"
                               ).replace(", rank: [1]", ", tuning_steps: [5, 6]")).methods  # fmt: skip
    assert [dict(each.settings) for each in methods] == [
        {"form": "cos", "tuning_lr": rate, "tuning_steps": steps} for rate in (1e-4, 0.1) for steps in (5, 6)
    ], "1e-4 too is a number, which YAML takes for text"
    assert methods[0].title == "vmc form=cos tuning_lr=0.0001 tuning_steps=5"


def test_what_holds_still_stands_among_the_methods():
    run = read(RUN.replace("- none", "- frozen\n  - none\n  - {name: frozen}"))
    assert run.methods == (MethodRun(FROZEN, {}), MethodRun("none", {})) and run.methods[0].title == "frozen"
    told = refused(RUN.replace("- none", "- {name: frozen, settings: {beta: 1}}"))
    assert "line 3: frozen is no method and has no settings; write its name alone" in told


@pytest.mark.slow
def test_kinds_of_scenes():
    run = read(RUN.replace("count: 2", "count: 2, scenes: two"))
    assert run.references == (World(2, scenes="two"),)
    assert [each.reference for each in run.references[0].asked(16)] == ["two-0000", "two-0001"]
    told = refused(RUN.replace("count: 2", "count: 2, scenes: slow"))
    assert "scenes is 'slow'; allowed are moving, rotation, camera, two, occlusion, fast" in told


def test_what_comes_twice_counts_once():
    run = read(RUN.replace("- none", "- none\n  - {name: none}\n  - {name: ditflow, grid: {lr: [0.1, 1e-1]}}"))
    assert [each.title for each in run.methods] == ["none", "ditflow lr=0.1"]


def test_what_measures():
    run = read(RUN + "tracker: lucas-kanade\nclip_model: openai/clip-vit-base-patch32\n")
    assert run.measuring == Measuring(None, "lucas-kanade", "openai/clip-vit-base-patch32")


def test_seeds():
    assert read(RUN + "seeds: [3, 1, 3]\n").seeds == (3, 1)
    assert read(RUN + "seeds: own\n").seeds is None


def test_sizes_and_lengths_of_files():
    Path("clips").mkdir()
    Path("clips/one.mp4").touch()
    Path("davis/bear").mkdir(parents=True)
    Path("prompts.csv").write_text("clip,caption,subject,scene\nbear,a bear,a dog,a dog in snow\n")
    text = RUN.replace(
        "  - world: {count: 2}",
        "  - folder: {path: clips, prompts: [a star], frames: 49, size: 832x480}\n"
        "  - davis: {path: davis, prompts: prompts.csv, size: 832x480}",
    )
    folder, davis = read(text).references
    assert isinstance(folder, Folder) and (folder.frames, folder.pixels) == (49, (832, 480))
    assert isinstance(davis, Davis) and davis.pixels == (832, 480)
    plain = replace(folder, frames=None, pixels=None)
    assert len({own.contents()["one.mp4"] for own in (folder, plain, replace(plain, frames=49))}) == 3
    assert "line 5: size is '832'; give WIDTHxHEIGHT" in refused(text.replace("size: 832x480}\n", "size: 832}\n"))


def test_how_files_are_read():
    Path("clips").mkdir()
    Path("clips/one.mp4").touch()
    Path("davis/bear").mkdir(parents=True)
    Path("prompts.csv").write_text("clip,caption,subject,scene\nbear,a bear,a dog,a dog in snow\n")
    text = RUN.replace(
        "  - world: {count: 2}",
        "  - folder: {path: clips, prompts: [a star], fit: stretch, every_frame: true}\n"
        "  - davis: {path: davis, prompts: prompts.csv, fit: pad}",
    )
    folder, davis = read(text).references
    assert isinstance(folder, Folder) and (folder.fit, folder.every_frame) == ("stretch", True)
    assert isinstance(davis, Davis) and davis.fit == "pad"
    plain = replace(folder, fit="crop", every_frame=False)
    assert len({own.contents()["one.mp4"] for own in (folder, plain, replace(plain, fit="pad"))}) == 3
    assert plain.contents() == Folder(Path("clips"), ("a star",)).contents(), "what was measured before stays"
    assert replace(davis, fit="crop").contents() != davis.contents()
    assert "line 5: fit is 'squeeze'; allowed is crop or pad or stretch" in refused(text.replace("stretch", "squeeze"))
    assert "line 5: every_frame is '3'; allowed is true or false" in refused(
        text.replace("every_frame: true", "every_frame: 3")
    )


def test_sources(tmp_path: Path):
    for folder in ("clips", "davis/bear"):
        Path(folder).mkdir(parents=True)
    Path("clips/one.mp4").touch()
    Path("prompts.csv").write_text("clip,caption,subject,scene\nbear,a bear,a dog,a dog in snow\n")
    run = read(RUN.replace("count: 2", "count: 2, first: 7, prompts: 2") + "metrics: [truth]")
    assert run.references == (World(2, 7, 2),) and run.measuring == Measuring(("truth",))
    things = "  - things: {count: 2, first: 7}\n  - things: {count: 6, scenes: hidden}"
    both = read(RUN.replace("  - world: {count: 2}", f"  - world: {{count: 2}}\n{things}"))
    assert both.references == (World(2), Things(2, 7), Things(6, scenes="hidden")) and World(2) != Things(2)
    text = RUN.replace(
        "  - world: {count: 2}",
        "  - folder:\n      path: clips\n      prompts: [a star, a ring]\n"
        "  - davis: {path: davis, prompts: prompts.csv, frames: 17}",
    )
    assert read(text).references == (
        Folder(Path("clips"), ("a star", "a ring")),
        Davis(Path("davis"), Path("prompts.csv"), 17, 50),
    )


def test_captions_and_targets(tmp_path: Path):
    Path("clips").mkdir()
    Path("clips/one.mp4").touch()
    Path("captions.csv").write_text("clip,caption,subjects\none.mp4,a star,star\n")
    source = (
        "  - folder:\n      path: clips\n      captions: captions.csv\n"
        "      prompts: [a moon, {prompt: a ring, targets: [ring]}]"
    )
    run = read(RUN.replace("  - world: {count: 2}", source))
    assert run.references == (
        Folder(Path("clips"), ("a moon", "a ring"), Path("captions.csv"), (("a ring", ("ring",)),)),
    )
    Path("captions.csv").write_text("clip,caption\ntwo.mp4,a star\n")
    told = refused(RUN.replace("  - world: {count: 2}", source))
    assert "run.yaml, line 7: captions.csv has no line for one.mp4" in told
    told = refused(RUN.replace("  - world: {count: 2}", source.replace("targets:", "target:")))
    assert "unknown key 'target'; allowed are prompt, targets" in told


@pytest.mark.parametrize("method", ["vmc", "motionmatcher", "motionflow", "inverted"])
def test_a_source_that_does_not_say_what_a_method_must_be_told_is_refused_with_its_line(tmp_path: Path, method: str):
    """Before anything is loaded, also beside one that does say it."""
    Path("clips").mkdir()
    Path("clips/one.mp4").touch()
    text = RUN.replace("  - none", f"  - {method}\n  - none")
    text = text.replace("  - world: {count: 2}", "  - world: {count: 2}\n  - folder: {path: clips, prompts: [a star]}")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "folder" in each)
    told = refused(text)
    assert (
        f"run.yaml, line {line}: {method} must be told what the reference shows, which folder does not say: give"
        in told
    )
    Path("captions.csv").write_text("clip,caption\none.mp4,a star\n")
    said = text.replace("[a star]}", "[a star], captions: captions.csv}")
    if method == "motionflow":
        assert "must be told which words of the caption move" in refused(said)
    else:
        assert len(read(said).references) == 2


def with_line(number: int, line: str) -> str:
    lines = RUN.splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


LONG = ("0x" + "f" * 8000, "9" * 8000, "[[1], {a: 0x%s}]" % ("f" * 8000))
"""Values with numbers that Python reads and does not write."""


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (with_line(1, "model: [tiny-dit]"), 1, "unknown key 'model'; allowed are models, methods, references"),
        (with_line(6, ""), 1, "the run lacks output"),
        (RUN + "seeds: [0]\nseeds: [1]", 8, "'seeds' comes twice"),
        (RUN + "seeds: 3", 7, "seeds is a list"),
        (RUN + "seeds: []", 7, "seeds is a list of at least one"),
        (RUN + "seeds: [0,\n  -1]", 8, "a seed is '-1'; allowed is a whole number from 0"),
        (RUN + "seeds: [true]", 7, "a seed is 'True'"),
        (RUN + "tracker: eyes", 7, "unknown tracker 'eyes'; allowed are flow, lucas-kanade, cotracker"),
        (RUN + "metrics: [truth, beauty]", 7, "unknown metric 'beauty'; allowed are truth"),
        (with_line(3, "  - nothing"), 3, "unknown method 'nothing'; allowed are ditflow"),
        (with_line(3, "  - {name: ditflow, setting: {lr: 1}}"), 3, "unknown key 'setting'"),
        (with_line(3, "  - {name: ditflow, settings: {speed: 1}}"), 3, "unknown setting 'speed'"),
        (with_line(3, "  - name: ditflow\n    grid:\n      lr: [1, fast]"), 5, "lr is 'fast'; allowed is a number"),
        (with_line(3, "  - {name: ditflow, grid: {lr: 1}}"), 3, "lr is a list"),
        (with_line(3, "  - {name: ditflow, settings: {lr: 1}, grid: {lr: [2]}}"), 3, "in the settings and in the grid"),
        (with_line(3, "  - {name: ditflow, settings: {lr: {deep: 1}}}"), 3, "lr is"),
        (with_line(3, "  - {name: ditflow, settings: {lr: !!python/name:os.system x}}"), 3, "cannot be read"),
        *[(with_line(5, f"  - world: {{count: {value}}}"), 5, "the tag")
          for value in ("!!bool maybe", "!!timestamp x", "!!int ''", "!!float ''", "! 1", "!mine 1", "!!map {}")],
        (with_line(3, "  - {name: ditflow,\n     settings: {lr: [!!int '']}}"), 4, "the tag 'tag:yaml.org,2002:int'"),
        (with_line(1, "models: !!seq [a]"), 1, "write the value alone"),
        *[(with_line(5, f"  - world: {{count: {value}}}"), 5, "a value has at most 2000") for value in LONG],
        *[(with_line(3, f"  - {{name: ditflow, settings: {{steps: {value}}}}}"), 3, "a value has at most") for value in LONG],
        (with_line(3, "  - {name: ditflow, settings: {steps: 0x%s}}" % ("f" * 1990)), 3, "steps is"),
        (with_line(3, "  - {name: ditflow, settings: {lr: %s1.5}}" % ("1:" * 300)), 3, "cannot be read"),
        (with_line(5, "  - world: {count: 2024-13-45}"), 5, "cannot be read"),
        (with_line(3, "  - {name: ditflow, settings: lr}"), 3, "settings are names with a value each"),
        (with_line(5, "  - worlds: {count: 2}"), 5, "unknown key 'worlds'; allowed are world, things, folder, davis, mtbench"),
        (with_line(5, "  - {}"), 5, "one of world, things, folder, davis, mtbench"),
        (with_line(5, "  - world: {count: 0}"), 5, "count is '0'; allowed is a whole number from 1 to"),
        (with_line(5, "  - things: {count: 0}"), 5, "count is '0'; allowed is a whole number from 1 to"),
        (with_line(5, "  - things: {first: 1}"), 5, "things lacks count"),
        (with_line(5, "  - things: {count: 1, scenes: fast}"), 5, "scenes is 'fast'; allowed are moving, hidden"),
        (with_line(5, "  - world: {count: many}"), 5, "count is 'many'"),
        (with_line(5, "  - world: {count: 1, prompts: 3}"), 5, "prompts is '3'; allowed is a whole number from 1 to 2"),
        (with_line(5, "  - folder: {path: gone, prompts: [a]}"), 5, "gone is no folder that can be read"),
        (with_line(5, "  - folder: {path: ., prompts: [' ']}"), 5, "a prompt is text"),
        (with_line(5, "  - folder: {path: ., prompts: [a]}"), 5, ". holds no MP4 file"),
        (with_line(5, "  - davis: {path: ., prompts: gone.csv}"), 5, "gone.csv cannot be read"),
        (with_line(6, "output: [a]"), 6, "output is text"),
        (with_line(6, "output: null"), 6, "output is text"),
        *[(with_line(6, f'output: "a{character}b"'), 6, "output holds characters that are no text")
          for character in (r"\0", r"\ud800")],
        (with_line(5, r'  - folder: {path: "a\0b", prompts: [a]}'), 5, "holds characters that are no text"),
        (with_line(2, "methods: ["), 3, "expected"),
        (with_line(3, "  - &a none\n  - *a"), 4, "aliases (*a) are not read"),
        (with_line(3, "\t- none"), 3, "cannot start any token"),
        (with_line(1, "[models]: [tiny-dit]"), 1, "a key is a word"),
        ("- models", 1, "the run needs models, methods, references, output with a colon"),
        (with_line(3, "  - {name: vmc, grid: {beta: [%s], strength: [%s]}}" % ((", ".join(f"0.{i}" for i in range(40)),) * 2)),
         3, "the grid has 1600 combinations; at most 1000"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_line(text: str, line: int, told: str):
    message = refused(text)
    assert message.startswith(f"run.yaml, line {line}: ") and told in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("[" * 50_000 + "]" * 50_000, "more than 20 levels"),
        ("a: \x07", "no text"),
    ],
)
def test_files_that_are_no_runs(text: str, told: str):
    assert told in refused(text)


def test_pipes_are_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "run.yaml")
    with pytest.raises(InputError, match="is no file; give a run file"):
        read_run(str(tmp_path / "run.yaml"))
    with pytest.raises(InputError, match="is no file"):
        read_run("/dev/zero")


def test_files_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch):
    for name, told in (("gone.yaml", "No such file"), (".", "is a folder"), ("nul\0", "cannot be read")):
        with pytest.raises(InputError, match=told) as refusal:
            read_run(name)
        assert "kinds, papers, quick, things, world" in str(refusal.value)
    Path("latin.yaml").write_bytes(b"models: [\xe9]")
    with pytest.raises(InputError, match=r"latin.yaml.*cannot be read"):
        read_run("latin.yaml")
    monkeypatch.setattr("motionlift.bench.bundled.MOST_BYTES", 10)
    assert "larger than 10 bytes" in refused(RUN)


def test_bundled_runs():
    assert bundled_runs() == ["kinds", "papers", "quick", "things", "world"]
    runs = {name: read_run(name) for name in bundled_runs()}
    assert all(run.seeds is None for run in runs.values())
    assert all(run.models == tuple(map(ModelRun, BUNDLED_MODELS)) for name, run in runs.items() if name != "things")
    assert runs["things"].models == (ModelRun("tiny-wan"),) and runs["things"].references == (Things(32),)
    whole = {"factors": "none", "tuning_lr": 0.001}
    on_shapes_alone = (
        whole,
        {"beta": 0.0},
        *[{"block": [number]} for number in (0, 1)],
    )  # and fresh noise, earlier layers
    assert runs["things"].methods == tuple(
        each for each in runs["world"].methods if each.settings not in on_shapes_alone
    )
    assert runs["world"].references == (World(32),)
    assert runs["kinds"].references == tuple(World(32, scenes=kind) for kind in SCENES if kind != ONE_MOVES)
    assert runs["papers"].references == (World(sweep.COUNT, sweep.FIRST),)


def test_the_run_of_the_papers_is_the_sweep():
    wanted: list[Any] = []
    for cell in [own for own in sweep.cells(1) if "only" not in own]:
        settings = {} if cell["method"] == FROZEN else as_read(cell["method"], cell["settings"])
        wanted.append((cell["method"], settings))
    found = [(each.name, dict(each.settings)) for each in read_run("papers").methods]
    assert all(each in found for each in wanted) and all(each in wanted for each in found)
