"""What an adapter file is, in lines for a person."""

import re
from collections.abc import Sequence

from motionlift.cli.progress import readable_bytes
from motionlift.motion.adapter_file import AdapterFile, Reading
from motionlift.motion.readers import READERS, known

NUMBERED = re.compile(r"\.[\d*]+$")
"""How the name of a layer in a list of its own ends, as ``to_out.0``."""
SHOWN = 12
"""Most places of layers that are shown (ours)."""


def adapter_lines(file: AdapterFile) -> list[str]:
    """The lines that ``motionlift adapter`` prints; the first names the file."""
    return [
        f"{file.path}: {_what(file)}",
        f"for      {_models(file)}",
        *_layers(file),
        *([f"says     {'; '.join(f'{key} {value}' for key, value in file.said.items())}"] if file.said else []),
        *_readers(file),
    ]


def _what(file: AdapterFile) -> str:
    """Kind, layers, rank, scale, size and type."""
    factored = any(layer.rank is not None for layer in file.layers)
    whole = any(layer.rank is None for layer in file.layers)
    kinds = ["low-rank factors (LoRA)"] * factored + ["differences of weights"] * whole + list(file.kinds)
    ranks, scales = file.ranks, file.scales
    of = f" of rank {_span(ranks)}" if ranks else ""
    scale = f", scaled by {_span(scales)}" if scales and scales != [1.0] else ""
    layers = f"{len(file.layers)} {'layer' if len(file.layers) == 1 else 'layers'}, " if file.layers else ""
    return f"{' and '.join(kinds)}{of}{scale}; {layers}{readable_bytes(file.bytes)} of {', '.join(file.types[:3])}"


def _span(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"


def _models(file: AdapterFile) -> str:
    """The models that it may be for."""
    if not file.families:
        first = f", such as {file.layers[0].name[:100]!r}," if file.layers else ""
        return f"no model that is known here: its layers{first} are of another kind"
    families = f"family {' or '.join(file.families)}"
    blocks = f"{file.blocks} {'block' if file.blocks == 1 else 'blocks'}"
    if not file.models:
        return f"the {families}, of no published size: {blocks}"
    sizes = known().sizes
    sure = "may be " if len({sizes[name].family for name in file.models}) > 1 else ""
    why = f"its width and {blocks}" if any(sizes[name].blocks for name in file.models) else "the names of its layers"
    return f"{sure}{', or '.join(file.models)} ({families}), by {why}"


def _layers(file: AdapterFile) -> list[str]:
    """Which layers, with stars for numbers, and what of it is nothing that is known."""
    lines = _placed(file.parts)
    if file.text_layers:
        lines.append("also     layers of a text encoder, which only programs with that encoder read")
    elif file.others:
        lines.append(
            f"also     {file.others} {'tensor' if file.others == 1 else 'tensors'} of which nothing is known here"
        )
    return lines


def _placed(names: Sequence[str]) -> list[str]:
    """A line for each place in the network, with the layers there."""
    places: dict[str, list[str]] = {}
    for name in names:
        place = NUMBERED.sub("", name).rpartition(".")[0]
        places.setdefault(place, []).append(name.removeprefix(f"{place}."))
    told = [f"{place}: {', '.join(layers)}" if place else ", ".join(layers) for place, layers in places.items()]
    told[SHOWN:] = [f"and {len(told) - SHOWN} places more"] if len(told) > SHOWN else []
    return [f"{'' if number else 'layers':<9}{line}" for number, line in enumerate(told)]


def _readers(file: AdapterFile) -> list[str]:
    """Who reads it and how, and who does not; nothing is known of who reads adapters of other models."""
    if not file.families:
        return ["read by  nobody who is known here: programs for its model, if any"]
    data, lines, without = known(), [], []
    unserved = [data.others[family] for family in file.families if family in data.others]
    if len(unserved) == len(file.families):
        return [f"read by  programs for {' or '.join(unserved)}; motionlift serves no such model"]
    for name in READERS:
        own = [reading for reading in file.readings if reading.reader.name == name]
        reading = max(own, key=_count, default=None)
        if reading is None:
            without.append(data.readers[name].title)
        elif reading.refused:
            lines.append(f"not by   {reading.reader.title}: {reading.refused}")
        else:
            lines.append(_reading(file, reading, bool(unserved)))
    lines.sort(key=_refused)
    return lines + ([f"not by   {', '.join(without)}, as far as is known: other names"] if without else [])


def _reading(file: AdapterFile, reading: Reading, unsure: bool) -> str:
    """Who reads how much of it, and how that one is told to."""
    reader, all_of_it = reading.reader, reading.layers == len(file.layers)
    much = "" if all_of_it else f", {reading.layers} of its {len(file.layers)} layers"
    much += ", but not its scales" if reading.unscaled else ""
    much += f", if it is of the family {reading.family}" if unsure else ""
    ours = ", as does motionlift's own --lora" if reader.name == "diffusers" and all_of_it else ""
    return f"read by  {reader.title}{much}: {reader.loads_into.get(reading.family, reader.loads)}{ours}"


def _refused(line: str) -> bool:
    return line.startswith("not by")


def _count(reading: Reading) -> int:
    return reading.layers
