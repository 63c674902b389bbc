"""From a motion and a prompt to a video."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from motionlift.core.cost import Advance, Step
from motionlift.core.model import Model
from motionlift.errors import MotionError
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.marks import KEY
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift
from motionlift.work.video import Video
from tests.frozen.measured import checksum
from tests.motion.test_file import assert_same
from tests.twins import EVERY_TWIN, TRANSFORMERS
from tests.work.trials import PROMPT, QUICK, a_clip, refusal

MOTIONS = Path(__file__).parent / "motions"
FORMER = json.loads((MOTIONS / "v01.json").read_text())
"""What version 0.1 made of each of its motions."""


@pytest.mark.slow
def test_lift_and_cast_equal_transfer(model: Model, motion: Motion, tmp_path: Path):
    path = tmp_path / "walk.safetensors"
    motion.save(path)
    apart = cast(Motion.load(path), PROMPT, model, seed=5)
    together = transfer(a_clip(), PROMPT, model, seed=5, settings=QUICK, cached=False)
    assert torch.equal(apart.clip.frames, together.clip.frames)
    assert apart.record["losses"] == together.record["losses"]
    assert_same(apart.motion, together.motion)
    assert together.reference is not None
    assert torch.equal(together.reference.frames, a_clip().frames)


@pytest.mark.slow
def test_what_is_known_of_a_reference_is_told_of_each_cast(model: Model, tmp_path: Path):
    """As of one in which little moves, cut to the model's shape: after lifting, saving, loading and casting."""
    still = Clip.of(a_clip(width=64).frames[:1].expand(9, -1, -1, -1), 8)
    part, by_flow = {"start": 0.25, "crop": (0.2, 0.5)}, {**QUICK, "read": "flow"}
    for _ in range(2):  # anew, and from the cache
        lifted = lift(still, model, settings=by_flow, **part)
        lifted.save(tmp_path / "still.safetensors")
        record = cast(Motion.load(tmp_path / "still.safetensors"), PROMPT, model).record
        told = record["reference_notices"]
        assert any("cropped from 64x32 to 32x32" in each for each in told)
        assert any("nothing moves" in each for each in told) and any("in what was lifted" in each for each in told)
        assert record["part"] == {
            **{"start": 0.25, "duration": None, "crop": (0.2, 0.5), "background": "grey", "rate": None},
            "fit": "crop",
        }
    at_once = transfer(still, PROMPT, model, settings=by_flow, **part).record
    assert at_once["part"] == record["part"] and {*at_once["reference_notices"]} < {*told}
    assert {*told} <= {*at_once["reference_notices"], *at_once["notices"]}


@pytest.mark.slow
def test_noise_that_was_found_with_another_shift_is_refused(tmp_path: Path):
    """The models are one by their identity: how far a schedule is shifted is a matter of sampling."""

    def shifted(shift: float) -> Model:
        pipeline = TRANSFORMERS["wan-2.1"].build()
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, flow_shift=shift)
        return TRANSFORMERS["wan-2.1"].model(pipeline)

    one, other = shifted(3.0), shifted(9.0)
    assert one.about.identity == other.about.identity
    lift(a_clip(), one, "inverted", settings={"steps": 3, "inverted_with": "empty"}).save(tmp_path / "m.safetensors")
    lifted = Motion.load(tmp_path / "m.safetensors")
    assert len(lifted.noises) == 3 and lifted.noises == tuple(sorted(lifted.noises, reverse=True))
    told = refusal(MotionError, lambda: cast(lifted, PROMPT, other))
    assert "was inverted at other levels of noise" in told and "cast it with the scheduler" in told
    cast(lifted, PROMPT, one)
    cast(lifted, PROMPT, other, settings={"beta": 0.0})


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMER))
def test_motions_of_version_0_1_are_cast_as_they_were(name: str):
    """Their settings hold every name, and their identity is the former one; the numbers are that version's own."""
    told = FORMER[name]
    model, former = load(EVERY_TWIN[told["twin"]](), "cpu"), Motion.load(MOTIONS / f"v01-{name}.safetensors")
    assert former.version == "0.1.0" and former.identity == model.about.former_identity != model.about.identity
    latents: list[torch.Tensor] = []
    video = cast(former, "a red star on the field", model, seed=3, advance=kept(latents))
    assert checksum(latents[-1]) == pytest.approx(told["latents"], rel=1e-4, abs=1e-4)
    assert video.record.get("tuning_prompt") == told["tuned_with"]
    for changes in ({"cfg": 3.0}, {"negative_prompt": "a dog"}, {"steps": 2} if name == "ditflow" else {}):
        cast(former, "a red star on the field", model, settings=changes)


def kept(latents: list[torch.Tensor]) -> Advance:
    """Keeps the latents of every sampling step."""

    def advance(step: Step) -> None:
        if step.phase == "sample" and step.latents is not None:
            latents.append(step.latents)

    return advance


@pytest.mark.slow
def test_a_cast_within_another_changes_neither(model: Model, motion: Motion):
    """As for a preview, on the same model, with another number of steps."""
    values = {"steps": 2, "share": 0.5}
    outer, inner = cast(motion, PROMPT, model), cast(motion, "the dog", model, seed=4, settings=values)
    within: list[Video] = []

    def preview(step: Step) -> None:
        if step.phase == "sample":
            within.append(cast(motion, "the dog", model, seed=4, settings=values))

    around = cast(motion, PROMPT, model, advance=preview)
    assert torch.equal(around.clip.frames, outer.clip.frames) and len(within) == 3
    assert all(torch.equal(video.clip.frames, inner.clip.frames) for video in within)
    assert around.record["passes"] == outer.record["passes"]
    assert {video.record["passes"]["forward"] for video in within} == {inner.record["passes"]["forward"]}


@pytest.mark.slow
def test_eight_threads_on_one_model_are_eight_calls(model: Model, motion: Motion):
    calls = [{"seed": number, "settings": {"steps": 2 + number % 2, "share": 0.5}} for number in range(8)]
    apart = [cast(motion, PROMPT, model, **call) for call in calls]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda call: cast(motion, PROMPT, model, **call), calls))
    for one, other in zip(apart, together, strict=True):
        assert torch.equal(one.clip.frames, other.clip.frames)
        assert one.record["passes"] == other.record["passes"] and one.record["losses"] == other.record["losses"]


@pytest.mark.slow
def test_the_motion_matters(model: Model, motion: Motion):
    """Neither guidance nor injection is without effect: the test above compares something."""
    other = lift(a_clip(seed=1), model, settings=QUICK, cached=False)
    guided, unguided = (cast(motion, PROMPT, model, settings=values) for values in ({"inject": False}, {"share": 0}))
    assert not torch.equal(guided.clip.frames, unguided.clip.frames)
    assert not torch.equal(cast(motion, PROMPT, model).clip.frames, cast(other, PROMPT, model).clip.frames)


@pytest.mark.slow
def test_seeds(model: Model, motion: Motion, tmp_path: Path):
    digests = []
    for number, seed in enumerate((3, 3, 4)):
        path = tmp_path / f"{number}.mp4"
        cast(motion, PROMPT, model, seed=seed).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    cast(motion, PROMPT, model, seed=2**63 - 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["none", "injection", "smm", "moft", "ditflow"])
def test_a_run_repeats_from_its_record(model: Model, tmp_path: Path, method: str):
    values = {name: value for name, value in QUICK.items() if name != "block" or method in ("smm", "moft", "ditflow")}
    first = transfer(a_clip(), PROMPT, model, method=method, seed=7, settings=values, cached=False)
    first.save(tmp_path / "first.mp4")
    record = json.loads((tmp_path / "first.json").read_text())
    again = transfer(
        a_clip(),
        record["prompt"],
        model,
        method=record["method"],
        seed=record["seed"],
        frames=record["frames"],
        settings=record["settings"],
        cached=False,
    )
    assert torch.equal(first.clip.frames, again.clip.frames)
    again.save(tmp_path / "again.mp4")
    repeated = json.loads((tmp_path / "again.json").read_text())
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()
    changing = {"seconds", "phases", "peak_memory_bytes", "output", KEY}
    assert {name: record[name] for name in record.keys() - changing} == {
        name: repeated[name] for name in repeated.keys() - changing
    }


@pytest.mark.slow
def test_files_and_other_clips(model: Model, tmp_path: Path):
    """A file made by ``Clip.save``, with both readers; the flow reads it at its own size."""
    path = tmp_path / "reference.mp4"
    a_clip(frames=12, height=96, width=128).save(path)
    for read in ("attention", "flow"):
        video = transfer(path, PROMPT, model, settings=QUICK | {"read": read})
        assert video.clip.frames.shape == (9, 32, 32, 3)
        assert video.record["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert video.record["losses"]
        assert "cropped" in video.record["reference_notices"][0]
    field = video.motion.tensors["displacement"]
    assert field.shape == (3, 3, 16, 2)
    assert not field.isnan().all()


@pytest.mark.slow
def test_positions_are_saved_and_reused(model: Model, tmp_path: Path):
    values = QUICK | {"target": "positions", "inner": 2}
    first = transfer(a_clip(), PROMPT, model, settings=values)
    saved = {name for name in first.motion.tensors if name.startswith("positions.")}
    assert saved == {f"positions.{step}.{kind}" for step in (0, 1) for kind in model.positions(model.about.shape)}
    first.motion.save(tmp_path / "walk.safetensors")
    reused = cast(Motion.load(tmp_path / "walk.safetensors"), "the dog", model, settings={"target": "saved"})
    assert reused.record["passes"]["backward"] == 0
    plain = cast(first.motion, "the dog", model, settings={"target": "latents", "inner": 0})
    assert not torch.equal(reused.clip.frames, plain.clip.frames)
    same = cast(first.motion, PROMPT, model, settings={"target": "saved"})
    assert torch.equal(same.clip.frames, first.clip.frames), "the same prompt and seed with the positions kept"


@pytest.mark.slow
def test_later_positions_replace_earlier_ones(model: Model):
    """Those of other steps would be taken for theirs."""
    first = transfer(a_clip(), PROMPT, model, settings=QUICK | {"target": "positions", "share": 1.0})
    second = cast(first.motion, PROMPT, model, settings={"steps": 2, "share": 0.5})
    kept = {name.split(".")[1] for name in second.motion.tensors if name.startswith("positions.")}
    assert kept == {"0"}
    assert (second.motion.settings["steps"], second.motion.settings["share"]) == (2, 0.5)


@pytest.mark.slow
def test_positions_of_other_steps_do_not_pass_inverted_noise_off_as_theirs(model: Model):
    inverted = lift(a_clip(), model, settings=QUICK | {"inversion": True}, cached=False)
    same, other = (
        cast(inverted, PROMPT, model, settings={"target": "positions", "steps": steps}).motion for steps in (3, 2)
    )
    assert "inverted" in same.tensors and "inverted" not in other.tensors
    with pytest.raises(MotionError, match="holds no inverted noise"):
        cast(other, PROMPT, model, settings={"beta": 0.5})


@pytest.mark.slow
def test_a_cached_lift_costs_the_same_video(model: Model):
    videos = [transfer(a_clip(), PROMPT, model, settings=QUICK) for _ in range(2)]
    assert torch.equal(videos[0].clip.frames, videos[1].clip.frames)
    passes = [video.record["passes"]["forward"] for video in videos]
    assert passes[0] == passes[1] + 1


@pytest.mark.slow
def test_stopping_leaves_the_model_as_it_was(model: Model, motion: Motion):
    """Ctrl-C in a notebook: the traceback lives on, and with it whatever the loop had hooked in."""
    before = cast(motion, PROMPT, model).clip.frames

    def stop(step: Step) -> None:
        if step.phase == "guide":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:
        cast(motion, PROMPT, model, advance=stop)
    hooks = [module for module in model.network.modules() if module._forward_pre_hooks]
    assert held.value.__traceback__ is not None and hooks == []
    assert torch.equal(cast(motion, PROMPT, model).clip.frames, before)


@pytest.mark.slow
def test_sampling_can_start_from_the_inverted_noise(model: Model):
    motion = lift(a_clip(), model, "none", settings={"steps": 3, "inversion": True}, cached=False)
    seeds = [cast(motion, PROMPT, model, seed=seed, settings={"beta": 1.0}).clip.frames for seed in (1, 2)]
    assert torch.equal(*seeds), "nothing of the seed is left"
    mixed = [cast(motion, PROMPT, model, seed=seed, settings={"beta": 0.5}).clip.frames for seed in (1, 2)]
    assert not torch.equal(*mixed) and not torch.equal(mixed[0], seeds[0])
    fresh = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    plain = cast(fresh, PROMPT, model, seed=1).clip.frames
    assert torch.equal(cast(motion, PROMPT, model, seed=1, settings={"beta": 0.0}).clip.frames, plain)
