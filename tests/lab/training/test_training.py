"""Training the bundled model: a run that was killed ends as one that was not, and what it ships loads."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lab.training import autoencoding, diffusing, tiny_dit, tiny_unet, tiny_wan, train, worlds
from lab.training.autoencoding import AutoencoderStage
from lab.training.worlds import SHAPES_WORLD
from motionlift.core.lattice import Lattice, Shape
from motionlift.models.families.cogvideox import MODEL
from motionlift.models.loading import load
from motionlift.models.shared import TEXT
from motionlift.world import scenes
from motionlift.world.shapes import SHAPES

CPU = torch.device("cpu")
STEPS = {"autoencoder": 4, "decoder": 4, "denoiser": 5}
PARTS = {"tiny-dit": tiny_dit, "tiny-unet": tiny_unet, "tiny-wan": tiny_wan}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch):
    """A checkpoint every two steps, tiny batches and banks, and no compiler."""
    frames = {"tiny-dit": (1, 9), "tiny-unet": (1, 1), "tiny-wan": (1, 5)}
    for name, parts in PARTS.items():
        stages = tuple(AutoencoderStage(steps=2, clips=1, frames=count, crop=16) for count in frames[name])
        monkeypatch.setattr(parts, "STAGES", stages)
        few = replace(parts.RECIPE, banks=(6, 2), batches=(2, 1), frame_steps=3, video_steps=2)
        monkeypatch.setattr(parts, "RECIPE", few)
    monkeypatch.setattr(diffusing, "PIECE", 4)
    monkeypatch.setattr(autoencoding, "DECODER_STEPS", 4)
    monkeypatch.setattr(autoencoding, "DECODER_CLIPS", 1)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)


def stage(name: str, folder: Path, model: str = "tiny-dit") -> Iterator[train.TrainingStep]:
    return train.STAGES[name](PARTS[model], folder, CPU)


def killed_after(steps: int, name: str, folder: Path, model: str) -> None:
    training = stage(name, folder, model)
    assert [next(training).step for _ in range(steps)] == list(range(1, steps + 1))


def run_whole(name: str, folder: Path, model: str = "tiny-dit") -> list[train.TrainingStep]:
    torch.manual_seed(len(name))  # nothing may depend on what happened to be drawn before
    return list(stage(name, folder, model))


def assert_same_checkpoints(one: Path, other: Path, name: str):
    first, second = (load_file(folder / f"{name}.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key


def assert_killed_runs_end_as_unbroken_ones(name: str, unbroken: Path, killed: Path, model: str = "tiny-dit"):
    for folder in (unbroken, killed):
        folder.mkdir(exist_ok=True)
    whole = run_whole(name, unbroken, model)
    assert [report.step for report in whole] == list(range(1, STEPS[name] + 1))
    assert all(torch.tensor(list(report.figures.values())).isfinite().all() for report in whole)
    killed_after(3, name, killed, model)
    rest = run_whole(name, killed, model)
    assert rest == whole[len(whole) - len(rest) :]
    assert rest[0].step == 3, "it goes on from the last checkpoint"
    assert_same_checkpoints(unbroken, killed, name)
    assert run_whole(name, killed, model) == [], "a finished stage is not trained again"


@pytest.mark.slow
def test_a_killed_autoencoder_ends_as_an_unbroken_one(tmp_path: Path):
    assert_killed_runs_end_as_unbroken_ones("autoencoder", tmp_path / "unbroken", tmp_path / "killed")


def test_a_step_that_is_not_a_number_changes_nothing(tmp_path: Path):
    """And is told; those before and after it count."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(module.weight)
    seen: list[float] = []

    def loss_at(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        seen.append(float(module.weight.detach()))
        return module.weight.sum() * (float("nan") if step == 1 else 1.0), {"psnr": 1.0}

    optimizers = {"sgd": torch.optim.SGD(module.parameters(), lr=0.1)}
    reports = list(
        train.optimise(3, loss_at, lambda step: 0.1, {"one": module}, optimizers, tmp_path / "one.safetensors")
    )
    assert [set(report.figures) for report in reports] == [{"loss", "psnr"}, {"left_out"}, {"loss", "psnr"}]
    assert seen == pytest.approx([1.0, 0.9, 0.9])
    assert float(module.weight.detach()) == pytest.approx(0.8)


@pytest.mark.slow
def test_time_alone_brings_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where steps are slow, no more is lost than what the most time between checkpoints allows."""
    monkeypatch.setattr(train, "MOST_SECONDS", -1.0)
    killed_after(3, "autoencoder", tmp_path, "tiny-dit")
    assert [report.step for report in stage("autoencoder", tmp_path)] == [4]


@pytest.mark.slow
def test_every_killed_stage_ends_as_an_unbroken_one(tmp_path: Path):
    for name in STEPS:
        assert_killed_runs_end_as_unbroken_ones(name, tmp_path / "unbroken", tmp_path / "killed")
    exported_model_loads(tmp_path / "killed", tmp_path / "weights")
    train.sample_grid(tiny_dit, train.trained(tiny_dit, tmp_path / "killed"), tmp_path / "grid.png", 1)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (64, 64 * len(tiny_dit.GRID_CAPTIONS))


@pytest.mark.slow
def test_every_killed_stage_of_the_other_model_ends_as_an_unbroken_one(tmp_path: Path):
    for name in tiny_unet.STAGE_NAMES:
        assert_killed_runs_end_as_unbroken_ones(name, tmp_path / "unbroken", tmp_path / "killed", "tiny-unet")


def exported_model_loads(folder: Path, weights: Path) -> None:
    """Part of the test above, whose training it needs."""
    train.export(tiny_dit, folder, weights)
    backbone = load(weights, "cpu")
    assert (backbone.about.shape.frames, backbone.about.shape.height, backbone.about.shape.width) == (17, 64, 64)
    assert backbone.lattice(backbone.about.shape) == Lattice(5, 8, 8)
    average = load_file(folder / "denoiser.safetensors")
    shipped = backbone.network.state_dict()
    for name, tensor in shipped.items():
        trained = average[f"module.average.{name}"]
        assert torch.equal(tensor, trained.half().float()), name
    decoder = load_file(folder / "decoder.safetensors")
    for name, tensor in backbone.codec.vae.decoder.state_dict().items():
        assert torch.equal(tensor, decoder[f"module.decoder.{name}"].half().float()), name
    scene = scenes.sample(1, 0, unseen=True)
    assert backbone.text.unknown_words(scene.caption()) == []
    assert all(tensor.isfinite().all() for tensor in backbone.text.encode(scene.caption()).tensors.values())
    suffixes = {path.suffix for path in weights.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in weights.rglob("*.safetensors")) < 12e6


@pytest.mark.slow
def test_latents_have_unit_variance(tmp_path: Path):
    """However the autoencoder happens to scale them."""
    run_whole("autoencoder", tmp_path)
    pipeline = train.assemble(tiny_dit, tmp_path, CPU)
    bank = diffusing.fill_bank(pipeline, tiny_dit.RECIPE, train.SEED, range(6), 1)
    assert bank.latents.shape == (6, 1, 8, 16, 16)
    assert 0.5 < float(bank.latents.float().std()) < 2
    assert bank.tokens.shape == (6, tiny_dit.TEXT_TOKENS)
    assert bank.truth.shape == (6, 64, 39)
    assert bank.matches.shape == (6, 1, 1, 64, 2)
    assert (
        pipeline.tokenizer.decode(bank.tokens[0], skip_special_tokens=True) == scenes.sample(train.SEED, 0, 1).caption()
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny-dit", "tiny-wan"])
def test_training_goes_on_from_what_was_shipped(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parts = PARTS[model]
    torch.manual_seed(5)
    parts.pipeline(parts.autoencoder()).save_pretrained(tmp_path / "shipped")
    words = ["train", model, "--folder", str(tmp_path / "run"), "--begin", str(tmp_path / "shipped"), "--step", "3"]
    monkeypatch.setattr(sys, "argv", words)
    train.main()
    train.export(parts, tmp_path / "run", tmp_path / "again")
    for part in ("transformer", "text_encoder", "vae"):
        (file,) = (tmp_path / "shipped" / part).glob("*.safetensors")
        shipped, again = load_file(file), load_file(tmp_path / "again" / part / file.name)
        assert all(torch.equal(value.half(), again[name].half()) for name, value in shipped.items())
    assert [report.step for report in run_whole("denoiser", tmp_path / "run", model)] == [4, 5]


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        sys, "argv", ["train", "tiny-dit", "--folder", str(tmp_path / "run"), "--stages", "autoencoder"]
    )
    train.main()
    lines = [line.split(",", 3) for line in (tmp_path / "run" / "log.csv").read_text().splitlines()]
    assert [(name, step) for name, step, *_ in lines] == [("autoencoder", "2"), ("autoencoder", "4")]
    figures = json.loads(lines[-1][3].strip('"').replace('""', '"'))
    assert figures.keys() == {"psnr", "kl", "loss"}
    train.main()
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 2


# What the parts promise


@pytest.mark.slow
def test_captions_fit_the_text_window():
    """Every word is known and no caption is cut."""
    tokenizer = tiny_dit.tokenizer()
    captions = {
        scenes.sample(17, index, 1, unseen=index % 40 == 0).caption(name_motion=index % 3 == 0) for index in range(2000)
    }
    assert len(captions) > 1000
    for caption in captions:
        tokens = tokenizer(caption).input_ids
        assert tokenizer.unk_token_id not in tokens, caption
        assert len(tokens) == len(caption.split()) + 1 <= tiny_dit.TEXT_TOKENS, caption
        assert tokenizer.decode(tokens, skip_special_tokens=True) == caption
    assert tokenizer.unk_token_id in tokenizer("a dog").input_ids


def test_different_captions_have_different_tokens():
    tokenizer = tiny_dit.tokenizer()
    words = scenes.vocabulary()
    assert len(set(words)) == len(words)
    assert len({tuple(tokenizer(word).input_ids) for word in words}) == len(words)


def test_stages_follow_each_other():
    first, second = tiny_dit.STAGES
    assert [autoencoding.stage_of(tiny_dit.STAGES, step) for step in (0, 1, 2, 3, 4, 400)] == [first, first] + [
        second
    ] * 4


def test_batches_are_the_same_each_time_and_never_alike():
    chosen = tiny_dit.STAGES[1]
    one, same, next_one = (autoencoding.batch(1, step, chosen, 64)[0] for step in (3, 3, 4))
    assert one.shape == (1, 3, 9, 16, 16)
    assert torch.equal(one, same) and not torch.equal(one, next_one)
    assert one.min() >= -1 and one.max() <= 1


@pytest.mark.slow
def test_faster_clips_go_to_and_fro_and_come_in_turns():
    scene = worlds.NAMED_WORLD.draw(1, 0, 9)
    assert worlds.faster(scene, 1) is scene
    assert np.array_equal(worlds.faster(scene, 2).pan, scene.pan[[0, 2, 4, 6, 8, 6, 4, 2, 0]])
    assert np.array_equal(worlds.faster(scene, 4).pan, scene.pan[[0, 4, 8, 4, 0, 4, 8, 4, 0]])
    plain = AutoencoderStage(steps=9, clips=2, frames=9, crop=64)
    apart = [
        (autoencoding.batch(1, step, replace(plain, speeds=(1, 2, 4)), 64, worlds.NAMED_WORLD)[0]
         == autoencoding.batch(1, step, plain, 64, worlds.NAMED_WORLD)[0]).flatten(1).all(dim=1)
        for step in range(3)
    ]  # fmt: skip
    assert torch.cat(apart).tolist() == [True, False, False, True, False, False]


def test_pixels_near_objects_weigh_more():
    masks = torch.zeros(1, 2, 1, 9, 9, dtype=torch.bool)
    masks[0, 0, 0, 4, 4] = masks[0, 1, 0, 4, 4] = True
    weight = autoencoding.object_weight(masks, 4.0)[0, 0, 0]
    assert torch.equal(weight[2:7, 2:7], torch.full((5, 5), 5.0)) and weight.sum() == 81 + 4 * 25
    stage = AutoencoderStage(steps=1, clips=2, frames=5, crop=64, objects=4.0)
    pixels, weights = autoencoding.batch(1, 0, stage, 64, worlds.NAMED_WORLD)
    plain = autoencoding.batch(1, 0, replace(stage, objects=0.0), 64, worlds.NAMED_WORLD)
    assert torch.equal(pixels, plain[0]) and plain[1].unique().tolist() == [1.0]
    assert weights.shape == (2, 1, 5, 64, 64) and weights.unique().tolist() == [1.0, 5.0]


def test_the_learning_rate():
    rate = train.trapezoid(100, 2.0, warm=10, flat=0.5)
    assert rate(0) == pytest.approx(0.2) and rate(9) == rate(50) == 2.0
    assert rate(75) == pytest.approx(1.0)
    assert rate(99) == rate(100) == pytest.approx(0.04)


def test_the_average_follows():
    """With early steps forgotten: after one step it is mostly the new weights."""
    model, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.zeros_(average.weight)
    diffusing.update_average(average, model, 0)
    assert average.weight.item() == pytest.approx(0.9)
    torch.nn.init.zeros_(average.weight)
    diffusing.update_average(average, model, 10**6)
    assert average.weight.item() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("parts", [tiny_dit, tiny_unet])
def test_a_perfect_prediction_costs_nothing(parts: Any):
    """The velocity of the loss is the one that the scheduler's own formula gives; the noise is that of the noisy latents."""
    scheduler = parts.scheduler()
    latents = torch.randn(4, 1, 8, 4, 4)
    tokens = torch.zeros(4, 3, dtype=torch.int64)
    seen: dict[str, torch.Tensor] = {}

    class Oracle(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            seen["time"] = time
            alpha = scheduler.alphas_cumprod[time][:, None, None, None, None]
            noise = (noisy - alpha.sqrt() * latents) / (1 - alpha).sqrt()
            return scheduler.get_velocity(latents, noise, time) if parts is tiny_dit else noise

    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        loss = diffusing.denoising_loss(Oracle(), scheduler, latents, tokens, generator, 0.4)
        assert float(loss) < 1e-6
    assert seen["time"].min() >= 0 and seen["time"].max() <= 999


def test_a_wrong_noise_costs_its_square_over_the_signal_up_to_the_most():
    scheduler = tiny_unet.scheduler()
    latents, tokens = torch.zeros(1, 1, 8, 4, 4), torch.zeros(1, 3, dtype=torch.int64)
    seen: dict[str, float] = {}

    class Off(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            alpha = float(scheduler.alphas_cumprod[time])
            seen["weight"] = min(1 / alpha, diffusing.MOST_WEIGHT)
            return noisy / (1 - alpha) ** 0.5 + 0.5

    weights = set()
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        loss = diffusing.denoising_loss(Off(), scheduler, latents, tokens, generator, 0.4)
        assert float(loss) == pytest.approx(0.25 * seen["weight"], rel=1e-3)
        weights.add(seen["weight"])
    assert diffusing.MOST_WEIGHT in weights and len(weights) > 2


def test_a_greater_shift_draws_noisier_levels():
    scheduler, latents, tokens = (
        tiny_unet.scheduler(),
        torch.zeros(64, 1, 8, 2, 2),
        torch.zeros(64, 3, dtype=torch.int64),
    )
    drawn: list[torch.Tensor] = []

    class Keeper(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            drawn.append(time.float())
            return noisy

    for shift in (0.0, 1.2):
        diffusing.denoising_loss(Keeper(), scheduler, latents, tokens, torch.Generator().manual_seed(0), shift)
    assert drawn[0].median() < 550 and drawn[1].median() > 700


# The UNet's layers over time


@pytest.mark.slow
def test_temporal_layers_begin_without_effect_and_pass_single_frames_on():
    torch.manual_seed(0)
    unet = tiny_unet.network().eval()
    latents, text = torch.randn(1, 8, 3, 16, 16), torch.randn(1, 4, 96)
    layers = tiny_unet.temporal_layers(unet)
    assert len(layers) == 13, "eight convolutions and five transformers"
    with torch.no_grad():
        video = unet(latents, 10, text).sample
        alone = torch.cat([unet(latents[:, :, n : n + 1], 10, text).sample for n in range(3)], dim=2)
        torch.testing.assert_close(video, alone, rtol=1e-4, atol=1e-4)
        for layer in layers:
            for parameter in layer.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        for layer in layers:
            tiny_unet.leave_out_for_pictures(layer)
        still = torch.cat([unet(latents[:, :, n : n + 1], 10, text).sample for n in range(3)], dim=2)
        torch.testing.assert_close(still, alone, rtol=1e-4, atol=1e-4)
        assert (unet(latents, 10, text).sample - video).abs().max() > 0.01, "in videos they work"


@pytest.mark.parametrize("index", range(6))
def test_the_truth_of_tokens(index: int):
    """Against the rendered masks, the scene's own tracks and its caption, for the frame that stands for itself."""
    scene = scenes.sample(1, index, 5)
    truth = diffusing.token_truth([scene], 8, 4)[0].unflatten(0, (2, 64))[0]
    mask = scenes.render([scene]).masks[0, :, 0].any(dim=0).float()
    for token in range(64):
        row, column = divmod(token, 8)
        cell = mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert torch.allclose(truth[token, :16], cell.reshape(4, 2, 4, 2).mean(dim=(1, 3)).flatten())
        if cell.mean() > 0.3:
            name = list(SHAPES)[int(truth[token, 16:23].argmax())]
            pairs = zip(scene.objects, scene.tracks(), strict=True)
            item, track = next((item, track[0]) for item, track in pairs if item.shape == name)
            reached = (torch.tensor([column, row]) + 0.5) / 8 + truth[token, -2:] * float(
                item.radius[0] * scene.zoom[0]
            )
            assert truth[token, 16:23].sum() == 1 and name in scene.caption()
            colour = list(scenes.COLOURS)[int(truth[token, 23:31].argmax())]
            assert truth[token, 23:31].sum() == 1 and f"{colour} {name}" in scene.caption()
            assert reached.tolist() == pytest.approx(track.tolist(), abs=1e-5)
    outside = truth[:, 16:23].sum(dim=-1) == 0
    assert outside.any() and not truth[outside, 16:31].any() and not truth[outside, -2:].any()
    ground = list(scenes.BACKGROUNDS).index(scene.background.colour)
    assert bool((truth[outside, 31 + ground] == 1).all())
    assert not truth[~outside, 31:37].any()


def test_the_truth_of_a_latent_frame_is_the_mean_over_its_frames():
    scene = scenes.sample(1, 3, 9, motion="line", objects=1)
    truth = diffusing.token_truth([scene], 8, 4).unflatten(1, (3, 64))[0]
    masks = scenes.render([scene]).masks[0, 0].float()
    for latent, frames in enumerate((slice(0, 1), slice(1, 5), slice(5, 9))):
        coarse = masks[frames].mean(dim=0).reshape(8, 8, 8, 8).mean(dim=(1, 3)).flatten()
        assert torch.allclose(truth[latent, :, :16].mean(dim=-1), coarse, atol=1e-6)


def test_truth_well_told_costs_nothing_and_objects_count_inside_alone():
    truth = diffusing.token_truth([scenes.sample(1, 0, 1), scenes.sample(1, 1, 1)], 8, 4)
    told = truth.clone()
    told[..., 16:37] *= 100
    assert float(diffusing.truth_loss(told, truth)) == pytest.approx(0, abs=1e-6)
    inside = truth[..., 16:23].sum(dim=-1) == 1
    elsewhere = torch.tensor([0.0] * 16 + [1.0] * 15 + [0.0] * 6 + [1.0] * 2)
    told[~inside] += torch.randn_like(told[~inside]) * elsewhere
    assert float(diffusing.truth_loss(told, truth)) == pytest.approx(0, abs=1e-6)
    for names, count in ((slice(16, 23), 7), (slice(23, 31), 8), (slice(31, 37), 6)):
        unsure = told.clone()
        unsure[..., names] = 0
        cost = diffusing.NAMES_WEIGHT * math.log(count)
        assert float(diffusing.truth_loss(unsure, truth)) == pytest.approx(cost, rel=1e-5)
    astray = told.clone()
    astray[..., -1] += 2
    assert float(diffusing.truth_loss(astray, truth)) == pytest.approx(diffusing.CENTRE_WEIGHT * 4, rel=1e-5)


def test_the_denoiser_keeps_the_tokens_that_leave_the_block():
    denoiser = tiny_dit.Denoiser(tiny_dit.pipeline(tiny_dit.autoencoder()))
    left: list[torch.Tensor] = []
    block = denoiser.transformer.transformer_blocks[tiny_dit.TRUTH_BLOCK]
    block.register_forward_hook(lambda _block, _inputs, output: left.append(output[0]))
    denoiser(torch.randn(2, 2, 8, 16, 16), torch.tensor([5, 900]), torch.zeros(2, 24, dtype=torch.int64))
    assert denoiser.hidden is left[0] and left[0].shape == (2, 128, 192)
    assert diffusing.truth_head(192)(left[0]).shape == (2, 128, 39)


def test_the_denoiser_keeps_the_attention_of_the_block_that_matches():
    """As the backbone records it, which has an attention processor of its own."""
    torch.manual_seed(0)
    pipeline = tiny_dit.pipeline(tiny_dit.autoencoder())
    denoiser = tiny_dit.Denoiser(pipeline)
    latents, tokens = torch.randn(1, 3, 8, 16, 16), diffusing.tokenize(pipeline, ["a red star"])
    with torch.no_grad():
        denoiser(latents, torch.tensor([500]), tokens)
        kept = dict(denoiser.attention)
        backbone, text = MODEL(pipeline, "twin", CPU), pipeline.text_encoder(tokens)[0]
        level, condition = backbone.schedule(1).trained[500], backbone.text.encode("a red star", Shape(9, 64, 64))
        condition = replace(condition, tensors={TEXT: text})
        seen = backbone.record(latents.transpose(1, 2), level, condition, [tiny_dit.MATCH_BLOCK])[tiny_dit.MATCH_BLOCK]
    assert kept["query"].shape == (1, 6, 3 * 64, 32)
    torch.testing.assert_close(kept["query"], seen.query, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kept["key"], seen.key, rtol=1e-4, atol=1e-4)


def test_matches_follow_what_the_scene_moves():
    """An object that is panned and moved on a line; the background goes with the camera alone."""
    scene = scenes.sample(3, 4, 9, motion="line", objects=1, camera="pan")
    matches = diffusing.token_matches([scene], 8, 4)[0]
    assert matches.shape == (3, 3, 64, 2)
    assert matches[torch.arange(3), torch.arange(3)].nan_to_num().abs().max() < 1e-6
    around = torch.tensor([[0, 2, 6], [0, 3, 7]])
    track, pan = (torch.as_tensor(values)[around].mean(dim=0) for values in (scene.tracks()[0], -scene.pan))
    moved = {"object": (track[None] - track[:, None]) * 8, "ground": (pan[None] - pan[:, None]) * 8}
    seen = {"object": 0, "ground": 0}
    for one in range(3):
        for token, found in enumerate(matches[one].transpose(0, 1)):
            if not found.isnan().any():
                apart = {name: float((found - true[one]).norm()) for name, true in moved.items()}
                nearest = min(apart, key=lambda name: apart[name])
                assert apart[nearest] < 1e-4, (one, token)
                seen[nearest] += 1
    assert seen["object"] >= 6 and seen["ground"] > 100
    assert 0 < float(matches.isnan().float().mean()) < 0.2, "some tokens lie on the edge of the object"


def test_attention_that_finds_every_match_costs_least():
    """Keys one-hot in place, queries one-hot at the match: the entropy of a shared match is all that is left."""
    torch.manual_seed(0)
    matches = torch.randint(-1, 2, (2, 2, 2, 16, 2)).float()
    reached = (matches + torch.tensor([[token % 4, token // 4] for token in range(16)])).clamp(0, 3)
    numbers = (reached[..., 0] + 4 * reached[..., 1]).long()
    key = torch.eye(32).expand(2, 1, 32, 32) * 100
    query = torch.zeros(2, 2, 16, 2, 16).scatter_(4, numbers.transpose(2, 3)[..., None], 1.0)
    query = query.reshape(2, 1, 32, 32)
    assert float(diffusing.match_loss(query, key, matches)) == pytest.approx(0, abs=1e-5)
    assert float(diffusing.match_loss(query * 0, key, matches)) == pytest.approx(math.log(16), rel=1e-5)
    halfway = torch.full_like(matches, float("nan"))
    halfway[:, :, :, 5] = 0.5
    assert float(diffusing.match_loss(query * 0, key, halfway)) == pytest.approx(math.log(16) / 2, rel=1e-5)
    sure = torch.zeros(2, 2, 16, 2, 16)
    sure[..., [5, 6, 9, 10]] = 1
    left = diffusing.match_loss(sure.reshape(2, 1, 32, 32), key, halfway)
    assert float(left) == pytest.approx(math.log(4) / 2, rel=1e-5)


def test_matches_that_move_weigh_as_much_as_those_that_rest():
    matches = torch.zeros(1, 2, 2, 16, 2)
    matches[0, 0, 1, 0, 0] = 1
    query, key = torch.zeros(1, 1, 32, 32), torch.eye(32)[None, None] * 100
    query[0, 0, torch.arange(32), torch.arange(32)] = 1
    query[0, 0, torch.arange(32), (torch.arange(32) + 16) % 32] = 1
    loss = diffusing.match_loss(query, key, matches)
    logit = 2 * 100 / math.sqrt(32)
    assert float(loss) == pytest.approx(logit / 2, rel=1e-3), "wrong at the one that moves, right everywhere else"


@pytest.mark.parametrize("name", sorted(PARTS))
def test_words_are_about_an_object_or_the_background(name: str):
    tokenizer = PARTS[name].tokenizer()
    captions = ["a red star on a blue plain background", "a red star and a cyan ring on a grey striped background", ""]
    roles = diffusing.word_roles(tokenizer, diffusing.tokenize(SimpleNamespace(tokenizer=tokenizer), captions))
    assert roles.shape == (3, 24)
    assert roles[0][roles[0] > 0].tolist() == [1] * 3 + [3] * 5
    assert roles[1][roles[1] > 0].tolist() == [1] * 3 + [2] * 4 + [3] * 5
    assert not roles[2].any()
    sure = torch.nn.functional.one_hot(roles, diffusing.ROLES) * 100.0
    assert float(diffusing.roles_loss(sure, roles)) == pytest.approx(0, abs=1e-6)
    wanted = diffusing.ROLES_WEIGHT * math.log(diffusing.ROLES)
    assert float(diffusing.roles_loss(sure * 0, roles)) == pytest.approx(wanted, rel=1e-5)
    assert float(diffusing.roles_loss(sure[2:] * 0, roles[2:])) == 0, "an empty caption is about nothing"


def test_some_captions_are_emptied():
    truth, matches = torch.zeros(50, 1, 39), torch.zeros(50, 1, 1, 1, 2)
    bank = diffusing.LatentBank(
        torch.zeros(50, 1, 1, 1, 1), torch.arange(1, 51)[:, None], torch.zeros(50, 0, dtype=torch.int64), truth, matches
    )
    empty = torch.zeros(1, dtype=torch.int64)
    tokens = diffusing.draw_batch(bank, empty, 4000, torch.Generator().manual_seed(0)).tokens
    assert 0.07 < float((tokens == 0).float().mean()) < 0.13
    assert bank.tokens.min() == 1, "the bank stays whole"


# Words attended by tokens


@pytest.mark.parametrize(("parts", "first"), [(tiny_dit, 0), (tiny_unet, 1)])
def test_the_words_of_every_colours_object(parts: Any, first: int):
    """The background's colour does not count, and shapes go with the colour of their own object."""
    tokenizer = parts.tokenizer()
    captions = ["a red star and a blue ring on a green plain background", "a red bar on a blue plain background", ""]
    tokens = tokenizer(captions, padding="max_length", max_length=24, return_tensors="pt").input_ids
    words = diffusing.object_words(tokenizer, tokens)
    found = {
        (clip, list(scenes.COLOURS)[colour], kind): word - first
        for kind, ones in (("colour", words.colour), ("shape", words.shape))
        for clip, colour, word in ones.nonzero().tolist()
    }
    assert found == {
        (0, "red", "colour"): 1, (0, "red", "shape"): 2, (0, "blue", "colour"): 5, (0, "blue", "shape"): 6,
        (1, "red", "colour"): 1, (1, "red", "shape"): 2,
    }  # fmt: skip


def test_attention_to_the_right_words_costs_least():
    tokenizer = tiny_unet.tokenizer()
    tokens = tokenizer(
        ["a red star on a blue plain background"], padding="max_length", max_length=24, return_tensors="pt"
    ).input_ids
    words = diffusing.object_words(tokenizer, tokens)
    truth = torch.zeros(1, 3, sum(diffusing.told_sizes(SHAPES_WORLD)))
    truth[0, 0, :16] = 1  # the first token is all object, the second half of a corner of it, the third background
    truth[0, 1, 0] = 0.5
    truth[0, 0, 16 + len(SHAPES) + list(scenes.COLOURS).index("red")] = 1
    attended = torch.full((1, 3, 24), 1e-9)
    attended[0, 0, 2] = attended[0, 0, 3] = 0.5  # "red" and "star"
    attended[0, 1, 2] = attended[0, 2, 5] = 1
    assert float(diffusing.naming_loss(attended, truth, words)) == pytest.approx(math.log(2), rel=1e-3)
    wrong = attended.clone()
    wrong[0, 2] = 1e-9
    wrong[0, 2, 3] = 0.75
    assert float(diffusing.naming_loss(wrong, truth, words)) == pytest.approx(math.log(2) + math.log(4), rel=1e-2)
    unnamed = diffusing.object_words(
        tokenizer, tokenizer([""], padding="max_length", max_length=24, return_tensors="pt").input_ids
    )
    assert float(diffusing.naming_loss(wrong, truth, unnamed)) == 0, "an empty caption asks nothing"


def test_the_unets_attention_to_words_is_what_its_layers_compute():
    torch.manual_seed(0)
    pipeline = tiny_unet.pipeline(tiny_unet.autoencoder())
    denoiser = tiny_unet.Denoiser(pipeline).eval()
    tokens = diffusing.tokenize(
        pipeline, ["a red star on a blue plain background", "a green bar on a red plain background"]
    )
    latents = torch.randn(2, 3, 8, 16, 16)
    caught: list[torch.Tensor] = []
    original = torch.nn.functional.scaled_dot_product_attention

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        if key.shape[2] == 24 and query.shape[2] == 64:
            caught.append((query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(dim=-1).mean(dim=1))
        return original(query, key, value, *rest, **options)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
        denoiser(latents, torch.tensor([10, 500]), tokens)
        found = denoiser.attended()
    assert len(found) == len(caught) == 4
    truths = [truth.unflatten(0, (2, 3)).flatten(1, 2) for truth in caught]
    same = [[torch.allclose(own, truth, atol=1e-5) for truth in truths] for own in found]
    assert sorted(row.index(True) for row in same) == [0, 1, 2, 3], "each layer's own, in whatever order"
