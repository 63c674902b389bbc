"""How well the model paints: held-out captions of one object, one seed each, judged by the classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from motionlift.bench.references import bundled, caption_scene, likeness
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model
from motionlift.video.clip import Clip
from motionlift.work.cast import cast
from motionlift.work.lift import lift
from motionlift.world import scenes

NAME = "looks"
COUNT = 100


def cells(count: int) -> list[dict[str, Any]]:
    """One for each caption."""
    return [{"index": index} for index in range(count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Sample the caption without any motion and judge the video."""
    backbone: Model = bundled(model)
    scene = caption_scene(cell["index"], backbone)
    blank = Clip.of(scenes.render([scene]).frames[0], backbone.about.fps)
    motion = lift(blank, backbone, "none", cached=False)
    video = cast(motion, scene.caption(), backbone, seed=cell["index"])
    first = likeness(video.clip.frames[:1], scene)
    return {
        "caption": scene.caption(),
        **asdict(likeness(video.clip.frames, scene)),
        "first_frame": asdict(first),
        "shape_name": scene.objects[0].shape,
        "true_rendering": asdict(likeness(scenes.render([scene]).frames[0], scene)),
        "decoded": asdict(likeness(_through_autoencoder(blank, backbone), scene)),
    }


def _through_autoencoder(clip: Clip, backbone: Model) -> Any:
    return Clip.from_pixels(backbone.codec.decode(backbone.codec.encode(clip.pixels())), clip.fps).frames


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """Shares of right answers, beside those on true renderings and on these sent through the autoencoder."""
    rows = []
    for title, pick in (
        ("made by the model, whole video", lambda record: record),
        ("made by the model, first frame", lambda record: record["first_frame"]),
        ("true renderings through the autoencoder", lambda record: record["decoded"]),
        ("true renderings", lambda record: record["true_rendering"]),
    ):
        rows.append(
            [
                title,
                *[
                    interval([pick(record)[key] for record in records], 100)
                    for key in ("colour", "background", "shape")
                ],
            ]
        )
    text = (
        f"## Looks\n\n{len(records)} held-out captions of one object, one seed each; share of right answers in percent"
    )
    text += ".\n\n"
    by_shape = []
    for name in sorted({record["shape_name"] for record in records}):
        shown = [record["shape"] for record in records if record["shape_name"] == name]
        by_shape.append([name, str(len(shown)), f"{100 * sum(shown) / len(shown):.0f}"])
    return (
        text
        + table(["videos", "colour", "background", "shape"], rows)
        + "\n"
        + table(["shape", "captions", "right, %"], by_shape)
    )
