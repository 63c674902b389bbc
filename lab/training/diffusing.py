"""Training the bundled networks on latents of the world: single frames first, then videos."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLWan
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lab.training.worlds import SHAPES_WORLD, World
from motionlift.world import scenes

EMPTY_PROMPT_SHARE = 0.1
"""Share of training captions replaced by the empty one, for guidance by text (common practice)."""
MOST_WEIGHT = 10.0
"""Greatest weight of the squared error of a predicted noise (ours)."""
TIME_SPREAD = 1.2
"""Noise levels are drawn at ``sigmoid(spread * normal + shift)`` of the schedule; the shift is the recipe's (ours)."""
SIDE, SUBCELLS = 8, 4
"""Tokens along a side of the lattice of both bundled models, and cells of the told mask along a token's side (ours)."""
NAMES_WEIGHT, CENTRE_WEIGHT = 0.1, 0.1
"""Weights of a told name's cross-entropy and the told centre's squared error beside the mask's squared error (ours)."""
GIVEN_SHARE = 1 / 3
"""Share of the batches of videos whose first latent frame is given, clean, as a picture to begin with (ours)."""
MOTION_SHARE = 0.5
"""Share of the captions of videos that name the motion, in a world whose captions can (ours)."""
PIECE = 250
"""Clips in a file of a bank: what is lost where filling one is stopped (ours)."""
MATCH_TEMPERATURE = 2.0
"""Factor on the logits of the attention that must find each token's content in the other frames: DiTFlow's."""
MATCH_WEIGHT = 0.1
"""Weight of the attention's cross-entropy, in nats, beside the noise's squared error (ours)."""
LEAST_MOTION = 0.25
"""Matches that move further than so many tokens weigh as much, together, as all others (ours)."""
ROLES, ROLES_WEIGHT = 4, 0.1
"""What a word is about: nothing, the first object, the second, the background; and the weight of its cross-entropy (ours)."""
NAMED_COVER = 0.5
"""Share of a token that an object must cover for its words to be asked for there (ours)."""
NAMED_WEIGHT = 0.1
"""Weight of the attention to words, in nats (ours)."""
EMA_DECAY = 0.999
"""Decay of the averaged weights that are shipped (ours)."""
LEARNING_RATE = 1.5e-3
"""Peak learning rate of both optimisers; Muon's is matched to AdamW's by its update's root mean square (ours)."""


@dataclass(frozen=True)
class Recipe:
    """Sizes and counts of a bundled model's training; each model's are ours."""

    size: int
    """Height and width of a frame, pixels."""
    frames: int
    """Frames of a video."""
    banks: tuple[int, int]
    """Single frames and videos that are rendered and encoded once and then drawn from."""
    batches: tuple[int, int]
    """Single frames and videos a step."""
    frame_steps: int
    """Steps on single frames only, at first."""
    video_steps: int
    """Steps after these, every third of them still on frames."""
    stride: int
    """Frames that a latent frame stands for, the first one aside."""
    widths: tuple[int, int]
    """Channels of the tokens that tell the truth, and of the encoded words that tell their roles."""
    time_shift: float
    """How far the drawn noise levels lie toward the noisy end; of a flow, the schedule's shift. Where the schedule ends short of
    pure noise, the colour of a plain background is settled in its noisiest steps, which then must be drawn often."""
    compiled: bool
    """Whether videos run through the compiled network; some networks are faster without."""
    frames_compiled: bool = False
    """Whether single frames do too; PyTorch's fused attention is slow on so few tokens."""
    matched: bool = True
    """Whether the attention of a block must find its matches, see :func:`match_loss`."""
    motions_named: bool = False
    """Whether captions name the motion in some clips."""

    def schedule(self, step: int) -> tuple[int, int]:
        """Frames a clip and clips a batch of a training step."""
        if step < self.frame_steps or step % 3 == 0:
            return 1, self.batches[0]
        return self.frames, self.batches[1]


def told_sizes(world: World) -> tuple[int, ...]:
    """Figures of a token: mask, shape, colour, ground, centre."""
    return SUBCELLS**2, len(world.shapes), len(scenes.COLOURS), len(world.grounds), 2


@dataclass(frozen=True)
class LatentBank:
    """Encoded clips of the world, drawn from during training."""

    latents: Float[Tensor, "clips frames channels height width"]
    """Scaled latents."""
    tokens: Int[Tensor, "clips tokens"]
    """Caption tokens."""
    moving: Int[Tensor, "clips tokens"]
    """Those of the caption that names the motion; of single frames, and where captions do not, the same again."""
    truth: Float[Tensor, "clips frames_by_lattice figures"]
    """What each token shows, see :func:`token_truth`."""
    matches: Float[Tensor, "clips frame frame token 2"]
    """Where each token's content lies in every frame, see :func:`token_matches`; of no frames where it is not asked."""


def token_truth(
    drawn: Sequence[scenes.Scene], side: int, stride: int, world: World = SHAPES_WORLD
) -> Float[Tensor, "scenes frames_by_lattice figures"]:
    """What each token shows: the object's mask in fine cells, its shape and colour, the background's colour, the object's centre.

    The loss of the noise is mostly about places where no object is, and teaches shapes late. These figures, told from the
    tokens in the middle of the network by a head that is thrown away, teach them directly: the world knows them exactly.
    Shape, colour and centre (from the token's middle, in radii) are zero outside the object's circumscribed circle, and the
    background's colour inside: what a caption says of both in the same words must reach different tokens. A latent frame's
    figures are the means over the ``stride`` frames it stands for, the first one's those of the first frame.
    """
    fine = side * SUBCELLS
    masks = scenes.render(drawn).masks.any(dim=1).float()
    cells = _latent_means(nn.functional.adaptive_avg_pool2d(masks, fine).transpose(0, 1), stride).transpose(0, 1)
    cells = nn.functional.pixel_unshuffle(cells[:, :, None], SUBCELLS).flatten(3).transpose(2, 3).flatten(1, 2)
    middles = (torch.arange(side) + 0.5) / side
    places = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), dim=-1).flatten(0, 1)
    sizes = told_sizes(world)[1:]
    told = torch.zeros(len(drawn), cells.shape[1], sum(sizes))
    for figures, scene in zip(told, drawn, strict=True):
        shape, colour, ground, offset = figures.split(sizes, dim=-1)
        ground[:, world.grounds.index(world.ground_of(scene))] = 1
        for item, track in zip(scene.objects, scene.tracks(), strict=True):
            centre, radius = (
                _latent_means(torch.as_tensor(values).float(), stride) for values in (track, item.radius * scene.zoom)
            )
            away = ((centre[:, None] - places) / radius[:, None, None]).flatten(0, 1)
            reach = (1 + 0.5 / (side * radius)).repeat_interleave(len(places))
            inside = away.norm(dim=-1) < reach
            figures[inside] = 0
            shape[inside, world.shapes.index(item.shape)] = 1
            colour[inside, list(scenes.COLOURS).index(item.colour)] = 1
            offset[inside] = away[inside]
    return torch.cat([cells, told], dim=-1)


def _latent_means(values: Float[Tensor, "frames ..."], stride: int) -> Float[Tensor, "latent_frames ..."]:
    """The first frame, and means over each ``stride`` of the others."""
    return torch.cat([values[:1], values[1:].unflatten(0, (-1, stride)).mean(dim=1)]) if len(values) > 1 else values


def token_matches(drawn: Sequence[scenes.Scene], side: int, stride: int) -> Float[Tensor, "scenes frame frame token 2"]:
    """Displacement in tokens, x then y, of what each token's middle shows, from every latent frame to every other.

    A latent frame that stands for an even number of frames lies between two: the mean of both, or NaN, unknown, where they
    tell of different things.
    """
    count = drawn[0].frames
    middles = [stride * number - (stride - 1) / 2 for number in range(1, (count - 1) // stride + 1)]
    earlier, later = ([0, *map(rounded, middles)] for rounded in (math.floor, math.ceil))
    fields = []
    for scene in drawn:
        early = _displacements(scene, earlier, side)
        late = _displacements(scene, later, side) if later != earlier else early
        same = (early - late).norm(dim=-1, keepdim=True) < 2 * LEAST_MOTION
        field = torch.where(same, (early + late) / 2, float("nan"))
        fields.append(field)
    return torch.stack(fields)


def _displacements(scene: scenes.Scene, places: Sequence[int], side: int) -> Float[Tensor, "frame frame token 2"]:
    """True displacement of what each token's middle shows, between all pairs of frames."""
    masks = scenes.render([scene], side, side).masks[0]
    pairs = [scenes.displacement(scene, start, end, side, side, masks) for start in places for end in places]
    return torch.stack(pairs).flatten(1, 2).unflatten(0, (len(places), -1))


def match_loss(
    query: Float[Tensor, "clips heads tokens d"],
    key: Float[Tensor, "clips heads tokens d"],
    matches: Float[Tensor, "clips frame frame token 2"],
) -> Float[Tensor, ""]:
    """Cross-entropy between a block's attention within each frame, mean logits of its heads, and the true matches.

    A match between tokens is shared among the four around it; one outside the frame counts at its edge. Those that move and
    those that rest weigh the same.
    """
    frames, size = matches.shape[1], query.shape[-1]
    scale = MATCH_TEMPERATURE / (query.shape[1] * size**0.5)
    logits = torch.einsum("chtd,chsd->cts", query.float(), key.float()) * scale
    logits = logits.unflatten(2, (frames, -1)).unflatten(1, (frames, -1)).transpose(2, 3)
    side = math.isqrt(matches.shape[3])
    line = torch.arange(side, device=matches.device, dtype=matches.dtype)
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).flatten(0, 1)
    known = ~matches.isnan().any(dim=-1)
    reached = (matches.nan_to_num() + places).clamp(0, side - 1)
    shares = (1 - (reached[..., None, :] - places).abs()).clamp(min=0).prod(dim=-1)
    entropy = -(shares * logits.log_softmax(dim=-1)).sum(dim=-1)
    moving = matches.nan_to_num().norm(dim=-1) > LEAST_MOTION
    kinds = (known & moving, known & ~moving)
    return sum((entropy * kind).sum() / kind.sum().clamp(min=1) for kind in kinds) / 2  # pyright: ignore[reportReturnType]


def truth_head(width: int, world: World = SHAPES_WORLD) -> nn.Module:
    """Tells the truth of a token from its hidden state."""
    figures = sum(told_sizes(world))
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, figures))


def word_roles(tokenizer: Any, tokens: Int[Tensor, "clips words"]) -> Int[Tensor, "clips words"]:
    """What each word of a caption is about, 0 to 3 as :data:`ROLES` has it; padding, beginning and end are about nothing.

    A wall belongs to the background.

    By the loss of the noise alone the text encoder stays a bag of words: "a red star on a blue background" and "a blue star
    on a red background" give the same picture.
    """

    def places(*words: str) -> Tensor:
        numbers = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in words]
        known = [number for number in numbers if number != tokenizer.unk_token_id]
        return torch.isin(tokens, torch.tensor(known, device=tokens.device))

    after_joint, after_wall = (places(word).cumsum(dim=1) > 0 for word in ("and", "behind"))
    # From the last "on" or "in": a motion may be "in a circle" too.
    begins = places("on", "in")
    after_ground = (begins.flip(1).cumsum(dim=1).flip(1) == begins.long()) & (begins.cumsum(dim=1) > 0)
    after_ground = after_ground | after_wall
    roles = torch.where(after_ground, 3, 1 + after_joint.long())
    special = torch.tensor(tokenizer.all_special_ids, device=tokens.device)
    return roles.masked_fill(torch.isin(tokens, special), 0)


def roles_loss(told: Float[Tensor, "clips words roles"], roles: Int[Tensor, "clips words"]) -> Float[Tensor, ""]:
    """Weighted cross-entropy of the words' told roles; those about nothing do not count."""
    entropy = nn.functional.cross_entropy(told.flatten(0, 1), roles.flatten(), ignore_index=0, reduction="sum")
    return ROLES_WEIGHT * entropy / (roles > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class ObjectWords:
    """The content words of a caption's objects: colours and shapes before the word "on"."""

    colour: Float[Tensor, "clips colours words"]
    """One where a word is the name of a colour."""
    shape: Float[Tensor, "clips colours words"]
    """One where a word is the shape that comes with the object of that colour."""


def object_words(tokenizer: Any, tokens: Int[Tensor, "clips words"], world: World = SHAPES_WORLD) -> ObjectWords:
    """Which words name the object of each colour; no two objects of a scene have the same."""
    roles = word_roles(tokenizer, tokens)

    def numbers(names: Iterable[str]) -> list[int]:
        return [tokenizer(name, add_special_tokens=False).input_ids[0] for name in names]

    of_object = (roles == 1) | (roles == 2)
    is_shape = torch.isin(tokens, torch.tensor(numbers(world.shapes), device=tokens.device)) & of_object
    colours = torch.stack([(tokens == number) & of_object for number in numbers(scenes.COLOURS)], dim=1)
    role_of_colour = (colours * roles[:, None]).amax(dim=-1, keepdim=True)
    shapes = is_shape[:, None] & (roles[:, None] == role_of_colour) & (role_of_colour > 0)
    return ObjectWords(colours.float(), shapes.float())


def naming_loss(
    attended: Float[Tensor, "clips tokens words"],
    truth: Float[Tensor, "clips tokens figures"],
    words: ObjectWords,
    world: World = SHAPES_WORLD,
) -> Float[Tensor, ""]:
    """Cross-entropy between attention to words and what tokens show: an object's colour and shape inside it, neither outside.

    By the other losses alone a token may read what it shows off any word: in a causal text encoder "on" knows all that comes
    before it, and the object's tokens read that.
    """
    mask, _, colours, *_ = truth.split(told_sizes(world), dim=-1)
    inside = (mask.mean(dim=-1) >= NAMED_COVER).float()[..., None] * colours
    asked = (words.colour + words.shape) / 2
    least = torch.finfo(attended.dtype).tiny
    found = torch.einsum("cto,cow,ctw->ct", inside, asked, attended.clamp(min=least).log())
    named = torch.einsum("cto,cow->ct", inside, asked)
    outside = (mask.amax(dim=-1) == 0) & (words.colour.sum(dim=(1, 2)) > 0)[:, None]
    content = (words.colour + words.shape).sum(dim=1)
    missed = torch.einsum("cw,ctw->ct", content, attended).clamp(max=1 - 1e-4)
    return -found.sum() / named.sum().clamp(min=1) - ((1 - missed).log() * outside).sum() / outside.sum().clamp(min=1)


def truth_loss(
    told: Float[Tensor, "clips tokens figures"],
    truth: Float[Tensor, "clips tokens figures"],
    world: World = SHAPES_WORLD,
) -> Float[Tensor, ""]:
    """Error of the told mask everywhere, of the objects' figures inside them, and of the background's outside."""
    mask, *names, centre = told.split(told_sizes(world), dim=-1)
    true_mask, *true_names, true_centre = truth.split(told_sizes(world), dim=-1)
    loss = (mask - true_mask).square().mean()
    for logits, name in zip(names, true_names, strict=True):
        entropy = -(name * logits.log_softmax(dim=-1)).sum()
        loss = loss + NAMES_WEIGHT * entropy / name.sum().clamp(min=1)
    inside = true_names[0].sum(dim=-1)
    missed = (inside * (centre - true_centre).square().sum(dim=-1)).sum()
    return loss + CENTRE_WEIGHT * missed / inside.sum().clamp(min=1)


def fill_bank(
    pipeline: Any, recipe: Recipe, seed: int, numbers: range, frames: int, world: World = SHAPES_WORLD
) -> LatentBank:
    """Render, encode and tokenise the clips of the stream ``seed`` that have these numbers."""
    latents, captions, moving, truth, matches = [], [], [], [], []
    chunk = 64 if frames == 1 else 4
    for start in range(numbers.start, numbers.stop, chunk):
        drawn = [world.draw(seed, index, frames) for index in range(start, min(start + chunk, numbers.stop))]
        pixels = (
            scenes.render(drawn, recipe.size, recipe.size, pipeline.device).frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
        )
        latents.append(encode(pipeline.vae, pixels).half().cpu())
        captions += [scene.caption() for scene in drawn]
        moving += [scene.caption(name_motion=True) for scene in drawn]
        truth.append(token_truth(drawn, SIDE, recipe.stride, world).half())
        none = torch.zeros(len(drawn), 0, 0, 0, 2)
        matches.append((token_matches(drawn, SIDE, recipe.stride) if recipe.matched else none).half())
    tokens = tokenize(pipeline, captions)
    named = tokenize(pipeline, moving) if recipe.motions_named and frames > 1 else tokens[:, :0]
    return LatentBank(torch.cat(latents), tokens, named, torch.cat(truth), torch.cat(matches))


def cached_bank(
    path: Path, pipeline: Any, recipe: Recipe, seed: int, frames: int, world: World = SHAPES_WORLD
) -> LatentBank:
    """The bank kept in pieces beside ``path``; those that are missing are made first."""
    count = recipe.banks[frames > 1]
    pieces = []
    for start in range(0, count, PIECE):
        piece = path.with_name(f"{path.stem}-{start:05d}.safetensors")
        if not piece.exists():
            bank = fill_bank(pipeline, recipe, seed, range(start, min(start + PIECE, count)), frames, world)
            save_file(vars(bank), piece.with_suffix(".partial"))
            os.replace(piece.with_suffix(".partial"), piece)
            print(f"encoded {min(start + PIECE, count)} of {count} clips of {frames} frames", flush=True)
        pieces.append(load_file(piece))
    return LatentBank(**{name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]})


@torch.no_grad()
def encode(vae: Any, pixels: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b latent_frames c latent_h latent_w"]:
    """Mean latents, scaled, frames before channels; an autoencoder of pictures sees each frame alone."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        if isinstance(vae, AutoencoderKL):
            means = vae.encode(pixels.transpose(1, 2).flatten(0, 1)).latent_dist.mode().unflatten(0, (len(pixels), -1))
        else:
            means = vae.encode(pixels).latent_dist.mode().transpose(1, 2)
    shift, scale = _scaling(vae, means)
    return (means.float() - shift) * scale


def unscaled(vae: Any, latents: Float[Tensor, "b f c h w"]) -> Float[Tensor, "b c f h w"]:
    """What the autoencoder decodes, of scaled latents."""
    shift, scale = _scaling(vae, latents)
    return (latents / scale + shift).transpose(1, 2)


def _scaling(vae: Any, latents: Float[Tensor, "b f c h w"]) -> tuple[Tensor, Tensor]:
    """What is taken from latents, and then the factor on them: one for all channels or, with Wan's, one for each."""
    if isinstance(vae, AutoencoderKLWan):
        mean, deviation = (
            torch.tensor(values, device=latents.device)[:, None, None]
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        return mean, 1 / deviation
    return torch.zeros((), device=latents.device), torch.tensor(vae.config.scaling_factor, device=latents.device)


def standardise(vae: Any, clips: Sequence[Float[Tensor, "3 f h w"]]) -> None:
    """Have the latents of these clips scaled to unit variance, as the autoencoder's configuration says it for its kind."""
    if not isinstance(vae, AutoencoderKLWan):
        vae.register_to_config(scaling_factor=1.0)
        scale = 1 / float(torch.cat([encode(vae, clip[None]) for clip in clips]).std())
        vae.register_to_config(scaling_factor=round(scale, 4))
        return
    channels = vae.config.z_dim
    vae.register_to_config(latents_mean=[0.0] * channels, latents_std=[1.0] * channels)
    latents = torch.cat([encode(vae, clip[None]) for clip in clips]).transpose(0, 2).flatten(1)
    mean, deviation = ([round(float(value), 4) for value in each] for each in (latents.mean(dim=1), latents.std(dim=1)))
    vae.register_to_config(latents_mean=mean, latents_std=deviation)


def tokenize(pipeline: Any, captions: Sequence[str]) -> Int[Tensor, "b tokens"]:
    """Padded token numbers."""
    window = pipeline.tokenizer.model_max_length
    return pipeline.tokenizer(
        list(captions), padding="max_length", max_length=window, truncation=True, return_tensors="pt"
    ).input_ids


def draw_batch(bank: LatentBank, empty: Int[Tensor, " n"], size: int, generator: torch.Generator) -> LatentBank:
    """One batch in single precision, some captions emptied."""
    chosen = torch.randint(len(bank.latents), (size,), generator=generator)
    tokens = bank.tokens[chosen].clone()
    if bank.moving.shape[1]:
        named = torch.rand(size, generator=generator) < MOTION_SHARE
        tokens[named] = bank.moving[chosen][named]
    tokens[torch.rand(size, generator=generator) < EMPTY_PROMPT_SHARE] = empty
    latents, truth, matches = (values[chosen].float() for values in (bank.latents, bank.truth, bank.matches))
    return LatentBank(latents, tokens, tokens[:, :0], truth, matches)


def denoising_loss(
    denoiser: nn.Module,
    scheduler: Any,
    latents: Float[Tensor, "b f c h w"],
    tokens: Int[Tensor, "b n"],
    generator: torch.Generator,
    shift: float,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted velocity ``sqrt(a) eps - sqrt(1 - a) x0`` at drawn noise levels.

    For a network that predicts the noise this is the noise's own error over ``a``, of which at most
    :data:`MOST_WEIGHT` is taken: at the noisy end the velocity that such a network stands for is ill-conditioned.
    """
    alphas = scheduler.alphas_cumprod.float().to(latents.device)
    batch = len(latents)
    time = torch.sigmoid(TIME_SPREAD * torch.randn(batch, generator=generator) + shift)
    time = (time * len(alphas)).long().clamp(max=len(alphas) - 1)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    time = time.to(latents.device)
    alpha = alphas[time][:, None, None, None, None]
    signal, spread = alpha.sqrt(), (1 - alpha).sqrt()
    predicted = denoiser(signal * latents + spread * noise, time, tokens.to(latents.device)).float()
    if scheduler.config.prediction_type == "epsilon":
        return ((predicted - noise).square() / alpha.clamp(min=1 / MOST_WEIGHT)).mean()
    return (predicted - (signal * noise - spread * latents)).square().mean()


def flow_loss(
    denoiser: nn.Module,
    scheduler: Any,
    latents: Float[Tensor, "b f c h w"],
    tokens: Int[Tensor, "b n"],
    generator: torch.Generator,
    shift: float,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted flow ``noise - clean`` at drawn noise levels.

    Levels are those of a schedule of evenly spaced ones under the flow shift ``s``: ``s u / (1 + (s - 1) u)``. Of some batches
    of videos the first latent frame is given: it is clean, its time is zero, and it does not count.
    """
    count = scheduler.config.num_train_timesteps
    batch, frames = latents.shape[:2]
    even = torch.rand(batch, generator=generator)
    level = (shift * even / (1 + (shift - 1) * even)).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    given = frames > 1 and bool(torch.rand((), generator=generator) < GIVEN_SHARE)
    spread = level[:, None, None, None, None]
    noisy, time = (1 - spread) * latents + spread * noise, count * level
    if given:
        noisy = torch.cat([latents[:, :1], noisy[:, 1:]], dim=1)
        time = torch.cat([torch.zeros_like(time)[:, None], time[:, None].expand(-1, frames - 1)], dim=1)
    error = (denoiser(noisy, time, tokens.to(latents.device)).float() - (noise - latents)).square()
    return error[:, int(given) :].mean()


def optimizers(denoiser: nn.Module, head: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside the transformer's blocks, AdamW for everything else."""
    matrices, rest = [], list(head.parameters())
    for name, parameter in denoiser.named_parameters():
        inside = ("transformer_blocks" in name or "transformer.blocks" in name) and parameter.ndim == 2
        (matrices if inside else rest).append(parameter)
    return {
        "muon": torch.optim.Muon(matrices, lr=1e-3, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        "adamw": torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01),
    }


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the averaged weights toward the current ones; early steps forget faster."""
    decay = min(EMA_DECAY, (step + 1) / (step + 10))
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
