import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.overrides import _len_torch_function_stack

from motionlift.core.method import Guide, Needs, injected
from motionlift.core.method_settings import Guided
from motionlift.core.schedule import Level
from motionlift.core.settings import setting
from motionlift.errors import DivergenceError, InputError, MotionError
from motionlift.loops.sample import Casting, cast, guidance_scale, guided_steps, learning_rate, starting_noise
from motionlift.loops.samplers import Sampler
from motionlift.models.families.cogvideox import MODEL
from tests.twins import TWINS, WINDOW, cogvideox

CPU = torch.device("cpu")
PROMPT = "a red star on the field"
FOUR = ("query_cos", "query_sin", "key_cos", "key_sin")


@dataclass(frozen=True)
class PullSettings(Guided):
    """Settings of a method for tests."""

    block: tuple[int, ...] = setting((1,), low=0)
    """The block whose features are pulled."""


class Pull(Guide[PullSettings]):
    """Pulls the features of a block to those of the motion: the simplest loss there is."""

    name = "pull"
    summary = "pull features"
    Settings = PullSettings

    def __init__(self, scale=1.0):
        self.scale = scale

    def needs(self, settings):
        return Needs(blocks=settings.block, features=True, inject=injected(settings))

    def lift(self, reference, model, settings):
        raise NotImplementedError

    def loss(self, observed, aim, settings):
        return self.scale * sum(
            (observed.record[number].features - aim.motion["features"]).square().mean() for number in settings.block
        )


class Plain(Pull):
    """Optimises nothing."""

    def needs(self, settings):
        return Needs(inject=injected(settings))


@pytest.fixture(params=sorted(TWINS))
def model(request):
    return MODEL(TWINS[request.param](), request.param, CPU)


def rotary():
    return MODEL(cogvideox(), "twin", CPU)


def casting(model, method=None, motion=None, prompt=PROMPT, seed=3, **values):
    settings = {"steps": 4, "cfg": 3.0, "share": 0.5, "inner": 2, "lr": 0.02, "lr_end": 0.01, **values}
    shape = model.codec.fitting(None)
    if motion is None:
        generator = torch.Generator().manual_seed(7)
        latents = torch.randn(model.codec.latent_shape(shape), generator=generator)
        motion = {"latents": latents, "features": torch.randn(1, 48, 32, generator=generator)}
    return Casting(model, method or Pull(), PullSettings(**settings), motion, shape, prompt, seed)


def finished(steps):
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


def run(job):
    return finished(cast(job))[0]


class Spy:
    """Keeps what a model is asked."""

    def __init__(self, model, monkeypatch):
        self.asked = []
        for name in ("record", "predict"):
            monkeypatch.setattr(model, name, self.around(name, getattr(model, name)))

    def around(self, name, original):
        def ask(latents, level, condition, *others, **named):
            blocks, positions = others[:2] if name == "record" and len(others) > 1 else (*others, None)[:2]
            positions = others[0] if name == "predict" and others else positions
            kept = {key: tensor.detach().clone() for key, tensor in (positions or {}).items()}
            self.asked.append((name, latents.detach().clone(), level, condition, kept, blocks))
            return original(latents, level, condition, *others, **named)

        return ask

    def of(self, name):
        return [asked for asked in self.asked if asked[0] == name]


def network(model):
    return model.network["transformer"]


def hooks(model):
    modules = model.network.modules()
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)


# Plain sampling


@pytest.mark.parametrize(("cfg", "dynamic"), [(4.0, False), (7.0, True)])
@pytest.mark.parametrize("frames", [9, 16])
def test_plain_sampling_is_that_of_the_diffusers_pipeline(model, cfg, dynamic, frames):
    pipeline = TWINS[model.about.name]()
    pipeline.text_encoder.eval()
    job = casting(model, Plain(), steps=6, share=0.0, inject=False, cfg=cfg, dynamic_cfg=dynamic)
    job = replace(job, shape=model.codec.fitting(frames))
    noise = starting_noise(job)
    truth = pipeline(
        PROMPT,
        num_frames=frames,
        num_inference_steps=6,
        guidance_scale=cfg,
        use_dynamic_cfg=dynamic,
        latents=noise.permute(0, 2, 1, 3, 4),
        max_sequence_length=WINDOW,
        output_type="latent",
    ).frames
    torch.testing.assert_close(run(job).latents, truth.permute(0, 2, 1, 3, 4), atol=1e-4, rtol=0)


def test_the_weight_of_the_prompt_moves_the_result(model):
    results = [run(casting(model, Plain(), inject=False, cfg=cfg)).latents for cfg in (0.0, 1.0, 8.0)]
    assert (results[0] - results[1]).abs().max() > 1e-3
    assert (results[1] - results[2]).abs().max() > 1e-3


def test_a_fixed_weight_is_the_setting_at_every_level():
    levels = [Level(timestep, 0.6, 0.8) for timestep in (999.0, 500.0, 19.0)]
    assert {guidance_scale(PullSettings(cfg=5.0), level) for level in levels} == {5.0}


def test_noise_depends_on_the_seed_alone(model):
    one, same, other = (starting_noise(casting(model, seed=seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(one, same, atol=0, rtol=0)
    assert one.shape == (1, 4, 3, 8, 8)
    assert (one - other).abs().mean() > 0.5


def test_a_run_repeats_bit_for_bit(model):
    one, same = (run(casting(model)) for _ in range(2))
    torch.testing.assert_close(one.latents, same.latents, atol=0, rtol=0)
    assert one.losses == same.losses


# Guided steps


@pytest.mark.parametrize(("steps", "share", "count"), [(50, 0.2, 10), (30, 0.34, 10), (4, 0.0, 0), (4, 1.0, 4)])
def test_the_share_of_guided_steps(steps, share, count):
    assert guided_steps(PullSettings(steps=steps, share=share)) == count


def test_the_learning_rate_falls_on_a_line():
    settings = PullSettings(steps=50, share=0.1, lr=0.002, lr_end=0.001)
    found = [learning_rate(settings, index) for index in range(5)]
    assert found == pytest.approx([0.002, 0.00175, 0.0015, 0.00125, 0.001])
    assert learning_rate(PullSettings(steps=10, share=0.1, lr=0.002, lr_end=0.001), 0) == 0.002


def test_the_first_step_of_a_fresh_adam_moves_every_value_by_the_learning_rate(model, monkeypatch):
    spy = Spy(model, monkeypatch)
    run(casting(model, Pull(1e6), inner=1, share=0.75, inject=False, lr=0.03, lr_end=0.01))
    before, after = spy.of("record"), spy.of("predict")
    assert len(before) == 3
    for index, rate in enumerate((0.03, 0.02, 0.01)):
        moved = (after[index][1][:1] - before[index][1]).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, rate), atol=1e-5, rtol=0)


def test_the_other_optimiser_moves_by_the_learning_rate_as_root_mean_square(model, monkeypatch):
    spy = Spy(model, monkeypatch)
    run(casting(model, inner=1, optimizer="rms", inject=False, lr=0.03, lr_end=0.01))
    before, after = spy.of("record"), spy.of("predict")
    for index, rate in enumerate((0.03, 0.01)):
        moved = after[index][1][:1] - before[index][1]
        assert float(moved.square().mean().sqrt()) == pytest.approx(rate, rel=1e-3)
        assert moved.abs().std() > 0.1 * rate


def denoised(model, latents, index, positions=None):
    """One of four steps of guidance by its definition, in two passes of one."""
    schedule = model.schedule(4)
    empty, prompted = (
        model.predict(latents, schedule.levels[index], model.text.encode(prompt), positions) for prompt in ("", PROMPT)
    )
    return schedule.step(index, empty + 3.0 * (prompted - empty), latents)


def injection(model, job, noise, level):
    noised = model.schedule(4).noised(job.motion["latents"], noise, level)
    with torch.no_grad():
        return model.injecting(model.record(noised, level, model.text.encode(PROMPT), [0]))


@pytest.mark.slow
def test_optimising_latents_is_torchs_adam_on_the_conditional_branch(model):
    job = casting(model, inner=3, inject=True)
    latents = noise = starting_noise(job)
    losses = []
    for index, level in enumerate(model.schedule(4).levels):
        if index >= 2:
            latents = denoised(model, latents, index)
            continue
        with injection(model, job, noise, level):
            leaf = latents.clone().requires_grad_()
            adam = torch.optim.Adam([leaf], lr=(0.02, 0.01)[index])
            for _ in range(3):
                seen = model.record(leaf, level, model.text.encode(PROMPT), [1])
                loss = (seen[1].features - job.motion["features"]).square().mean()
                adam.zero_grad()
                loss.backward()
                adam.step()
                losses.append(loss.item())
            latents = denoised(model, leaf.detach(), index)
    result = run(job)
    torch.testing.assert_close(result.latents, latents, atol=2e-4, rtol=0)
    assert result.losses == pytest.approx(losses, abs=1e-5)
    assert result.positions == {}


@pytest.mark.slow
def test_optimising_positions_is_torchs_adam_kept_from_step_to_step_and_dropped_after(model):
    job = casting(model, inner=3, inject=False, target="positions")
    latents = starting_noise(job)
    positions = model.positions(job.shape)
    kept = {}
    for index, level in enumerate(model.schedule(4).levels):
        if index >= 2:
            latents = denoised(model, latents, index)
            continue
        positions = {name: tensor.clone().requires_grad_() for name, tensor in positions.items()}
        adam = torch.optim.Adam(list(positions.values()), lr=(0.02, 0.01)[index])
        for _ in range(3):
            seen = model.record(latents, level, model.text.encode(PROMPT), [1], positions)
            adam.zero_grad()
            (seen[1].features - job.motion["features"]).square().mean().backward()
            adam.step()
        positions = {name: tensor.detach() for name, tensor in positions.items()}
        kept |= {f"positions.{index}.{name}": tensor for name, tensor in positions.items()}
        latents = denoised(model, latents, index, positions)
    result = run(job)
    torch.testing.assert_close(result.latents, latents, atol=2e-4, rtol=0)
    assert set(result.positions) == set(kept)
    torch.testing.assert_close(dict(result.positions), kept, atol=2e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["latents", "positions"])
def test_a_run_is_the_same_when_activations_are_recomputed(model, target):
    """Backward runs the network again: a change of its attention that is gone by then gives gradients that are 3 % off."""
    job = casting(model, inject=True, target=target)
    plain = run(job)
    network(model).enable_gradient_checkpointing()
    recomputed = run(job)
    torch.testing.assert_close(recomputed.latents, plain.latents, atol=1e-5, rtol=0)
    assert recomputed.losses == pytest.approx(plain.losses, abs=1e-6)


def test_every_positional_tensor_is_moved(model):
    result = run(casting(model, target="positions"))
    names = FOUR if model.about.name == "cogvideox-rotary" else ("table",)
    start = model.positions(model.about.shape)
    assert set(result.positions) == {f"positions.{index}.{name}" for index in (0, 1) for name in names}
    for name in names:
        assert (result.positions[f"positions.1.{name}"] - start[name]).abs().max() > 0.01


@pytest.mark.slow
def test_only_the_prompt_is_optimised_and_only_guided_steps_change_positions(model, monkeypatch):
    condition, spy = model.text.encode(PROMPT), Spy(model, monkeypatch)
    run(casting(model, target="positions", inject=True))
    assert [(len(asked[1]), list(asked[5])) for asked in spy.of("record")] == [(1, [0]), (1, [1]), (1, [1])] * 2
    for asked in spy.of("record"):
        torch.testing.assert_close(dict(asked[3].tensors), dict(condition.tensors), atol=0, rtol=0)
    assert [bool(asked[4]) for asked in spy.of("predict")] == [True, True, False, False]
    assert [len(asked[1]) for asked in spy.of("predict")] == [2] * 4


def test_blocks_after_the_one_that_is_read_do_not_run_in_guidance(model):
    ran = [0, 0, 0]

    def count(number):
        def counted(*_):
            ran[number] += 1

        return counted

    for number, block in enumerate(network(model).transformer_blocks):
        block.register_forward_hook(count(number))
    run(casting(model, inject=True))
    # Four denoising passes; four optimiser passes up to block 1; two injection passes end within block 0.
    assert ran == [4 + 4, 4 + 4, 4]


@pytest.mark.parametrize("inject", [False, True])
@pytest.mark.parametrize("target", ["latents", "positions"])
def test_passes_and_steps_are_counted(model, inject, target):
    job = casting(model, inject=inject, target=target, steps=5, share=0.4, inner=3)
    before = model.passes.forward, model.passes.backward
    result, seen = finished(cast(job))
    guided = 2
    assert model.passes.forward - before[0] == 2 * 5 + guided * (3 + inject)
    assert model.passes.backward - before[1] == guided * 3
    assert len(result.losses) == guided * 3
    told = [(step.phase, step.index, step.total) for step in seen]
    assert [step for step in told if step[0] == "guide"] == [("guide", index, 6) for index in range(6)]
    assert [step for step in told if step[0] == "sample"] == [("sample", index, 5) for index in range(5)]
    assert [step.loss for step in seen if step.phase == "guide"] == result.losses
    torch.testing.assert_close(seen[-1].latents, result.latents, atol=0, rtol=0)


def test_a_shared_pass_takes_the_step_by_what_was_said_before_the_latents_moved(model):
    values = {"steps": 3, "share": 0.34, "inner": 1, "optimizer": "rms", "lr": 0.02, "lr_end": 0.02}
    job = casting(model, inject=False, shared_pass=True, **values)
    result, _ = finished(cast(job))
    noise, schedule = starting_noise(job), model.schedule(3)
    prompts = [model.text.encode(prompt) for prompt in ("", PROMPT)]

    leaf = noise.clone().requires_grad_()
    seen = model.record(leaf, schedule.levels[0], prompts[1], (1,))[1].features
    gradient = torch.autograd.grad((seen - job.motion["features"]).square().mean(), leaf)[0]
    moved = noise - 0.02 * gradient / gradient.square().mean().sqrt()
    sampler, taken = Sampler("own", schedule, job.seed), ()
    for index, level in enumerate(schedule.levels):
        looked = noise if index == 0 else moved
        with torch.no_grad():
            plain, wanted = (model.predict(looked, level, prompt) for prompt in prompts)
        estimates = schedule.estimates(plain + 3.0 * (wanted - plain), moved, level)
        moved, taken = sampler.step(index, moved, *estimates, taken, index == 0)
    torch.testing.assert_close(result.latents, moved, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_work_is_counted_by_the_share_of_the_network_that_ran(model, shared):
    job = casting(model, inject=True, steps=5, share=0.4, inner=3, shared_pass=shared)
    before = replace(model.passes)
    run(job)
    spent, part, first = model.passes.since(before), model.share(1, features=True), model.share(0)
    saved = part if shared else 0  # the last look of a guided step is then one of the passes that the step takes anyway
    assert spent.work == pytest.approx(2 * 5 + 2 * (first + 3 * (part + 2 * part) - saved))
    assert spent.backward == 2 * 3


@pytest.mark.slow
@pytest.mark.parametrize("target", ["latents", "positions"])
def test_the_loss_falls(model, target):
    result = run(casting(model, target=target, inner=20, share=0.25, inject=False, lr=0.01))
    assert len(result.losses) == 20
    assert result.losses[-1] < 0.99 * result.losses[0]
    assert all(later < earlier for earlier, later in zip(result.losses, result.losses[1:], strict=False))


@pytest.mark.parametrize("target", ["latents", "positions"])
def test_guidance_without_inner_steps_is_plain_sampling(model, target):
    plain = run(casting(model, Plain(), inject=False)).latents
    found = run(casting(model, inner=0, inject=False, target=target)).latents
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=0)


def test_a_value_whose_gradient_ends_stays_from_then_on(model):
    """A later inner step whose loss does not see it moves nothing by the gradient of an earlier one."""

    class Ends(Pull):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def loss(self, observed, aim, settings):
            self.calls += 1
            return super().loss(observed, aim, settings) if self.calls == 1 else torch.ones((), requires_grad=True) * 1

    once = casting(model, inner=1, share=0.25, inject=False)
    often = replace(once, method=Ends(), settings=replace(once.settings, inner=4))
    torch.testing.assert_close(run(often).latents, run(once).latents, atol=0, rtol=0)


# Turns


@pytest.mark.slow
def test_two_casts_in_turn_are_what_each_is_alone(model):
    """Of other numbers of steps, settings and prompts; each counts its own passes alone."""
    jobs = (
        casting(model.counted(), steps=4, target="positions", inject=True),
        casting(model.counted(), Plain(), steps=7, cfg=5.0, prompt="the dog", seed=5, inject=False),
    )
    alone = [run(replace(job, model=model.counted())) for job in jobs]
    passes = []
    for job in jobs:
        own = replace(job, model=model.counted())
        run(own)
        passes.append((own.model.passes.forward, own.model.passes.backward))
    going, results = dict(enumerate(map(cast, jobs))), {}
    while going:
        for number, steps in list(going.items()):
            try:
                next(steps)
            except StopIteration as stop:
                results[number] = stop.value
                del going[number]
    for number, job in enumerate(jobs):
        torch.testing.assert_close(results[number].latents, alone[number].latents, atol=0, rtol=0)
        assert results[number].losses == alone[number].losses
        assert (job.model.passes.forward, job.model.passes.backward) == passes[number]


# Guidance


@pytest.mark.parametrize(("cfg", "prompt"), [(1.0, PROMPT), (0.0, "")])
def test_a_weight_of_one_or_none_asks_the_network_once_a_step(model, monkeypatch, cfg, prompt):
    spy, condition = Spy(model, monkeypatch), model.text.encode(prompt)
    run(casting(model, Plain(), inject=False, cfg=cfg))
    assert [len(asked[1]) for asked in spy.of("predict")] == [1] * 4
    for asked in spy.of("predict"):
        assert all(torch.equal(tensor, condition.tensors[name]) for name, tensor in asked[3].tensors.items())


@pytest.mark.slow
def test_steps_whose_formula_gives_a_weight_of_one_ask_the_network_once(model, monkeypatch):
    job = casting(model, Plain(), inject=False, steps=50, cfg=7.0, dynamic_cfg=True, share=0.0)
    weights = [guidance_scale(job.settings, level) for level in model.schedule(50).levels]
    spy = Spy(model, monkeypatch)
    run(job)
    assert [len(asked[1]) for asked in spy.of("predict")] == [1 if weight == 1 else 2 for weight in weights]


def test_the_published_formula_of_the_guidance_scale():
    """``1 + cfg (1 - cos(pi ((steps - timestep) / steps)^5)) / 2``, whose timestep stands where the number of the step is meant."""
    settings = PullSettings(steps=50, cfg=7.0, dynamic_cfg=True)
    for timestep, weight in ((50.0, 1.0), (0.0, 8.0), (100.0, 8.0), (25.0, 1 + 7 * (1 - math.cos(math.pi / 32)) / 2)):
        assert guidance_scale(settings, Level(timestep, 0.6, 0.8)) == pytest.approx(weight)


def test_a_negative_prompt_takes_the_place_of_the_empty_one(model):
    job = casting(model, Plain(), inject=False, negative_prompt="the dog")
    latents = starting_noise(job)
    schedule = model.schedule(4)
    for index, level in enumerate(schedule.levels):
        other, wanted = (model.predict(latents, level, model.text.encode(prompt)) for prompt in ("the dog", PROMPT))
        latents = schedule.step(index, other + 3.0 * (wanted - other), latents)
    torch.testing.assert_close(run(job).latents, latents, atol=1e-4, rtol=0)
    assert (run(casting(model, Plain(), inject=False)).latents - latents).abs().max() > 1e-3


def test_two_passes_of_one_are_one_pass_of_two(model, monkeypatch):
    """As large models are asked."""
    together = run(casting(model, Plain(), inject=False)).latents
    large = model.saving(replace(model.about.measures, one_by_one=True))
    spy = Spy(large, monkeypatch)
    apart = run(casting(large, Plain(), inject=False)).latents
    assert [len(asked[1]) for asked in spy.of("predict")] == [1] * 8
    torch.testing.assert_close(apart, together, atol=1e-4, rtol=0)


# Injection


@pytest.mark.parametrize("blocks", [(0,), (0, 1)])
def test_a_block_that_is_read_keeps_its_own_keys_and_values(model, blocks):
    """With the reference's there the loss would look at the reference."""
    seen = []

    class Reads(Pull):
        def loss(self, observed, aim, settings):
            shown = observed.record[0]
            seen.append([own.detach().clone() for own in (observed.latents, shown.key, shown.value)] + [observed.level])
            return super().loss(observed, aim, settings)

    job = casting(model, Reads(), block=blocks, inner=1, inject=True)
    run(job)
    assert len(seen) == 2
    for latents, key, value, level in seen:
        with torch.no_grad():
            own = model.record(latents, level, model.text.encode(PROMPT), [0])[0]
        torch.testing.assert_close(key, own.key)
        torch.testing.assert_close(value, own.value)


def test_injection_alone_is_its_definition(model):
    job = casting(model, Plain(), inject=True)
    latents = noise = starting_noise(job)
    for index, level in enumerate(model.schedule(4).levels):
        if index < 2:
            with injection(model, job, noise, level):
                latents = denoised(model, latents, index)
        else:
            latents = denoised(model, latents, index)
    torch.testing.assert_close(run(job).latents, latents, atol=1e-5, rtol=0)
    assert (run(casting(model, Plain(), inject=False)).latents - latents).abs().max() > 1e-3


# Saved positions


@pytest.mark.slow
def test_saved_positions_reproduce_the_run_that_saved_them(model):
    job = casting(model, target="positions")
    first = run(job)
    motion = {**job.motion, **first.positions}
    before = model.passes.forward, model.passes.backward
    again = run(casting(model, motion=motion, target="saved"))
    torch.testing.assert_close(again.latents, first.latents, atol=0, rtol=0)
    assert again.losses == []
    assert model.passes.forward - before[0] == 2 * 4 + 2
    assert model.passes.backward == before[1]
    assert (again.latents - run(casting(model, Plain())).latents).abs().max() > 1e-3


def test_a_motion_without_positions_is_refused(model):
    with pytest.raises(MotionError, match="no saved positions for guided step 1; make them with target=positions"):
        run(casting(model, target="saved"))


def test_a_motion_with_positions_for_fewer_steps_is_refused(model):
    job = casting(model, target="positions", share=0.25)
    motion = {**job.motion, **run(job).positions}
    with pytest.raises(MotionError, match="no saved positions for guided step 2"):
        run(casting(model, motion=motion, target="saved", share=0.5))


def test_positions_that_do_not_fit_the_model_are_refused(model):
    job = casting(model, target="positions")
    saved = run(job).positions
    name = next(iter(saved))
    others = {key: tensor for key, tensor in saved.items() if key != name}
    for wrong in ({**others, name: saved[name][..., :-1]}, {**others, "positions.0.foreign": saved[name]}):
        with pytest.raises(MotionError, match="saved positions of guided step 1 do not fit"):
            run(casting(model, motion={**job.motion, **wrong}, target="saved"))


# What goes wrong


def test_a_loss_that_is_not_finite_names_its_step(model):
    class Explodes(Pull):
        calls = 0

        def loss(self, *given):
            self.calls += 1
            return super().loss(*given) * (torch.nan if self.calls == 3 else 1)

    with pytest.raises(DivergenceError, match="the loss is nan in guided step 2: lower lr"):
        run(casting(model, Explodes()))
    assert hooks(model) == 0


def test_latents_that_are_not_finite_name_their_step(model, monkeypatch):
    step = Sampler.step

    def overflow(sampler, index, *arguments):
        latents, taken = step(sampler, index, *arguments)
        return latents * (torch.inf if index == 2 else 1), taken

    monkeypatch.setattr(Sampler, "step", overflow)
    with pytest.raises(DivergenceError, match="no longer finite after step 3"):
        run(casting(model, Plain()))


def test_a_prompt_longer_than_the_text_window_is_refused(model):
    with pytest.raises(InputError, match="the prompt has 11 tokens"):
        run(casting(model, prompt="a red star " * 3 + "ring"))


@pytest.mark.parametrize("phase", ["guide", "sample"])
def test_nothing_stays_behind_when_the_run_is_abandoned(model, phase):
    noise = starting_noise(casting(model))
    condition, whole = model.text.encode(PROMPT), network(model).transformer_blocks
    level = model.schedule(4).levels[0]
    plain = model.predict(noise, level, condition)
    steps = cast(casting(model, inject=True, target="positions"))
    assert any(step.phase == phase for step in steps)  # stops at the first one, in the middle of a guided step
    steps.close()
    assert hooks(model) == 0
    assert _len_torch_function_stack() == 0
    assert network(model).transformer_blocks is whole
    assert torch.is_grad_enabled()
    torch.testing.assert_close(model.predict(noise, level, condition), plain, atol=0, rtol=0)


def test_nothing_stays_behind_when_ctrl_c_arrives_within_the_network(model):
    def interrupt(*_):
        raise KeyboardInterrupt

    steps = cast(casting(model, inject=True))
    next(steps)
    handle = network(model).transformer_blocks[0].attn1.to_out[0].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    handle.remove()
    assert hooks(model) == 0
    assert _len_torch_function_stack() == 0
    assert len(network(model).transformer_blocks) == 3


@pytest.mark.slow
def test_the_result_carries_no_graph(model):
    for target in ("latents", "positions"):
        result = run(casting(model, target=target))
        assert not any(tensor.requires_grad for tensor in (result.latents, *result.positions.values()))


@pytest.mark.parametrize("optimizer", ["adam", "rms"])
def test_a_positional_tensor_that_the_loss_does_not_see_stays(optimizer):
    class Queries(Pull):
        def loss(self, observed, aim, settings):
            return observed.record[0].query.square().mean() * 1e3

    model = rotary()
    result = run(casting(model, Queries(), block=(0,), target="positions", inject=False, optimizer=optimizer))
    start = model.positions(model.about.shape)
    for name in FOUR:
        moved = (result.positions[f"positions.1.{name}"] - start[name]).abs().max() > 0
        assert moved == name.startswith("query")
