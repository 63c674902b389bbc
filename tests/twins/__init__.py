"""Tiny random twins of the models: the real classes with sizes that run in milliseconds."""

from collections.abc import Mapping
from functools import partial

from motionlift.core.lattice import Shape
from tests.twins.allegro import allegro
from tests.twins.clip import clip
from tests.twins.cogvideox import cogvideox
from tests.twins.hunyuan import hunyuan, hunyuan15
from tests.twins.kandinsky5 import kandinsky5
from tests.twins.ltx import ltx, ltx2
from tests.twins.mochi import mochi
from tests.twins.settled import settled
from tests.twins.text import WINDOW, WORDS
from tests.twins.twin import GUIDED, Twin, as_kind, ready, small
from tests.twins.unet3d import unet3d
from tests.twins.wan import skyreels, wan, wan_of_picture, wan_of_picture_and_two, wan_of_times, wan_of_two

__all__ = ["GUIDED", "WINDOW", "WORDS", "Twin", "as_kind", "clip", "cogvideox", "ready", "small", "unet3d"]

TWINS = {"cogvideox-rotary": lambda: cogvideox(True), "cogvideox-table": lambda: cogvideox(False)}
"""Every kind of positions by name, at one size."""
DRAWN = {**TWINS, "unet3d": unet3d, "cogvideox-1.5": lambda: cogvideox(True, temporal_patch=2)}
"""Every twin of the models that come with the package and of their kinds, by name."""
EVERY_TWIN = {name: partial(settled, build, name) for name, build in DRAWN.items()}
"""The same with text encoders that are those of the frozen numbers, whatever the version of transformers."""

SMALL = Shape(9, 32, 32)
TRANSFORMERS: Mapping[str, Twin] = {
    "wan-2.1": Twin(wan, SMALL),
    "wan-2.2": Twin(wan_of_two, SMALL),
    "wan-2.2-ti2v": Twin(wan_of_times, Shape(9, 64, 64)),
    "skyreels": Twin(skyreels, SMALL),
    "hunyuan": Twin(hunyuan, SMALL, {"true_cfg_scale": GUIDED, "negative_prompt": ""}),
    "hunyuan-1.5": Twin(hunyuan15, SMALL),
    "ltx": Twin(ltx, Shape(17, 64, 64)),
    "ltx-2": Twin(ltx2, Shape(17, 64, 64), {"guidance_scale": GUIDED, "guidance_rescale": 0.0}),
    "cogvideox-rotary": Twin(lambda: ready(cogvideox(True)), SMALL),
    "cogvideox-table": Twin(lambda: ready(cogvideox(False)), SMALL),
    "cogvideox-1.5": Twin(lambda: ready(cogvideox(True, temporal_patch=2)), Shape(16, 32, 32)),
    "mochi": Twin(mochi, Shape(7, 32, 32)),
    "kandinsky5": Twin(kandinsky5, SMALL, {"guidance_scale": GUIDED, "negative_prompt": ""}),
    "allegro": Twin(allegro, Shape(8, 64, 64)),
}
"""Every kind of diffusion transformer that a row serves, by name."""

PICTURED: Mapping[str, Twin] = {
    "wan-2.1": Twin(wan_of_picture, SMALL),
    "wan-2.2": Twin(wan_of_picture_and_two, SMALL),
    "wan-2.2-ti2v": TRANSFORMERS["wan-2.2-ti2v"],
    "ltx": TRANSFORMERS["ltx"],
    "ltx-2": TRANSFORMERS["ltx-2"],
    "cogvideox": Twin(lambda: ready(cogvideox(True, pictured=True)), SMALL),
    "cogvideox-1.5": Twin(lambda: ready(cogvideox(True, temporal_patch=2, pictured=True)), Shape(16, 32, 32)),
}
"""Every kind whose videos begin with a picture, or may."""
