"""Several videos in one player: they start, stop and stand at the same time."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import av

from motionlift.app.showing import TOO_LARGE, as_it_is, embedded

PAGE = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;font:14px system-ui,sans-serif;color:#333;background:transparent}}
@media(prefers-color-scheme:dark){{body{{color:#ddd}}}}
.row{{display:grid;gap:8px;grid-template-columns:repeat({columns},minmax(0,{widest}px))}}figure{{margin:0}}
video{{width:100%;display:block;border-radius:6px;background:#000}}.absent{{margin:0;padding:2em 1em;text-align:center}}
figcaption{{height:2.6em;margin:2px 0 6px;line-height:1.3;overflow-wrap:anywhere;overflow:hidden;
display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical}}
.controls{{display:flex;gap:10px;align-items:center}}input{{flex:1}}button{{min-width:4.5em;padding:4px 10px}}
</style><div class="row">{figures}</div>
<div class="controls"><button id="play" aria-label="play or pause">Pause</button>
<input id="time" type="range" min="0" max="1" step="0.001" value="0" aria-label="time"></div>
<script>
const videos=[...document.querySelectorAll('video')],button=document.getElementById('play'),time=document.getElementById('time');
const length=()=>Math.min(...videos.map(v=>v.duration||1e9));let playing=true;
function stand(share){{const at=share*length();videos.forEach(v=>{{if(isFinite(at))v.currentTime=at}});}}
function play(on){{playing=on;button.textContent=on?'Pause':'Play';}}
button.onclick=()=>play(!playing);time.oninput=()=>{{play(false);stand(+time.value)}};
document.onkeydown=e=>{{if(e.key===' '){{e.preventDefault();play(!playing)}}}};
videos.forEach(v=>{{v.muted=true;v.loop=true;v.playsInline=true}});
setInterval(()=>{{if(!isFinite(length()))return;if(playing){{videos.forEach(v=>v.paused&&v.play());
const at=videos[0].currentTime;videos.slice(1).forEach(v=>{{if(Math.abs(v.currentTime-at)>0.08)v.currentTime=at}});
time.value=at/length()}}else videos.forEach(v=>v.pause())}},100);
</script>"""
WIDEST = 360
"""Greatest width of a video, pixels (ours)."""
MOST_BESIDE = 3
"""Most videos in a row; of more, two are in a row (ours: they fit a phone)."""
BELOW, CONTROLS = 52, 40
"""Heights of a video's title with its distances, and of the controls, pixels."""


def player(videos: Sequence[tuple[str, Path]]) -> str:
    """A player of videos side by side, as an inline frame that needs nothing else and can reach nothing.

    Args:
        videos: titles and files, one at least; of large ones small copies are shown.
    """
    return _framed([(title, path, embedded(path)) for title, path in videos], "allow-scripts")


def player_of_files(videos: Sequence[tuple[str, Path]]) -> str:
    """A player of the very files, however large.

    Where some are not in the page, their frame can reach it: they are asked for as by the visitor, who may have logged in.

    Args:
        videos: titles, of our own words alone, and files, one at least.
    """
    found = [(title, path, as_it_is(path)) for title, path in videos]
    is_whole = all(address.startswith("data:") for _, _, address in found)
    return _framed(found, "allow-scripts" if is_whole else "allow-scripts allow-same-origin")


def _framed(videos: Sequence[tuple[str, Path, str]], allowed: str) -> str:
    """The frame of videos, each with its address, or none where it cannot be shown."""
    columns = len(videos) if len(videos) <= MOST_BESIDE else 2
    rows = math.ceil(len(videos) / columns)
    tall = max(_tall(path) for _, path, _ in videos)
    figures = "".join(
        f"<figure>{_shown(address)}<figcaption title='{escape(title, quote=True)}'>{escape(title)}</figcaption></figure>"
        for title, _, address in videos
    )
    page = PAGE.format(figures=figures, columns=columns, widest=WIDEST)
    # The frame cannot tell its height to the page, which it must not reach: it follows from its width.
    video = f"min({WIDEST}px, (100cqw - {8 * (columns - 1)}px) / {columns}) * {tall:.4f}"
    height = f"calc({rows} * ({video} + {BELOW}px) + {CONTROLS}px)"
    return (
        '<div style="container-type:inline-size">'
        f'<iframe title="player" sandbox="{allowed}" srcdoc="{escape(page, quote=True)}" '
        f'style="width:100%;height:{height};border:0"></iframe></div>'
    )


def _shown(address: str) -> str:
    return (
        f"<video muted loop playsinline src='{address}'></video>" if address else f"<p class='absent'>{TOO_LARGE}</p>"
    )


def _tall(path: Path) -> float:
    """Height of a video as a share of its width; 1 where it cannot be told."""
    try:
        with av.open(str(path)) as container:
            seen = container.streams.video[0]
            return seen.height / seen.width
    except (OSError, IndexError, ZeroDivisionError, av.FFmpegError):
        return 1.0
