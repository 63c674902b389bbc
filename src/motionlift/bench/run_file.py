"""Run files: what ``motionlift bench`` measures, as YAML.

A run is a grid: every model with every method, on every reference, for each of its prompts and every seed::

    models:
      - tiny-wan                                # a name
      - {name: tiny-unet, loras: [star.safetensors:0.8]}  # or with adapters of others in its weights, as --lora has them
      - {name: tiny-dit, dtype: bf16, weights: fp8}       # or computing, or its weights held, as --dtype and --weights have it
    methods:
      - none                                    # a name
      - {name: ditflow, settings: {read: flow}} # or with settings
      - frozen                                  # no method: a video that does not move, which every method must beat
      - {name: vmc, grid: {tuning_lr: [1e-4, 1e-3], form: [cos, l2]}}  # or once for each combination: four methods
    references:
      - world: {count: 8}                                     # of the bundled world, with prompts of their own
      - world: {count: 8, scenes: fast}                       # or rotation, camera, two, occlusion: see references.SCENES
      - things: {count: 8}                                    # likewise, of cars, fish, ... on roads, in the sea, ...
      - things: {count: 6, scenes: hidden}                    # those that leave, enter, or pass behind a wall
      - folder: {path: clips, prompts: ["a red car on a grey road"]}
      - davis: {path: DAVIS/JPEGImages/480p}                  # its 50 clips, with three prompts each that are bundled; or with
                                                              # prompts: prompts.csv, clip,caption,subject,scene[,subjects,targets]
      - mtbench: {path: MTBench}                              # a folder for each clip, with its own prompts
    seeds: [0, 1]               # or "own": every reference's number, so that no two share their noise
    metrics: [truth]            # by default all that can be computed
    tracker: flow               # or lucas-kanade, or cotracker where torch.hub has it
    clip_model: openai/clip-vit-large-patch14  # for CLIP's figures, which are left out without it
    output: runs/first          # records.jsonl and videos/ go here

Methods that tune must be told what a reference shows, and MotionFlow which words move, and which of the prompt move in their
place. The world says all of it, and so do things. A folder says it by a table of captions and, beside the prompts, their targets::

      - folder:
          path: clips
          captions: captions.csv    # clip,caption[,subjects], such as 0000.mp4,a red rocket in the night,red rocket
          prompts: [{prompt: a yellow fish in the sea, targets: [yellow fish]}]

A source that says it of none of its references is refused, with its line. Where it is said of some, the others' cells of such a
method are left out when the run is laid out, and why is told.

A folder, DAVIS and MTBench are read at the model's own size and number of frames, of DAVIS at 24, where the file does not say
``size: 832x480`` and ``frames: 49``. Frames of another shape are cropped, where it does not say ``fit: stretch`` or
``fit: pad``; those of a folder or MTBench are read by time, where it does not say ``every_frame: true``.

Paths are relative to the folder in which the command is called.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from motionlift.bench.bundled import run_parts, run_text
from motionlift.bench.frozen import FROZEN
from motionlift.bench.measures import Measuring, check_metrics, check_tracker
from motionlift.bench.mtbench import MTBench
from motionlift.bench.references import ONE_MOVES
from motionlift.bench.sources import DAVIS_TABLE, MOST_REFERENCES, Davis, Folder, Source, Things, World, lacking
from motionlift.bench.words import NEEDED, TARGETS
from motionlift.core.memory import Measures, Weights
from motionlift.core.prompts import check_prompt
from motionlift.core.settings import read_size
from motionlift.jobs.job import as_read, titled
from motionlift.jobs.page import MOST_LISTED, Page, Value
from motionlift.methods import method as method_named
from motionlift.models.lora_files import LoraFile
from motionlift.models.precision import AUTO, check_dtype
from motionlift.settings import with_meant_values
from motionlift.video.limits import FRAMES, check_fit
from motionlift.work.prepare import SEEDS

MOST_PROMPTS = 2
"""Most prompts for one reference of the world: so many of their stream belong to each."""
PROMPT = (("prompt",), (TARGETS,))
"""Keys that a prompt must have, and those that it may have, where it is more than a text."""
OWN = "own"
"""Word for seeds that are the references' numbers."""


@dataclass(frozen=True)
class ModelRun:
    """A model, with adapters of others in its weights where it is to have some, and all else that its videos depend on."""

    name: str
    """Bundled name, folder, or hub name."""
    loras: tuple[str, ...] = ()
    """Adapters, as :class:`motionlift.models.loras.LoraFile` reads them."""
    dtype: str = AUTO
    """What it computes with, as :func:`motionlift.models.loading.load` takes it."""
    weights: Weights = Weights.OWN
    """How the weights of its network are held: nothing but what is said here decides, since videos change with it."""

    def __str__(self) -> str:
        """How tables name it, such as ``tiny-dit + star.safetensors:0.8 in bf16``."""
        kind = "" if self.dtype == AUTO else f" in {self.dtype}"
        held = "" if self.weights is Weights.OWN else f", weights in {self.weights}"
        return f"{' + '.join([self.name, *self.loras])}{kind}{held}"


@dataclass(frozen=True)
class Place:
    """Where models run and what they may take: no video depends on it but by rounding."""

    device: str = "auto"
    """As of :func:`motionlift.models.loading.load`."""
    memory: str | None = None
    """What each process may use of the device, such as ``12GB``; by default what is free."""


HERE = Place()
"""On what this machine has."""


@dataclass(frozen=True)
class MethodRun:
    """A method with the settings in which it differs from its defaults."""

    name: str
    """Name of the method."""
    settings: Mapping[str, Any]
    """Values by name."""

    @property
    def title(self) -> str:
        """How tables name it, such as ``ditflow read=flow``."""
        return titled(self.name, self.settings)


@dataclass(frozen=True)
class RunFile:
    """A run as its file asks for it."""

    models: tuple[ModelRun, ...]
    """Models."""
    methods: tuple[MethodRun, ...]
    """Methods, every combination of their grids apart."""
    references: tuple[Source, ...]
    """Where references and prompts come from."""
    seeds: tuple[int, ...] | None
    """Seeds of the starting noise; None for each reference's own number."""
    measuring: Measuring
    """What is measured, and by what."""
    output: Path
    """Folder of the records and videos."""
    place: Place = HERE
    """Where it runs, of which the file says nothing."""


def read_run(name: str) -> RunFile:
    """Read a run file, or a bundled one by its bare name.

    Raises:
        InputError: it is not there, too large, no YAML, or something in it is unknown or malformed; the line is named.
    """
    return _Page(name).run(run_text(name))


def _distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    """Values without those that came before: settings of two grids may be the same."""
    return tuple(value for place, value in enumerate(values) if value not in values[:place])


class _Page(Page):
    """Reads a run."""

    def run(self, text: str) -> RunFile:
        """The whole file."""
        parts = run_parts(self, text)
        methods: list[MethodRun] = []
        for node in self.items(parts["methods"], "methods"):
            methods += self._method(node)
            if len(methods) > MOST_LISTED:
                raise self.refusal(node, f"methods and their grids come to more than {MOST_LISTED}; take fewer")
        return RunFile(
            models=_distinct([self._model(node) for node in self.items(parts["models"], "models")]),
            methods=_distinct(methods),
            references=_distinct(self._told_sources(self.items(parts["references"], "references"), methods)),
            seeds=self._seeds(parts["seeds"]) if "seeds" in parts else (0,),
            measuring=self._measuring(parts),
            output=Path(self.text(parts["output"], "output")),
        )

    def _model(self, node: yaml.Node) -> ModelRun:
        """A model, by its name alone or with what it has beside, which is looked at."""
        parts = (
            {"name": node}
            if isinstance(node, yaml.ScalarNode)
            else self.mapping(node, "a model", ("name",), ("loras", "dtype", "weights"))
        )
        loras = []
        for item in self.items(parts["loras"], "loras") if "loras" in parts else ():
            loras.append(self.text(item, "an adapter"))
            self.checked(item, lambda: LoraFile.parsed(loras[-1]).check())
        dtype = self._word(parts, "dtype", AUTO)
        self.checked(parts.get("dtype", node), lambda: check_dtype(dtype))
        weights = self._word(parts, "weights", Weights.OWN)
        held = self.checked(parts.get("weights", node), lambda: Measures(weights=weights).weights)
        return ModelRun(self.text(parts["name"], "a model"), tuple(loras), dtype, Weights(held))

    def _word(self, parts: Mapping[str, yaml.Node], key: str, usual: str) -> str:
        """A word, where it is given."""
        return self.text(parts[key], key) if key in parts else usual

    def _method(self, node: yaml.Node) -> list[MethodRun]:
        """A method, or one for every combination of its grid."""
        if isinstance(node, yaml.ScalarNode):
            parts: dict[str, yaml.Node] = {"name": node}
        else:
            parts = self.mapping(node, "a method", ("name",), ("settings", "grid"))
        name = self.text(parts["name"], "a method")
        if name == FROZEN:
            if len(parts) > 1:
                raise self.refusal(node, f"{FROZEN} is no method and has no settings; write its name alone")
            return [MethodRun(FROZEN, {})]
        method = self.checked(parts["name"], lambda: method_named(name))
        fixed: dict[str, Any] = {}
        for key, (_, value) in self._pairs_in(parts, "settings").items():
            fixed[key] = self.value(value)
            self.checked(value, lambda key=key: with_meant_values(method.Settings(), {key: fixed[key]}))
        choices: dict[str, list[Any]] = {}
        for key, (place, value) in self._pairs_in(parts, "grid").items():
            if key in fixed:
                raise self.refusal(place, f"{key!r} is in the settings and in the grid; give it in one of them")
            choices[key] = [self.value(each) for each in self.items(value, key)]
            for choice in choices[key]:
                self.checked(value, lambda key=key, choice=choice: with_meant_values(method.Settings(), {key: choice}))
        combinations = math.prod(map(len, choices.values()))
        if combinations > MOST_LISTED:
            raise self.refusal(node, f"the grid has {combinations} combinations; at most {MOST_LISTED} are taken")
        chosen = [{**fixed, **dict(zip(choices, each, strict=True))} for each in itertools.product(*choices.values())]
        return [MethodRun(name, self.checked(node, lambda values=values: as_read(name, values))) for values in chosen]

    def _pairs_in(self, parts: Mapping[str, yaml.Node], key: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if key not in parts:
            return {}
        return self.pairs(parts[key], f"{key} are names with a value each, such as {{share: 0.2}}")

    def _told_sources(self, nodes: Sequence[yaml.Node], methods: Sequence[MethodRun]) -> list[Source]:
        """Sources, each of which says what the methods must be told."""
        sources = [self._source(node) for node in nodes]
        for node, source in zip(nodes, sources, strict=True):
            for method in methods:
                lacks = None if method.name == FROZEN else lacking(source, method.name, method.settings)
                if lacks is not None:
                    raise self.refusal(
                        node,
                        f"{method.title} must be told {NEEDED[lacks]}, which {source.kind} does not say: "
                        f"{source.advice.get(lacks, 'give it in the settings')}; or leave {method.name} out",
                    )
        return sources

    def _source(self, node: yaml.Node) -> Source:
        """One source of references."""
        kinds: Mapping[str, Callable[[yaml.Node], Source]] = {
            World.kind: partial(self._world, World),
            Things.kind: partial(self._world, Things),
            Folder.kind: self._folder,
            Davis.kind: self._davis,
            MTBench.kind: self._mtbench,
        }
        parts = self.mapping(node, "a source of references", (), tuple(kinds))
        if len(parts) != 1:
            raise self.refusal(node, f"a source of references is one of {', '.join(kinds)}; begin each with a dash")
        ((kind, value),) = parts.items()
        return kinds[kind](value)

    def _world(self, kind: type[World], node: yaml.Node) -> World:
        parts = self.mapping(node, kind.kind, ("count",), ("first", "prompts", "scenes"))
        scenes = self.text(parts["scenes"], "scenes") if "scenes" in parts else ONE_MOVES
        if scenes not in kind.kinds:
            raise self.refusal(parts["scenes"], f"scenes is {scenes[:40]!r}; allowed are {', '.join(kind.kinds)}")
        return kind(
            self.whole(parts["count"], "count", 1, MOST_REFERENCES),
            self.whole(parts["first"], "first", 0, 10**6) if "first" in parts else 0,
            self.whole(parts["prompts"], "prompts", 1, MOST_PROMPTS) if "prompts" in parts else 1,
            scenes,
        )

    def _folder(self, node: yaml.Node) -> Folder:
        parts = self.mapping(node, "folder", ("path", "prompts"), ("captions", "frames", "size", "fit", "every_frame"))
        prompts: list[str] = []
        targets: dict[str, tuple[str, ...]] = {}
        for item in self.items(parts["prompts"], "prompts"):
            own = {"prompt": item} if isinstance(item, yaml.ScalarNode) else self.mapping(item, "a prompt", *PROMPT)
            prompts.append(self.text(own["prompt"], "a prompt"))
            self.checked(item, lambda: check_prompt(prompts[-1]))
            if TARGETS in own:
                words = [self.text(word, "a target") for word in self.items(own[TARGETS], TARGETS)]
                targets[prompts[-1]] = tuple(words)
        captions = Path(self.text(parts["captions"], "captions")) if "captions" in parts else None
        path, words = Path(self.text(parts["path"], "path")), tuple(targets.items())
        frames = self.whole(parts["frames"], "frames", *FRAMES) if "frames" in parts else None
        fit, every_frame = self._fit(parts), self._every_frame(parts)
        folder = Folder(path, _distinct(prompts), captions, words, frames, self._pixels(parts), fit, every_frame)
        self.checked(parts["path"], folder.size)
        self.checked(parts.get("captions", node), folder.check)
        return folder

    def _davis(self, node: yaml.Node) -> Davis:
        parts = self.mapping(node, "davis", ("path",), ("prompts", "frames", "clips", "size", "fit"))
        numbers = {
            key: self.whole(parts[key], key, *bounds)
            for key, bounds in {"frames": FRAMES, "clips": (1, MOST_REFERENCES)}.items()
            if key in parts
        }
        prompts = Path(self.text(parts["prompts"], "prompts")) if "prompts" in parts else DAVIS_TABLE
        davis = Davis(
            Path(self.text(parts["path"], "path")),
            prompts,
            **numbers,
            pixels=self._pixels(parts),
            fit=self._fit(parts),
        )
        self.checked(node, davis.size)
        return davis

    def _mtbench(self, node: yaml.Node) -> MTBench:
        parts = self.mapping(node, "mtbench", ("path",), ("frames", "size", "fit", "every_frame"))
        frames = self.whole(parts["frames"], "frames", *FRAMES) if "frames" in parts else None
        path, is_every = Path(self.text(parts["path"], "path")), self._every_frame(parts)
        source = MTBench(path, frames, self._pixels(parts), self._fit(parts), is_every)
        self.checked(node, lambda: source.asked(frames or FRAMES[0]))
        return source

    def _fit(self, parts: Mapping[str, yaml.Node]) -> str:
        """How frames get the shape of the videos."""
        if "fit" not in parts:
            return "crop"
        fit = self.text(parts["fit"], "fit")
        self.checked(parts["fit"], lambda: check_fit(fit))
        return fit

    def _every_frame(self, parts: Mapping[str, yaml.Node]) -> bool:
        """Whether frames are taken as they come."""
        if "every_frame" not in parts:
            return False
        value = self.value(parts["every_frame"])
        if not isinstance(value, bool):
            raise self.refusal(parts["every_frame"], f"every_frame is {str(value)[:40]!r}; allowed is true or false")
        return value

    def _pixels(self, parts: Mapping[str, yaml.Node]) -> tuple[int, int] | None:
        """Width and height of the videos, where they are given."""
        if "size" not in parts:
            return None
        text = self.text(parts["size"], "size")
        pixels = read_size(text)
        if pixels is None:
            raise self.refusal(parts["size"], f"size is {text[:40]!r}; give WIDTHxHEIGHT in pixels, such as 832x480")
        return pixels

    def _seeds(self, node: yaml.Node) -> tuple[int, ...] | None:
        if isinstance(node, yaml.ScalarNode) and node.value == OWN:
            return None
        seeds = [self.whole(item, "a seed", *SEEDS) for item in self.items(node, "seeds")]
        return _distinct(seeds)

    def _measuring(self, parts: Mapping[str, yaml.Node]) -> Measuring:
        """What is measured, and by what; each key may be left out."""
        found: dict[str, Any] = {}
        if "metrics" in parts:
            found["metrics"] = self._metrics(parts["metrics"])
        if "tracker" in parts:
            found["tracker"] = self.text(parts["tracker"], "the tracker")
            self.checked(parts["tracker"], lambda: check_tracker(found["tracker"]))
        if "clip_model" in parts:
            found["clip_model"] = self.text(parts["clip_model"], "the CLIP model")
        return Measuring(**found)

    def _metrics(self, node: yaml.Node) -> tuple[str, ...]:
        names = []
        for item in self.items(node, "metrics"):
            names.append(self.text(item, "a metric"))
            self.checked(item, lambda: check_metrics(names[-1:]))
        return _distinct(names)
