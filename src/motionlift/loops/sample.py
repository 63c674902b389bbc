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
from motionlift.core.prompts import named
from motionlift.core.schedule import Level, Schedule
from motionlift.core.seen import Record
from motionlift.core.tensors import INVERTED, Latents, Positions, Tensors
from motionlift.core.windows import Windows
from motionlift.errors import DivergenceError, MotionError, SettingError
from motionlift.loops.adapters import Switch
from motionlift.loops.samplers import Sampler, Taken
from motionlift.loops.windows import noise_again, put_by, taken_up
from motionlift.models.schedules import mixed_noise
from motionlift.motion import names

LATENTS = names.LATENTS
"""The name among what is optimised of latents; all others are positions."""


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
    windows: Windows | None = None
    """Windows over the video, where it is longer than the model sees at once."""
    later: Sequence[tuple[Model, Model | None]] = ()
    """The models of the windows after the first, each with that of the reference, where pictures make them others."""


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
    """What stays the same in all steps of one video, or of one window of a longer one."""

    casting: Casting
    schedule: Schedule
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
                stack.enter_context(self.model.injecting(taken_up(injected, self.model.about.device)))
            yield

    def output(self, latents: Latents, level: Level, positions: Positions | None = None) -> Latents:
        """The network's output with guidance."""
        weight = guidance_scale(self.casting.settings, level, self.model.about.second_below)
        return guided_output(self.model, latents, level, (self.negative, self.prompted), weight, positions)

    def weighed(self, wanted: Latents, latents: Latents, level: Level, positions: Positions | None) -> Latents:
        """The network's output with guidance, where that for the prompt is known."""
        weight = guidance_scale(self.casting.settings, level, self.model.about.second_below)
        if weight == 1:
            return wanted
        plain = self.model.predict(latents, level, self.negative, positions)
        return plain + weight * (wanted - plain)


@dataclass(frozen=True)
class _Sight:
    """What one window is guided by in a guided step."""

    aim: Aim
    injected: Record
    positions: Positions | None


@dataclass(frozen=True)
class _Whole:
    """A video: the runs of its windows, one where it is no longer than the model sees at once."""

    windows: Windows
    runs: Sequence[_Run]
    sampler: Sampler
    noise: Latents

    def output(self, latents: Latents, level: Level, sights: Sequence[_Sight] = ()) -> Latents:
        """The network's output with guidance, that of all windows weighed together."""

        def of(piece: Latents, number: int) -> Latents:
            run, positions = self.runs[number], sights[number].positions if sights else None
            with run.held(level, sights[number].injected if sights else {}):
                return run.output(piece, level, positions)

        return self.windows.blended(latents, of)

    def steered(self, output: Latents, latents: Latents, level: Level, sights: Sequence[_Sight]) -> list[Latents]:
        """Clean latents and noise that a guided step is taken with, of all windows weighed together."""
        found: list[tuple[Latents, Latents]] = []
        for number, (run, sight) in enumerate(zip(self.runs, sights, strict=True)):
            method, pieces = run.casting.method, [self.windows.cut(whole, number) for whole in (latents, output)]
            assert isinstance(method, Guide)
            steered = method.steered(_predicted(run, pieces[0], level, pieces[1]), sight.aim, run.casting.settings)
            given = run.prompted.given
            found.append(steered if given is None else given.known(*steered, pieces[0], level))
        return [self.windows.joined(pieces) for pieces in zip(*found, strict=True)]

    def step(self, result: Cast, index: int, estimates: Sequence[Latents], moved: bool = False) -> None:
        """Take a step with clean latents and noise that the network speaks of; the latents may have been moved by guidance."""
        clean, noise = estimates
        result.latents, result.taken = self.sampler.step(index, result.latents, clean, noise, result.taken, moved)


def starting_noise(casting: Casting) -> Latents:
    """The noise that sampling starts from; drawn on the CPU, so that a seed means the same everywhere.

    Of several windows it is that of the first again (:func:`motionlift.loops.windows.noise_again`).

    Raises:
        MotionError: a share of inverted noise is asked for and the motion holds none.
    """
    generator = torch.Generator().manual_seed(casting.seed)
    fresh = torch.randn(casting.model.codec.latent_shape(casting.shape), generator=generator)
    if casting.windows is not None:
        fresh = noise_again(fresh, casting.windows, generator)
    beta = casting.settings.beta
    if not beta:
        return fresh
    if INVERTED not in casting.motion:
        raise MotionError(f"beta is {beta}, but the motion holds no inverted noise: lift it again with inversion=true")
    return mixed_noise(casting.motion[INVERTED].to(fresh), fresh, beta)


def guided_steps(settings: Sampled) -> int:
    """How many of the steps are guided: none where a method does not guide."""
    return round(settings.share * settings.steps) if isinstance(settings, Guided) else 0


def cast(casting: Casting) -> Generator[Step, Latents | None, Cast]:
    """Make one video; yields a step for every optimiser step and every denoising step.

    Latents that are sent after a denoising step take the place of its own; samplers then remember nothing of the steps before.

    Raises:
        DivergenceError: a loss or the latents stopped being finite.
        MotionError: saved positions are asked for and the motion has none for these steps, or none that fit.
        SettingError: a word that the method asks for is not in the prompt.
    """
    whole = _begun_whole(casting)
    result, schedule = Cast(whole.noise), whole.sampler.schedule
    positions: Sequence[Positions | None] = [run.placed for run in whole.runs]
    for index, level in enumerate(schedule.levels):
        if index < guided_steps(casting.settings):
            positions = yield from _guided_step(whole, result, index, positions)
        else:
            with torch.no_grad():
                output = whole.output(result.latents, level)
                whole.step(result, index, schedule.estimates(output, result.latents, level))
        if not result.latents.isfinite().all():
            raise DivergenceError(f"the latents are no longer finite after step {index + 1}: lower lr, cfg or strength")
        changed = yield Step("sample", index, len(schedule), latents=result.latents)
        if changed is not None:
            result.latents, result.taken = changed, ()
    return result


def _begun_whole(casting: Casting) -> _Whole:
    """What a video begins with."""
    noise, settings, device = starting_noise(casting), casting.settings, casting.model.about.device
    if isinstance(casting.method, Guide):
        noise = casting.method.begin(noise, casting.motion, settings)
    noise = noise.to(device)
    windows = casting.windows or Windows.whole(casting.model.lattice(casting.shape).frames, casting.shape)
    runs = []
    for number in range(len(windows)):
        model, seeing = (
            casting.later[number - 1] if number and casting.later else (casting.model, casting.reference_model)
        )
        motion = names.part(casting.motion, windows, number)
        own = replace(casting, model=model, reference_model=seeing, motion=motion, shape=windows.shape)
        runs.append(_begun(own, windows.cut(noise, number)))
    return _Whole(windows, runs, Sampler(settings.sampler, runs[0].schedule, casting.seed), noise)


def _begun(casting: Casting, noise: Latents) -> _Run:
    """What the run of a window begins with."""
    model, method, settings = casting.model, casting.method, casting.settings
    needs = method.needs(settings) if isinstance(method, Guide) else Needs()
    lattices = {number: model.lattice(casting.shape, number) for number in needs.blocks}
    places = word_places(model, needs.words, casting.prompt)
    return _Run(
        casting=casting,
        schedule=model.schedule(settings.steps, casting.shape),
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
        raise SettingError(f"{named(lacking)} is not in the prompt {prompt!r}; name words that are")
    return places


def _guided_step(
    whole: _Whole, result: Cast, index: int, positions: Sequence[Positions | None]
) -> Generator[Step, Latents | None, Sequence[Positions | None]]:
    """One guided step; changes the latents in ``result`` and returns the windows' positions to go on with."""
    first, level, begun = whole.runs[0], whole.sampler.schedule.levels[index], result.latents
    settings = first.casting.settings
    assert isinstance(settings, Guided)
    if settings.target == "saved":
        cast = [run.casting for run in whole.runs]
        positions = [saved_positions(own.motion, index, own.model, own.shape) for own in cast]
    output: Latents | None = None
    sights = [_sight(run, index, own, whole.windows.several) for run, own in zip(whole.runs, positions, strict=True)]
    if settings.target != "saved" and (first.needs.blocks or first.needs.output):
        positions, output = yield from _optimise(whole, result, sights)
        sights = [replace(sight, positions=own) for sight, own in zip(sights, positions, strict=True)]
    with torch.no_grad():
        if output is None:
            output = whole.output(result.latents, level, sights)
        estimates = whole.steered(output, result.latents, level, sights)
        whole.step(result, index, estimates, result.latents is not begun)
    return positions


def _sight(run: _Run, index: int, positions: Positions | None, waits: bool) -> _Sight:
    """What a window is guided by; what is injected is put by where others come first."""
    injected, reference = _of_reference(run, run.schedule.levels[index])
    aim = replace(run.aim, step=index, reference=reference)
    return _Sight(aim, put_by(injected) if waits else injected, positions)


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
    whole: _Whole, result: Cast, sights: Sequence[_Sight]
) -> Generator[Step, Latents | None, tuple[Sequence[Positions | None], Latents | None]]:
    """The inner steps of one guided step; changes the latents in ``result``, or returns new positions of the windows.

    It returns as well what the network said with guidance in the last of them, where the denoising step is taken by that.
    """
    settings, index = whole.runs[0].casting.settings, sights[0].aim.step
    assert isinstance(settings, Guided)
    moving = settings.target == "positions"
    starts: Sequence[Positions] = [{LATENTS: result.latents}]
    if moving:
        pairs = zip(whole.runs, sights, strict=True)
        starts = [sight.positions or run.model.positions(run.casting.shape) for run, sight in pairs]
    leaves = [{name: tensor.detach().clone().requires_grad_() for name, tensor in own.items()} for own in starts]
    every = [leaf for own in leaves for leaf in own.values()]
    update = _Update(settings.optimizer, every, learning_rate(settings, index))
    output: Latents | None = None
    for inner in range(settings.inner):
        shared = settings.shared_pass and inner == settings.inner - 1
        loss, gradients, output = _all_gradients(whole, sights, result.latents, leaves, shared)
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss is {loss} in guided step {index + 1}: lower lr, or use another block")
        update(gradients)
        result.losses.append(loss)
        yield Step("guide", index * settings.inner + inner, guided_steps(settings) * settings.inner, loss)
    if not moving:
        result.latents = every[0].detach()
        return [sight.positions for sight in sights], output
    finished = [{name: leaf.detach() for name, leaf in own.items()} for own in leaves]
    for number, own in enumerate(finished):
        saved = {names.position_name(index, name): tensor for name, tensor in own.items()}
        several = whole.windows.several
        result.positions |= {names.window_name(number, name) if several else name: each for name, each in saved.items()}
    return finished, output


def _all_gradients(
    whole: _Whole, sights: Sequence[_Sight], latents: Latents, leaves: Sequence[Mapping[str, Tensor]], shared: bool
) -> tuple[float, Sequence[Tensor | None], Latents | None]:
    """What :func:`_gradients` gives of each window in turn: the mean loss; gradients of latents, and outputs, weighed together."""
    windows = whole.windows
    told: list[tuple[float, Sequence[Tensor | None], Latents | None]] = []
    for number, (run, sight) in enumerate(zip(whole.runs, sights, strict=True)):
        own = leaves[0] if LATENTS in leaves[0] else leaves[number]
        if windows.several and LATENTS in own:
            own = {LATENTS: windows.cut(own[LATENTS], number).detach().requires_grad_()}
        piece = windows.cut(latents, number)
        told.append(_gradients(run, sight.aim, sight.injected, piece, own, sight.positions, shared))
    losses, found, outputs = zip(*told, strict=True)
    said = [output for output in outputs if output is not None]
    output = windows.joined(said) if said else None
    mean = sum(losses) / len(losses)
    if not windows.several or LATENTS not in leaves[0]:
        return mean, [gradient for gradients in found for gradient in gradients], output
    pieces = [gradient for (gradient,) in found if gradient is not None]
    return mean, [windows.joined(pieces) if pieces else None], output


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
    latents = leaves.get(LATENTS, latents)
    positions = positions if LATENTS in leaves else leaves
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
            for _ in range(needs.backward):
                run.model.passes.went_back(run.model.share(max(needs.blocks), needs.features))
        loss = method.loss(observed, aim, run.casting.settings)
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        if LATENTS in leaves and gradients[0] is not None and run.prompted.given is not None:
            gradients[0][:, :, : run.prompted.given.frames] = 0.0  # a picture that is given is not moved
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


def guidance_scale(settings: Sampled, level: Level, second_below: float = 0.0) -> float:
    """Weight of the prompt against the negative prompt at a level; the dynamic form is that of the published CogVideoX pipeline.

    Below the timestep where a second network predicts, it is that network's own where one is set.

    That formula, ``1 + cfg (1 - cos(pi ((steps - timestep) / steps)^5)) / 2``, has the timestep where the number of the step seems
    to be meant: it does not grow over the steps but jumps between 1 and ``1 + cfg``, and another number of steps gives another
    draw. It is kept because the published model is run so.
    """
    if not settings.dynamic_cfg:
        return settings.second_cfg or settings.cfg if level.timestep < second_below else settings.cfg
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
