"""MotionFlow (Meral et al., 2412.05275): pull the attention of new subjects into the masks of the reference's subjects.

The reference is inverted with its caption. At every guided step the attention of its inverted latents to the subject's words gives
a mask in every frame, and the latents being made are optimised so that the new subject's words attend within it. There is no
released program: the paper gives the cross-attention loss, the threshold, the places and the constants; the other two losses are
ours.

On models of flow the inversion is that of Euler's steps, and masks are read at the sigmas of sampling. In a transformer the
attention within frames and over time are slices of the attention over the whole video: shares of all that a token looks at.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.core.method import Aim, Guide, Needs, Observed, Reference, injected, sampling
from motionlift.core.model import Model
from motionlift.core.presets import OURS, Preset, said
from motionlift.core.prompts import named
from motionlift.core.seen import Recorded
from motionlift.core.tensors import Latents, Tensors
from motionlift.errors import MotionError, SettingError
from motionlift.motion.edits import moved
from motionlift.motion.names import MAPS, TEMPORAL
from motionlift.settings.motionflow import MotionFlowSettings
from motionlift.signals.attention_maps import (
    adaptive_mask,
    cross_loss,
    cross_probabilities,
    self_loss,
    smoothed,
    spatial_probabilities,
    temporal_loss,
    temporal_probabilities,
)

BY_POSITIONS: Mapping[str, Any] = {"balance": "none", "optimizer": "rms", "lr": 0.01, "lr_end": 0.01, "inner": 5}
"""Defaults where positions are optimised, whose gradients are in no units of the latents (ours)."""

PRESETS: Mapping[str, Mapping[str, Any]] = {"tiny-dit": {"block": (6,)}}
"""Defaults per model (ours); a UNet's blocks follow from its places."""

PUBLISHED: Mapping[str, Preset] = {
    "paper": Preset(
        {
            **said(
                "paper", steps=50, share=0.4, inner=1, optimizer="plain", lr=5.0, lr_end=5.0, tau=0.4, inversion=True
            ),
            **said("paper: sampling starts from the inverted initial latents", beta=1.0),
            **said("inferred: the paper names no weights", cross=1.0, spatial=1.0, temporal=1.0),
            **said("paper: it injects nothing", inject=False),
            **said("paper: the losses as they are", balance="none"),
            **said("paper: it names no smoothing", smooth=False),
        },
        models={"zeroscope": said("paper: last down block, middle, first up block", block=(4, 5, 6, 7, 8, 9))},
        lacks=(
            "the paper does not say how its losses are normalised; as means over the places of a mask, its step of 5 hardly "
            "moves the latents",
        ),
    )
}
"""The paper; there is no released program."""

MOST_RAISED = 1e4
"""Most that balancing raises one loss over another (ours: what pulls less than that is rounding, or a loss that is zero)."""


def published_places(places: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the layers in the last down block, the middle and the first up block; the middle one where there are none."""
    blocks = [place.rpartition(".")[0] or place.split()[0] for place in places]
    downs, ups = ([block for block in blocks if block.startswith(side)] for side in ("down", "up"))
    chosen = {*downs[-1:], "mid", *ups[:1]}
    return tuple(number for number, block in enumerate(blocks) if block in chosen) or (len(places) // 2,)


class MotionFlow(Guide[MotionFlowSettings]):
    """The :class:`motionlift.core.method.Guide` of MotionFlow."""

    name = "motionflow"
    summary = "pull the attention to new subjects into the masks of the reference's (inverts the reference)"
    Settings = MotionFlowSettings
    presets = PRESETS
    published = PUBLISHED
    holds = (MAPS, TEMPORAL)

    def settings(self, model: Model) -> MotionFlowSettings:
        """The settings at the paper's places, or the table's row; sampling as the model needs it."""
        preset = {"block": published_places(model.about.places), **self.presets.get(model.about.variant, {})}
        return replace(MotionFlowSettings(), **{**sampling(model), **preset})

    def with_preset(
        self, name: str, model: Model, given: Mapping[str, Any] = MappingProxyType({})
    ) -> MotionFlowSettings:
        """The settings of a preset for a model, others of which are good where positions are optimised."""
        own = super().with_preset(name, model)
        by_latents = name != OURS or given.get("target", own.target) == "latents"
        return own if by_latents else replace(own, **BY_POSITIONS)

    def lift(
        self, reference: Reference, model: Model, settings: MotionFlowSettings
    ) -> Generator[Step, None, dict[str, Tensor]]:
        """Maps of the subjects, and temporal attention, of every layer at every guided step.

        Raises:
            SettingError: as :meth:`check` says.
            MotionError: the reference was not inverted, or a mask is empty.
        """
        self.check(model, settings)
        words = [model.text.places(settings.source_prompt, word) for word in settings.subjects]
        if not reference.trajectory:
            raise MotionError("motionflow reads masks along an inversion; leave inversion=true")
        condition = model.text.encode(settings.source_prompt, reference.shape)
        levels = model.schedule(settings.steps, reference.shape).levels
        levels = levels[: max(1, round(settings.share * settings.steps))]
        kept: dict[str, list[Tensor]] = {}
        for index, level in enumerate(levels):
            with torch.no_grad():
                inverted = reference.trajectory[index].to(model.about.device)
                record = model.record(inverted, level, condition, settings.block, features=False)
                for number, seen in record.items():
                    lattice = model.lattice(reference.shape, number)
                    maps = word_maps(seen, lattice, words)
                    masks_of(maps, settings, index)
                    kept.setdefault(f"maps.{number}", []).append(maps)
                    kept.setdefault(f"temporal.{number}", []).append(_temporal(seen, lattice))
            yield Step("lift", index, len(levels))
        return {"latents": reference.latents} | {name: torch.stack(found) for name, found in kept.items()}

    def edited(self, motion: Tensors, edit: Edit, lattice: Lattice) -> Tensors:
        """Maps and temporal attention move with their places."""
        return moved(motion, edit, (MAPS, TEMPORAL), lattice)

    def check(self, model: Model, settings: MotionFlowSettings) -> None:
        """Refuse a reference of which nothing is said.

        Raises:
            SettingError: no subjects, one that is not in the source prompt, or another number of targets.
        """
        settings.check_words()
        lacking = [word for word in settings.subjects if not model.text.places(settings.source_prompt, word)]
        if lacking:
            raise SettingError(f"{named(lacking)} is not in the source prompt {settings.source_prompt!r}")
        if settings.balance == "gradients" and settings.target != "latents":
            raise SettingError(
                f"balance is 'gradients', which are those by the latents, and target is {settings.target!r}; allowed is "
                "balance=none"
            )

    def needs(self, settings: MotionFlowSettings) -> Needs:
        """The attention of the layers, and the places of the targets."""
        weights = settings.cross, settings.spatial, settings.temporal
        backward = sum(map(bool, weights)) if settings.balance == "gradients" else 1
        return Needs(
            blocks=settings.block, words=self._targets(settings), inject=injected(settings), backward=max(backward, 1)
        )

    def _targets(self, settings: MotionFlowSettings) -> tuple[str, ...]:
        """The targets.

        Raises:
            SettingError: not as many as there are subjects.
        """
        settings.check_targets()
        return settings.targets

    def loss(self, observed: Observed, aim: Aim, settings: MotionFlowSettings) -> Float[Tensor, ""]:
        """Mean over the layers of the weighted losses: cross (paper), spatial and temporal (ours)."""
        places = [aim.places[word] for word in settings.targets]
        losses: dict[str, list[Tensor]] = {"cross": [], "spatial": [], "temporal": []}
        for number in settings.block:
            seen, lattice = observed.record[number], aim.lattices[number]
            maps = self._at_step(aim.motion, f"maps.{number}", aim.step).to(seen.query.device)
            masks = masks_of(maps, settings, aim.step)
            losses["cross"].append(cross_loss(word_maps(seen, lattice, places), masks))
            if settings.spatial:
                own = seen.spatial
                own_frame = spatial_probabilities(
                    own.query[0], own.key[0], lattice, [each[0] for each in own.joint_keys]
                )
                losses["spatial"].append(self_loss(own_frame, masks))
            if settings.temporal:
                reference = self._at_step(aim.motion, f"temporal.{number}", aim.step).to(seen.query.device)
                losses["temporal"].append(temporal_loss(_temporal(seen, lattice), reference, masks))
        means = {name: torch.stack(found).mean() for name, found in losses.items() if found}
        weights = {"cross": settings.cross, "spatial": settings.spatial, "temporal": settings.temporal}
        plain = torch.stack([weights[name] * loss for name, loss in means.items()]).sum()
        if settings.balance == "none":
            return plain
        acting = {name: loss for name, loss in means.items() if weights[name]}
        return _along(plain.detach(), observed.latents, _balanced(acting, weights, observed.latents))

    @staticmethod
    def _at_step(motion: Tensors, name: str, step: int) -> Tensor:
        steps = motion[name]
        if step >= len(steps):
            raise MotionError(
                f"the motion holds maps of {len(steps)} guided steps and step {step + 1} is asked for: lift it again with "
                "that share"
            )
        return steps[step]


def _balanced(losses: Mapping[str, Tensor], weights: Mapping[str, float], latents: Latents) -> Latents:
    """The sum of the losses' gradients by the latents, each as large as its weight says: in root mean square.

    One that hardly has any gradient is raised no further than :data:`MOST_RAISED` times the greatest.
    """
    found, names = {}, list(losses)
    for name in names:  # what the network kept goes with the last
        found[name] = torch.autograd.grad(losses[name], latents, retain_graph=name != names[-1])[0]
    pulls = {name: gradient.square().mean().sqrt() for name, gradient in found.items()}
    total = torch.zeros_like(latents)
    least = max(pulls.values(), default=total.sum()) / MOST_RAISED
    for name, gradient in found.items():
        pull = torch.maximum(pulls[name], least).clamp(min=torch.finfo(least.dtype).tiny)
        total += weights[name] * gradient / pull
    return total


def _along(loss: Float[Tensor, ""], latents: Latents, gradient: Latents) -> Float[Tensor, ""]:
    """A loss whose gradient by the latents is known, so that no network need be gone through for it again."""
    linear = (gradient * latents).sum()
    return loss + (linear - linear.detach())


def word_maps(
    seen: Recorded, lattice: Lattice, places: Sequence[Sequence[int]]
) -> Float[Tensor, "words frames height width"]:
    """Attention to each word, the mean over its tokens."""
    cross = seen.cross
    maps = cross_probabilities(cross.query[0], cross.key[0], [each[0] for each in cross.joint_keys])
    words = [
        maps[:, list(own)].mean(dim=1).unflatten(0, (lattice.frames, lattice.height, lattice.width)) for own in places
    ]
    return torch.stack(words)


def _temporal(seen: Recorded, lattice: Lattice) -> Float[Tensor, "token frame frame"]:
    """Temporal attention, the mean where a layer has several."""
    maps = [
        temporal_probabilities(own.query[0], own.key[0], lattice, [each[0] for each in own.joint_keys])
        for own in seen.temporal
    ]
    return torch.stack(maps).mean(dim=0)


def masks_of(
    maps: Float[Tensor, "words frames height width"], settings: MotionFlowSettings, step: int
) -> Bool[Tensor, "words frames height width"]:
    """Masks of the subjects at a guided step: the maps, smoothed unless the settings say no, above the threshold.

    Raises:
        MotionError: one is empty: its attention is nowhere, which no target can follow.
    """
    masks = adaptive_mask(smoothed(maps) if settings.smooth else maps, settings.tau)
    for word, mask in zip(settings.subjects, masks, strict=True):
        if not mask.flatten(1).any(dim=1).all():
            raise MotionError(
                f"the mask of {word!r} is empty at step {step + 1} with tau {settings.tau}: take a lower tau or another word"
            )
    return masks


METHOD = MotionFlow()
