"""Every experiment measures one cell on a random model of the bundled one's form, and its records make a section."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    WanTransformer3DModel,
)
from PIL import Image

from lab.experiments import (
    card,
    controls,
    exchange,
    fast_turning,
    footage,
    ghosts,
    given_picture,
    inversion,
    looks,
    masks,
    reconstruction,
    retrieval,
    runner,
    saved_positions,
    several_seeds,
    signal,
    stages,
    sweep,
    thrift,
    told_motion,
    told_unlike,
    trial,
)
from lab.training import tiny_dit, tiny_unet, tiny_wan
from motionlift.bench import references
from motionlift.core.lattice import Lattice
from motionlift.jobs.records import append_record, read_records
from motionlift.measure.tracks import aligned_error
from motionlift.methods import motiondirector, motionmatcher, vmc
from motionlift.models.loading import load
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.world import scenes, upscaler
from motionlift.world.named import sample_named
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS
from motionlift.world.upscaling import SuperResolution

MODULES = (
    looks,
    reconstruction,
    signal,
    masks,
    inversion,
    retrieval,
    stages,
    saved_positions,
    several_seeds,
    sweep,
    ghosts,
    fast_turning,
    exchange,
    told_motion,
    given_picture,
    told_unlike,
    thrift,
)
"""Those whose extent is a count."""


def narrow_dit() -> Any:
    """Seventeen frames of 64x64 and the world's words, with seven narrow blocks."""
    narrow = {"block_out_channels": (8, 8, 8), "norm_num_groups": 2}
    vae = AutoencoderKLCogVideoX.from_config({**tiny_dit.autoencoder().config, **narrow})
    shallow = {"num_layers": 7, "num_attention_heads": 1}
    transformer = CogVideoXTransformer3DModel.from_config({**tiny_dit.transformer().config, **shallow})
    return CogVideoXPipeline(tiny_dit.tokenizer(), tiny_dit.text_encoder(), vae, transformer, tiny_dit.scheduler())


def narrow_unet() -> Any:
    """Sixteen frames of 64x64 and the world's words, with a narrow autoencoder."""
    narrow = {"block_out_channels": (8, 8, 8), "norm_num_groups": 2}
    return tiny_unet.pipeline(AutoencoderKL.from_config({**tiny_unet.autoencoder().config, **narrow}))


def narrow_wan() -> Any:
    """Seventeen frames of 64x64, words for things and motions, and a first picture that may be given."""
    pipeline = tiny_wan.pipeline(
        AutoencoderKLWan.from_config({**tiny_wan.autoencoder().config, "base_dim": 4, "decoder_base_dim": 4})
    )
    shallow = {"num_layers": 2, "num_attention_heads": 1}
    pipeline.register_modules(
        transformer=WanTransformer3DModel.from_config({**tiny_wan.transformer().config, **shallow})
    )
    pipeline.register_to_config(_name_or_path="tiny-wan")
    return pipeline


@pytest.fixture(scope="module")
def wan() -> Any:
    torch.manual_seed(0)
    backbone = load(narrow_wan(), "cpu")
    backbone.about = replace(backbone.about, defaults={"steps": 2, "share": 0.5, "inner": 1})
    return backbone


def slow_where(twin: Any = None, **_others: Any) -> bool:
    """The same is tried on the transformer."""
    return twin is narrow_unet


@pytest.fixture(scope="module", params=[narrow_dit, narrow_unet])
def twin(request: pytest.FixtureRequest) -> Any:
    """A model of a bundled one's form; two steps, one of them guided."""
    torch.manual_seed(0)
    backbone = load(request.param(), "cpu")
    backbone.about = replace(backbone.about, defaults={"steps": 2, "share": 0.5, "inner": 1})
    with pytest.MonkeyPatch.context() as patch:
        for method in (vmc, motionmatcher, motiondirector):
            patch.setattr(type(method.METHOD), "presets", {backbone.about.variant: {"tuning_steps": 1}})
        yield backbone


@pytest.fixture(autouse=True)
def _twin_is_bundled(twin: Any, monkeypatch: pytest.MonkeyPatch):
    for module in (
        looks,
        signal,
        masks,
        inversion,
        reconstruction,
        retrieval,
        stages,
        saved_positions,
        trial,
        footage,
        ghosts,
        fast_turning,
        exchange,
        told_motion,
        given_picture,
        told_unlike,
    ):
        monkeypatch.setattr(module, "bundled", lambda _model: twin)
    monkeypatch.setattr(card, "load", lambda _model: twin)


def measured(module: Any, cell: dict[str, Any], extent: int | Path = 1) -> dict[str, Any]:
    """A record as the file gives it back."""
    return json.loads(json.dumps(runner.measure_cell(module.NAME, cell, "twin", extent)))


def assert_table(text: str, rows: int):
    """So many lines under the first table's head, all of one width."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) >= rows + 2
    assert len({line.count("|") for line in lines[: rows + 2]}) == 1


def test_cells_are_all_different():
    for module in MODULES:
        cells = module.cells(3)
        assert len({json.dumps(cell, sort_keys=True) for cell in cells}) == len(cells) >= 3
        assert json.loads(json.dumps(cells)) == cells, "else a record would never match its cell"
        assert runner.EXPERIMENTS[module.NAME] is module


@pytest.mark.slow
def test_looks():
    record = measured(looks, {"index": 1})
    assert record["true_rendering"] == {"colour": True, "shape": True, "background": True}
    assert record["caption"] == scenes.sample(references.LOOKS_STREAM, 1, objects=1, unseen=True).caption()
    text = looks.section([record, record])
    assert_table(text, 4)
    assert "| true renderings | 100 [2 of 2] | 100 [2 of 2] | 100 [2 of 2] |" in text


def test_looks_of_a_model_that_knows_things(twin: Any, monkeypatch: pytest.MonkeyPatch):
    known = [*twin.text.known_words(), *THINGS]
    shown = references.caption_scene(3, twin)
    assert shown.objects[0].shape in SHAPES and shown.background.pattern in scenes.PATTERNS
    monkeypatch.setattr(type(twin.text), "known_words", lambda _self: known)
    drawn = [references.caption_scene(index, twin) for index in range(12)]
    assert any(scene.objects[0].shape in THINGS for scene in drawn)
    assert all(scenes.held_out(scene.caption()) and len(scene.tracks()) == 1 for scene in drawn)


@pytest.mark.slow
def test_exchanged_colours(twin: Any):
    for index in range(4):
        scene = exchange.exchangeable(index, twin)
        item, ground = scene.objects[0], scene.background
        turned = replace(
            scene, objects=(replace(item, colour=ground.colour),), background=replace(ground, colour=item.colour)
        )
        seen, other = (exchange.colours_seen(scenes.render([each]).frames[0], scene) for each in (scene, turned))
        assert seen["right"] and not seen["exchanged"] and not seen["one_sided"]
        assert other["exchanged"] and not other["right"] and not other["one_sided"]
    records = [{**cell, **measured(exchange, cell)} for cell in exchange.cells(1)]
    assert_table(exchange.section(records), sum("refused" not in record for record in records))


@pytest.mark.slow
def test_told_motion(wan: Any, monkeypatch: pytest.MonkeyPatch):
    (first, *_) = told_motion.cells(1)
    assert measured(told_motion, first) == {**first, "refused": "it has no words for motions"}
    monkeypatch.setattr(told_motion, "bundled", lambda _model: wan)
    records = [measured(told_motion, cell) for cell in told_motion.cells(1)]
    words = {told_motion.GROWTH: ("growing", "shrinking"), told_motion.JUMP: ("jumping",)}
    for record in records:
        named = words.get(record["kind"], (" to the ", " up", " down"))
        assert any(word in record["caption"] for word in named) == record["told"]
    assert_table(told_motion.section(records), 6)


def told_scene(kind: str) -> Any:
    return sample_named(told_motion.STREAM, 0, objects=1, motion=kind, camera="still", unseen=True)


@pytest.mark.parametrize("kind", told_motion.KINDS)
def test_what_is_told_is_found_in_the_truth_and_not_in_other_motions(kind: str):
    scene = told_scene(kind)
    frames = scenes.render([scene]).frames[0]
    rest = frames[:1].expand(17, -1, -1, -1)
    assert told_motion.told_of(kind, frames, scene)["right"]
    assert not told_motion.told_of(kind, rest, scene)["right"]
    if kind != told_motion.JUMP:
        assert told_motion.told_of(kind, frames.flip(0), scene)["amount"] < 0


@pytest.mark.slow
def test_given_picture(wan: Any, monkeypatch: pytest.MonkeyPatch):
    assert "begin with no picture" in measured(given_picture, given_picture.cells(1)[0])["refused"]
    for module in (given_picture, trial):
        monkeypatch.setattr(module, "bundled", lambda _model: wan)
    cells = [cell for cell in given_picture.cells(1) if cell["method"] != "ditflow"]
    records = [measured(given_picture, cell) for cell in cells]
    assert all("refused" not in record for record in records)
    with_picture, without = records[:2]
    assert with_picture["psnr"] == pytest.approx(with_picture["decoded_psnr"], abs=0.5), "the picture itself, decoded"
    assert with_picture["psnr"] != without["psnr"]
    text = given_picture.section(records)
    assert_table(text, 5)
    assert "of the motion moved less as it is: FlowMotion " in text


@pytest.mark.slow
def test_a_motion_is_moved_to_where_the_picture_has_its_thing(wan: Any):
    clip = Clip.of(torch.zeros(9, 64, 64, 3, dtype=torch.uint8), 8.0)
    motion = lift(clip, wan, "none", cached=False)
    there = given_picture.moved_to(motion, (0.3, 0.8), (0.55, 0.3))
    assert there.edits == ("move=0.25,-0.5",)
    assert given_picture.moved_to(motion, (0.3, 0.8), (0.31, 0.79)) is motion


@pytest.mark.slow
def test_told_unlike(twin: Any):
    records = [measured(told_unlike, cell) for cell in told_unlike.cells(1)]
    for record in records:
        assert record["likeness"] is None or -1 <= record["likeness"] <= 1
    assert_table(told_unlike.section(records), 4)


def test_what_is_told_is_counted_by_how_the_object_goes():
    records = [
        {"index": 0, "method": "none", "likeness": 0.1, "direction": -0.5},
        {"index": 1, "method": "none", "likeness": None, "direction": None},
        {"index": 0, "method": "ditflow", "likeness": 0.9, "direction": 0.7},
        {"index": 1, "method": "ditflow", "likeness": 0.19, "direction": 0.5},
    ]
    lines = [
        line.strip("| ").split(" | ") for line in told_unlike.section(records).splitlines() if line.startswith("| ")
    ]
    rows = {title: cells for title, *cells in lines}
    assert rows["plain sampling"] == ["2", "0.10", "50 [1 of 2]", "50 [1 of 2]"]
    assert rows["the object goes as the reference"] == ["2", "0.55 [0.90 0.19]", "50 [1 of 2]", "100 [2 of 2]"]
    assert rows["the object goes otherwise"][2] == "100"
    assert "the object goes somewhat so" not in rows


def test_decibels_between_pictures():
    black, grey = torch.zeros(4, 4, 3, dtype=torch.uint8), torch.full((4, 4, 3), 51, dtype=torch.uint8)
    assert given_picture.psnr(black, grey) == pytest.approx(20 * math.log10(5))
    assert given_picture.psnr(black, black) == math.inf


@pytest.mark.slow
def test_signal(twin: Any):
    moving = next(
        index for index in range(50)
        if scenes.sample(references.REFERENCE_STREAM, index, objects=1, unseen=True).motion == "line"
    )  # fmt: skip
    record = measured(signal, {"index": moving})
    assert {f"{level:g}/{block}" for level in signal.LEVELS for block in range(twin.about.blocks)} <= record.keys()
    assert record["flow"]["cosine"] > 0.9, "the flow needs no training"
    assert record["flow"]["error"] < 0.4
    assert record["0/0"]["entries"] >= record["flow"]["entries"] > 0
    assert -1 <= record["0/0"]["cosine"] < 0.9, "random weights know nothing"
    assert_table(signal.section([record]), twin.about.blocks + 1)


@pytest.mark.slow
def test_fast_turning(twin: Any):
    """The references are what they are said to be, and methods are measured on them."""
    for index in range(6):
        (item,) = fast_turning.fast_and_turning(index, 17).objects
        steps = np.linalg.norm(np.diff(item.centre, axis=0), axis=1)
        assert steps.sum() >= fast_turning.LEAST_PATH and item.shape not in fast_turning.ROUND
        assert abs(item.angle[-1] - item.angle[0]) == pytest.approx(2 * math.pi)
    assert {"vmc", "motiondirector", "motionmatcher"} < {cell["method"] for cell in fast_turning.cells(1)}
    tried = ("frozen", "none", "motiondirector")
    records = [measured(fast_turning, cell) for cell in fast_turning.cells(1) if cell["method"] in tried]
    assert all(record["motion_discrepancy"] > 0 and record["aligned"] > 0 for record in records)
    text = fast_turning.section(records)
    assert_table(text, 4)
    assert "| frozen |" in text and "| noise alone, empty prompt |" in text


def test_fast_turning_beside_the_strongest_control():
    about = {"motion_fidelity": 0.5, "leakage": 0.0}
    errors = {"0.3 of the noise, caption": 0.02, "frozen": 0.05, "VMC": 0.01, "MotionMatcher": 0.03}
    records = [
        {**fast_turning.ROWS[title], "index": index, **about, "aligned": 0.1, "motion_discrepancy": error + index / 1e5}
        for title, error in errors.items()
        for index in range(16)
    ]
    text = fast_turning.section(records)
    assert "is *0.3 of the noise, caption* in motion discrepancy" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| VMC |")]
    assert "-0.010 (-0.010 to -0.010), p 5e-05 |" in line and "+0.020 (+0.020 to +0.020), p 5e-05 |" in line
    (told,) = fast_turning.failed(records)
    assert told.startswith(
        "On fast motion with rotation MotionMatcher is no better in motion discrepancy than 0.3 of the noise"
    )
    assert "VMC (+0.020" in told and "MotionDirector" not in told
    assert fast_turning.failed([{**each, "motion_discrepancy": 0.0} if each["method"] == "motionmatcher" else each
                                for each in records]) == []  # fmt: skip


@pytest.mark.slow
def test_saved_positions(twin: Any):
    cells = saved_positions.cells(1)
    cell, controls = cells[0], [own for own in cells if "turn" in own]
    rates = [own["settings"].get("lr") for own in cells if "turn" not in own]
    assert rates == [None, *saved_positions.RATES] and cell["settings"] == {"target": "positions"}
    record = measured(saved_positions, cell)
    if twin.about.family == "unet3d":
        assert "has no positional tensors" in record["refused"] and record["refused"] in saved_positions.section(
            [record]
        )
        return
    assert 0 <= record["aligned"] <= record["absolute"] + 1e-6
    assert record["passes"]["backward"] == 1 and record["zero_shot"]["passes"]["backward"] == 0
    assert record["zero_shot"]["prompt"] != record["prompt"]
    assert record["cast_seconds"] > 0 and record["leakage"] in (True, False)
    aside = [{**own, **measured(saved_positions, own)} for own in controls]
    assert [own["method"] for own in aside] == ["frozen", "none", "injection", "none", "inverted", "none", "injection"]
    assert [own.get("seed") for own in aside] == [*[None] * 5, *[saved_positions.OTHER_SEED] * 2]
    assert aside[1]["aligned"] != aside[5]["aligned"], "other noise"
    assert {own["prompt"] for own in aside[1:]} == {record["zero_shot"]["prompt"]}, (
        "the third prompt, as the saved ones"
    )
    assert "less frozen" in saved_positions.section([record, *aside])
    assert_table(saved_positions.section([{**cell, **record}, *aside]), 11)
    assert_table(saved_positions.section([{**cell, **record}]), 4)


def test_saved_positions_beside_what_costs_as_little():
    about = {
        "absolute": 0.2,
        "direction": 0.1,
        "colour": 1,
        "background": 1,
        "shape": 1,
        "leakage": 0,
        "cast_seconds": 1.0,
    }
    cells = saved_positions.cells(1)
    cell = cells[0]
    still, injected = (next(own for own in cells if own["method"] == name) for name in ("frozen", "injection"))
    records = []
    for index in range(16):
        again, other = ({**about, "aligned": error + index / 1000} for error in (0.1, 0.04))
        measured_again = {"zero_shot": again, "other_seed": other}
        records.append({**cell, "index": index, **about, "aligned": 0.05, **measured_again})
        records.append({**still, "index": index, **about, "aligned": 0.1 + index / 500})
        records.append({**injected, "index": index, **about, "aligned": 0.2})
    frozen = [{**each, "aligned": 0.08} if each["method"] == "frozen" else each for each in records]
    (told,) = saved_positions.failed(frozen)
    assert told.startswith(
        "No better in the aligned error than the strongest control: positions that are saved (+0.028 ("
    )
    assert ", beside frozen)." in told and "another seed" not in told
    assert saved_positions.failed(records) == [] == saved_positions.failed([{"refused": "it has none"}])
    text = saved_positions.section(records)
    assert "| saved | 0.10" in text and ", p 5e-05, beside frozen |" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| saved, with another seed |")]
    assert line.count("| - |") == 1, "injection of the other seed was not measured"
    again = {**injected, "seed": saved_positions.OTHER_SEED, **about, "aligned": 0.03}
    (told,) = saved_positions.failed([*records, *[{**again, "index": index} for index in range(16)]])
    assert "saved, with another seed (+0.018" in told and "beside injection alone)" in told, "by the seed's own noise"
    swept = {
        **cell,
        "settings": saved_positions.SETTINGS[", lr=0.05"],
        "index": 0,
        **about,
        "aligned": 0.05,
        "zero_shot": other,
    }
    assert "| saved, lr=0.05 | 0.055 " in saved_positions.section([*records, swept])


@pytest.mark.slow
def test_ghosts(twin: Any):
    """Latents of every kind give a row, also where nothing is seen in their frames."""
    per_frame = twin.about.family == "unet3d"
    for kind in ("true", "denoised") if per_frame else ("sampled",):
        record = measured(ghosts, next(cell for cell in ghosts.cells(1) if cell["kind"] == kind))
        assert record["period"] == (1 if per_frame else 4)
        assert len(record["steepness"]) == len(record["certainty"]) == len(record["centres"]) == twin.about.shape.frames
        assert record["lost"] > 0 and record["change"] >= 0
        assert_table(ghosts.section([record]), 1)
    things = next(cell for cell in ghosts.cells(1) if cell.get("world") == "things")
    assert measured(ghosts, things)["refused"] == "it has no words for things"


@pytest.mark.slow
def test_reconstruction(twin: Any):
    record = measured(reconstruction, {"index": 0})
    assert 0 < record["first"] < 60 and 0 < record["others"] < 60
    text = reconstruction.section([record, {**record, "index": 1, "thing": "car", "first": 26.0}])
    assert_table(text, 3)
    assert "| car | 1 | 26.0 " in text


@pytest.mark.slow
def test_several_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One lift for all seeds; noise of one's own differs, and noise that is wholly inverted does not."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path))
    fresh, inverted = (
        measured(several_seeds, {"index": 0, "method": "none", "settings": settings})
        for settings in ({}, {"inversion": True, "beta": 1.0})
    )
    assert fresh["diversity"] > 0.01 and inverted["diversity"] == pytest.approx(0, abs=1e-6)
    assert (
        len(fresh["seeds"]) == len(several_seeds.SEEDS) and len(list((tmp_path / "motions").glob("*.safetensors"))) == 2
    )
    refused = {"index": 1, "method": "none", "settings": {}, "refused": "it has none"}
    text = several_seeds.section([fresh, inverted, refused])
    assert_table(text, 2)
    assert "| plain sampling (1 of 2) |" in text and "| noise alone, empty prompt (1 of 2) | 0.000 |" in text
    still = measured(several_seeds, {"index": 0, "method": "frozen", "settings": {}})
    seeds = [{**seed, "aligned": 0.5} for seed in still["seeds"]]
    assert still["diversity"] == 0 and len(seeds) == len(several_seeds.SEEDS)
    records = [
        {**still, **kind, "index": index, "seeds": [{**seed, "aligned": error} for seed in seeds]}
        for kind, error in ((several_seeds.ROWS["injection alone"], 0.2), (several_seeds.ROWS["VMC"], 0.1))
        for index in range(4)
    ]
    text = several_seeds.section([*records, *[{**still, "index": index} for index in range(3)]])
    assert "by its mean, *injection alone*" in text, "of those with most references"
    assert "-0.100 [-0.100 -0.100 -0.100 -0.100], p 0.12 |" in text


@pytest.mark.slow
def test_sweep():
    records = [
        measured(sweep, {"index": sweep.FIRST, "method": method, "settings": settings})
        for method, settings in (
            ("ditflow", {"block": 3}),
            ("motionflow", {"tau": 0.6}),
            ("motionflow", {"preset": "paper"}),
            ("motionflow", {"temporal": 0.0}),
            ("vmc", {"sampler": "ddpm"}),
            ("vmc", {"strength": 0.0, "sampler": "ddpm"}),
            ("vmc", {"form": "l2"}),
            ("motionmatcher", {"cross": 0.0}),
            ("smm", {"share": 0.1}),
            ("moft", {"channel_share": 0.1}),
            ("none", {}),
            ("frozen", {}),
        )
    ]
    text = sweep.section(records)
    assert "| frozen |" in text and "### smm: guided share" in text and "### moft: channels" in text
    assert "| preset=paper |" in text and "| temporal=0.0 |" in text
    assert "### vmc: with and without what was tuned" in text and "| ddpm | 1 | " in text
    assert "swept no longer" not in text and "not shown: 1 of ditflow." in sweep.section(
        [*records, {**records[0], "settings": {"block": 99}}]
    )
    assert "not shown: 1 of ditflow." in sweep.section([*records, {**records[0], "settings": {"beta": 0.5}}]), (
        "the settings of a control"
    )
    assert (
        all(title in text for title in ("block=3", "tau=0.6", "form=l2", "cross=0.0"))
        and "plain sampling" in text
        and "1 references" in text
    )


def test_a_setting_on_fewer_references_says_so():
    about = {"aligned": 0.1, "absolute": 0.1, "direction": 0.5, "colour": True, "background": True, "shape": True}
    cells = [("none", {}, 0), ("none", {}, 1), ("vmc", {}, 0), ("vmc", {}, 1), ("vmc", {"form": "l2"}, 1)]
    text = sweep.section(
        [{"method": m, "settings": s, "index": index, "leakage": False, **about} for m, s, index in cells]
    )
    assert "| defaults | 0.100" in text and "| form=l2 (1 of 2) |" in text


def swept(method: str, settings: dict[str, Any], error: float, count: int = 16) -> list[dict[str, Any]]:
    """Made-up records of a setting."""
    about = {"absolute": 0.1, "direction": 0.5, "colour": 1, "background": 1, "shape": 1, "leakage": 0}
    kind = {"method": method, "settings": settings}
    return [{**kind, "index": index, **about, "aligned": error + index / 1e5} for index in range(count)]


def test_every_table_of_the_sweep_has_the_controls_of_its_methods_own_start():
    records = [record for kind in controls.CONTROLS.values() for record in swept(**kind, error=0.1)]
    records += swept("inverted", {"beta": 0.5}, 0.05) + swept("smm", {}, 0.2) + swept("smm", {"share": 0.1}, 0.02)
    records = [each for each in records if (each["settings"], each["aligned"] > 0.09) != ({"beta": 0.5}, True)]
    records += swept("motionmatcher", {}, 0.3) + swept("motionmatcher", {"temporal": 0.0}, 0.04)
    text = sweep.section(records)
    assert "the strongest control by its mean, *0.5 of the noise, caption*" in text
    smm, matcher = (text.partition(f"### {title}\n")[2].partition("###")[0] for title in
                    ("smm: guided share", "motionmatcher: features"))  # fmt: skip
    for part in (smm, matcher):
        assert all(f"| {title} |" in part for title in (*controls.controls_at(()), "0.5 of the noise, caption"))
        assert "0.5 of the noise, empty prompt" not in part
    assert "0.3 of the noise" not in smm and matcher.count("| 0.3 of the noise, ") == 2
    (line,) = [line for line in smm.splitlines() if line.startswith("| share=0.1 |")]
    assert "| -0.180 (-0.180 to -0.180), p 5e-05 | -0.030 (-0.030 to -0.030), p 5e-05 |" in line


def test_the_sweep_has_every_start_sampler_and_strength():
    """But plain sampling, which is a control."""
    kinds = [{name: cell[name] for name in ("method", "settings")} for cell in sweep.cells(1)]
    for method in sweep.TUNED:
        for way in sweep.WAYS:
            for start in sweep.STARTS:
                tuned = sweep._at(method, way, start)
                assert {"method": method, "settings": tuned} in kinds
                alone = {"method": method, "settings": {**tuned, "strength": 0.0}}
                assert (alone in kinds) == ((way, start) != ("own", 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("method", sweep.TUNED)
def test_with_nothing_tuned_and_fresh_noise_it_is_plain_sampling(method: str):
    alone, plain = (
        trial.transferred({"index": sweep.FIRST, "method": name, "settings": settings}, "twin")[0]
        for name, settings in ((method, {"cfg": 4.0, "beta": 0.0, "strength": 0.0}), ("none", {"cfg": 4.0}))
    )
    assert torch.equal(alone.clip.frames, plain.clip.frames)


def test_what_is_tuned_and_carries_nothing_from_fresh_noise_is_told():
    records = [*swept("none", {}, 0.2), *swept("frozen", {}, 0.1), *swept("inverted", {}, 0.01)]
    records += swept("vmc", {"beta": 0.0}, 0.05) + swept("motionmatcher", {"beta": 0.0, "sampler": "ddpm"}, 0.15)
    assert sweep.failed(records) == [
        "From fresh noise what was tuned is no better than frozen, in the aligned error: motionmatcher beta=0.0 sampler=ddpm "
        "(+0.050, p 5e-05)."
    ]
    text = sweep.section(records)
    assert text.count(sweep.ONE_CLIP) == 2
    assert "| own | 0 | 0.200" in text and "-0.150 (-0.150 to -0.150), p 5e-05 |" in text, "less plain sampling"


def test_changes_that_change_nothing_are_told():
    def runs(method: str, settings: dict[str, Any], shift: float) -> list[dict[str, Any]]:
        return [
            {"method": method, "settings": settings, "index": index, "aligned": index / 10 + shift}
            for index in range(4)
        ]

    records = [
        *[*runs("motionmatcher", {}, 0), *runs("motionmatcher", {"temporal": 0.0}, 0.001)],
        *[*runs("motionmatcher", {"cross": 0.0}, 0.1), *runs("vmc", {}, 0), *runs("vmc", {"reduced": True}, 1e-5)],
    ]
    assert sweep.failed(records) == [
        "Settings that change the aligned error of no reference by more than 0.002: motionmatcher temporal=0.0."
    ]
    assert sweep.failed(records[:7]) == []


def test_baselines_are_swept_as_the_method_that_they_are_compared_with():
    for method in ("ditflow", "smm", "moft"):
        assert sweep.SAMPLED.items() <= sweep.CHANGES[method].items()
        assert all(sweep.STEEPER.items() <= own[method].items() for own in sweep.ALONE.values())
    assert len({cell["index"] for cell in sweep.cells(sweep.COUNT)}) == 32


@pytest.mark.slow
def test_what_a_model_refuses_is_left_out_of_the_sweep(twin: Any):
    lacking = {"index": sweep.FIRST, "method": "ditflow", "settings": {"block": twin.about.blocks}}
    record = measured(sweep, lacking)
    assert "does not exist" in record["refused"]
    if twin.about.family == "cogvideox":
        joint = measured(sweep, {"index": sweep.FIRST, "method": "vmc", "settings": {"attention": "spatial"}})
        assert "attends jointly" in joint["refused"]
    alone = next(cell for cell in sweep.cells(1) if cell.get("only") == "tiny-wan")
    assert measured(sweep, alone)["refused"] == "tried on tiny-wan alone"
    plain = measured(sweep, {"index": sweep.FIRST, "method": "none", "settings": {}})
    assert f"block={twin.about.blocks}" not in sweep.section([record, plain])


@pytest.mark.slow
def test_sweeps_are_of_settings_that_exist(twin: Any):
    """A model may lack a block or positions, but no name or value is wrong."""
    for change in sweep._changes():
        refused = trial.refusal({"method": change.method, "settings": change.settings}, "twin")
        allowed = ("does not exist", "has no positional tensors", "attends jointly")
        assert refused is None or any(reason in refused for reason in allowed)


# Masks and inversion


@pytest.mark.slow
def test_masks(twin: Any):
    record = measured(masks, {"index": masks.FIRST, "method": "motionflow"})
    assert len(record["iou"]) == twin.about.blocks * len(masks.TAUS)
    assert all(len(parts) == masks.PARTS for parts in record["iou"].values())
    assert 0 < record["share"] < 0.5
    text = masks.section([record, record])
    assert_table(text, twin.about.blocks)
    assert twin.about.places[0] in text


def test_the_overlap_of_masks():
    """Known answers; frames that do not show the object do not count."""
    true = torch.zeros(2, 2, 4, dtype=torch.bool)
    true[0, 0, :2] = True
    seen = torch.zeros(4, 2, 2, 4, dtype=torch.bool)
    seen[0], seen[1, 0, 0, :] = true, True
    seen[2, 0, 1, :] = True
    seen[3, 0, 0, 1:3] = True
    assert masks.overlap(seen, true).tolist() == pytest.approx([1, 0.5, 0, 1 / 3])


def test_the_true_mask_is_where_the_object_is():
    scene = references.reference(3)
    true = masks.true_mask(scene, [0.0, 5.0], Lattice(2, 8, 8))
    for frame, time in enumerate((0, 5)):
        rows, columns = np.nonzero(true[frame].numpy())
        centre = scene.tracks()[0][time] * 8
        assert abs(columns.mean() + 0.5 - centre[0]) < 1 and abs(rows.mean() + 0.5 - centre[1]) < 1


@pytest.mark.slow
def test_inversion(twin: Any):
    record = measured(inversion, {"index": 0, "method": "none", "steps": 2})
    assert math.isfinite(record["psnr"]) and record["noise_deviation"] > 0
    text = inversion.section([{**record, "index": 0, "steps": steps} for steps in inversion.STEPS])
    assert_table(text, len(inversion.STEPS))


# Neighbours and stages


@pytest.mark.slow
def test_retrieval(twin: Any):
    record = measured(retrieval, {"method": "motionmatcher", "level": 0.4, "clips": 12, "looks": retrieval.LOOKS})
    assert set(record["precision"]) == set(retrieval.KINDS)
    assert all(len(paths) == 2 and 0 < min(paths) <= max(paths) <= 1 for paths in record["precision"].values())
    found = {kind: [0.1, 0.3] for kind in retrieval.KINDS}
    better = {**found, "TSA, in the middle": [0.4, 0.6], "latents, in the middle": [0.2, 0.3]}
    about = {"clips": 12, "looks": retrieval.LOOKS}
    one, other = {**about, "level": 0.2, "precision": found}, {**about, "level": 0.4, "precision": better}
    (told,) = retrieval.failed([one, other])
    assert told.startswith(
        "MotionMatcher's features find at best 2.0 times as many neighbours as the noised latents: *TSA, in the middle* at noise "
        "0.4, 50.0 beside 25.0 of *latents, in the middle*, the difference over the paths +25.0 [+20.0 +30.0], p 0.5. It is the "
        "best of 12 cells"
    ), "beside the better latents of the same level"
    assert told in retrieval.section([one, other])
    assert retrieval.failed([{"level": 0.2, "precision": {**found, "CA": [0.8, 0.8]}}]) == []
    assert_table(retrieval.section([{**record, "level": level} for level in retrieval.LEVELS]), len(retrieval.KINDS))


def test_clips_of_one_path_differ_in_looks_and_place():
    drawn = [retrieval.scene_of(number, 17) for number in range(2 * retrieval.LOOKS)]
    ways = [scene.tracks()[0] - scene.tracks()[0][0] for scene in drawn]
    assert all(np.allclose(way, ways[0]) for way in ways[:6]) and not np.allclose(ways[0], ways[6])
    assert all(scene.tracks().min() >= 0.15 and scene.tracks().max() <= 0.85 for scene in drawn)
    starts = np.stack([scene.tracks()[0][0] for scene in drawn[:6]])
    assert all(len(np.unique(column.round(6))) == 6 for column in starts.T)
    assert len({scene.caption() for scene in drawn}) > 9


def test_what_lies_anywhere_is_moved_to_the_middle():
    attention = torch.full((2, 8, 8), 0.1)
    attention[0, 1, 6] = attention[1, 2, 6] = 0.9
    middle = retrieval.middle_of(attention)
    assert middle == pytest.approx((2 / 8, 6.5 / 8))
    values = torch.zeros(2, 8, 8, 1)
    values[0, 1, 6] = values[1, 2, 6] = 1.0
    moved = retrieval.shifted(values, middle)
    assert moved[0, 3, 4] == moved[1, 4, 4] == 1 and moved.sum() == 2
    assert torch.equal(retrieval.shifted(values, (0.5, 0.5)), values)


def test_average_precision_of_known_neighbours():
    places = torch.tensor([[0.0], [1.0], [2.5], [10.0], [10.5]])
    same = torch.tensor([[one == other for other in "aabba"] for one in "aabba"])
    # Relatives of each query in the order of its neighbours, ties by number; the query itself left out.
    expected = [(1 + 2 / 4) / 2, (1 + 2 / 4) / 2, 1 / 3, 1 / 2, (1 / 3 + 2 / 4) / 2]
    found = retrieval.average_precisions(torch.cdist(places, places), same)
    assert found.tolist() == pytest.approx(expected)
    alike = retrieval.average_precisions(torch.cdist(places, places), torch.ones(5, 5, dtype=torch.bool))
    assert alike.tolist() == [1.0] * 5


def test_stages(twin: Any, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    network = upscaler.network().eval().requires_grad_(False)
    monkeypatch.setattr(stages, "super_resolution", lambda: SuperResolution(network, upscaler.scheduler(), steps=1))
    monkeypatch.setattr(stages, "KEYFRAMES", 3)
    record = measured(stages, {"index": 0})
    if twin.about.family == "cogvideox":
        assert "joins frames" in record["refused"] and "joins frames" in stages.section([record])
        return
    assert record["larger"]["bicubic"]["psnr"] > record["larger"]["bilinear"]["psnr"] > 15
    assert record["between"]["linear"]["psnr"] > record["between"]["diffusion"]["psnr"], "random weights know nothing"
    through = record["between"][stages.AUTOENCODER]
    assert through["psnr"] > 5 and through["centre"] >= 0
    assert record["between"]["linear"]["lpips"] is None, "its weights are not there"
    both = [{**record, "index": index} for index in (0, 1)]  # at rest, and along a line
    assert_table(stages.section(both), 9)
    assert all(f"| {kind} (1) | linear |" in stages.section(both)
               for kind in ("object moves over the frame", "object stays in its place"))  # fmt: skip
    assert "LPIPS is left out" in stages.section([record])
    kinds = {kind: {**figures, "lpips": 0.25} for kind, figures in record["larger"].items()}
    shown = stages.section([{**record, "larger": kinds, "between": {"linear": {**through, "lpips": 0.125}}}])
    assert "| 0.125 |" in shown and "| 0.250 |" in shown and "left out" not in shown


def test_perceptual_distance_where_its_weights_are(twin: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stages, "_perceptual", lambda: lambda one, other: (one - other).abs().amax(dim=(1, 2, 3)))
    black = torch.zeros(3, 4, 4, 3, dtype=torch.uint8)
    assert stages.likenesses(black, black + 51)["lpips"] == pytest.approx(0.2)


def test_frames_between_and_noise_ratios():
    frames = torch.tensor([0, 40]).reshape(2, 1, 1, 1).expand(-1, 2, 2, 3).to(torch.uint8)
    assert stages.linear(frames)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert stages.psnr(frames[:1], frames[1:]) == pytest.approx(20 * math.log10(255 / 40))
    assert stages.psnr(frames, frames) > 100
    assert stages.resized(frames, "bicubic").shape == (2, 4, 4, 3)


# Footage


@pytest.mark.slow
@pytest.mark.parametrize("name", list(footage.RUNS))
def test_footage(name: str, twin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footage, "VIDEOS", tmp_path / "videos")
    Clip.of(scenes.render([references.reference(0)], 48, 80).frames[0], 12).save(tmp_path / "street.mp4")
    (tmp_path / "notes.txt").write_text("no clip")
    cells = footage.cells(tmp_path)
    assert [cell["clip"] for cell in cells] == ["street.mp4"] * len(footage.RUNS) * len(footage.PROMPTS)
    record = measured(footage, next(cell for cell in cells if cell["run"] == name), tmp_path)
    assert record["frames"] == twin.about.shape.frames and (record["change"] > 0) == (name != "frozen")
    made = list((tmp_path / "videos").iterdir())
    assert [path.name for path in made] == [f"twin-street-{name.replace(' ', '-')}-0.mp4"]
    assert len(Clip.read(made[0], frames=17, fps=8, aspect=(64, 128), longest=128).frames) == 17
    others = [{**record, "run": run, "cosine": 0.5, "method": footage.RUNS[run][0]} for run in footage.RUNS]
    assert_table(footage.section(others), len(footage.RUNS) + 1)
    assert "|  | street | all |" in footage.section(others) and 0 <= record["ssim"] <= 1
    if name == "frozen":
        assert record["change"] == 0 and record["cosine"] in (0, None)


def test_agreement_that_is_undefined_counts_nowhere(tmp_path: Path):
    """Records hold null for it, those of before NaN."""
    path = tmp_path / "footage.jsonl"
    for prompt, cosine in enumerate((0.5, math.nan)):
        for run in ("none", "VMC"):
            about = {"clip": "street.mp4", "run": run, "method": run.lower(), "prompt": str(prompt), "change": 1.0}
            append_record(path, {**about, "cosine": cosine, "entries": 7})
    with path.open("a") as file:
        file.write(
            '{"clip": "street.mp4", "run": "SMM", "method": "smm", "prompt": "0", "cosine": NaN, "change": 1.0}\n'
        )
    text = footage.section(read_records(path))
    assert "nan" not in text.lower() and "| none | 0.50 | 0.50 | - | - |" in text and "| SMM | - | - | - | - |" in text
    assert "| VMC | 0.50 | 0.50 | +0.00, p 1 | - |" in text and "| cells that count | 7 |" in text
    assert "Not measured yet: frozen; injection; noise alone, empty prompt;" in text


def test_real_videos_beside_the_strongest_control():
    """Known of most clips, and best of those; six clips on one side come by chance in one of 32."""

    def of(run: str, cosines: list[float]) -> list[dict[str, Any]]:
        about = {"run": run, "method": footage.RUNS[run][0], "change": 2.0, "entries": 9, "ssim": 0.25}
        return [{**about, "clip": f"{number}.mp4", "cosine": cosine} for number, cosine in enumerate(cosines)]

    records = [
        *[*of("frozen", [0.0] * 6), *of("none", [0.1] * 6), *of("noise alone, empty prompt", [0.9])],
        *[*of("VMC", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]), *of("SMM", [0.05] * 6), *of("MOFT", [0.9] * 5 + [-1.0])],
    ]
    text = footage.section(records)
    assert "| all | less none, p | SSIM |" in text and "+0.45, p 0.031 | 0.25 |" in text
    unclear, lacking = footage.failed(records)
    assert unclear == (
        "On real videos not told apart as better from none (0.10): SMM (-0.05, p 0.031), MOFT (+0.48, p 0.22)."
    ), "a mean above the control's is nothing where it may come by chance"
    assert lacking.startswith(
        "On real videos controls that are not measured yet: injection; noise alone, caption; half"
    )
    assert footage.failed(of("VMC", [0.3])) == []
    whole = [record for run in footage.CONTROLS for record in of(run, [0.1] * 6)]
    assert footage.failed([*whole, *of("VMC", [0.3] * 6)]) == []


def test_agreement_of_flows():
    """Known answers; what stands still in the reference, or is unknown in either, does not count."""
    right = torch.tensor([1.0, 0.0]).expand(2, 2, 4, 2).clone()
    assert footage.flow_agreement(right, 3 * right) == {"cosine": pytest.approx(1), "entries": 16}
    assert footage.flow_agreement(right, -right)["cosine"] == pytest.approx(-1)
    assert footage.flow_agreement(right, right.flip(-1))["cosine"] == pytest.approx(0)
    assert footage.flow_agreement(0.1 * right, right)["entries"] == 0
    reference, generated = right.clone(), right.clone()
    reference[0, 0, 0], generated[1, 1, 1] = float("nan"), float("nan")
    assert footage.flow_agreement(reference, generated)["entries"] == 14


# References


def test_references_move_and_prompts_differ():
    for index in range(12):
        shown, wanted, third = (
            references.reference(index),
            references.prompt_scene(index),
            references.prompt_scene(index, 1),
        )
        assert len(shown.objects) == len(wanted.objects) == 1
        assert shown.motion in references.MOVING
        assert np.ptp(shown.objects[0].centre, axis=0).max() > 0.1
        for other in (wanted, third):
            assert scenes.held_out(other.caption()) and scenes.held_out(shown.caption())
            assert other.objects[0].colour != shown.objects[0].colour
            assert other.objects[0].shape != shown.objects[0].shape
            assert other.background.colour != shown.background.colour
        assert wanted.caption() != third.caption()
        assert references.prompt_scene(index).caption() == wanted.caption()


def test_true_renderings_score_nearly_perfectly():
    scene = references.reference(0)
    frames = scenes.render([scene]).frames[0]
    figures = references.figures(frames, scene, scene)
    assert figures["looks_leaked"], "it shows the reference's own colours"
    assert figures["aligned_error"] < 0.02 and figures["absolute_error"] < 0.03 and figures["direction_cosine"] > 0.9
    assert references.likeness(frames, scene) == references.Likeness(True, True, True)
    standing = frames[:1].expand(len(frames), -1, -1, -1)
    track = torch.tensor(scene.tracks()[0]).float()
    still = aligned_error(track[:1].expand(len(track), -1).clone(), track)
    assert references.figures(standing, scene, scene)["aligned_error"] == pytest.approx(still, abs=0.02)


# The model card's pictures


def test_the_curve(tmp_path: Path):
    log = tmp_path / "log.csv"
    log.write_text(
        'autoencoder,250,10,"{""psnr"": 20.5}"\nautoencoder,500,20,"{""psnr"": 24.5}"\n'
        'denoiser,250,10,"{""frame_loss"": 0.5, ""video_loss"": 0.7}"\n'
    )
    card.draw_curve(log, tmp_path / "curve.svg")
    root = ElementTree.parse(tmp_path / "curve.svg").getroot()
    assert root.get("width") == "800", "a panel for each stage of which something is drawn"
    autoencoder, denoiser = root.findall("{*}g")
    (line,) = autoencoder.findall("{*}polyline")
    (left, low), (right, high) = (map(float, point.split(",")) for point in line.get("points", "").split())
    assert left < right and low > high, "steps go to the right, and more is higher"
    assert len(denoiser.findall("{*}polyline")) == 2
    told = list(denoiser.itertext())
    assert {"denoiser", "step", "frame loss", "video loss"} <= set(told) and "video match loss" not in told


def test_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = {"model": "new", "defaults": "now"}
    monkeypatch.setattr(card, "current", lambda record, _model: now.items() <= record.items())
    right = {"colour": True, "background": True, "shape": False}
    lines = [
        {**right, "model": "new", "defaults": "now"},
        {**right, "shape": True, "model": "new", "defaults": "now"},
        {**right, "colour": False, "model": "new", "defaults": "before"},
        {**right, "colour": False, "model": "old", "defaults": "now"},
    ]
    (tmp_path / "looks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card.write_figures(tmp_path / "looks.jsonl", "tiny-dit", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [(name.split()[0], share) for name, share in figures.items()] == [
        ("colour", 100), ("background", 100), ("shape", 50)
    ]  # fmt: skip
    assert all("2 unseen captions" in name for name in figures)
    with pytest.raises(SystemExit, match="holds nothing of tiny-dit"):
        card.write_figures(tmp_path / "none.jsonl", "tiny-dit", tmp_path / "figures.json")


@pytest.mark.slow
def test_the_grid(twin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    captions = tiny_dit.GRID_CAPTIONS[:2]
    monkeypatch.setattr(card, "MODELS", {"twin": SimpleNamespace(GRID_CAPTIONS=captions)})
    card.draw_grid("twin", tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        shown = math.ceil(twin.about.shape.frames / card.FRAME_STRIDE)
        assert picture.size == (shown * 64 * card.ENLARGED, 2 * (64 * card.ENLARGED + card.STRIP))
