"""What was lifted, over its reference: a slider over frames, and one from the bare frames to the drawing."""

from html import escape
from pathlib import Path

from motionlift.app.player import player
from motionlift.app.showing import embedded
from motionlift.video.footage import Footage

ALIKE = 0.02
"""Greatest share by which the shapes of two videos differ that lie over each other (ours: even sides are rounded)."""
PAGE = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;font:14px system-ui,sans-serif;color:#333;background:transparent}}
@media(prefers-color-scheme:dark){{body{{color:#ddd}}}}
.stack{{position:relative;max-width:360px;margin:auto;aspect-ratio:{width}/{height}}}
video{{position:absolute;inset:0;width:100%;height:100%;border-radius:6px}}
label{{display:flex;gap:10px;align-items:center;max-width:360px;margin:6px auto}}
label span{{min-width:5em}}input{{flex:1;min-width:0}}
output{{min-width:4em;text-align:right}}
</style><div class="stack"><video muted playsinline preload="auto" src="{below}"></video>
<video id="drawn" muted playsinline preload="auto" src="{above}"></video></div>
<label><span>Frame</span><input id="frame" type="range" min="0" max="{last}" step="1" value="0">
<output id="at">1 of {frames}</output></label>
<label><span>Drawing</span><input id="share" type="range" min="0" max="1" step="0.05" value="1"></label>
<script>
const videos=[...document.querySelectorAll('video')],frame=document.getElementById('frame'),share=document.getElementById('share');
function show(){{const place=(+frame.value+0.5)/{frames};
videos.forEach(v=>{{if(isFinite(v.duration))v.currentTime=place*v.duration}});
document.getElementById('at').textContent=(+frame.value+1)+' of {frames}'}}
frame.oninput=show;share.oninput=()=>document.getElementById('drawn').style.opacity=share.value;
videos.forEach(v=>v.onloadedmetadata=show);
</script>"""
"""Arrow keys move the sliders, as in every browser."""


def overlay(reference: Path, drawn: Path) -> str:
    """What was drawn over the reference as HTML, in an inline frame that needs nothing else and can reach nothing.

    Where the drawing has another shape, as attention maps of several words and layers have, or one of both cannot be shown,
    both stand beside each other.

    Args:
        reference: the frames as the model saw them, as a lift leaves them.
        drawn: what :func:`motionlift.motion.drawing.draw_lifted` made of them.

    Raises:
        InputError: one cannot be read.
    """
    below, above = Footage.of(reference), Footage.of(drawn)
    shapes = [each.width / each.height for each in (below, above)]
    addresses = [embedded(each) for each in (reference, drawn)]
    if abs(shapes[0] / shapes[1] - 1) > ALIKE or below.frames != above.frames or not all(addresses):
        return player([("the clip as the model sees it", reference), ("what was lifted", drawn)])
    page = PAGE.format(
        width=above.width,
        height=above.height,
        below=addresses[0],
        above=addresses[1],
        frames=below.frames,
        last=below.frames - 1,
    )
    return (
        '<div style="container-type:inline-size">'
        f'<iframe title="what was lifted, over the reference" sandbox="allow-scripts" srcdoc="{escape(page, quote=True)}" '
        f'style="width:100%;height:calc(min(360px, 100cqw) * {above.height / above.width:.4f} + 80px);border:0"></iframe></div>'
    )
