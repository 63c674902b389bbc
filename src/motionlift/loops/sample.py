"""The sampling loop: denoise, and in the first steps pull what is being made toward a motion, where a method guides.

One loop for every method: a guiding one says what it needs to see and how far that is from the motion; a tuned one has its adapter
on where it was tuned. Whatever is changed of a network is changed back before a step is yielded, so that several loops may take
turns on one model.
"""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Aim, Guide, Method, Needs, Observed, Prediction
from motionlift.core.method_settings import Guided, Sampled
from motionlift.core.model import Model
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record
from motionlift.core.tensors import INVERTED, Latents, Positions, Tensors
from motionlift.errors import DivergenceError, MotionError, SettingError
from motionlift.loops.adapters import Switch
from motionlift.loops.samplers import Sampler, Taken
from motionlift.models.schedules import mixed_noise
from motionlift.motion import names


@dataclass(frozen=True)
class Casting:
    """One video to be made."""

    model: Model
    """The model."""
    method: Method[Any]
    """The method."""
    settings: Sampled
    """Settings of the method."""
    motion: Tensors
    """Tensors of the motion, on any device."""
    shape: Shape
    """Size of the video."""
    prompt: str
    """What the video shows."""
    seed: int
    """Seed of the starting noise."""
    adapter: Switch | None = None
    """What was tuned, on the model's network, where a method tunes."""
    reference_model: Model | None = None
    """The model as it sees the reference, where the video begins with a picture that the reference does not begin with."""


@dataclass
class Cast:
    """What a run of the loop leaves behind."""

    latents: Latents
    """Latents of the finished video."""
    losses: list[float] = field(default_factory=list)
    """Loss of every inner step."""
    positions: dict[str, Tensor] = field(default_factory=dict)
    """Optimised positions of every guided step, named as a motion saves them."""
    taken: tuple[Taken, ...] = ()
    """The last steps, as far as the sampler remembers them."""


@dataclass(frozen=True)
class _Run:
    """What stays the same in all steps of one video."""

    casting: Casting
    schedule: Schedule
    sampler: Sampler
    negative: Condition
    prompted: Condition
    noise: Latents
    needs: Needs
    aim: Aim
    placed: Positions | None
    """Positions that guided steps begin with, where a method changes them."""

    @property
    def model(self) -> Model:
        return self.casting.model

    @contextmanager
    def held(self, level: Level, injected: Record) -> Iterator[None]:
        """The network as it is to run at a level: with its adapter, and with what is injected."""
        with ExitStack() as stack:
            stack.enter_context(self.model.turn())
            if self.casting.adapter is not None:
                stack.enter_context(self.casting.adapter.at(level))
            if injected:
                stack.enter_context(self.model.injecting(injected))
            yield

    def output(self, latents: Latents, level: Level, positions: Positions | None = None) -> Latents:
        """The network's output with guidance."""
        weight = guidance_scale(self.casting.settings, level)
        return guided_output(self.model, latents, level, (self.negative, self.prompted), weight, positions)

    def weighed(self, wanted: Latents, latents: Latents, level: Level, positions: Positions | None) -> Latents:
        """The network's output with guidance, where that for the prompt is known."""
        weight = guidance_scale(self.casting.settings, level)
        if weight == 1:
            return wanted
        plain = self.model.predict(latents, level, self.negative, positions)
        return plain + weight * (wanted - plain)

    def step(self, result: Cast, index: int, estimates: tuple[Latents, Latents], moved: bool = False) -> None:
        """Take a step with clean latents and noise that the network speaks of; the latents may have been moved by guidance."""
        result.latents, result.taken = self.sampler.step(index, result.latents, *estimates, result.taken, moved)


def starting_noise(casting: Casting) -> Latents:
    """The noise that sampling starts from; drawn on the CPU, so that a seed means the same everywhere.

    Raises:
        MotionError: a share of inverted noise is asked for and the motion holds none.
    """
    generator = torch.Generator().manual_seed(casting.seed)
    fresh = torch.randn(casting.model.codec.latent_shape(casting.shape), generator=generator)
    beta = casting.settings.beta
    if not beta:
        return fresh
    if INVERTED not in casting.motion:
        raise MotionError(f"beta is {beta}, but the motion holds no inverted noise: lift it again with inversion=true")
    return mixed_noise(casting.motion[INVERTED].to(fresh), fresh, beta)


def guided_steps(settings: Sampled) -> int:
    """How many of the steps are guided: none where a method does not guide."""
    return round(settings.share * settings.steps) if isinstance(settings, Guided) else 0


def cast(casting: Casting) -> Generator[Step, None, Cast]:
    """Make one video; yields a step for every optimiser step and every denoising step.

    Raises:
        DivergenceError: a loss or the latents stopped being finite.
        MotionError: saved positions are asked for and the motion has none for these steps, or none that fit.
        SettingError: a word that the method asks for is not in the prompt.
    """
    run = _begun(casting)
    result = Cast(run.noise)
    positions: Positions | None = None
    for index, level in enumerate(run.schedule.levels):
        if index < guided_steps(casting.settings):
            positions = yield from _guided_step(run, result, index, positions)
        else:
            with torch.no_grad(), run.held(level, {}):
                output = run.output(result.latents, level)
                estimates = run.schedule.estimates(output, result.latents, level)
                run.step(result, index, estimates)
        if not result.latents.isfinite().all():
            raise DivergenceError(f"the latents are no longer finite after step {index + 1}: lower lr, cfg or strength")
        yield Step("sample", index, len(run.schedule), latents=result.latents)
    return result


def _begun(casting: Casting) -> _Run:
    """What a run begins with."""
    model, method, settings = casting.model, casting.method, casting.settings
    noise, needs = starting_noise(casting), Needs()
    if isinstance(method, Guide):
        noise, needs = method.begin(noise, casting.motion, settings), method.needs(settings)
    lattices = {number: model.lattice(casting.shape, number) for number in needs.blocks}
    places = word_places(model, needs.words, casting.prompt)
    noise = noise.to(model.about.device)
    schedule = model.schedule(settings.steps, casting.shape)
    return _Run(
        casting=casting,
        schedule=schedule,
        sampler=Sampler(settings.sampler, schedule, casting.seed),
        negative=model.text.encode(settings.negative_prompt, casting.shape),
        prompted=model.text.encode(casting.prompt, casting.shape),
        noise=noise,
        needs=needs,
        aim=Aim(casting.motion, lattices, 0, places, begun=noise),
        placed=_placed(casting, needs),
    )


def _placed(casting: Casting, needs: Needs) -> Positions | None:
    """Positions that guided steps begin with; none where they are the network's own."""
    model, method = casting.model, casting.method
    if not needs.positions:
        return None
    assert isinstance(method, Guide)
    own, lattice = model.positions(casting.shape), model.lattice(casting.shape)
    return method.placed(own, casting.motion, lattice, casting.settings)


def word_places(model: Model, words: Sequence[str], prompt: str) -> dict[str, tuple[int, ...]]:
    """Places of words in the encoded prompt.

    Raises:
        SettingError: one is not in the prompt.
    """
    places = {word: model.text.places(prompt, word) for word in words}
    lacking = [word for word, found in places.items() if not found]
    if lacking:
        raise SettingError(f"{', '.join(lacking)} is not in the prompt {prompt!r}; name words that are")
    return places


def _guided_step(
    run: _Run, result: Cast, index: int, positions: Positions | None
) -> Generator[Step, None, Positions | None]:
    """One guided step; changes the latents in ``result`` and returns positions to go on with."""
    settings, method, level = run.casting.settings, run.casting.method, run.schedule.levels[index]
    assert isinstance(settings, Guided) and isinstance(method, Guide)
    injected, reference = _of_reference(run, level)
    begun = result.latents
    aim = replace(run.aim, step=index, reference=reference)
    positions = run.placed if positions is None else positions
    output: Latents | None = None
    if settings.target == "saved":
        casting = run.casting
        positions = saved_positions(casting.motion, index, casting.model, casting.shape)
    elif run.needs.blocks or run.needs.output:
        positions, output = yield from _optimise(run, result, aim, injected, positions)
    with torch.no_grad(), run.held(level, injected):
        if output is None:
            output = run.output(result.latents, level, positions)
        prediction = _predicted(run, result.latents, level, output)
        run.step(result, index, method.steered(prediction, aim, settings), result.latents is not begun)
    return positions


@torch.no_grad()
def _of_reference(run: _Run, level: Level) -> tuple[Record, Prediction | None]:
    """What of the reference is injected at a level, and what the network predicts of it there, as far as the method needs them.

    The reference is noised with the noise that the video began with. Blocks that are read keep their own keys and values: else the
    loss would look at the reference's (as in the released DiTFlow).
    """
    blocks = [number for number in run.needs.inject if number not in run.needs.blocks]
    if not blocks and not run.needs.reference:
        return {}, None
    latents = run.schedule.noised(run.casting.motion[names.LATENTS].to(run.noise), run.noise, level)
    model, shape = run.casting.reference_model or run.model, run.casting.shape
    with run.held(level, {}):
        injected: Record = {}
        if blocks:
            prompted = model.text.encode(run.casting.prompt, shape)
            injected = model.record(latents, level, prompted, blocks, features=False)
        if not run.needs.reference:
            return injected, None
        output = model.predict(latents, level, model.text.encode("", shape))
        return injected, _predicted(run, latents, level, output)


def _predicted(run: _Run, latents: Latents, level: Level, output: Latents) -> Prediction:
    return Prediction(latents, level, output, *run.schedule.estimates(output, latents, level))


def saved_positions(motion: Tensors, step: int, model: Model, shape: Shape) -> Positions:
    """Positions that an earlier run left in a motion for a guided step.

    Raises:
        MotionError: there are none, or none that fit the model.
    """
    found = names.saved_positions(motion, step)
    if not found:
        raise MotionError(
            f"the motion holds no saved positions for guided step {step + 1}; make them with target=positions and the same "
            "steps and share, and keep that run's motion"
        )
    needed = model.positions(shape)
    if {name: saved.shape for name, saved in found.items()} != {name: own.shape for name, own in needed.items()}:
        raise MotionError(
            f"the saved positions of guided step {step + 1} do not fit {model.about.name}: it needs "
            f"{', '.join(f'{name} {tuple(own.shape)}' for name, own in needed.items())}; make them anew with target=positions"
        )
    return {name: saved.to(needed[name].device) for name, saved in found.items()}


def learning_rate(settings: Guided, index: int) -> float:
    """Learning rate of a guided step: falls on a line from ``lr`` to ``lr_end``."""
    last = max(guided_steps(settings) - 1, 1)
    return settings.lr + (settings.lr_end - settings.lr) * index / last


def _optimise(
    run: _Run, result: Cast, aim: Aim, injected: Record, positions: Positions | None
) -> Generator[Step, None, tuple[Positions | None, Latents | None]]:
    """The inner steps of one guided step; changes the latents in ``result``, or returns new positions.

    It returns as well what the network said with guidance in the last of them, where the denoising step is taken by that.
    """
    settings, index = run.casting.settings, aim.step
    assert isinstance(settings, Guided)
    moving = settings.target == "positions"
    start = (positions or run.model.positions(run.casting.shape)) if moving else {"latents": result.latents}
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.items()}
    update = _Update(settings.optimizer, list(leaves.values()), learning_rate(settings, index))
    output: Latents | None = None
    for inner in range(settings.inner):
        shared = settings.shared_pass and inner == settings.inner - 1
        loss, gradients, output = _gradients(run, aim, injected, result.latents, leaves, positions, shared)
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss is {loss} in guided step {index + 1}: lower lr, or use another block")
        update(gradients)
        result.losses.append(loss)
        yield Step("guide", index * settings.inner + inner, guided_steps(settings) * settings.inner, loss)
    finished = {name: leaf.detach() for name, leaf in leaves.items()}
    if not moving:
        result.latents = finished["latents"]
        return positions, output
    result.positions |= {names.position_name(index, name): tensor for name, tensor in finished.items()}
    return finished, output


@torch.enable_grad()
def _gradients(
    run: _Run,
    aim: Aim,
    injected: Record,
    latents: Latents,
    leaves: Mapping[str, Tensor],
    positions: Positions | None,
    shared: bool,
) -> tuple[float, Sequence[Tensor | None], Latents | None]:
    """The loss, its gradient by what is optimised, latents or positions, and the network's output, where it is shared."""
    level, method, needs = run.schedule.levels[aim.step], run.casting.method, run.needs
    assert isinstance(method, Guide)
    latents = leaves.get("latents", latents)
    positions = positions if "latents" in leaves else leaves
    with run.held(level, injected):
        output: Latents | None = None
        if needs.output:
            with torch.no_grad():
                output = run.output(latents, level, positions)
            observed = Observed(latents, level, prediction=_predicted(run, latents, level, output))
        else:
            asked = latents, level, run.prompted, needs.blocks, positions, needs.features
            if shared:
                wanted, record = run.model.watch(*asked)
                with torch.no_grad():
                    output = run.weighed(wanted, latents, level, positions)
            else:
                record = run.model.record(*asked)
            observed = Observed(latents, level, record)
            run.model.passes.went_back(run.model.share(max(needs.blocks), needs.features))
        loss = method.loss(observed, aim, run.casting.settings)
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return float(loss.detach()), gradients, output if shared else None


class _Update:
    """One optimiser over the leaves of one guided step."""

    def __init__(self, kind: str, leaves: Sequence[Tensor], rate: float):
        self.leaves = leaves
        self.rate = rate
        self.scaled = kind == "rms"
        self.adam = torch.optim.Adam(leaves, lr=rate) if kind == "adam" else None

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor | None]) -> None:
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            leaf.grad = gradient
            if self.adam is None and gradient is not None:
                leaf -= self.rate * (gradient / _size(gradient) if self.scaled else gradient)
        if self.adam is not None:
            self.adam.step()


def _size(gradient: Tensor) -> Tensor:
    """Root mean square, never zero."""
    return gradient.square().mean().sqrt().clamp(min=1e-12)


def guidance_scale(settings: Sampled, level: Level) -> float:
    """Weight of the prompt against the negative prompt at a level; the dynamic form is that of the published CogVideoX pipeline.

    That formula, ``1 + cfg (1 - cos(pi ((steps - timestep) / steps)^5)) / 2``, has the timestep where the number of the step seems
    to be meant: it does not grow over the steps but jumps between 1 and ``1 + cfg``, and another number of steps gives another
    draw. It is kept because the published model is run so.
    """
    if not settings.dynamic_cfg:
        return settings.cfg
    progress = ((settings.steps - level.timestep) / settings.steps) ** 5.0
    return 1 + settings.cfg * (1 - math.cos(math.pi * progress)) / 2


def guided_output(
    model: Model,
    latents: Latents,
    level: Level,
    conditions: tuple[Condition, Condition],
    weight: float,
    positions: Positions | None = None,
) -> Latents:
    """The network's output with one prompt weighted against another (Ho and Salimans, 2207.12598).

    Both are seen in one batch, or one after the other where the model says that a batch of two takes too much memory; with a
    weight of 1 or 0 only one of them is seen.

    Args:
        model: the model.
        latents: of one video.
        level: their level of noise.
        conditions: the negative prompt and the prompt.
        weight: of the prompt.
        positions: the network's positions, where they are others than its own.
    """
    negative, prompted = conditions
    if weight in (0, 1):
        return model.predict(latents, level, prompted if weight else negative, positions)
    if not model.about.measures.one_by_one and negative.fits(prompted):
        both = model.predict(torch.cat([latents, latents]), level, negative.joined(prompted), positions)
        plain, wanted = both.chunk(2)
    else:
        plain, wanted = (model.predict(latents, level, condition, positions) for condition in conditions)
    return plain + weight * (wanted - plain)
