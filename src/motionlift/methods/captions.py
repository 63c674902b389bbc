"""Captions reduced to a subject and what it does, so that tuning on them learns no looks (VMC calls them appearance-invariant).

The paper writes such prompts by hand. The rules here are ours, on the parts of speech that textblob's tagger gives; its lexicon
ships with it.
"""

from collections.abc import Sequence

from motionlift.errors import InputError, SettingError

Tagged = tuple[str, str]
"""A word and its part of speech, in the tags of the Penn treebank."""
KEPT = ("DT", "CD", "NN", "PR", "VB", "MD", "CC", "WP", "EX", "OF")
"""How the tags begin of words that a reduced caption may keep; adjectives and adverbs are not among them."""
LINKING = ("IN", "TO")
"""Tags that begin a phrase of place, time or looks."""
SHOTS = frozenset(
    ["close-up", "closeup", "clip", "film", "footage", "image", "photo", "picture", "scene", "shot", "view", "video"]
)
"""Words that speak of the picture; with an ``of`` after them they are left out."""
VOWELS = "aeiou"


def subject_and_action(caption: str) -> str:
    """A caption without looks, place and time: ``a car is moving`` of ``a car is moving on a snowy road at night``.

    Raises:
        InputError: no subject is left.
        SettingError: textblob is not installed.
    """
    try:
        from textblob.en import tag
    except ModuleNotFoundError as error:
        raise SettingError(
            "reduced is true, and the source prompt is reduced by textblob, which is not installed: pip install "
            "'motionlift[captions]', or write tuning_prompt with a subject and its action, such as 'a car is moving', or give "
            "reduced=false"
        ) from error

    tagged = _corrected([(word, kind) for word, kind in tag(caption) if kind[:1].isalpha()])
    kept = _trimmed(_without_looks(_without_phrases(tagged)))
    if not any(kind.startswith(("NN", "PRP")) for _, kind in kept):
        raise InputError(
            f"the source prompt {caption[:200]!r} has no subject once looks and places are left out; write one with a subject and "
            "its action, such as 'a car is moving', or turn reduced off"
        )
    return " ".join(_with_articles([word for word, _ in kept]))


def _is(kind: str, starts: Sequence[str]) -> bool:
    return kind.startswith(tuple(starts))


def _corrected(tagged: Sequence[Tagged]) -> list[Tagged]:
    """Tags that rules can work with: a bare verb after an article or adjective is a noun, ``of`` joins nouns.

    A plural right after a singular noun is a verb. Of a picture of something, that is the subject.
    """
    before = ["", *[kind for _, kind in tagged]]
    own = [
        (word, "NN" if kind == "VB" and last in ("DT", "JJ") else kind)
        for (word, kind), last in zip(tagged, before, strict=False)
    ]
    own = [(word, "OF" if word.lower() == "of" else kind) for word, kind in own]
    after = [*[kind for _, kind in own[1:]], ""]
    # A woman dances, a bus drives: the tagger sees two nouns, of which the second is plural.
    own = [
        (word, "VBZ" if kind == "NNS" and last == "NN" and not _is(following, ("NN", "VB", "MD")) else kind)
        for (word, kind), last, following in zip(own, before, after, strict=False)
    ]
    for number, (word, _) in enumerate(own[:-1]):
        if word.lower() in SHOTS and own[number + 1][1] == "OF":
            return own[number + 2 :]
    return own


def _without_phrases(tagged: Sequence[Tagged]) -> list[Tagged]:
    """Leave out each phrase from its preposition to the next verb.

    A preposition right before another belongs to its verb: taking off from.
    """
    kept: list[Tagged] = []
    within = False
    for number, (word, kind) in enumerate(tagged):
        following = tagged[number + 1][1] if number + 1 < len(tagged) else ""
        if kind in LINKING:
            particle = (
                bool(kept) and not within and _is(kept[-1][1], ("VB",)) and (following in LINKING or not following)
            )
            if particle:
                kept.append((word, "VBP"))
            within = within or not (particle or _is(following, ("VB", "MD")))
        elif (_is(kind, ("VB", "MD")) and not _describes(kind, following)) or (
            kind == "CC" and _is(following, ("VB", "MD"))
        ):
            within = False
        if not within and kind not in LINKING:
            kept.append((word, kind))
    return kept


def _describes(kind: str, following: str) -> bool:
    """Whether a participle stands before a noun as an adjective: a checkered background."""
    return kind == "VBN" and _is(following, ("NN", "JJ"))


def _without_looks(tagged: Sequence[Tagged]) -> list[Tagged]:
    followers = [kind for _, kind in tagged[1:]] + [""]
    return [
        (word, kind)
        for (word, kind), following in zip(tagged, followers, strict=False)
        if _is(kind, KEPT) and not _describes(kind, following)
    ]


def _trimmed(tagged: list[Tagged]) -> list[Tagged]:
    """Without what joins nothing at either end."""
    while tagged and tagged[-1][1] in ("CC", "DT", "OF"):
        tagged = tagged[:-1]
    while tagged and tagged[0][1] in ("CC", "OF"):
        tagged = tagged[1:]
    return tagged


def _with_articles(words: Sequence[str]) -> list[str]:
    """``a`` or ``an`` by the word that now follows."""
    following = [*words[1:], ""]
    return [
        ("an" if after[:1].lower() in VOWELS else "a") if word in ("a", "an") and after else word
        for word, after in zip(words, following, strict=True)
    ]
