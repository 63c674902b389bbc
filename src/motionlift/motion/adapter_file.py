"""What an adapter file is, whoever wrote it: for which model, of which rank, and who reads it.

The header alone is read, and the scales, which are single numbers; the weights stay on the disk. PyTorch is not needed.
"""

import json
import math
import re
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from motionlift.core.places import check_there
from motionlift.errors import InputError
from motionlift.motion.readers import STAR, Form, Known, Reader, known
from motionlift.video.marks import MOTION_KEY

MOST_HEADER = 16 * 2**20
"""Most bytes of a header that are read (ours, as of motions)."""
MOST_TENSORS = 100_000
"""Most tensors that are looked at (ours: a hundred times those of a large model's adapter)."""
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
"""Ends of the names of files that run code when they are read."""
WANTED = "give an adapter, a safetensors file"
ALPHA = ".alpha"
"""What factors are multiplied by, before it is divided by their rank."""
TEXT = ("lora_te", "text_encoder", "text_encoders.")
"""How the names of layers of text encoders begin."""
FOREIGN_KINDS: Mapping[str, str] = {
    ".hada_w1_a": "LoHa",
    ".lokr_w1": "LoKr",
    ".lokr_w1_a": "LoKr",
    ".oft_blocks": "OFT",
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",
    ".lora_magnitude_vector.weight": "DoRA",
}
"""Ends that tell adapters of other kinds, which are named and not looked into (LyCORIS and peft)."""
HEAD = 32
"""Bytes of a file by which its kind is told."""
OTHERS: Mapping[str, re.Pattern[bytes]] = {
    "a video": re.compile(
        rb".{4}(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV\x01|OggS|\0\0\x01[\xb3\xba]|\x30\x26\xb2\x75", re.S
    ),
    "a picture": re.compile(rb"GIF8|\x89PNG|\xff\xd8\xff|RIFF.{4}WEBP", re.S),
    "an archive": re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", re.S),
    "JSON": re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]"),
}
"""Kinds of files that are given by mistake, and how they begin: videos as MP4, MOV, Matroska, AVI, FLV, Ogg, MPEG and ASF do."""
SAID = (
    "model",
    "family",
    "method",
    "modelspec.title",
    "modelspec.architecture",
    "ss_base_model_version",
    "base_model_name_or_path",
)
"""Keys of a header that say what an adapter is: ours, and those of kohya's and others' programs."""
LONGEST = 100
"""Most letters that are told of what a file says of itself (ours)."""


@dataclass(frozen=True)
class Layer:
    """One layer that an adapter changes."""

    name: str
    """As the file has it, without what stands behind it."""
    end: str
    """The kind of what stands behind it, of :data:`motionlift.motion.readers.Known.ends`."""
    rows: int
    columns: int
    rank: int | None
    """Of its factors; none of a difference."""
    scale: float
    """What its factors are multiplied by."""
    scaled: bool = False
    """Whether the file says so itself, by a tensor of its own."""


@dataclass(frozen=True)
class Reading:
    """How much of an adapter a program reads into models of one family."""

    reader: Reader
    family: str
    layers: int
    """None where it refuses the file as a whole."""
    refused: str = ""
    """Why it does."""
    unscaled: bool = False
    """Whether it leaves out scales that the file has."""


@dataclass(frozen=True)
class AdapterFile:
    """What an adapter file is."""

    path: Path
    bytes: int
    types: tuple[str, ...]
    """Types of its numbers, the commonest first."""
    layers: tuple[Layer, ...]
    kinds: tuple[str, ...]
    """Kinds of adapters beside factors and differences, by name."""
    others: int
    """Tensors of which nothing is known here."""
    text_layers: int
    """Layers of them that are of a text encoder."""
    said: Mapping[str, str]
    """What the header says of it, by :data:`SAID`."""
    families: tuple[str, ...]
    """Families of models that it may be for, by the names of its layers; none where they are of no model that is known."""
    models: tuple[str, ...]
    """Published models of them that have its width, and in each list of blocks as many as it reaches to, or more."""
    blocks: int
    """How many blocks it reaches to, over the lists of blocks that tell its family's models apart, where its layers are known."""
    parts: tuple[str, ...]
    """Its layers as they are known, with stars for the numbers of blocks."""
    readings: tuple[Reading, ...]
    """Who reads it, and how much, for the families that it may be for."""

    @property
    def ranks(self) -> list[int]:
        """Of its factors, ascending, each once."""
        return sorted({layer.rank for layer in self.layers if layer.rank is not None})

    @property
    def scales(self) -> list[float]:
        """What its factors are multiplied by, ascending, each once."""
        return sorted({layer.scale for layer in self.layers if layer.rank is not None})


def look_into(path: Path) -> AdapterFile:
    """Tell what an adapter file is.

    Args:
        path: a safetensors file.

    Raises:
        InputError: it is not there, cannot be read, is too large a header, no safetensors file, a motion, or no adapter.
    """
    with _refusals(path):
        told = _header(path)
        said = told.pop("__metadata__", {})
        if MOTION_KEY in said:
            raise InputError(f"{path} is a motion: cast it, or make an adapter of it by motionlift export")
        data = known()
        layers, rest = _layers(path, told, data)
    kinds = {kind for name in rest for end, kind in FOREIGN_KINDS.items() if name.endswith(end)}
    if not layers and not kinds:
        first = min(told, default="")[:LONGEST]
        what = f"its tensors, such as {first!r}, are" if told else "it holds nothing, and nothing is"
        raise InputError(
            f"{path} is no adapter: {what} neither factors (lora_A, lora_down, ...) nor differences (.diff)"
        )
    return _told(path, told, said, (layers, sorted(kinds), rest), data)


def why_foreign(path: Path) -> str:
    """Why a file is no safetensors file, by how it begins, after its name in a sentence; empty where it may be one.

    A safetensors file begins with the length of its header, eight bytes, and a brace.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as opened:
        head = opened.read(HEAD)
    has_brace = head[8:9] == b"{"
    if len(head) <= 8 or (has_brace and int.from_bytes(head[:8], "little") <= MOST_HEADER):
        return ""
    kind = next((kind for kind, begins in OTHERS.items() if begins.match(head)), "")
    if not kind and has_brace:
        return ""
    return f"is no safetensors file: it is {kind}" if kind else "is no safetensors file"


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path} is a pickle, which is never read here, since it can run code; give a safetensors file"
        )
    check_there(path, WANTED)
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'no file that can be read'}; {WANTED}")
    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} is damaged or no safetensors file ({reason})") from error


def _header(path: Path) -> dict[str, Any]:
    """The header of a file whose tensors lie as it says; nothing else is read.

    Raises:
        InputError: it is too large; or others, where the file is none.
    """
    foreign = why_foreign(path)
    if foreign:
        raise InputError(f"{path} {foreign}; {WANTED}")
    with path.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        if length > MOST_HEADER:
            raise InputError(
                f"{path} is no adapter: its header tells {length} bytes, and at most {MOST_HEADER} are read"
            )
        text = opened.read(length)
    with safe_open(path, framework="np") as checked:
        count = len(checked.keys())
    if count > MOST_TENSORS:
        raise InputError(f"{path} is no adapter: it holds {count} tensors, and at most {MOST_TENSORS} are looked at")
    return json.loads(text)


def _layers(path: Path, told: Mapping[str, Any], data: Known) -> tuple[list[Layer], list[str]]:
    """The layers that a file is for, and the names that belong to none.

    Raises:
        ValueError: factors do not fit each other, or a scale is no number.
    """
    left, layers = dict(told), []
    for kind, ends in data.ends.items():
        for name in [name for name in left if name.endswith(ends[0])]:
            start = name.removesuffix(ends[0])
            if any(start + end not in left for end in ends):
                continue
            first, *second = (left[start + end]["shape"] for end in ends)
            if len(first) < 2 or any(len(own) < 2 for own in second):
                continue
            for end in ends:
                del left[start + end]
            alpha = left.pop(start + ALPHA, None)
            rank = first[0] if second else None
            if second and second[0][1] != rank:
                raise ValueError(f"the factors of {start[:LONGEST]} are of ranks {rank} and {second[0][1]}")
            scale = 1.0 if alpha is None or not rank else _number(path, alpha) / rank
            rows = second[0][0] if second else first[0]
            layers.append(Layer(start, kind, rows, math.prod(first[1:]), rank, scale, alpha is not None))
    return layers, list(left)


def _number(path: Path, told: Mapping[str, Any]) -> float:
    """A tensor of one number.

    Raises:
        ValueError: it has more, is not finite, or of a type that is not known.
    """
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
    begin, end = told["data_offsets"]
    if math.prod(told["shape"]) != 1 or told["dtype"] not in types:
        raise ValueError(f"a scale is of {told['shape']} numbers of {told['dtype']}")
    with path.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        opened.seek(8 + length + begin)
        found = np.frombuffer(opened.read(end - begin), types[told["dtype"]])
    if told["dtype"] == "BF16":
        found = (found.astype("<u4") << 16).view("<f4")
    if not np.isfinite(found[0]):
        raise ValueError(f"a scale is {found[0]}")
    return float(found[0])


def _told(
    path: Path,
    told: Mapping[str, Any],
    said: Mapping[str, str],
    found: tuple[list[Layer], list[str], list[str]],
    data: Known,
) -> AdapterFile:
    layers, kinds, rest = found
    families = _families(layers, data, said)
    named = {family: _named(layers, forms) for family, forms in families.items()}
    reached = {family: _reached(family, names, data) for family, names in named.items()}
    models = _models(layers, named, reached, data)
    if models:
        families = {family: families[family] for family in families if family in models.values()}
    first = next(iter(families), "")
    types = Counter(own["dtype"] for name, own in told.items() if not name.endswith(ALPHA))
    text = [name for name in (*(layer.name for layer in layers), *rest) if name.startswith(TEXT)]
    return AdapterFile(
        path=path,
        bytes=path.stat().st_size,
        types=tuple(name for name, _ in types.most_common()),
        layers=tuple(layers),
        kinds=tuple(kinds),
        others=len(rest),
        text_layers=len(text),
        said={key: str(said[key])[:LONGEST] for key in SAID if said.get(key)},
        families=tuple(families),
        models=tuple(models),
        blocks=sum(reached.get(first, {}).values()),
        parts=tuple(sorted({own.starred for family in families for own in named[family].values()})),
        readings=tuple(_readings(layers, rest, families, data)),
    )


@dataclass(frozen=True)
class Named:
    """A layer's name in a file, as a form knows it."""

    starred: str
    """With stars for numbers."""
    numbers: tuple[int, ...]
    """Those in the stars' places."""
    listed: str
    """What stands before the first of them, as networks have it, with ``_`` for dots; empty where there is none."""


def _families(layers: Sequence[Layer], data: Known, said: Mapping[str, str]) -> dict[str, list[Form]]:
    """The families of whose layers most are known, with their forms; the one that the header tells, where it is among them."""
    forms: dict[str, list[Form]] = defaultdict(list)
    for own in (*(reader.families for reader in data.readers.values()), data.elsewhere):
        for family, told in own.items():
            forms[family] += told
    counts = {family: len(set().union(*(own for _, own in _taken(layers, told)))) for family, told in forms.items()}
    most = max(counts.values())
    best = sorted(family for family, count in counts.items() if count == most > 0)
    return {family: forms[family] for family in ([said["family"]] if said.get("family") in best else best)}


def _taken(layers: Sequence[Layer], forms: Sequence[Form]) -> list[tuple[Form, set[int]]]:
    """Forms, in their order, each with the layers that it knows, by their places."""
    return [
        (
            form,
            {
                place
                for place, layer in enumerate(layers)
                if layer.end in form.ends and layer.name.startswith(form.start) and form.pattern.fullmatch(layer.name)
            },
        )
        for form in forms
    ]


def _named(layers: Sequence[Layer], forms: Sequence[Form]) -> dict[int, Named]:
    """By a layer's place: its name, as the first form that knows it has it."""
    found: dict[int, Named] = {}
    for form, places in _taken(layers, forms):
        for place in places - found.keys():
            name = layers[place].name
            match = form.pattern.fullmatch(name)
            assert match is not None, "it was taken"
            spans = [match.span(group) for group in range(1, form.pattern.groups + 1) if match.group(group)]
            starred = name
            for begin, end in reversed(spans):
                starred = starred[:begin] + STAR + starred[end:]
            listed = name[len(form.start) : spans[0][0]].replace(".", "_").rstrip("_") if spans else ""
            found[place] = Named(starred, tuple(int(name[begin:end]) for begin, end in spans), listed)
    return found


def _reached(family: str, named: Mapping[int, Named], data: Known) -> dict[int, int]:
    """How many blocks layers reach to, by the places of a family's lists of blocks; of a list that they do not touch, nothing."""
    reached: dict[int, int] = {}
    for own in named.values():
        for place, words in enumerate(data.lists.get(family, ())):
            if own.listed in words:
                reached[place] = max(reached.get(place, 0), own.numbers[0] + 1)
    return reached


def _models(
    layers: Sequence[Layer],
    named: Mapping[str, Mapping[int, Named]],
    reached: Mapping[str, Mapping[int, int]],
    data: Known,
) -> dict[str, str]:
    """Published models, and the family of each, with a width that layers have, and blocks enough: as many, where there are such."""
    fitting, same = {}, {}
    for name, size in data.sizes.items():
        if size.family not in named:
            continue
        widths = {layers[place].columns for place in named[size.family]}
        own = reached[size.family]
        if size.blocks and (not own or any(size.blocks[place] < count for place, count in own.items())):
            continue
        if size.width is None or size.width in widths:
            fitting[name] = size.family
            if not size.blocks or all(size.blocks[place] == count for place, count in own.items()):
                same[name] = size.family
    return same or fitting


def _readings(
    layers: Sequence[Layer], rest: Sequence[str], families: Collection[str], data: Known
) -> Iterator[Reading]:
    """Who knows layers of a file, for the families that it may be for."""
    for reader in data.readers.values():
        for family in families:
            forms = [(form, own) for form, own in _taken(layers, reader.families.get(family, ())) if own]
            if not forms:
                continue
            places = set().union(*(own for _, own in forms))
            beside = [*rest]
            for place, layer in enumerate(layers):
                if place not in places:
                    beside += [layer.name + end for end in (*data.ends[layer.end], *[ALPHA] * layer.scaled)]
            refused = next(filter(None, (_refusal(form, own, layers, beside) for form, own in forms)), "")
            unread = [place for form, own in forms if form.alpha == "unread" for place in own]
            unscaled = any(layers[place].scale != 1 for place in unread)
            yield Reading(reader, family, 0 if refused else len(places), refused, unscaled)


def _refusal(form: Form, own: Collection[int], layers: Sequence[Layer], beside: Sequence[str]) -> str:
    """Why a reader takes nothing of a file, of which a form knows some layers; empty where it takes them."""
    names = [layers[place].name for place in own]
    if form.sign and not any(form.sign in name for name in (*names, *beside)):
        return f"it wants a layer with {form.sign} in its name"
    if form.alpha == "needed" and not all(layers[place].scaled for place in own):
        return f"it wants a scale ({ALPHA}) for each layer"
    if form.alpha == "refused" and any(layers[place].scaled for place in own):
        return f"it takes no scales ({ALPHA}) of layers that are called so"
    foreign = next((name for name in beside if form.beside and not form.beside.fullmatch(name)), None)
    if foreign is not None:
        return f"it takes no file with {foreign[:LONGEST]!r} in it"
    if form.every:
        numbers = {own.numbers[0] for own in _named([layers[place] for place in own], [form]).values()}
        wanted = (form.named(name).replace(STAR, str(n)) for n in range(len(numbers)) for name in form.every)
        missing = next((name for name in wanted if name not in {*names}), None)
        if missing is not None:
            return f"it wants every layer of each block, and {missing!r} is not there"
    return ""
