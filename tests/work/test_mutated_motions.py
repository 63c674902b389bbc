"""A motion file that is not as it was written is cast all the same, or refused: never anything else."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from motionlift.core.cost import Step
from motionlift.core.model import Model
from motionlift.core.tensors import INVERTED
from motionlift.errors import MotionError, MotionliftError
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.motion.file import KEY, Motion
from motionlift.motion.names import ADAPTER, POSITIONS, Name
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift
from motionlift.work.prepare import ask
from tests.mutations import WRONG, Mutation, Tensors, changed, mutations, places, read, sparse, spoilt_bytes, write
from tests.twins import EVERY_TWIN
from tests.work.trials import QUICK, a_clip, counting

PROMPT = "a red star on the field"
LIFTED: Mapping[str, Any] = {
    "steps": 2,
    "share": 1.0,
    "inner": 1,
    "block": (1, 2),
    "inversion": True,
    "beta": 0.5,
    "source_prompt": "a blue ring on the field",
    "subjects": ("ring",),
    "targets": ("star",),
    "channel_share": 0.2,
    "tuning_steps": 1,
    "tuning_lr": 0.01,
    "rank": 2,
}
"""Settings of all methods, as far as they have them."""
TRIED = ("cogvideox-rotary", "unet3d")
"""A twin of each family."""
MOST_STEPS = 20
"""A file may ask for a thousand steps; after so many a trial has seen enough."""


class _EnoughError(Exception):
    """A trial has gone far enough."""


@cache
def twin(name: str) -> Model:
    return load(EVERY_TWIN[name](), "cpu")


@cache
def lifted(name: str, method: str) -> Motion:
    """A motion of a method; of ``saved``, one of DiTFlow with saved positions."""
    own, clip = twin(name), a_clip(frames=9 if name.startswith("cogvideox") else 4)
    if method == "saved":
        values = {**QUICK, "steps": 2, "share": 1.0, "target": "positions"}
        return transfer(clip, PROMPT, own, settings=values, cached=False, frames=clip.frames.shape[0]).motion
    known = methods()[method].Settings.__dataclass_fields__
    values = {key: value for key, value in LIFTED.items() if key in known}
    return lift(clip, own, method, frames=clip.frames.shape[0], settings=values, cached=False)


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    when: str
    """``made``, or refused when it was ``opened``, when the work was ``prepared``, or at ``work``."""
    error: str = ""
    """The refusal."""


def outcome(path: Path, model: Model, values: Mapping[str, Any]) -> Outcome:
    """Open a file and cast it; whatever is no refusal is raised."""
    steps, latents = [], []

    def advance(step: Step) -> None:
        steps.append(step)
        if step.latents is not None:
            latents.append(step.latents)
        if len(steps) > MOST_STEPS:
            raise _EnoughError

    with counting(model) as counted:
        when = "opened"
        try:
            motion = Motion.load(path)
            ask(motion.method, values, prompt=PROMPT, motion=motion)
            when = "prepared"
            with suppress(_EnoughError):
                cast(motion, PROMPT, model, settings=values, advance=advance)
        except MotionliftError as error:
            message = str(error)
            assert message.isprintable() and 20 < len(message) < 900, message[:2000]
            return Outcome("work" if counted.forward else when, f"{type(error).__name__}: {message}")
    assert latents[-1].isfinite().all() if latents else len(steps) > MOST_STEPS
    return Outcome("made")


def is_known_when_opened(motion: Motion, mutation: Mutation) -> bool:
    """Whether names, types, sizes and numbers tell when a file is opened: all but what the model alone can tell."""
    name = Name.parsed(mutation.name)
    sizes = {key: tuple(tensor.shape) for key, tensor in mutation.tensors.items()}
    if mutation.kind in ("one short", "one long"):
        free = {"latents": (1,), "differences": (1,), ADAPTER: (0, 1)}
        alone = name.word != "latents" or INVERTED not in sizes
        return not (alone and mutation.axis in free.get(name.word, ()))
    return mutation.kind not in ("dropped", "renamed") or name.word != ADAPTER or mutation.name.endswith("weight")


def is_allowed(mutation: Mutation) -> bool:
    """Whether a mutation leaves a motion that is cast."""
    if mutation.kind.startswith("swapped"):
        return True  # two of one size cannot be told apart, others are refused by their sizes
    displacement = Name.parsed(mutation.name).word == "displacement"
    return mutation.kind == "doubled precision" or (mutation.kind == "nan" and displacement)


def check(
    path: Path, twin_name: str, method: str, motion: Motion, mutation: Mutation, metadata: dict[str, str]
) -> None:
    """One mutated file is cast or refused, and when is known."""
    write(path, mutation.tensors, metadata)
    found = outcome(path, twin(twin_name), {"target": "saved"} if method == "saved" else {})
    said = f"{method} on {twin_name}, {mutation}: {found}"
    if is_allowed(mutation):
        assert found.when in ("made", "opened", "prepared"), said
        assert found.when == "made" or mutation.kind.startswith("swapped"), said
    else:
        assert found.when == "opened" or (found.when == "prepared" and not is_known_when_opened(motion, mutation)), said
        assert found.error.startswith("MotionError"), said


def tried_names(tensors: Tensors) -> list[str]:
    """The names of a motion's tensors, of an adapter those of the first layer."""
    layers = [name for name in tensors if Name.parsed(name).word == ADAPTER]
    first = layers[0].removesuffix(".lora_A.weight") if layers else ""
    return [name for name in tensors if name not in layers or name.startswith(first)]


def saved(tmp_path: Path, motion: Motion) -> tuple[Tensors, dict[str, str]]:
    motion.save(tmp_path / "whole.safetensors")
    return read(tmp_path / "whole.safetensors")


def cases() -> list[tuple[str, str]]:
    """Every method on a twin of each family; positions are saved where there are any."""
    return [
        (name, method) for name in TRIED for method in (*methods(), "saved") if (name, method) != ("unet3d", "saved")
    ]


SOME = [number for number, case in enumerate(cases()) if case[0] == TRIED[0] or case[1] in ("smm", "motionflow")]


@pytest.mark.slow
@pytest.mark.parametrize("number", SOME, ids=lambda number: " ".join(cases()[number]))
def test_some_mutations(tmp_path: Path, number: int):
    """As it is, each method's motion is cast; a few mutations of each are told, others for each method."""
    name, method = cases()[number]
    motion = lifted(name, method)
    tensors, metadata = saved(tmp_path, motion)
    values = {"target": "saved"} if method == "saved" else {}
    assert outcome(tmp_path / "whole.safetensors", twin(name), values).when == "made"
    every = [mutation for own in tried_names(tensors) for mutation in mutations(tensors, own)]
    for mutation in every[number :: max(1, len(every) // 6)]:
        check(tmp_path / "spoilt.safetensors", name, method, motion, mutation, metadata)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), cases())
def test_every_mutation_of_every_tensor(tmp_path: Path, name: str, method: str):
    motion = lifted(name, method)
    tensors, metadata = saved(tmp_path, motion)
    for own in tried_names(tensors):
        for mutation in mutations(tensors, own):
            check(tmp_path / "spoilt.safetensors", name, method, motion, mutation, metadata)


def try_headers(folder: Path, name: str, method: str, random: Random) -> None:
    """An entry of the header is dropped, or is something else."""
    tensors, metadata = saved(folder, lifted(name, method))
    told = json.loads(metadata[KEY])
    spoilt = changed(told, random.choice(sorted(places(told))), random.choice(WRONG), random.random() < 0.1)
    path = write(folder / "spoilt.safetensors", tensors, {KEY: json.dumps(spoilt)})
    outcome(path, twin(name), {})


def try_bytes(folder: Path, name: str, method: str, random: Random) -> None:
    """The file's bytes are others."""
    saved(folder, lifted(name, method))
    path = folder / "spoilt.safetensors"
    path.write_bytes(spoilt_bytes(random, (folder / "whole.safetensors").read_bytes()))
    outcome(path, twin(name), {})


ATTEMPTS = pytest.mark.parametrize("attempt", [try_headers, try_bytes])


@ATTEMPTS
@pytest.mark.parametrize(("name", "method"), [(TRIED[0], "ditflow"), (TRIED[1], "motionflow")])
def test_some_headers_and_bytes(tmp_path: Path, attempt: Any, name: str, method: str):
    for seed in range(8):
        attempt(tmp_path, name, method, Random(seed))


@pytest.mark.slow
@ATTEMPTS
@pytest.mark.parametrize(("name", "method"), [(TRIED[0], "saved"), (TRIED[0], "vmc"), (TRIED[1], "motionflow")])
def test_many_headers_and_bytes(tmp_path: Path, attempt: Any, name: str, method: str):
    for seed in range(80):
        attempt(tmp_path, name, method, Random(seed))


# What only the model can tell


def with_tensors(motion: Motion, path: Path, **tensors: torch.Tensor) -> Path:
    """A file of a motion with some tensors replaced; a double underscore is a dot."""
    motion.save(path)
    own, metadata = read(path)
    return write(path, {**own, **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}, metadata)


@pytest.mark.slow
def test_channels_that_the_block_has_not(tmp_path: Path):
    name = TRIED[0]
    moft, smm = lifted(name, "moft"), lifted(name, "smm")
    channels = moft.tensors["channels.1"].clone()
    channels[-1] = twin(name).about.widths[1]
    found = outcome(with_tensors(moft, tmp_path / "m.safetensors", channels__1=channels), twin(name), {})
    assert found.when == "prepared" and "holds channels to 32 in 'channels.1', of 32" in found.error
    channels[-1] = -1
    found = outcome(with_tensors(moft, tmp_path / "m.safetensors", channels__1=channels), twin(name), {})
    assert found.when == "opened" and "no channels" in found.error
    path = with_tensors(smm, tmp_path / "m.safetensors", differences__1=smm.tensors["differences.1"][:, :-1])
    found = outcome(path, twin(name), {})
    assert found.when == "prepared" and "the block has 32 channels" in found.error


def test_a_coarser_lattice_than_the_blocks(tmp_path: Path):
    """The table knows the lattices of a motion, and which of them a block has the model alone."""
    motion = lifted(TRIED[0], "ditflow")
    field = motion.tensors["displacement.1"][:, :, :4]
    found = outcome(with_tensors(motion, tmp_path / "m.safetensors", displacement__1=field), twin(TRIED[0]), {})
    assert found.when == "prepared" and "'displacement.1' of (3, 3, 4, 2)" in found.error


@pytest.mark.slow
def test_an_adapter_without_one_of_its_layers(tmp_path: Path):
    motion = lifted(TRIED[0], "vmc")
    path = tmp_path / "m.safetensors"
    motion.save(path)
    tensors, metadata = read(path)
    del tensors[next(name for name in tensors if name.startswith(ADAPTER))]
    found = outcome(write(path, tensors, metadata), twin(TRIED[0]), {})
    assert found.when == "prepared" and "the adapter holds 8 layers" in found.error


@pytest.mark.slow
def test_saved_positions_of_another_size(tmp_path: Path):
    motion = lifted(TRIED[0], "saved")
    smaller = {
        name.replace(".", "__"): tensor[:-1]
        for name, tensor in motion.tensors.items()
        if Name.parsed(name).word == POSITIONS and name.endswith("query_cos")
    }
    path = with_tensors(motion, tmp_path / "m.safetensors", **smaller)
    found = outcome(path, twin(TRIED[0]), {"target": "saved"})
    assert found.when == "prepared" and "do not fit" in found.error


# How much is read

HUNGRY = """
import resource, sys
from motionlift.errors import MotionError
from motionlift.motion.file import Motion
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    Motion.load(sys.argv[1])
except MotionError as error:
    print(error, file=sys.stderr)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes", "said"),
    [
        ("latents", (5, 2**18, 2**10), "with 3 axes"),
        ("paths", (5, 2**18, 2**10), "bytes under names that no motion has"),
        ("displacement.1", (3, 3, 2**20, 2**7), "lattice 3x4x4"),
    ],
)
def test_a_file_of_gigabytes_is_refused_by_its_header(tmp_path: Path, name: str, sizes: tuple[int, ...], said: str):
    _, metadata = saved(tmp_path, lifted(TRIED[0], "ditflow"))
    path = sparse(tmp_path / "sparse.safetensors", name, sizes, metadata)
    assert path.stat().st_size > 4 * 2**30 and path.stat().st_blocks < 100
    ran = subprocess.run([sys.executable, "-c", HUNGRY, str(path)], capture_output=True, text=True, check=True)
    assert said in ran.stderr
    kilobytes = int(ran.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 100 * 1024


def test_a_long_header_is_not_read(tmp_path: Path):
    path = tmp_path / "long.safetensors"
    path.write_bytes((50 * 2**20).to_bytes(8, "little") + b" " * 100)
    with pytest.raises(MotionError, match="its header tells 52428800 bytes, and at most 16777216 are read"):
        Motion.load(path)
