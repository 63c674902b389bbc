"""What families share carries a family that is written here, in thirty lines or so, through every method."""

import re
from contextlib import nullcontext
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as functional
from torch import nn

import motionlift
from motionlift.core.condition import Condition
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.model import About, Model
from motionlift.core.seen import Projections, Recorded
from motionlift.methods import methods
from motionlift.models import probe
from motionlift.models.loading import load
from motionlift.models.schedules import flow_schedule, shifted
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import BUNDLED_MODELS
from tests.frozen.measured import GUIDED, PROMPT, SETTINGS, reference

WIDTH, TEXT, SIDE = 16, 12, 8


class Attention(nn.Module):
    """Text and video tokens in one attention of two heads."""

    def __init__(self):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        parts = [layer(tokens).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v)]
        return tokens + functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


class Network(nn.Module):
    """A flow over latents of three channels, each a token; where a token is, it is told by waves."""

    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.inward, self.outward = nn.Linear(3, WIDTH), nn.Linear(WIDTH, 3)
        self.blocks = nn.ModuleList(Attention() for _ in range(3))

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, latents: torch.Tensor, times: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        video = self.inward(latents.flatten(2).transpose(1, 2)) + times[:, None, None] / 1000
        places = torch.arange(video.shape[1])[:, None] * torch.linspace(0.01, 2, WIDTH)
        tokens = torch.cat([words, video + places.sin()], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.outward(tokens[:, words.shape[1] :]).transpose(1, 2).unflatten(2, latents.shape[2:])


class Words:
    """Each letter is a token."""

    def check(self, prompt):
        pass

    def cut(self, prompt):
        return prompt

    def encode(self, prompt, shape=None):
        letters = [ord(letter) for letter in prompt.ljust(TEXT)[:TEXT]]
        return Condition({"words": torch.tensor(letters)[None, :, None] * torch.linspace(0, 1, WIDTH).sin() / 100})

    def places(self, prompt, word):
        return tuple(place for found in re.finditer(word, prompt[:TEXT]) for place in range(*found.span()))

    def unknown_words(self, prompt):
        return []

    def known_words(self):
        return []


class Averages:
    """Latents are averages of squares of pixels."""

    fewest = 1

    def encode(self, pixels):
        return functional.avg_pool2d(pixels, SIDE).transpose(0, 1)[None]

    def decode(self, latents):
        return self.decoded(latents).clamp(-1, 1)

    def decoded(self, latents):
        return functional.interpolate(latents[0].transpose(0, 1), scale_factor=SIDE)

    def fitting(self, frames=None, height=None, width=None):
        return Shape(frames or 8, 32, 32)

    def latent_shape(self, shape):
        return 1, 3, shape.frames, shape.height // SIDE, shape.width // SIDE

    def frame_times(self, frames):
        return [float(frame) for frame in range(frames)]


class Written(PipelineModel):
    """The family: what differs."""

    family, pipelines, parts = "written", ("Written",), MappingProxyType({"network": ("Network",)})
    networks = ("network",)
    linear = MappingProxyType(
        dict.fromkeys(
            ("temporal", "spatial", "linear", "temporal_blocks", "spatial_blocks"),
            re.compile(r"^blocks\..*\.to_[qkv]$"),
        )
    )

    def __init__(self, pipeline, name, device, given=False):
        super().__init__(pipeline, name, device, given)
        self.text, self.codec = Words(), Averages()
        self.about = About(
            *(name, "written", "written", "identity", "former identity", "fingerprint"),
            *(device, self.codec.fitting(None), 8.0, [f"block {number}" for number in range(3)], [WIDTH] * 3),
        )

    def schedule(self, steps, shape=None):
        return flow_schedule(shifted([1 - step / steps for step in range(steps)], 3.0))

    def lattice(self, shape, block=None):
        return Lattice(*self.codec.latent_shape(shape)[2:])

    def positions(self, shape):
        return {}

    def _changed(self):
        return nullcontext()

    def _predicted(self, latents, level, condition, positions):
        return self._network(latents, self._times(latents, level), condition.tensors["words"])

    def _attentions(self, network, number):
        return [self._network.blocks[number]]

    def _featured(self, network, number):
        return self._network.blocks[number]

    def _stopping(self, network, last, features):
        return probe.only_first(self._network, ["blocks"], last + 1)

    def _recorded(self, seen, features, latents, condition):
        attention = seen[0]
        query, key, value = (tensor[:, :, TEXT:] for tensor in attention[:3])
        features = query.new_empty(len(latents), query.shape[2], 0) if features is None else features[:, TEXT:]
        own = Projections(query, key, joint_keys=(attention[1][:, :, :TEXT], key))
        return Recorded(query, key, value, features, replace(own, key=own.joint_keys[0]), own, (own,))

    def _injected(self, seen):
        def change(attention):
            query, *others = attention
            recorded = [tensor.expand(len(query), -1, -1, -1) for tensor in (seen.key, seen.value)]
            swapped = [torch.cat([a[:, :, :TEXT], b], dim=2) for a, b in zip(others, recorded, strict=True)]
            return query, *swapped

        return change


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Written(
        SimpleNamespace(network=(network := Network()), components={"network": network}), "written", torch.device("cpu")
    )


def test_the_family_is_a_model(model):
    assert isinstance(model, Model)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_lifts_and_casts_on_it(model, name):
    known = methods()[name].Settings.__dataclass_fields__
    given = {"steps": 4, **{key: value for key, value in GUIDED.items() if key in known}, **SETTINGS.get(name, {})}
    clip, counted = reference(8), {}
    without = {"beta": 0.0} if name == "inverted" else {"share": 0.0} if "share" in known else {"strength": 0.0}
    for settings in (given, {**given, **without}):
        steps = []
        motion = motionlift.lift(clip, model, name, settings=settings, cached=False)
        video = motionlift.cast(motion, PROMPT, model, seed=3, settings=settings, advance=steps.append)
        counted[str(settings)] = [step.latents for step in steps if step.phase == "sample"][-1]
        assert video.clip.frames.shape == (8, 32, 32, 3) and counted[str(settings)].isfinite().all()
        assert all(loss == loss for loss in video.record["losses"])
    guided, plain = counted.values()
    assert torch.equal(guided, plain) == (name == "none"), "the motion changes the video"


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_watching_gives_the_output_and_what_was_seen_with_gradients(name: str):
    model = load(name, "cpu")
    shape = model.codec.fitting(None)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(0)).requires_grad_()
    level, condition = model.schedule(4).levels[1], model.text.encode("a red star", shape)
    output, watched = model.watch(latents, level, condition, (1,), features=False)
    assert torch.is_grad_enabled() and not output.requires_grad
    own = model.record(latents, level, condition, (1,), features=False)
    with torch.no_grad():
        torch.testing.assert_close(output, model.predict(latents, level, condition))
    torch.testing.assert_close(watched[1].query, own[1].query)
    both = [torch.autograd.grad(each[1].key.square().sum(), latents)[0] for each in (watched, own)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_shares_grow_from_block_to_block_and_features_take_more(name: str):
    model = load(name, "cpu")
    shares = [model.share(number, features) for number in range(model.about.blocks) for features in (False, True)]
    assert shares == sorted(shares) and 0 < shares[0] < shares[-1] <= 1
    if name == "tiny-dit":
        assert model.share(4, features=True) == pytest.approx(5 / 7)
