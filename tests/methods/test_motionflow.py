"""MotionFlow: what it lifts, where it reads, what its loss says, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from motionlift.core.lattice import Lattice, Shape
from motionlift.core.method import Observed, Reference
from motionlift.errors import MotionError, SettingError
from motionlift.methods.motionflow import METHOD, MotionFlowSettings, masks_of, published_places, word_maps
from motionlift.signals.attention_maps import adaptive_mask, cross_loss, smoothed
from tests.methods.references import aim, level, lifted, record, seen, twin, unet_twin

SOURCE = "a blue ring on the field"
SETTINGS = MotionFlowSettings(
    steps=5,
    share=0.4,
    block=(1, 2),
    source_prompt=SOURCE,
    subjects=("ring", "field"),
    targets=("star", "dog"),
    balance="none",
)


@pytest.fixture(scope="module", params=["unet3d", "cogvideox"])
def model(request: pytest.FixtureRequest):
    return unet_twin() if request.param == "unet3d" else twin()


@pytest.fixture(scope="module")
def given(model) -> Reference:
    shape = model.codec.fitting(9)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(model.codec.latent_shape(shape), generator=generator)
    trajectory = tuple(torch.randn(latents.shape, generator=generator) for _ in range(SETTINGS.steps))
    pixels = torch.zeros(9, 3, 32, 32)
    return Reference(latents, pixels, pixels, shape, trajectory)


def lattices(model, given: Reference) -> dict[int, Lattice]:
    return {number: model.lattice(given.shape, number) for number in (1, 2)}


@pytest.mark.slow
def test_it_lifts_masks_and_temporal_attention_of_the_guided_steps(model, given):
    motion, steps = lifted(METHOD, given, model, SETTINGS)
    assert len(steps) == 2
    assert set(motion) == {"latents", "maps.1", "maps.2", "temporal.1", "temporal.2"}
    levels = model.schedule(SETTINGS.steps).levels[:2]
    for number in (1, 2):
        lattice = model.lattice(given.shape, number)
        assert motion[f"maps.{number}"].shape == (2, 2, lattice.frames, lattice.height, lattice.width)
        assert motion[f"temporal.{number}"].shape == (2, lattice.area, lattice.frames, lattice.frames)
        for index, at in enumerate(levels):
            shown = record(model, given.trajectory[index], [number], at, SOURCE)[number]
            places = [model.text.places(SOURCE, word) for word in ("ring", "field")]
            torch.testing.assert_close(motion[f"maps.{number}"][index], word_maps(shown, lattice, places))


def test_the_map_of_a_word_is_the_mean_over_its_tokens(model, given):
    shown = record(model, given.latents, [1], level(model, 100), SOURCE)[1]
    lattice = model.lattice(given.shape, 1)
    both = word_maps(shown, lattice, [(1, 3)])
    apart = word_maps(shown, lattice, [(1,), (3,)])
    torch.testing.assert_close(both[0], apart.mean(dim=0))
    assert (apart > 0).all() and apart.sum(dim=0).max() < 1


def test_maps_are_laid_out_by_frame_row_and_column(model):
    """On a lattice that is not square, against a loop."""
    shape = Shape(9, 32, 48)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(5))
    shown = record(model, latents, [1], level(model, 100), SOURCE, shape)[1]
    lattice = model.lattice(shape, 1)
    assert lattice.height != lattice.width
    maps = word_maps(shown, lattice, [(2,)])
    keys = torch.cat(shown.cross.joint_keys, dim=2) if shown.cross.joint_keys else shown.cross.key
    for frame, row, column in ((0, 0, 1), (1, lattice.height - 1, 2), (lattice.frames - 1, 1, lattice.width - 1)):
        query = shown.cross.query[0, :, (frame * lattice.height + row) * lattice.width + column]
        logits = torch.einsum("hd,hkd->hk", query, keys[0]) / query.shape[-1] ** 0.5
        wanted = torch.einsum("hd,hd->h", query, shown.cross.key[0, :, 2]) / query.shape[-1] ** 0.5
        share = (wanted - logits.logsumexp(dim=-1)).exp().mean()
        torch.testing.assert_close(maps[0, frame, row, column], share, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_loss_of_the_reference_itself_is_that_of_its_own_attention(model, given):
    """Temporal attention is matched; what lies outside the masks is lost; a high threshold leaves something outside."""
    settings = replace(SETTINGS, tau=0.97)
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    shown = record(model, given.trajectory[1], [1, 2], model.schedule(SETTINGS.steps).levels[1], SOURCE)
    places = {
        target: model.text.places(SOURCE, subject)
        for target, subject in zip(SETTINGS.targets, SETTINGS.subjects, strict=True)
    }
    own = aim(motion, lattices(model, given), 1, **places)
    none = {"cross": 0.0, "spatial": 0.0, "temporal": 0.0}
    losses = {name: float(METHOD.loss(seen(shown), own, replace(settings, **{**none, name: 1.0}))) for name in none}
    assert losses["temporal"] == pytest.approx(0, abs=1e-9)
    wanted = [
        cross_loss(
            word_maps(shown[number], own.lattices[number], list(places.values())),
            adaptive_mask(smoothed(motion[f"maps.{number}"][1]), 0.97),
        )
        for number in (1, 2)
    ]
    assert losses["cross"] == pytest.approx(float(torch.stack(wanted).mean()))
    assert 0 < losses["cross"] < 1 and 0 < losses["spatial"] < 1
    assert float(METHOD.loss(seen(shown), own, settings)) == pytest.approx(sum(losses.values()), rel=1e-5)


def test_the_published_places():
    zeroscope = [f"down {block}.{layer}" for block in range(3) for layer in range(2)]
    zeroscope += ["mid 0", *[f"up {block}.{layer}" for block in (1, 2, 3) for layer in range(3)]]
    assert [zeroscope[number] for number in published_places(zeroscope)] == [
        "down 2.0", "down 2.1", "mid 0", "up 1.0", "up 1.1", "up 1.2",
    ]  # fmt: skip
    assert published_places([f"block {number}" for number in range(7)]) == (3,)


def test_masks_are_of_smoothed_maps_and_as_in_the_paper_of_the_maps_themselves(model, given):
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    maps = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    ours, papers = (masks_of(maps, replace(SETTINGS, smooth=smooth), 0) for smooth in (True, False))
    assert torch.equal(ours, adaptive_mask(smoothed(maps), SETTINGS.tau))
    assert torch.equal(papers, maps > SETTINGS.tau * maps.amax(dim=(-2, -1), keepdim=True))
    assert not torch.equal(ours, papers)
    shown = record(model, given.latents, [1, 2], model.schedule(SETTINGS.steps).levels[0], SOURCE)
    places = {
        target: model.text.places(SOURCE, own) for target, own in zip(SETTINGS.targets, SETTINGS.subjects, strict=True)
    }
    own = aim(motion, lattices(model, given), 0, **places)
    losses = [
        float(METHOD.loss(seen(shown), own, replace(SETTINGS, tau=0.97, smooth=smooth))) for smooth in (True, False)
    ]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_the_papers_constants_and_ours():
    settings = METHOD.settings(unet_twin("some-folder"))
    assert (settings.steps, settings.share, settings.inner, settings.tau) == (50, 0.4, 1, 0.4)
    assert (settings.optimizer, settings.balance, settings.lr, settings.lr_end) == ("plain", "gradients", 0.03, 0.03)
    assert settings.inversion and not settings.inject
    assert replace(settings, source_prompt="a red star").inversion_prompt == "a red star"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source_prompt": ""}, "give source_prompt"),
        ({"subjects": ()}, "which words of it move"),
        ({"subjects": ("ring", "dog")}, "dog is not in the source prompt 'a blue ring on the field'"),
        ({"targets": ("star",)}, r"there are 2 subjects \(ring, field\) and 1 targets \(star\)"),
    ],
)
def test_words_that_do_not_fit_are_refused(model, given, changes: dict, said: str):
    with pytest.raises(SettingError, match=said):
        lifted(METHOD, given, model, replace(SETTINGS, **changes))


def test_without_targets_nothing_is_guided(model):
    with pytest.raises(SettingError, match=r"0 targets \(none\)"):
        METHOD.needs(replace(SETTINGS, targets=()))


def test_a_reference_that_was_not_inverted_is_refused(model, given):
    with pytest.raises(MotionError, match="leave inversion=true"):
        lifted(METHOD, replace(given, trajectory=()), model, SETTINGS)


def test_an_empty_mask_is_refused(model, given, monkeypatch: pytest.MonkeyPatch):
    from motionlift.methods import motionflow

    monkeypatch.setattr(motionflow, "smoothed", torch.zeros_like)
    with pytest.raises(MotionError, match=r"the mask of 'ring' is empty at step 1 with tau 0\.4"):
        lifted(METHOD, given, model, SETTINGS)


def test_more_guided_steps_than_were_lifted_are_refused(model, given):
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    shown = record(model, given.latents, [1, 2], level(model, 100), SOURCE)
    target = aim(motion, lattices(model, given), 2, star=(1,), dog=(2,))
    with pytest.raises(MotionError, match="maps of 2 guided steps and step 3 is asked for"):
        METHOD.loss(seen(shown), target, SETTINGS)


def test_where_positions_are_optimised_losses_are_as_they_are():
    ours = METHOD.with_preset("ours", twin(), {"target": "positions"})
    assert (ours.balance, ours.optimizer, ours.lr, ours.lr_end, ours.inner) == ("none", "rms", 0.01, 0.01, 5)
    assert METHOD.with_preset("ours", twin(), {"target": "latents"}) == METHOD.settings(twin())
    papers = METHOD.with_preset("paper", twin(), {"target": "positions"})
    assert (papers.balance, papers.optimizer, papers.lr) == ("none", "plain", 5.0)


def test_each_loss_that_is_balanced_costs_a_backward_pass():
    balanced = replace(SETTINGS, balance="gradients", cross=1.0, spatial=1.0, temporal=1.0)
    assert METHOD.needs(balanced).backward == 3
    assert METHOD.needs(replace(balanced, spatial=0.0)).backward == 2
    assert METHOD.needs(replace(balanced, balance="none")).backward == 1


@pytest.mark.slow
def test_balanced_losses_pull_as_much_as_their_weights_say(model, given):
    """By the latents: the sum of unit gradients, each times its weight; the loss that is told stays as it is."""
    motion, _ = lifted(METHOD, given, model, SETTINGS)
    at, condition = model.schedule(SETTINGS.steps).levels[0], model.text.encode("a star and a dog")
    latents = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(5)).requires_grad_()
    own = aim(motion, lattices(model, given), 0, star=(1,), dog=(2,))
    high = replace(SETTINGS, tau=0.97)  # so that something lies outside the masks

    def gradient_of(settings: MotionFlowSettings) -> tuple[float, torch.Tensor]:
        with model.turn():
            observed = Observed(latents, at, model.record(latents, at, condition, [1, 2], features=False))
            loss = METHOD.loss(observed, own, settings)
            return float(loss.detach()), torch.autograd.grad(loss, latents)[0]

    def pulled(**weights: float) -> tuple[float, torch.Tensor]:
        return gradient_of(replace(high, **{"cross": 0.0, "spatial": 0.0, "temporal": 0.0, **weights}))

    weights = {"cross": 2.0, "spatial": 1.0, "temporal": 0.5}
    expected = torch.zeros_like(latents)
    for name, weight in weights.items():
        _, gradient = pulled(**{name: 1.0})
        expected += weight * gradient / gradient.square().mean().sqrt()
    loss, found = gradient_of(replace(high, balance="gradients", **weights))
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    assert loss == pytest.approx(pulled(**weights)[0], rel=1e-5)
    _, alone = gradient_of(replace(high, balance="gradients", cross=2.0, spatial=0.0, temporal=0.0))
    assert float(alone.square().mean().sqrt()) == pytest.approx(2, rel=1e-3)
    # nothing lies outside these masks: what is left is rounding, and is not made large
    _, found = gradient_of(replace(SETTINGS, tau=0.0, balance="gradients", temporal=0.0))
    assert found.isfinite().all()
    with pytest.raises(SettingError, match="allowed is balance=none"):
        METHOD.check(model, replace(SETTINGS, balance="gradients", target="positions"))
