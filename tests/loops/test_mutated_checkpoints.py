"""A checkpoint that is not as it was written is gone on with all the same, or refused: never anything else."""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest
import torch

from motionlift.core.model import Model
from motionlift.errors import DivergenceError, MotionError
from motionlift.loops.run_folder import CHECKPOINT
from motionlift.models.loading import load
from motionlift.work.lift import lift
from tests.mutations import WRONG, Tensors, changed, mutations, places, read, spoilt_bytes, write
from tests.twins import cogvideox
from tests.work.trials import TUNED, a_clip

STEPS = 2
"""Steps of the run that is gone on with."""


@cache
def twin() -> Model:
    return load(cogvideox(), "cpu")


def tuned(folder: Path, steps: int) -> Tensors:
    """What a run of a folder has tuned after so many steps."""
    values = {**TUNED, "tuning_steps": steps, "inversion": False, "beta": 0.0}
    return dict(lift(a_clip(), twin(), "vmc", settings=values, folder=folder).tensors)


@cache
def written() -> tuple[Tensors, dict[str, str], bytes]:
    """A checkpoint: its tensors, what it says, and its bytes."""
    with tempfile.TemporaryDirectory() as place:
        tuned(Path(place), STEPS)
        file = Path(place) / CHECKPOINT
        return (*read(file), file.read_bytes())


def go_on(folder: Path, write_it: Callable[[Path], object]) -> str:
    """Go on with a checkpoint for one step; what it is refused with, or nothing."""
    (folder / "run").mkdir(exist_ok=True)
    write_it(folder / "run" / CHECKPOINT)
    try:
        tensors = tuned(folder / "run", STEPS + 1)
    except (MotionError, DivergenceError) as error:
        message = str(error)
        assert message.isprintable() and 20 < len(message) < 900, message[:2000]
        return message
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    return ""


def tried_names(tensors: Tensors) -> list[str]:
    """One tensor of each kind."""
    weights = [name for name in tensors if name.startswith("module.")]
    return [weights[0], *(name for name in tensors if name.startswith("optimizer.adamw.0."))]


ALLOWED = ("doubled precision", "swapped")
"""Mutations that leave a checkpoint: two of one size cannot be told apart."""


def check(folder: Path, every: int, first: int) -> None:
    tensors, metadata, _ = written()
    found = [mutation for name in tried_names(tensors) for mutation in mutations(tensors, name)]
    for mutation in found[first::every]:
        told = go_on(folder, lambda path, own=mutation.tensors: write(path, own, metadata))
        if mutation.kind.startswith(ALLOWED):
            assert not told or mutation.kind.startswith("swapped"), f"{mutation}: {told}"
        else:
            assert "is damaged or no checkpoint of this run" in told, f"{mutation}: {told!r}"


@pytest.mark.slow
def test_some_mutations(tmp_path: Path):
    """As it is, it is gone on with."""
    _, _, data = written()
    assert go_on(tmp_path, lambda path: path.write_bytes(data)) == ""
    check(tmp_path, 25, 0)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(3))
def test_every_mutation_of_a_tensor_of_each_kind(tmp_path: Path, first: int):
    check(tmp_path, 3, first)


def metadata_of(**changes: object) -> dict[str, str]:
    return {**written()[1], **{name: json.dumps(value) for name, value in changes.items()}}


@pytest.mark.parametrize("step", [None, "3", -1, 1.0, True, [2], {}, 10**60, "text"])
def test_a_step_that_is_none(tmp_path: Path, step: object):
    told = go_on(tmp_path, lambda path: write(path, written()[0], metadata_of(step=step)))
    assert "is damaged or no checkpoint of this run" in told or "and 3 are asked for" in told


@pytest.mark.parametrize("about", [None, [], "text", 3, {}, {"content": []}, {"content": None}, {"content": "text"}])
def test_words_that_are_none(tmp_path: Path, about: object):
    told = go_on(tmp_path, lambda path: write(path, written()[0], metadata_of(about=about)))
    assert "is damaged or no checkpoint of this run" in told


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_words_that_cannot_be_read(tmp_path: Path, text: str):
    for name in ("step", "about"):
        told = go_on(tmp_path, lambda path, name=name: write(path, written()[0], {**written()[1], name: text}))
        assert f"its {name} cannot be read" in told
    assert "cannot be read" in go_on(tmp_path, lambda path: write(path, written()[0], {}))


def test_moments_that_tell_more_steps_than_were_done(tmp_path: Path):
    tensors, metadata, _ = written()
    later = {**tensors, "optimizer.adamw.0.step": torch.tensor(3.0)}
    assert "of other steps" in go_on(tmp_path, lambda path: write(path, later, metadata))
    without = {name: tensor for name, tensor in tensors.items() if not name.endswith(".exp_avg")}
    assert "is incomplete" in go_on(tmp_path, lambda path: write(path, without, metadata))
    strange = {**tensors, "optimizer.adamw.99.step": torch.tensor(1.0)}
    assert "which is not of this run" in go_on(tmp_path, lambda path: write(path, strange, metadata))


@pytest.mark.slow
def test_many_headers_and_bytes(tmp_path: Path):
    tensors, metadata, data = written()
    told = json.loads(metadata["about"])
    for seed in range(40):
        random = Random(seed)
        spoilt = changed(told, random.choice(sorted(places(told))), random.choice(WRONG), random.random() < 0.1)
        go_on(tmp_path, lambda path, spoilt=spoilt: write(path, tensors, metadata_of(about=spoilt)))
        go_on(tmp_path, lambda path, random=random: path.write_bytes(spoilt_bytes(random, data)))
