"""Train the bundled models: ``python -m lab.training.train tiny-dit``.

First the autoencoder, then the denoiser on single frames, then on videos. Every step draws from its own seeded generator, so a
run that was stopped and started again ends in the same weights as one that was not.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lab.training import autoencoding, diffusing, tiny_dit, tiny_unet, tiny_wan
from motionlift.loops.checkpoint import load_checkpoint, save_checkpoint
from motionlift.world import scenes

SEED = 1
"""Names the stream of training scenes; held-out scenes have captions that no stream of training gives."""
CHECKPOINT_EVERY = 250
"""Steps between lines of the log, and between checkpoints at the most."""
GRID_EVERY = 2000
"""Steps of the denoiser between grids of samples."""
MODELS: Mapping[str, ModuleType] = {"tiny-dit": tiny_dit, "tiny-unet": tiny_unet, "tiny-wan": tiny_wan}
"""The file that holds each model's parts and recipe."""
MOST_SECONDS = 240.0
"""Most time between checkpoints, and between lines that are shown (ours)."""


@dataclass(frozen=True)
class TrainingStep:
    """What one step reports."""

    step: int
    """Steps done."""
    figures: Mapping[str, float]
    """Loss and other figures."""


def optimise(
    steps: int,
    loss_at: Callable[[int], tuple[Tensor, Mapping[str, float]]],
    rate_at: Callable[[int], float],
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    checkpoint: Path,
    after: Callable[[int], None] = lambda step: None,
) -> Iterator[TrainingStep]:
    """Train from the checkpoint, or from the start, to ``steps``; yields after every step.

    A step whose gradient is not finite changes nothing, and is reported: one such would spoil all weights for good.
    """
    done = load_checkpoint(checkpoint, modules, optimizers) if checkpoint.exists() else 0
    parameters = [
        value for optimizer in optimizers.values() for group in optimizer.param_groups for value in group["params"]
    ]
    saved = time.monotonic()
    for step in range(done, steps):
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step)
            optimizer.zero_grad()
        loss, figures = loss_at(step)
        loss.backward()
        finite = bool(nn.utils.clip_grad_norm_(parameters, 1.0).isfinite())
        if finite:
            for optimizer in optimizers.values():
                optimizer.step()
            after(step)
        late = time.monotonic() - saved > MOST_SECONDS
        if late or (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
            save_checkpoint(checkpoint, step + 1, modules, optimizers)
            saved = time.monotonic()
        told = {"loss": float(loss.detach()), **figures} if finite else {"left_out": 1.0}
        yield TrainingStep(step + 1, told)


def trapezoid(steps: int, peak: float, warm: int, flat: float) -> Callable[[int], float]:
    """A learning rate that rises over ``warm`` steps, stays until the share ``flat``, and falls on a line to a fiftieth."""

    def rate(step: int) -> float:
        left = (steps - step) / (steps * (1 - flat))
        return peak * min(1.0, (step + 1) / warm, max(0.02, left))

    return rate


def channels_last(vae: nn.Module) -> nn.Module:
    """The same, its kernels over frames laid in memory with channels last: a step on a CPU takes two thirds as long (measured)."""
    for parameter in vae.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)
    return vae


def train_autoencoder(parts: ModuleType, folder: Path, device: torch.device) -> Iterator[TrainingStep]:
    """Train the autoencoder; its checkpoint is ``autoencoder.safetensors``."""
    torch.manual_seed(0)
    vae = channels_last(parts.autoencoder().to(device))
    steps = sum(stage.steps for stage in parts.STAGES)
    optimizer = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), weight_decay=0.0)

    def loss_at(step: int) -> tuple[Tensor, Mapping[str, float]]:
        stage = autoencoding.stage_of(parts.STAGES, step)
        pixels, weight = autoencoding.batch(SEED, step, stage, parts.FRAME_SIZE, parts.WORLD)
        with torch.autocast(device.type, torch.bfloat16, enabled=parts.HALVED_AUTOENCODER):
            generator = torch.Generator().manual_seed(step)
            shown = pixels.to(device, memory_format=torch.channels_last_3d)
            return autoencoding.autoencoder_loss(vae, shown, weight.to(device), generator)

    rate = trapezoid(steps, autoencoding.LEARNING_RATE, warm=50, flat=0.5)
    checkpoint = folder / "autoencoder.safetensors"
    yield from optimise(steps, loss_at, rate, {"vae": vae}, {"adamw": optimizer}, checkpoint)


def train_decoder(parts: ModuleType, folder: Path, device: torch.device) -> Iterator[TrainingStep]:
    """Train the decoder alone on fixed latents; its checkpoint is ``decoder.safetensors``."""
    pipeline, recipe = assemble(parts, folder, device), parts.RECIPE
    vae = channels_last(pipeline.vae)
    optimizer = torch.optim.AdamW(vae.decoder.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    banks: dict[int, diffusing.LatentBank] = {}

    def latents_at(step: int, generator: torch.Generator) -> tuple[Sequence[scenes.Scene], Tensor]:
        """Of the bank; of other lengths than its clips', which move faster, of new clips."""
        if (recipe.frames,) == parts.DECODER_FRAMES:
            if not banks:
                path = _bank_path(folder, recipe.frames)
                banks[0] = diffusing.cached_bank(path, pipeline, recipe, SEED, recipe.frames, parts.WORLD)
            chosen = torch.randint(len(banks[0].latents), (autoencoding.DECODER_CLIPS,), generator=generator)
            drawn = [parts.WORLD.draw(SEED, int(index), recipe.frames) for index in chosen]
            return drawn, banks[0].latents[chosen].float().to(device)
        frames = parts.DECODER_FRAMES[step % len(parts.DECODER_FRAMES)]
        count = autoencoding.DECODER_CLIPS * recipe.frames // frames
        drawn = [parts.WORLD.draw(SEED, step * count + number, frames) for number in range(count)]
        pixels = scenes.render(drawn, recipe.size, recipe.size, device).frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
        return drawn, diffusing.encode(vae, pixels)

    def loss_at(step: int) -> tuple[Tensor, Mapping[str, float]]:
        generator = torch.Generator().manual_seed(step)
        drawn, latents = latents_at(step, generator)
        latents = latents + autoencoding.LATENT_NOISE * torch.randn(latents.shape, generator=generator).to(latents)
        with torch.autocast(device.type, torch.bfloat16, enabled=parts.HALVED_AUTOENCODER):
            unscaled = diffusing.unscaled(vae, latents).contiguous(memory_format=torch.channels_last_3d)
            return autoencoding.decoder_loss(vae, unscaled, drawn, recipe.size)

    rate = trapezoid(autoencoding.DECODER_STEPS, autoencoding.LEARNING_RATE, warm=50, flat=0.4)
    checkpoint = folder / "decoder.safetensors"
    yield from optimise(
        autoencoding.DECODER_STEPS, loss_at, rate, {"decoder": vae.decoder}, {"adamw": optimizer}, checkpoint
    )


def _bank_path(folder: Path, frames: int) -> Path:
    return folder / f"bank-{frames}.safetensors"


def assemble(parts: ModuleType, folder: Path, device: torch.device) -> Any:
    """A pipeline with the trained autoencoder, its latents scaled to unit variance, and new other parts."""
    torch.manual_seed(0)
    vae = parts.autoencoder()
    load_checkpoint(folder / "autoencoder.safetensors", {"vae": vae}, {})
    if (folder / "decoder.safetensors").exists():
        load_checkpoint(folder / "decoder.safetensors", {"decoder": vae.decoder}, {})
    drawn = [parts.WORLD.draw(SEED, index, parts.FRAMES) for index in range(32)]
    diffusing.standardise(vae, list(scenes.render(drawn).frames.permute(0, 4, 1, 2, 3) / 127.5 - 1))
    return parts.pipeline(vae).to(device)


def train_denoiser(parts: ModuleType, folder: Path, device: torch.device) -> Iterator[TrainingStep]:
    """Train text encoder and network together; their checkpoint, averages included, is ``denoiser.safetensors``."""
    pipeline, recipe = assemble(parts, folder, device), parts.RECIPE
    denoiser = parts.Denoiser(pipeline).train()
    average = parts.Denoiser(assemble(parts, folder, device)).requires_grad_(False)
    average.load_state_dict(denoiser.state_dict())
    banks: dict[int, diffusing.LatentBank] = {}
    empty = diffusing.tokenize(pipeline, [""])[0]
    compiled = torch.compile(denoiser, dynamic=False)
    heads = _heads(parts).to(device)

    def loss_at(step: int) -> tuple[Tensor, Mapping[str, float]]:
        frames, batch = recipe.schedule(step)
        if frames not in banks:
            path = _bank_path(folder, frames)
            banks[frames] = diffusing.cached_bank(path, pipeline, recipe, SEED, frames, parts.WORLD)
        generator = torch.Generator().manual_seed(step)
        drawn = vars(diffusing.draw_batch(banks[frames], empty, batch, generator))
        latents, tokens, truth, matches = (drawn[name].to(device) for name in ("latents", "tokens", "truth", "matches"))
        # With fused attention, so few tokens as a single frame has are the fastest in its plain form, uncompiled.
        whole = recipe.compiled if frames > 1 else recipe.frames_compiled
        network, plain = (compiled, nullcontext()) if whole else (denoiser, sdpa_kernel(SDPBackend.MATH))
        torch.manual_seed(step)  # for dropout
        with torch.autocast(device.type, torch.bfloat16), plain:
            loss = parts.LOSS(network, pipeline.scheduler, latents, tokens, generator, recipe.time_shift)
            told = diffusing.truth_loss(heads["tokens"](denoiser.hidden).float(), truth, parts.WORLD)
            known = diffusing.word_roles(pipeline.tokenizer, tokens)
            roles = diffusing.roles_loss(heads["words"](denoiser.words).float(), known)
        named = [
            diffusing.naming_loss(
                each, truth, diffusing.object_words(pipeline.tokenizer, tokens, parts.WORLD), parts.WORLD
            )
            for each in denoiser.attended()
        ]
        figures = {"roles_loss": roles} | ({"naming_loss": sum(named) / len(named)} if named else {})
        total = loss + told + roles + diffusing.NAMED_WEIGHT * figures.get("naming_loss", 0.0)
        kind = "frame" if frames == 1 else "video"
        figures |= {f"{kind}_loss": loss, f"{kind}_truth_loss": told}
        if recipe.matched and frames > 1:
            matched = diffusing.match_loss(denoiser.attention["query"], denoiser.attention["key"], matches)
            figures |= {"video_match_loss": matched}
            total = total + diffusing.MATCH_WEIGHT * matched
        return total, {name: float(value.detach()) for name, value in figures.items()}

    steps = recipe.frame_steps + recipe.video_steps
    yield from optimise(
        steps,
        loss_at,
        trapezoid(steps, diffusing.LEARNING_RATE, warm=200, flat=0.85),
        {"denoiser": denoiser, "average": average, "head": heads},
        diffusing.optimizers(denoiser, heads),
        folder / "denoiser.safetensors",
        lambda step: diffusing.update_average(average, denoiser, step),
    )


def trained(parts: ModuleType, folder: Path) -> Any:
    """The pipeline with the averaged weights of the last checkpoint."""
    pipeline = assemble(parts, folder, torch.device("cpu"))
    average = parts.Denoiser(pipeline)
    load_checkpoint(folder / "denoiser.safetensors", {"average": average}, {})
    average.eval()
    return pipeline


def export(parts: ModuleType, folder: Path, weights: Path) -> None:
    """Write the shipped pipeline in half precision."""
    trained(parts, folder).to(torch.float16).save_pretrained(weights, safe_serialization=True)


def begin(parts: ModuleType, weights: Path, folder: Path, step: int) -> None:
    """Write checkpoints from which decoder and denoiser go on from a shipped pipeline, with new optimisers and new heads.

    Args:
        parts: of the model.
        weights: folder of the pipeline.
        folder: where the checkpoints go; those of the other stages that are there stay.
        step: of the denoiser, how many are done.
    """
    shipped = type(parts.pipeline(parts.autoencoder())).from_pretrained(weights).to(torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        folder / "autoencoder.safetensors", sum(stage.steps for stage in parts.STAGES), {"vae": shipped.vae}, {}
    )
    denoiser = parts.Denoiser(shipped)
    kept = {"denoiser": denoiser, "average": denoiser, "head": _heads(parts)}
    save_checkpoint(folder / "denoiser.safetensors", step, kept, {})


def _heads(parts: ModuleType) -> nn.ModuleDict:
    """What tells the truth of tokens and the roles of words, new."""
    tokens, words = parts.RECIPE.widths
    told = {"tokens": diffusing.truth_head(tokens, parts.WORLD), "words": nn.Linear(words, diffusing.ROLES)}
    return nn.ModuleDict(told)


def sample_grid(parts: ModuleType, pipeline: Any, path: Path, frames: int) -> None:
    """A picture of what the model makes of its ``GRID_CAPTIONS``: a row a caption, frames from left to right."""
    rows = []
    pipeline.set_progress_bar_config(disable=True)
    for seed, caption in enumerate(parts.GRID_CAPTIONS):
        video = pipeline(
            caption,
            height=parts.FRAME_SIZE,
            width=parts.FRAME_SIZE,
            num_frames=frames,
            num_inference_steps=25,
            guidance_scale=4.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
            **parts.SAMPLING,
        ).frames[0]
        rows.append(np.hstack(list(video[:: max(1, frames // 6)])))
    Image.fromarray((np.vstack(rows) * 255).round().astype(np.uint8)).save(path)


def report_stage(parts: ModuleType, name: str, folder: Path, device: torch.device) -> None:
    """Run one stage; a line in the log every so many steps, one that is shown now and then, and grids of samples."""
    started = shown = time.monotonic()
    recent: list[Mapping[str, float]] = []
    counted = 0
    for report in STAGES[name](parts, folder, device):
        recent.append(report.figures)
        counted += 1
        due = report.step % CHECKPOINT_EVERY == 0
        if not due and time.monotonic() - shown < MOST_SECONDS:
            continue
        now = time.monotonic()
        figures = {
            key: round(float(np.mean([each[key] for each in recent if key in each])), 5)
            for key in sorted({key for each in recent for key in each})
        }
        print(name, report.step, f"{now - started:.0f} s, {counted / (now - shown):.3f} steps/s", figures, flush=True)
        shown, counted = now, 0
        if not due:
            continue
        with (folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([name, report.step, round(now - started), json.dumps(figures)])
        recent = []
        if name == "denoiser" and report.step % GRID_EVERY == 0:
            frames = 1 if report.step <= parts.RECIPE.frame_steps else parts.FRAMES
            sample_grid(parts, trained(parts, folder), folder / f"grid-{report.step}.png", frames)


STAGES = {"autoencoder": train_autoencoder, "decoder": train_decoder, "denoiser": train_denoiser}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.train", description=__doc__)
    parser.add_argument("model", choices=list(MODELS))
    parser.add_argument("--folder", type=Path, help="checkpoints, log and sample grids; by default runs/MODEL")
    parser.add_argument(
        "--stages",
        nargs="*",
        help="autoencoder, decoder, denoiser; the model's own by default; the last two may run at once",
    )
    parser.add_argument(
        "--begin", type=Path, help="go on from this shipped pipeline: write checkpoints of it and do not train"
    )
    parser.add_argument("--step", type=int, default=0, help="with --begin: how many steps of the denoiser are done")
    parser.add_argument("--export", type=Path, help="write the trained pipeline here and do not train")
    arguments = parser.parse_args()
    folder, parts = arguments.folder or Path("runs") / arguments.model, MODELS[arguments.model]
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.begin:
        begin(parts, arguments.begin, folder, arguments.step)
        return
    if arguments.export:
        export(parts, folder, arguments.export)
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name in arguments.stages or parts.STAGE_NAMES:
        report_stage(parts, name, folder, device)


if __name__ == "__main__":
    main()
