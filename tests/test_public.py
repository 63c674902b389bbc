"""The public names are enough to name the types of what is public, and each is shown in a line."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch

import motionlift as ml
from motionlift.video.marks import VIDEO

PUBLIC = {name: getattr(ml, name) for name in ml.__all__ if name != "__version__"}
MADE = [own for own in PUBLIC.values() if dataclasses.is_dataclass(own)]
"""Classes of which a program holds instances. What a person would write themselves, such as a model, is told of on a page."""
MOST_LETTERS = 700
"""Of what is shown of one thing (ours: a few lines of a terminal)."""


def calls(made: Any) -> Iterator[tuple[str, Any]]:
    """Functions, fields of a class, and what its public methods and properties take and give, by their names."""
    yield made.__name__, made
    for name, member in inspect.getmembers(made) if inspect.isclass(made) else ():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield f"{made.__name__}.{name}", inspect.unwrap(function)


def ours(hint: Any) -> Iterator[type]:
    """Classes of the package within an annotation."""
    for own in hint if isinstance(hint, list | tuple) else [hint, *get_args(hint)][1:]:
        yield from ours(own)
    if inspect.isclass(hint) and hint.__module__.startswith("motionlift."):
        yield hint


def test_every_type_of_what_is_public_is_public():
    functions = [own for own in PUBLIC.values() if inspect.isfunction(own)]
    assert len(functions) > 7 and len(MADE) > 15
    hints = {
        f"{where}: {name}": hint
        for made in (*functions, *MADE)
        for where, call in calls(made)
        for name, hint in get_type_hints(inspect.unwrap(call)).items()
    }
    lacking = {
        where: own.__qualname__ for where, hint in hints.items() for own in ours(hint) if own not in PUBLIC.values()
    }
    assert lacking == {}
    found = {own for hint in hints.values() for own in ours(hint)}
    assert {ml.Part, ml.Sound, ml.Kind, ml.Source, ml.Lattice, ml.Added, ml.Pictures, ml.Windows} <= found, "it looks"


SHAPE = ml.Shape(10_000, 720, 1280)
CLIP = ml.Clip.of(torch.zeros(3, 8, 8, 3), 8)
SOURCE = ml.Source("ab" * 32, 8.0, SHAPE)
MOTION = ml.Motion(
    tensors={f"displacement.{block}": torch.zeros(3, 3, 400, 2) for block in range(40)},
    method="ditflow",
    settings={"source_prompt": "a star " * 100},
    model="some/model",
    identity="ab" * 32,
    lattice=ml.Lattice(3, 20, 20),
    source=SOURCE,
    version="0.1.0",
    notices=("frames were cropped",) * 50,
)
ADDED = ml.Added("star.safetensors", "ab" * 32, 0.8, "transformer", 80, 0)
SHOWN: dict[str, Callable[[], Any]] = {
    "About": lambda: ml.About(
        *("some/model", "wan", "Wan 2.2", "ab" * 32, "cd" * 32, "ef" * 32, torch.device("cuda:1"), SHAPE, 16.0),
        places=[f"transformer.blocks.{number}.attn1" for number in range(60)],
        widths=[5120] * 60,
        defaults={f"setting{number}": number for number in range(40)},
        added=(ADDED,) * 9,
    ),
    "Added": lambda: ADDED,
    "Clip": lambda: CLIP,
    "Exported": lambda: ml.Exported((Path("high.safetensors"), Path("low.safetensors")), 0.1),
    "Kind": lambda: VIDEO,
    "Lattice": lambda: ml.Lattice(21, 60, 104),
    "LoraFile": lambda: ml.LoraFile(Path("star.safetensors"), 0.8),
    "Measures": lambda: ml.Measures(weights=ml.Weights.NF4),
    "Motion": lambda: MOTION,
    "Part": lambda: ml.Part(3.0, 2.0, (0.2, 0.5)),
    "Passes": lambda: ml.Passes(10, 2, 14.0),
    "Phase": lambda: ml.Phase("guide", 10**10, 10**9),
    "Plan": lambda: ml.Plan(
        *(
            ml.Room("cuda", "A card", 12 * 10**9),
            ml.Measures(parts=True),
            (ml.Phase("guide", 10**10, 10**9),),
            "ab" * 32,
            SHAPE,
        ),
        *(40_000, ml.Passes(10, 2, 14.0)),
        before=("what is to be known of it",) * 50,
    ),
    "PointTracks": lambda: ml.PointTracks(torch.zeros(400, 81, 2), torch.ones(400, 81).bool(), 720, 1280, 16.0),
    "Room": lambda: ml.Room("cuda", "A card", 12 * 10**9, True, 64 * 10**9),
    "Scores": lambda: ml.Scores(
        {f"a_figure_of_motion_{n}": n / 7 for n in range(22)}, {"lpips": "why " * 99}, ("told",) * 9
    ),
    "Shape": lambda: SHAPE,
    "Sound": lambda: ml.Sound(Path("dance.mp4"), 3.0, 2.0),
    "Source": lambda: SOURCE,
    "Step": lambda: ml.Step("sample", 3, 50, 0.1, torch.zeros(1, 4, 21, 60, 104)),
    "Taken": lambda: ml.Taken(ml.Part(3.0, 2.0, (0.2, 0.5))),
    "Video": lambda: ml.Video(CLIP, {"prompt": "a red star", "losses": [0.1] * 999}, MOTION, CLIP),
    "VideoToVideo": lambda: ml.VideoToVideo(torch.nn.Linear(999, 999), 320, 576),
    "Windows": lambda: ml.Windows(SHAPE, 2500, 21, tuple(range(0, 2479, 14))),
}


def test_one_of_each_is_shown():
    assert SHOWN.keys() == {own.__name__ for own in MADE}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_of_it_is_short(name: str):
    shown = repr(SHOWN[name]())
    assert name in shown and shown.isprintable() and len(shown) <= MOST_LETTERS


@pytest.mark.parametrize(
    "name", [name for name, own in PUBLIC.items() if inspect.isclass(own) and issubclass(own, Enum)]
)
def test_words_are_shown_by_their_name(name: str):
    assert all(len(repr(word)) < 60 for word in PUBLIC[name])
