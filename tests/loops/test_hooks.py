"""What a guide may do beside a loss of attention: shape the noise, read the output, and steer the step."""

import torch

from motionlift.core.method import Guide, Needs
from motionlift.core.method_settings import Guided
from motionlift.loops.sample import Casting, cast
from motionlift.models.families.cogvideox import MODEL
from tests.twins import cogvideox

PROMPT = "a red star on the field"


class Warped(Guide[Guided]):
    """Begins with noise that moves as the motion says, pulls the clean video to the reference's, and halves what is new of it."""

    name, summary, Settings = "warped", "noise that moves", Guided

    def __init__(self):
        self.seen = []

    def needs(self, settings):
        return Needs(output=True, reference=True)

    def lift(self, reference, model, settings):
        raise NotImplementedError

    def begin(self, noise, motion, settings):
        frames = [noise[:, :, :1].roll(int(shift), dims=-1) for shift in motion["shifts"]]
        return torch.cat(frames, dim=2)

    def loss(self, observed, aim, settings):
        self.seen.append((observed, aim))
        return (observed.prediction.clean - aim.reference.clean).square().mean()

    def steered(self, prediction, aim, settings):
        return (prediction.clean + aim.reference.clean) / 2, prediction.noise


def test_noise_is_shaped_the_output_is_read_and_the_step_is_steered():
    model, method = MODEL(cogvideox(), "twin", torch.device("cpu")), Warped()
    shape = model.codec.fitting(None)
    sizes, generator = model.codec.latent_shape(shape), torch.Generator().manual_seed(5)
    motion = {"latents": torch.randn(sizes, generator=generator), "shifts": torch.arange(sizes[2])}
    settings = Guided(steps=2, cfg=1.0, share=0.5, inner=1, optimizer="plain", lr=1.0, lr_end=1.0, inject=False)
    steps = cast(Casting(model, method, settings, motion, shape, PROMPT, 3))
    first, second = (step.latents for step in steps if step.phase == "sample")

    schedule, (level, next_level) = model.schedule(2), model.schedule(2).levels
    fresh = torch.randn(sizes, generator=torch.Generator().manual_seed(3))
    begun = torch.stack([fresh[:, :, 0].roll(frame, dims=-1) for frame in range(sizes[2])], dim=2)
    noised = schedule.noised(motion["latents"], begun, level)
    with torch.no_grad():
        wanted, _ = schedule.estimates(model.predict(noised, level, model.text.encode("")), noised, level)
        leaf = begun.clone().requires_grad_()
        output = model.predict(leaf, level, model.text.encode(PROMPT))
    loss = (schedule.estimates(output, leaf, level)[0] - wanted).square().mean()
    moved = leaf.detach() - torch.autograd.grad(loss, leaf)[0]
    with torch.no_grad():
        clean, noise = schedule.estimates(model.predict(moved, level, model.text.encode(PROMPT)), moved, level)
        truth = schedule.noised((clean + wanted) / 2, noise, schedule.ends[0])
        later = schedule.step(1, model.predict(truth, next_level, model.text.encode(PROMPT)), truth)

    ((observed, aim),) = method.seen  # one guided step of two, with one inner step
    torch.testing.assert_close(aim.begun, begun)
    torch.testing.assert_close(aim.reference.latents, noised)
    torch.testing.assert_close(observed.prediction.output, output)
    torch.testing.assert_close(first, truth, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second, later, atol=1e-5, rtol=1e-5)
