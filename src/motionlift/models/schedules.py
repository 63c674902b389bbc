"""Schedules: from the configurations of diffusers' schedulers, and of flow-matching models.

A scheduler of diffusers counts its steps and remembers the last, so none is kept: one is made to read its levels, and let go.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from jaxtyping import Float
from torch import Tensor

from motionlift.core.schedule import Level, Schedule
from motionlift.errors import ModelError, SettingError

TRAINED = 1000
"""Levels of training of flow-matching models, and what their sigmas are multiplied by for the network (all published ones)."""


def diffusion_schedule(kind: Any, config: Mapping[str, Any], steps: int, name: str, whole_strides: bool) -> Schedule:
    """The levels of a DDIM run.

    A step ends a whole stride of ``levels // steps`` timesteps on, as diffusers' own does: for numbers of steps that do not divide
    the levels, that lies beside the next timestep.

    Args:
        kind: a class of scheduler of diffusers with ``alphas_cumprod``, such as ``DDIMScheduler``.
        config: its configuration.
        steps: number of steps.
        name: the model's, for messages.
        whole_strides: whether the scheduler counts in whole strides from the clean end (``leading``), which for more than half
            the timesteps of training begin far from the noisy end.

    Raises:
        SettingError: more steps than that.
    """
    scheduler = kind.from_config(config)
    trained = tuple(_level(number, float(alpha)) for number, alpha in enumerate(scheduler.alphas_cumprod.double()))
    if whole_strides and steps > len(trained) // 2:
        raise SettingError(f"steps is {steps}; {name} allows 1 to {len(trained) // 2}")
    scheduler.set_timesteps(steps)
    # For some counts, 61 among them, diffusers' rounding gives a timestep too many, below zero.
    timesteps = [timestep for timestep in scheduler.timesteps.tolist() if timestep >= 0][:steps]
    stride, last = len(trained) // steps, _level(-1, float(scheduler.final_alpha_cumprod))
    return Schedule(
        levels=tuple(trained[timestep] for timestep in timesteps),
        ends=tuple(trained[timestep - stride] if timestep >= stride else last for timestep in timesteps),
        trained=trained,
        clean=Level(0.0, 1.0, 0.0),
        predicts=scheduler.config.prediction_type,
    )


def _level(timestep: int, alpha: float) -> Level:
    """A level by its cumulative signal."""
    return Level(float(timestep), alpha**0.5, (1 - alpha) ** 0.5)


def flow_schedule(sigmas: Sequence[float], reverse: bool = False) -> Schedule:
    """The levels of a flow-matching run, whose noised latents are ``(1 - sigma) x0 + sigma eps``.

    Args:
        sigmas: of the steps, falling, in 0..1; the last step ends at 0.
        reverse: the network predicts clean latents minus noise and is told ``1000 (1 - sigma)``, as Mochi; else noise minus
            clean latents and ``1000 sigma``.

    Raises:
        SettingError: the sigmas do not fall within 0..1.
    """
    falling = all(first > second for first, second in pairwise(sigmas))
    if not sigmas or not falling or not 0 < sigmas[-1] <= sigmas[0] <= 1:
        raise SettingError(f"sigmas of {len(sigmas)} steps came; allowed are falling numbers from 1 to above 0")
    levels = tuple(flow_level(sigma, reverse) for sigma in (*sigmas, 0.0))
    return Schedule(
        levels=levels[:-1],
        ends=levels[1:],
        trained=tuple(flow_level(number / TRAINED, reverse) for number in range(1, TRAINED + 1)),
        clean=levels[-1],
        predicts="reversed_flow" if reverse else "flow_prediction",
    )


def asked_schedule(scheduler: Any, trained: Any) -> Schedule:
    """The levels of a flow-matching scheduler of diffusers whose timesteps are set, whatever set them.

    The step is always that of Euler, the first order: a scheduler of a higher order keeps what it saw of former steps, and is equal
    to this at its first order.

    Args:
        scheduler: with the timesteps of the run.
        trained: another one, with as many timesteps as were trained, the same way.

    Raises:
        ModelError: it is no scheduler of flow matching.
    """
    levels, all_levels = _asked_levels(scheduler), _asked_levels(trained)
    return Schedule(
        levels=levels[:-1],
        ends=levels[1:],
        trained=tuple(reversed(all_levels[:-1])),
        clean=flow_level(0.0, bool(scheduler.config.get("invert_sigmas"))),
        predicts="reversed_flow" if scheduler.config.get("invert_sigmas") else "flow_prediction",
    )


def _asked_levels(scheduler: Any) -> tuple[Level, ...]:
    """Every level and the clean end, as the scheduler tells the network of them."""
    config = scheduler.config
    is_flow = config.get("prediction_type", "flow_prediction") == "flow_prediction"
    if not is_flow or not hasattr(scheduler, "sigmas") or config.get("use_flow_sigmas") is False:
        raise ModelError(
            f"a model with the scheduler {type(scheduler).__name__} came; allowed are those of flow matching, such as "
            "FlowMatchEulerDiscreteScheduler, or UniPCMultistepScheduler with use_flow_sigmas"
        )
    reverse = bool(config.get("invert_sigmas"))
    sigmas = [float(sigma) for sigma in scheduler.sigmas.double()]
    noise = [1 - sigma if reverse else sigma for sigma in sigmas]
    timesteps = [*[float(timestep) for timestep in scheduler.timesteps], float(TRAINED if reverse else 0)]
    return tuple(Level(timestep, 1 - share, share) for timestep, share in zip(timesteps, noise, strict=True))


def flow_level(sigma: float, reverse: bool = False) -> Level:
    """The level of a sigma."""
    return Level(TRAINED * (1 - sigma if reverse else sigma), 1 - sigma, sigma)


def shifted(sigmas: Sequence[float], shift: float) -> list[float]:
    """Sigmas moved toward the noisy end: ``shift sigma / (1 + (shift - 1) sigma)`` (Esser et al., 2403.03206)."""
    return [shift * sigma / (1 + (shift - 1) * sigma) for sigma in sigmas]


def mixed_noise(inverted: Float[Tensor, "b ..."], fresh: Float[Tensor, "b ..."], beta: float) -> Float[Tensor, "b ..."]:
    """``sqrt(beta) inverted + sqrt(1 - beta) fresh`` (MotionMatcher): of unit variance where both are."""
    return beta**0.5 * inverted + (1 - beta) ** 0.5 * fresh
