"""What is to be said of a prompt and a length before a model is read, without PyTorch: of the bundled models alone."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from motionlift.errors import SettingError
from motionlift.models.sources import BUNDLED
from motionlift.models.words import bare, marked_word
from motionlift.video.limits import FRAMES as ALLOWED
from motionlift.work.nearness import by_nearness, kinds_of
from motionlift.work.synonyms import SURROUNDINGS, SYNONYMS

WORKS = ("a red car on a grey road", "a red star on a blue plain background")
"""Prompts that bundled models have learned: the first is of the world of named things, the other of shapes, which all have seen."""
MOST_COMPARED = 20
"""Most words of a prompt by which what a model knows is put in order (ours: a prompt may be a page)."""
REAL = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
"""A published model of real content, the smallest of Wan's (ours to name)."""
FAR = 4
"""So many times the frames that a model was made for are far beyond it (ours)."""
FRAMES: Mapping[str, int] = {"tiny-wan": 17, "tiny-dit": 17, "tiny-unet": 16}
"""Frames of the bundled models, as they say themselves once they are read."""
SIDE = 64
"""Height and width of their videos, pixels, likewise."""
MULTIPLES: Mapping[str, int] = {"tiny-wan": 16, "tiny-dit": 8, "tiny-unet": 4}
"""What they take heights and widths in multiples of, likewise."""
LENGTHS: Mapping[str, tuple[str, Callable[[int], bool]]] = {
    "tiny-wan": ("4n+1 (5, 9, 13, ...)", lambda count: count % 4 == 1),
    "tiny-dit": (
        "8n and 8n+1 (8, 9, 16, 17, 24, ...; with a temporal patch of 1 only those whose latent frames it divides)",
        lambda count: count % 8 in (0, 1),
    ),
}
"""The lengths that fit those that join frames, in their words, and whether one does."""
PATTERNS = ("plain", "striped", "checkered", "gradient")
"""Grounds that captions call backgrounds."""
GROUND_COLOURS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(PATTERNS, ("red", "green", "blue", "purple", "brown", "grey")),
    "sky": ("blue", "red", "purple"),
    "sea": ("blue", "green"),
    "grass": ("green", "brown"),
    "road": ("grey", "brown"),
    "night": ("blue", "purple"),
    "sand": ("brown", "red"),
}
"""Colours of each ground, as the worlds of :mod:`motionlift.world` have them."""
OBJECT_COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "white")
"""Colours of shapes and things; others are of grounds alone."""
USUAL = ("sky", "sea", "grass", "night", "sand")
"""Grounds that have the first of their colours where a caption names none."""
HIDING: Mapping[str, Sequence[str]] = {
    "sky": ("white", "cyan"),
    "sea": ("cyan",),
    "sand": ("yellow", "white", "orange"),
}
"""Colours that no object has on a ground in the first of its own, as they are too like it."""
BEHIND = "background"
"""The word that follows a pattern in captions."""


def foreseen(model: str, prompt: str | None = None, frames: int | None = None) -> list[str]:
    """Lines on what a bundled model cannot paint, and on a length that is far beyond it; none of any other model.

    Args:
        model: its name.
        prompt: what the video is to show, where one is made.
        frames: how long it is to be, where that was said.
    """
    own = FRAMES.get(model)
    if own is None:
        return []
    painting = [] if prompt is None else unpaintable_lines(model, words_of(model), prompt)
    return painting + ([] if frames is None else far_lines(model, own, frames))


def check_shape(model: str, frames: int | None = None, size: tuple[int, int] | None = None) -> None:
    """Refuse what does not fit a bundled model, in the words in which it does itself once it is read; others are not judged.

    Args:
        model: its name.
        frames: how long a video is to be, where that was said.
        size: its width and height, likewise.

    Raises:
        SettingError: it does not fit.
    """
    if frames is not None and model in LENGTHS and not LENGTHS[model][1](frames):
        allowed, fits = LENGTHS[model]
        below = next((count for count in range(frames - 1, ALLOWED[0] - 1, -1) if fits(count)), None)
        above = next((count for count in range(frames + 1, ALLOWED[1] + 1) if fits(count)), None)
        near = " or ".join(str(count) for count in (below, above) if count is not None)
        raise SettingError(
            f"{frames} frames do not fit {model}: allowed are {allowed}, so {near}; its own length is {FRAMES[model]}"
        )
    multiple = MULTIPLES.get(model, 1)
    if size is not None and any(side % multiple for side in size):
        near = "x".join(str(max(1, round(side / multiple)) * multiple) for side in size)
        raise SettingError(
            f"{size[0]}x{size[1]} pixels do not fit {model}: allowed are multiples of {multiple}; the nearest is {near}, and its "
            f"own size {SIDE}x{SIDE}"
        )


def unpaintable_lines(name: str, known: Iterable[str], prompt: str) -> list[str]:
    """Lines where a model paints nothing that a prompt names, or no ground, or something in a colour that it has never seen there.

    Of things in colours that they never had, or never on such a ground, the bundled models alone are judged: of others it is not
    known what they have seen.

    Args:
        name: the model's.
        known: the words of its own vocabulary; of a model that reads language at large none, and it is never judged.
        prompt: what the video is to show.
    """
    words, learned = [bare(word).casefold() for word in prompt.split()], set(known)
    things, colours, grounds = (learned_of(kind, learned) for kind in ("things", "colours", "grounds"))
    if not (prompt.strip() and things and grounds):
        return []
    judged = name in FRAMES
    if judged:
        colours = [colour for colour in colours if colour in OBJECT_COLOURS]
    works = _works(learned)
    strange = [word for word in words if word not in learned][:MOST_COMPARED]
    painted, behind = (", ".join(by_nearness(kind, strange)) for kind in (things, grounds))
    if not any(word in things for word in words):
        return [
            f"{name} cannot paint this prompt, and the video will not show it: it paints {painted} in "
            f"{', '.join(by_nearness(colours, strange))} on {behind}, and nothing else{works}. Real content needs a real model, "
            f"such as --model {REAL}"
        ]
    unseen = _unseen_things(name, words, learned) if judged else []
    if not any(word in grounds for word in words):
        return [
            f"the prompt names no background that {name} knows, and what is behind is left to chance; it knows {behind}{works}",
            *unseen,
        ]
    of_ground = _strange_colour(name, words, learned) or (_hidden(name, words, learned) if judged else [])
    return [*unseen, *of_ground]


def _works(learned: set[str]) -> str:
    """What is said of a prompt that works: the first of ours of which every word is known."""
    return next((f"; a prompt that works: {works!r}" for works in WORKS if learned.issuperset(works.split())), "")


def colouring_grounds(prompt: str) -> set[str]:
    """Words of a prompt, in small letters, that stand where the colours of a ground do: before its name, or before "background"."""
    words = [bare(word).casefold() for word in prompt.split()]
    return {word for place, word in enumerate(words) if _names_a_ground(words[place + 1 :])}


def _names_a_ground(words: Iterable[str]) -> bool:
    """Whether, of what some words name, the first is what is behind; little words such as "on" end what belongs together."""
    for word in words:
        kinds = kinds_of(word)
        if "things" in kinds or "others" in kinds:
            return False
        if "grounds" in kinds or SURROUNDINGS in kinds:
            return True
    return False


def _coloured_things(words: Sequence[str], learned: set[str]) -> list[tuple[str, str]]:
    """What a prompt names as colour and thing, such as ``("red", "car")``, each once."""
    found: list[tuple[str, str]] = []
    colour = ""
    for word in words:
        if word in SYNONYMS["things"] and word in learned:
            found += [(colour, word)] if colour else []
            colour = ""
        elif word in SYNONYMS["colours"] and word in learned:
            colour = word
        elif {"others", "grounds"} & {*kinds_of(word)}:
            colour = ""
    return [*dict.fromkeys(found)]


def _unseen_things(name: str, words: Sequence[str], learned: set[str]) -> list[str]:
    """A line where a thing has a colour that things never had."""
    strange = [each for each in _coloured_things(words, learned) if each[0] not in OBJECT_COLOURS]
    told = " or ".join(f"{thing} that is {colour}" for colour, thing in strange)
    return (
        [f"{name} has learned no {told}; colours of things that it knows are {', '.join(OBJECT_COLOURS)}"]
        if told
        else []
    )


def _hidden(name: str, words: Sequence[str], learned: set[str]) -> list[str]:
    """A line where things have colours that were never seen on their ground, as they are its own or too like it."""
    places = [place for place, word in enumerate(words) if word in GROUND_COLOURS and word in learned]
    if len(places) != 1:
        return []
    ground = words[places[0]]
    own = [word for word in _colours_of(words, places[0]) if word in GROUND_COLOURS[ground]]
    colour = own[0] if own else GROUND_COLOURS[ground][0] if ground in USUAL else None
    if colour is None:
        return []
    alike = {colour, *(HIDING.get(ground, ()) if colour == GROUND_COLOURS[ground][0] else ())}
    hidden = [each for each in _coloured_things(words, learned) if each[0] in alike and each[0] in OBJECT_COLOURS]
    if not hidden:
        return []
    told, seen = " or ".join(" ".join(each) for each in hidden), [each for each in OBJECT_COLOURS if each not in alike]
    return [
        f"{name} has seen no {told} where the {_called(ground)} is {colour}; colours that it has seen there are {', '.join(seen)}"
    ]


def _strange_colour(name: str, words: Sequence[str], learned: set[str]) -> list[str]:
    """A line where a ground has a colour in which it was never seen."""
    for place, ground in enumerate(words):
        allowed = [colour for colour in GROUND_COLOURS.get(ground, ()) if colour in learned]
        named = [word for word in _colours_of(words, place) if word in SYNONYMS["colours"] and word in learned]
        strange = [word for word in named if word not in allowed]
        if ground in learned and allowed and strange:
            return [
                f"{name} has learned no {_called(ground)} that is {strange[0]}; those that it knows are {', '.join(allowed)}"
            ]
    return []


def _called(ground: str) -> str:
    """A ground as captions call it, without its colour."""
    return f"{ground} {BEHIND}" if ground in PATTERNS else ground


def _colours_of(words: Sequence[str], place: int) -> list[str]:
    """Words that stand where the colour of a ground does: before it, or between it and the word for what is behind."""
    before = words[max(place - 1, 0) : place]
    after = words[place + 1 : place + 3]
    return [*before, *(after[:1] if after[1:] == [BEHIND] else [])]


def far_lines(name: str, own: int, frames: int) -> list[str]:
    """A line where a video is far longer than those that a model was made for.

    Args:
        name: the model's.
        own: frames that it was made for.
        frames: of the video.
    """
    if frames < FAR * own:
        return []
    return [
        f"{frames} frames are {frames / own:.0f} times the {own} that {name} was made for: it takes at least as many times as "
        "long, and looks may drift along the way; fewer frames keep to what it knows"
    ]


def learned_of(kind: str, known: set[str]) -> list[str]:
    """Words of a kind, such as ``colours``, that are among those of a vocabulary."""
    return [word for word in SYNONYMS[kind] if word in known]


def words_of(model: str) -> list[str]:
    """The words of a bundled model's tokenizer, and its other pieces, in its order."""
    told = json.loads((BUNDLED / model / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = told["model"]["vocab"]
    numbered = isinstance(vocabulary, dict)
    pieces = sorted(vocabulary, key=vocabulary.__getitem__) if numbered else [piece for piece, _ in vocabulary]
    return [word for piece in pieces if (word := marked_word(piece))]
