"""What figures are called in tables, which way is better, and which of them stand for motion and for text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """How a figure is shown."""

    title: str
    """Its name in tables."""
    better: int
    """1 where more is better, -1 where less is, 0 where neither is said."""
    share: bool = False
    """Whether it is a share, shown in per cent."""
    meaning: str = ""
    """What it is, in a sentence."""


FIGURES = {
    "aligned_error": Figure(
        "aligned error",
        -1,
        meaning="mean distance of the object's centre from the true track, each track's mean removed, as a "
        "share of the frame's width",
    ),
    "absolute_error": Figure("absolute error", -1, meaning="the same with nothing removed"),
    "direction_cosine": Figure(
        "direction", 1, meaning="mean cosine of the steps of the object's centre with the true ones"
    ),
    "motion_fidelity": Figure("motion fidelity", 1, meaning="how well tracks find their like in the other video"),
    "motion_fidelity_moving": Figure(
        "motion fidelity, moving", 1, meaning="the same over tracks that move in either video"
    ),
    "motion_fidelity_legacy": Figure(
        "motion fidelity, older script", 1, meaning="by the widely copied script, to be compared with its tables"
    ),
    "motion_discrepancy": Figure("motion discrepancy", -1, meaning="mean squared distance of tracks to their nearest"),
    "looks": Figure("looks", 1, True, "share of colour, background and shape that the classifier finds right"),
    "colour": Figure("colour", 1, True, "how often the object has the prompt's colour"),
    "background": Figure("background", 1, True, "how often the background has the prompt's pattern and colour"),
    "shape": Figure("shape", 1, True, "how often the object has the prompt's shape"),
    "looks_leaked": Figure("leakage", -1, True, "how often object or background has the reference's colour"),
    "clip_text": Figure("CLIP text", 1, meaning="cosine of frames and prompt in CLIP"),
    "clip_frames": Figure("CLIP consistency", 1, meaning="cosine of neighbouring frames in CLIP"),
    "image_reward": Figure("ImageReward", 1, meaning="mean ImageReward of frames and prompt"),
    "diversity": Figure(
        "diversity over seeds",
        1,
        meaning="one less the structural similarity of the videos of two seeds, over all pairs",
    ),
    "temporal_consistency": Figure(
        "temporal consistency", 1, meaning="how well each frame follows from the one before; 1 at rest"
    ),
    "ssim": Figure("SSIM with reference", -1, meaning="structural similarity to the reference's frames"),
    "lpips": Figure("LPIPS from reference", 1, meaning="perceptual distance from the reference's frames"),
    "histogram": Figure("colours of reference", -1, meaning="intersection of colour histograms with the reference"),
    "moving_share": Figure("share that moves", 0, True, "share of the tracks that move"),
    "followed_reference": Figure("followed, reference", 0, True, "share of the reference's points that were followed"),
    "followed_generated": Figure("followed, video", 0, True, "share of the video's points that were followed"),
}
"""Figures that are known, in the order of tables; others follow them, under their own names."""
MOTION = ("aligned_error", "motion_fidelity_moving", "motion_fidelity", "motion_discrepancy")
"""Figures that stand for motion, the first that is there in charts."""
TEXT = ("looks", "clip_text")
"""Figures that stand for what the prompt asks, likewise."""


def figure(name: str) -> Figure:
    """How a figure is shown."""
    return FIGURES.get(name, Figure(name.replace("_", " "), 0))


def in_order(names: set[str]) -> list[str]:
    """Names as tables have them."""
    return [name for name in FIGURES if name in names] + sorted(names - FIGURES.keys())


def shown(name: str, value: float, signed: bool = False) -> str:
    """A value of a figure as text."""
    scale, places = (100, 0) if figure(name).share else (1, 3)
    return f"{value * scale:{'+' if signed else ''}z.{places}f}"
