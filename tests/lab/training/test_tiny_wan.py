"""The parts of tiny-wan: what its loss asks, what its words are about, and that its pipeline is Wan's own."""

import copy
from pathlib import Path

import pytest
import torch
from diffusers import WanImageToVideoPipeline, WanPipeline

from lab.training import autoencoding, diffusing, tiny_wan, train
from lab.training.worlds import NAMED_WORLD
from motionlift.world import scenes
from motionlift.world.named import sample_named
from tests.lab.training.test_training import (
    _few_steps,  # noqa: F401  # pyright: ignore[reportPrivateUsage]
    assert_killed_runs_end_as_unbroken_ones,
)


@pytest.mark.slow
def test_the_whole_pipeline_is_small_and_of_the_published_kind(tmp_path: Path):
    pipeline = tiny_wan.pipeline(tiny_wan.autoencoder())
    modules = (pipeline.vae, pipeline.text_encoder, pipeline.transformer)
    assert 2 * sum(value.numel() for module in modules for value in module.parameters()) < 14e6
    pipeline.save_pretrained(tmp_path)
    again = WanPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert again.config["expand_timesteps"]
    asked = {"height": 64, "width": 64, "num_frames": 5, "num_inference_steps": 1, "output_type": "np"}
    assert again("a red car", **asked).frames.shape == (1, 5, 64, 64, 3)
    pictured = WanImageToVideoPipeline.from_pipe(again)
    picture = torch.zeros(3, 64, 64)
    pictured.set_progress_bar_config(disable=True)
    assert pictured(image=picture, prompt="a red car", **asked).frames.shape == (1, 5, 64, 64, 3)


@pytest.mark.slow
def test_captions_fit_the_text_window():
    tokenizer = tiny_wan.tokenizer()
    captions = {sample_named(17, index, 5).caption(name_motion=index % 2 == 0) for index in range(600)}
    captions.add(
        "an orange butterfly flying to the right and a yellow butterfly behind a wall on a brown checkered background"
    )
    for caption in captions:
        tokens = tokenizer(caption).input_ids
        assert tokenizer.unk_token_id not in tokens, caption
        assert len(tokens) == len(caption.split()) + 1 <= tiny_wan.TEXT_TOKENS, caption


@pytest.mark.slow
def test_a_short_window_counts_as_the_pipelines_own():
    """The flow of the training's module equals the published network's, on text as the pipeline encodes it."""
    torch.manual_seed(0)
    pipeline = tiny_wan.pipeline(tiny_wan.autoencoder())
    network = pipeline.transformer
    captions = ["a red car driving to the right on a grey road", ""]
    text = pipeline.encode_prompt(captions, do_classifier_free_guidance=False, max_sequence_length=512)[0]
    noisy, times = torch.randn(2, 3, tiny_wan.CHANNELS, 16, 16), torch.tensor([300.0, 900.0])
    with torch.no_grad():
        known = network(noisy.transpose(1, 2), times, text, return_dict=False)[0].transpose(1, 2)
        denoiser = tiny_wan.Denoiser(pipeline)
        found = denoiser(noisy, times, diffusing.tokenize(pipeline, captions))
        torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-5)
        each = denoiser(noisy, times[:, None].expand(-1, 3), diffusing.tokenize(pipeline, captions))
        torch.testing.assert_close(each, known, rtol=1e-4, atol=1e-5)
        after = network(noisy.transpose(1, 2), times, text, return_dict=False)[0].transpose(1, 2)
        torch.testing.assert_close(after, known)


def test_a_perfect_flow_costs_nothing_and_a_given_frame_is_clean():
    latents, tokens = torch.randn(3, 5, 2, 4, 4), torch.zeros(3, 4, dtype=torch.int64)
    seen = {"given": 0, "drawn": 0}

    class Oracle(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            if time.ndim == 2:
                seen["given"] += 1
                assert torch.equal(noisy[:, 0], latents[:, 0])
                assert not time[:, 0].any()
                time = time[:, 1]
            seen["drawn"] += 1
            level = time[:, None, None, None, None] / 1000
            return (noisy - (1 - level) * latents) / level - latents

    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        loss = diffusing.flow_loss(Oracle(), tiny_wan.scheduler(), latents, tokens, generator, 3.0)
        assert float(loss) < 1e-5
    assert 12 <= seen["given"] <= 28
    assert seen["drawn"] == 60


def test_noise_levels_are_spread_as_the_schedules_are():
    drawn: list[torch.Tensor] = []

    class Keeper(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            drawn.append(time)
            return noisy

    scheduler = tiny_wan.scheduler()
    latents, tokens = torch.zeros(4000, 1, 1, 1, 1), torch.zeros(4000, 3, dtype=torch.int64)
    diffusing.flow_loss(Keeper(), scheduler, latents, tokens, torch.Generator().manual_seed(0), tiny_wan.FLOW_SHIFT)
    scheduler.set_timesteps(500)
    quantiles = torch.linspace(0.05, 0.95, 10)
    found, known = drawn[0].quantile(quantiles), scheduler.timesteps.float().quantile(quantiles)
    assert (found - known).abs().max() < 25


def test_words_tell_what_they_are_about():
    pipeline = tiny_wan.pipeline(tiny_wan.autoencoder())
    cases = {
        "a red car flying in a circle and a blue ball in the sea": [1] * 7 + [2] * 4 + [3] * 3,
        "a red car driving to the left behind a wall on a grey road": [1] * 7 + [3] * 7,
        "a red bar on a blue plain background": [1] * 3 + [3] * 5,
        "": [],
    }
    tokens = diffusing.tokenize(pipeline, list(cases))
    for found, known in zip(diffusing.word_roles(pipeline.tokenizer, tokens), cases.values(), strict=True):
        assert found.tolist()[: len(known)] == known
        assert not found[len(known) :].any()


@pytest.mark.slow
def test_latents_have_unit_variance_in_every_channel():
    torch.manual_seed(0)
    vae = tiny_wan.autoencoder()
    clips = scenes.render([sample_named(1, index, 5) for index in range(6)]).frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
    diffusing.standardise(vae, list(clips))
    latents = torch.cat([diffusing.encode(vae, clip[None]) for clip in clips]).transpose(0, 2).flatten(1)
    assert latents.mean(dim=1).abs().max() < 0.02
    assert (latents.std(dim=1) - 1).abs().max() < 0.02
    scaled = diffusing.encode(vae, clips[:1])
    shown = autoencoding.decode(vae, diffusing.unscaled(vae, scaled)).clamp(-1, 1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        own = vae.encode(clips[:1]).latent_dist.mode()
    torch.testing.assert_close(shown, vae.decode(own.float()).sample, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_banks_name_motions_and_single_frames_show_their_object():
    torch.manual_seed(0)
    pipeline = tiny_wan.pipeline(tiny_wan.autoencoder())
    bank = diffusing.fill_bank(pipeline, tiny_wan.RECIPE, 1, range(3), 5, NAMED_WORLD)
    assert bank.moving.shape == bank.tokens.shape
    assert not torch.equal(bank.moving, bank.tokens)
    assert bank.truth.shape == (3, 2 * 64, sum(diffusing.told_sizes(NAMED_WORLD)))
    empty = diffusing.tokenize(pipeline, [""])[0]
    drawn = diffusing.draw_batch(bank, empty, 300, torch.Generator().manual_seed(0))
    told = [pipeline.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in drawn.tokens]
    named = {sample_named(1, index, 5).caption(name_motion=True) for index in range(3)}
    assert 0.35 < sum(caption in named for caption in told) / 300 < 0.55
    assert 0.05 < sum(caption == "" for caption in told) / 300 < 0.15
    for index in range(60):
        scene = NAMED_WORLD.draw(1, index, 1)
        assert scene.frames == 1
        assert scenes.shown(scene).min() > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "decoder", "denoiser"])
def test_a_killed_run_ends_as_an_unbroken_one(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    if name != "autoencoder":
        torch.manual_seed(0)
        vae = tiny_wan.autoencoder()
        monkeypatch.setattr(train, "assemble", lambda parts, folder, device: _assembled(vae))
    assert_killed_runs_end_as_unbroken_ones(name, tmp_path / "unbroken", tmp_path / "killed", "tiny-wan")


def _assembled(vae: object) -> WanPipeline:
    torch.manual_seed(0)
    return tiny_wan.pipeline(copy.deepcopy(vae))  # pyright: ignore[reportArgumentType]
