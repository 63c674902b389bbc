"""Golden numbers: every published formula in plain numpy, as paper or program write it, without a line of the library.

Written with loops where the paper sums, so that it can be read against the paper; where none is published, it is ours and says so.
Inputs are sines, the same everywhere. Run as a
program it writes ``numbers.json`` anew: ``python -m tests.golden.made``. That is for a formula that is new, or one that was read
wrongly; nothing that the library computes goes into it.
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

NUMBERS = Path(__file__).parent / "numbers.json"
"""Where the numbers lie."""
FRAMES, HEIGHT, WIDTH = 3, 4, 5
"""A lattice."""
AREA = HEIGHT * WIDTH
HEADS, SIZE, CHANNELS, TEXT = 2, 6, 8, 3
"""Heads of attention, channels of each, channels of features, and tokens of text."""
LATENTS = (1, 2, 4, 3, 3)
"""Sizes of latents: video, channels, frames, rows, columns."""
DIGITS = 9


def made(start: float, *sizes: int) -> Array:
    """Numbers that look like noise: sines of numbers that are far apart."""
    count = math.prod(sizes)
    return (1.4 * np.sin(start + (12.9898 + start) * np.arange(1, count + 1) ** 1.1)).reshape(sizes)


def checksum(values: Any) -> list[float]:
    """Mean, spread, and a product with fixed numbers; of a number itself."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(flat) == 1:
        return [float(f"{flat[0]:.{DIGITS}g}")]
    product = flat @ made(0.5, len(flat)) / len(flat) ** 0.5
    return [float(f"{value:.{DIGITS}g}") for value in (flat.mean(), flat.std(), product)]


def softmax(logits: Array) -> Array:
    """Along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def cosine(one: Array, other: Array) -> float:
    """Of two vectors."""
    return float(one.ravel() @ other.ravel() / np.linalg.norm(one) / np.linalg.norm(other))


# DiTFlow (2412.07776)


def queries_and_keys() -> tuple[Array, Array]:
    """Of the video's tokens, as heads, tokens, channels."""
    return made(1.0, HEADS, FRAMES * AREA, SIZE), made(2.0, HEADS, FRAMES * AREA, SIZE)


def attention_motion_flow(query: Array, key: Array, temperature: float | None) -> Array:
    """Displacement of every token to every frame, x then y; to the greatest logit without a temperature."""
    logits = np.mean([q @ k.T / math.sqrt(SIZE) for q, k in zip(query, key, strict=True)], axis=0)
    places = np.array([[float(at % WIDTH), float(at // WIDTH)] for at in range(AREA)])
    flow = np.zeros((FRAMES, FRAMES, AREA, 2))
    for i, j, at in itertools.product(range(FRAMES), range(FRAMES), range(AREA)):
        row = logits[i * AREA + at, j * AREA : (j + 1) * AREA]
        reached = places[row.argmax()] if temperature is None else softmax(temperature * row) @ places
        flow[i, j, at] = reached - places[at]
    return flow


def rates() -> Array:
    """Learning rates of the guided steps: the program draws a line over eleven points, and ten steps take one each."""
    return np.linspace(0.002, 0.001, 50 - 40 + 1)[:10]


def varying_guidance(steps: int, weight: float) -> list[float]:
    """Guidance scales of CogVideoX-5B at the trailing timesteps of a run, by the timestep where the step seems to be meant."""
    timesteps = [1000 - 1 - number * 1000 // steps for number in range(steps)]
    return [1 + weight * (1 - math.cos(math.pi * ((steps - t) / steps) ** 5.0)) / 2 for t in timesteps]


def flow_loss(generated: Array, reference: Array) -> float:
    """The program's mean squared error over entries that move."""
    kept = np.linalg.norm(reference, axis=-1) > 0
    return float(np.mean((generated[kept] - reference[kept]) ** 2))


# SMM and MOFT as DiTFlow's program runs them


def features(start: float) -> Array:
    """Of a block, frame by frame."""
    return made(start, FRAMES, AREA, CHANNELS)


def smm_as_released(reference: Array, generated: Array) -> float:
    """Both are counted from the reference's frames; the cosine is along the frames, for each channel."""
    means, own = reference.mean(axis=1), generated.mean(axis=1)
    total = 0.0
    for anchor in range(FRAMES):
        cosines = [
            cosine(own[:, channel] - means[anchor, channel], means[:, channel] - means[anchor, channel])
            for channel in range(CHANNELS)
        ]
        total += 1 - float(np.mean(cosines))
    return total / FRAMES


def smm_with_its_own_anchor(reference: Array, generated: Array) -> float:
    """Changes between a video's own frames, along the channels (ours)."""
    means, own = reference.mean(axis=1), generated.mean(axis=1)
    pairs = list(itertools.combinations(range(FRAMES), 2))
    return float(np.mean([1 - cosine(own[j] - own[i], means[j] - means[i]) for i, j in pairs]))


def moft_channels(reference: Array, count: int) -> list[int]:
    """The channels of largest weight in the first principal component."""
    moving = (reference - reference.mean(axis=0)).reshape(-1, CHANNELS)
    component = np.linalg.svd(moving, full_matrices=False)[2][0]
    return sorted(np.argsort(-np.abs(component))[:count].tolist())


def moft(reference: Array, generated: Array, channels: list[int]) -> float:
    """Cosine of what stays of features without their mean over time, place by place."""
    one, other = (own - own.mean(axis=0) for own in (generated, reference))
    places = itertools.product(range(FRAMES), range(AREA))
    return float(np.mean([1 - cosine(one[f, at, channels], other[f, at, channels]) for f, at in places]))


# VMC (2312.00845)


def noises() -> tuple[Array, Array]:
    """Predicted and true."""
    return made(3.0, *LATENTS), made(4.0, *LATENTS)


def residuals(noise: Array) -> list[Array]:
    """How it changes from frame to frame."""
    return [noise[:, :, n + 1] - noise[:, :, n] for n in range(noise.shape[2] - 1)]


def vmc_cos(predicted: Array, true: Array) -> float:
    """``1 - cos`` of each residual."""
    return float(np.mean([1 - cosine(a, b) for a, b in zip(residuals(predicted), residuals(true), strict=True)]))


def vmc_l2(predicted: Array, true: Array) -> float:
    """Squared length of their difference."""
    return float(np.mean([((a - b) ** 2).sum() for a, b in zip(residuals(predicted), residuals(true), strict=True)]))


def vmc_as_released(predicted: Array, true: Array) -> float:
    """Absolute residuals, the cosine along the frames at every place."""
    one, other = (np.abs(np.stack(residuals(noise), axis=2)) for noise in (predicted, true))
    places = itertools.product(*[range(LATENTS[axis]) for axis in (0, 1, 3, 4)])
    return float(1 - np.mean([cosine(one[b, c, :, y, x], other[b, c, :, y, x]) for b, c, y, x in places]))


# MotionMatcher (2502.13234)


def cross_attention(query: Array, text: Array) -> Array:
    """Probabilities of the text's tokens, mean over heads."""
    return np.mean([softmax(q @ k.T / math.sqrt(SIZE)) for q, k in zip(query, text, strict=True)], axis=0)


def temporal_attention(query: Array, key: Array) -> Array:
    """Probabilities of a place's own frames, mean over heads: place, frame, frame."""
    found = np.zeros((AREA, FRAMES, FRAMES))
    for q, k in zip(query, key, strict=True):
        one, other = (own.reshape(FRAMES, AREA, SIZE) for own in (q, k))
        for at in range(AREA):
            found[at] += softmax(one[:, at] @ other[:, at].T / math.sqrt(SIZE)) / HEADS
    return found


def feature_distance(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """2000 times the mean squared error of both maps."""
    return sum(2000 * float(np.mean((a - b) ** 2)) for a, b in zip(first, second, strict=True))


def mixed(inverted: Array, fresh: Array, beta: float) -> Array:
    """The noise that videos begin with."""
    return math.sqrt(beta) * inverted + math.sqrt(1 - beta) * fresh


# MotionFlow (2412.05275)


def word_maps(start: float) -> Array:
    """Attention to two words."""
    return np.abs(made(start, 2, FRAMES, HEIGHT, WIDTH))


def masks(maps: Array, tau: float) -> Array:
    """Where a map exceeds a share of its maximum, in every frame."""
    return np.stack([np.stack([frame > tau * frame.max() for frame in word]) for word in maps])


def cross_loss(maps: Array, mask: Array) -> float:
    """``1 - sum(M A) / sum(A)`` for each word and frame."""
    shares = [
        1 - (m * a).sum() / a.sum()
        for word, own in zip(maps, mask, strict=True)
        for a, m in zip(word, own, strict=True)
    ]
    return float(np.mean(shares))


def smoothed(maps: Array) -> Array:
    """By a 3x3 Gaussian of deviation 0.5, edges repeated (ours; the paper names none)."""
    found = np.zeros_like(maps)
    around = list(itertools.product((-1, 0, 1), repeat=2))
    whole = sum(math.exp(-(down**2 + right**2) / (2 * 0.5**2)) for down, right in around)
    for (down, right), y, x in itertools.product(around, range(HEIGHT), range(WIDTH)):
        row, column = min(max(y + down, 0), HEIGHT - 1), min(max(x + right, 0), WIDTH - 1)
        found[..., y, x] += math.exp(-(down**2 + right**2) / (2 * 0.5**2)) / whole * maps[..., row, column]
    return found


def some_masks(maps: Array) -> Array:
    """Masks of two words, one of which is nowhere in the last frame."""
    found = masks(maps, 0.4)
    found[1, -1] = False
    return found


def spatial_attention(query: Array, key: Array) -> Array:
    """Probabilities of a frame's own places, mean over heads: frame, place, place."""
    found = np.zeros((FRAMES, AREA, AREA))
    for q, k in zip(query, key, strict=True):
        one, other = (own.reshape(FRAMES, AREA, SIZE) for own in (q, k))
        for f in range(FRAMES):
            found[f] += softmax(one[f] @ other[f].T / math.sqrt(SIZE)) / HEADS
    return found


def self_loss(attention: Array, mask: Array) -> float:
    """``1 - sum(M A) / sum(A)`` over the rows of masked queries, for each word and frame that has any (ours, as the cross loss)."""
    shares = []
    for word, f in itertools.product(range(len(mask)), range(FRAMES)):
        inside = np.flatnonzero(mask[word, f])
        if len(inside):
            rows = attention[f, inside]
            shares.append(1 - rows[:, inside].sum() / rows.sum())
    return float(np.mean(shares))


def temporal_loss(generated: Array, reference: Array, mask: Array) -> float:
    """Mean squared distance of the attention over time of every query that some word's mask holds (ours)."""
    squares = [
        (generated[at, f, other] - reference[at, f, other]) ** 2
        for at, f, other in itertools.product(range(AREA), range(FRAMES), range(FRAMES))
        if mask[:, f].reshape(len(mask), AREA)[:, at].any()
    ]
    return float(np.mean(squares))


# MotionDirector (2310.08465) and FlowMotion (2603.06289)


def motion_director(predicted: Array, true: Array, anchor: int, strength: float) -> float:
    """The network's own loss, and that of noise without one frame's."""

    def apart(noise: Array) -> Array:
        return math.sqrt(strength**2 + 1) * noise - strength * noise[:, :, anchor : anchor + 1]

    return float(np.mean((predicted - true) ** 2) + np.mean((apart(predicted) - apart(true)) ** 2))


def flow_motion(clean: Array, reference: Array) -> float:
    """``20 mse(x0) + 5 mse(|frame differences|)``, of consecutive frames and of all pairs."""
    pairs = list(itertools.combinations(range(clean.shape[2]), 2))

    def squares(i: int, j: int) -> Array:
        one, other = (np.abs(video[:, :, j] - video[:, :, i]) for video in (clean, reference))
        return (one - other) ** 2

    near = np.mean([squares(i, j) for i, j in pairs if j == i + 1])
    return float(20 * np.mean((clean - reference) ** 2) + 5 * (near + np.mean([squares(i, j) for i, j in pairs])))


def kept_along(velocity: Array, course: Array, share: float) -> Array:
    """A velocity whose part across a course is scaled."""
    along = (velocity * course).sum() / (course**2).sum() * course
    return along + share * (velocity - along)


# Sampling


SIGNALS = (0.15, 0.35, 0.6, 0.85)
"""Shares of the clean latents at the levels of a run of diffusion, whose cumulative alphas are their squares."""


def next_by_ddim(latents: Array, noise: Array, at: float, end: float) -> Array:
    """2010.02502, equation 12, without fresh noise."""
    clean = (latents - math.sqrt(1 - at**2) * noise) / at
    return end * clean + math.sqrt(1 - end**2) * noise


def next_by_inversion(latents: Array, noise: Array, at: float, end: float) -> Array:
    """``next_step`` of the programs' DDIM inversion, with cumulative alphas, from the cleaner level to the noisier."""
    alpha, alpha_next = at**2, end**2
    clean = (latents - (1 - alpha) ** 0.5 * noise) / alpha**0.5
    return alpha_next**0.5 * clean + (1 - alpha_next) ** 0.5 * noise


def next_by_euler(latents: Array, flow: Array, at: float, end: float) -> Array:
    """2210.02747 with a straight path: along the flow, from one sigma to another, in either direction."""
    return latents + (end - at) * flow


def next_by_ddpm(latents: Array, noise: Array, fresh: Array, at: float, end: float) -> Array:
    """2006.11239, equation 7: mean and variance of the posterior."""
    alpha = at**2 / end**2
    beta, clean = 1 - alpha, (latents - math.sqrt(1 - at**2) * noise) / at
    mean = end * beta / (1 - at**2) * clean + math.sqrt(alpha) * (1 - end**2) / (1 - at**2) * latents
    return mean + math.sqrt((1 - end**2) / (1 - at**2) * beta) * fresh


def half_log(signal: float) -> float:
    """Logarithm of signal over noise."""
    return math.log(signal / math.sqrt(1 - signal**2))


def next_by_dpm(latents: Array, cleans: tuple[Array, Array], before: float, at: float, end: float) -> Array:
    """2211.01095, algorithm 2: ``cleans`` are those of the step before and of this one."""
    width = half_log(end) - half_log(at)
    ratio = (half_log(at) - half_log(before)) / width
    both = (1 + 1 / (2 * ratio)) * cleans[1] - 1 / (2 * ratio) * cleans[0]
    return math.sqrt(1 - end**2) / math.sqrt(1 - at**2) * latents - end * (math.exp(-width) - 1) * both


def next_by_stochastic_dpm(
    latents: Array, cleans: tuple[Array, Array], fresh: Array, before: float, at: float, end: float
) -> Array:
    """2211.01095, SDE-DPM-Solver++ (2M)."""
    width = half_log(end) - half_log(at)
    ratio = (half_log(at) - half_log(before)) / width
    both = (1 + 1 / (2 * ratio)) * cleans[1] - 1 / (2 * ratio) * cleans[0]
    noise, shrunk = math.sqrt(1 - end**2), math.exp(-width)
    kept = noise / math.sqrt(1 - at**2) * shrunk * latents
    return kept + end * (1 - shrunk**2) * both + noise * math.sqrt(1 - shrunk**2) * fresh


def next_by_unipc(latents: Array, cleans: tuple[Array, Array], before: float, at: float, end: float) -> Array:
    """2302.04867, UniP of the second order with B2, whose one coefficient is a half: cleans of the step before and of this one."""
    width = half_log(end) - half_log(at)
    ratio, whole = (half_log(before) - half_log(at)) / width, math.expm1(-width)
    first_order = math.sqrt(1 - end**2) / math.sqrt(1 - at**2) * latents - end * whole * cleans[1]
    return first_order - end * whole * 0.5 * (cleans[0] - cleans[1]) / ratio


def corrected_by_unipc(
    latents: Array, cleans: tuple[Array, Array, Array], before: float, at: float, end: float
) -> Array:
    """2302.04867, UniC of the second order with B2, in terms of clean latents: two steps before, one before, and at the end."""
    width = half_log(end) - half_log(at)
    ratios = np.array([(half_log(before) - half_log(at)) / width, 1.0])
    height, factorial, shares, powers = -width, 1, [], []
    whole = math.expm1(height)
    rest = whole / height - 1
    for order in (1, 2):
        powers.append(ratios ** (order - 1))
        shares.append(rest * factorial / whole)
        factorial *= order + 1
        rest = rest / height - 1 / factorial
    rho = np.linalg.solve(np.array(powers), np.array(shares))
    change = rho[0] * (cleans[0] - cleans[1]) / ratios[0] + rho[1] * (cleans[2] - cleans[1])
    return math.sqrt(1 - end**2) / math.sqrt(1 - at**2) * latents - end * whole * (cleans[1] + change)


# Figures


def tracks(start: float) -> Array:
    """Points, frames, x and y."""
    return 20 + np.cumsum(made(start, 5, 6, 2), axis=1)


def resting_tracks(start: float, resting: int) -> Array:
    """Tracks of which one stands still, and another in two steps."""
    steps = made(start, 5, 6, 2)
    steps[resting], steps[resting + 1, 2:4] = 0, 0
    return 20 + np.cumsum(steps, axis=1)


def alike(one: Array, other: Array) -> float:
    """Mean over the steps of two tracks of their cosine; standing is like standing, 1, and unlike any motion, 0."""
    found = []
    for p, q in zip(np.diff(one, axis=0), np.diff(other, axis=0), strict=True):
        rests = int(not p.any()) + int(not q.any())
        found.append(cosine(p, q) if not rests else float(rests == 2))
    return float(np.mean(found))


def fidelity(one: Array, other: Array) -> float:
    """Mean over the tracks of both videos of the best match in the other, by the cosine of their steps (paper form)."""
    table = np.array([[alike(a, b) for b in other] for a in one])
    return float((table.max(axis=1).sum() + table.max(axis=0).sum()) / (len(one) + len(other)))


def older_fidelity(generated: Array, reference: Array) -> float:
    """The copied script: for each generated track the best reference track, after one is taken from that of the same number."""
    best = []
    for number, track in enumerate(generated):
        likenesses = [alike(track, other) - (number == place) for place, other in enumerate(reference)]
        best.append(max(likenesses))
    return float(np.mean(best))


def embeddings() -> tuple[Array, Array]:
    """Of frames, more than go through CLIP at a time, and of a sentence."""
    return made(18.0, 11, CHANNELS), made(19.0, CHANNELS)


def text_alignment(frames: Array, text: Array) -> float:
    """CLIP-T of MotionMatcher's program: mean over the frames of the cosine with the prompt."""
    return float(np.mean([cosine(frame, text) for frame in frames]))


def frame_consistency(frames: Array) -> float:
    """Mean cosine of a frame and the one before (the same program)."""
    return float(np.mean([cosine(before, after) for before, after in itertools.pairwise(frames)]))


def discrepancy(one: Array, other: Array, height: int, width: int) -> float:
    """Mean of the least mean squared distance, over frames, x and y, both ways, by the size of the frame (released)."""
    table = np.array([[((a - b) ** 2).mean() for b in other] for a in one])
    return float((table.min(axis=1).mean() + table.min(axis=0).mean()) / (height * width))


def formulas() -> Mapping[str, Callable[[], Any]]:
    """Every formula by name, with its inputs."""
    query, key = queries_and_keys()
    text, other_query = made(5.0, HEADS, TEXT, SIZE), made(6.0, HEADS, FRAMES * AREA, SIZE)
    reference, generated, (predicted, true) = features(7.0), features(8.0), noises()
    latents, fresh, first, second, third = (made(start, *LATENTS) for start in (9.0, 10.0, 11.0, 12.0, 13.0))
    before, at, end, _ = SIGNALS
    hard, soft = attention_motion_flow(query, key, None), attention_motion_flow(other_query, key, 2.0)
    maps = word_maps(14.0), word_maps(15.0)
    points, resting = (tracks(16.0), tracks(17.0)), (resting_tracks(16.0, 0), resting_tracks(17.0, 2))
    frames, sentence = embeddings()
    return {
        "ditflow: displacement, hard": lambda: hard,
        "ditflow: displacement, soft": lambda: soft,
        "ditflow: loss": lambda: flow_loss(soft, hard),
        "ditflow: learning rates": rates,
        "cogvideox-5b: guidance scales": lambda: varying_guidance(50, 7.0),
        "smm: released": lambda: smm_as_released(reference, generated),
        "smm: own": lambda: smm_with_its_own_anchor(reference, generated),
        "moft: channels": lambda: moft_channels(reference, 3),
        "moft: loss": lambda: moft(reference, generated, moft_channels(reference, 3)),
        "vmc: cos": lambda: vmc_cos(predicted, true),
        "vmc: l2": lambda: vmc_l2(predicted, true),
        "vmc: released": lambda: vmc_as_released(predicted, true),
        "motionmatcher: attention to words": lambda: cross_attention(query, text),
        "motionmatcher: attention over time": lambda: temporal_attention(query, key),
        "motionmatcher: loss": lambda: feature_distance(
            (cross_attention(query, text), temporal_attention(query, key)),
            (cross_attention(other_query, text), temporal_attention(other_query, key)),
        ),
        "motionmatcher: starting noise": lambda: mixed(latents, fresh, 0.3),
        "motionflow: masks": lambda: masks(maps[0], 0.4),
        "motionflow: cross loss": lambda: cross_loss(maps[1], masks(maps[0], 0.4)),
        "motionflow: smoothing": lambda: smoothed(maps[0]),
        "motionflow: attention within frames": lambda: spatial_attention(query, key),
        "motionflow: self loss": lambda: self_loss(spatial_attention(query, key), some_masks(maps[0])),
        "motionflow: temporal loss": lambda: temporal_loss(
            temporal_attention(query, key), temporal_attention(other_query, key), some_masks(maps[0])
        ),
        "motiondirector: loss": lambda: motion_director(predicted, true, 1, 1.0),
        "flowmotion: loss": lambda: flow_motion(first, second),
        "flowmotion: velocity": lambda: kept_along(first, second, 0.1),
        "ddim: step": lambda: next_by_ddim(latents, true, at, end),
        "ddim: inversion": lambda: next_by_inversion(latents, true, end, at),
        "euler: step": lambda: next_by_euler(latents, true, 1 - at, 1 - end),
        "euler: inversion": lambda: next_by_euler(latents, true, 1 - end, 1 - at),
        "ddpm: step": lambda: next_by_ddpm(latents, true, fresh, at, end),
        "dpm: step": lambda: next_by_dpm(latents, (first, second), before, at, end),
        "dpm-sde: step": lambda: next_by_stochastic_dpm(latents, (first, second), fresh, before, at, end),
        "unipc: step": lambda: next_by_unipc(latents, (first, second), before, at, end),
        "unipc: correction": lambda: corrected_by_unipc(latents, (first, second, third), before, at, end),
        "motion fidelity": lambda: fidelity(*points),
        "motion fidelity where points stand": lambda: fidelity(*resting),
        "motion fidelity, older script": lambda: older_fidelity(points[1], points[0]),
        "clip: text": lambda: text_alignment(frames, sentence),
        "clip: frames": lambda: frame_consistency(frames),
        "motion discrepancy": lambda: discrepancy(*points, 40, 64),
    }


def measured() -> dict[str, list[float]]:
    """All of it."""
    return {name: checksum(formula()) for name, formula in formulas().items()}


if __name__ == "__main__":
    NUMBERS.write_text(json.dumps(measured(), indent=1) + "\n")
