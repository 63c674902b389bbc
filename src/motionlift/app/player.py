"""Several videos in one player: they start, stop and stand at the same time."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from motionlift.app.words import embedded

PAGE = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;font:14px system-ui,sans-serif;color:#333;background:transparent}}
@media(prefers-color-scheme:dark){{body{{color:#ddd}}}}
.row{{display:flex;gap:8px;flex-wrap:wrap}}figure{{margin:0;flex:1 1 80px;max-width:360px}}
video{{width:100%;display:block;border-radius:6px;background:#000}}figcaption{{padding:2px 0 6px;overflow-wrap:anywhere}}
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


def player(videos: Sequence[tuple[str, Path]]) -> str:
    """A player of videos side by side, as an inline frame that needs nothing else and can reach nothing.

    Args:
        videos: titles and files.
    """
    figures = "".join(
        f"<figure><video muted loop playsinline src='{embedded(path)}'></video><figcaption>{escape(title)}</figcaption></figure>"
        for title, path in videos
    )
    page = PAGE.format(figures=figures)
    height = 330 if len(videos) > 1 else 420
    return (
        f'<iframe title="player" sandbox="allow-scripts" srcdoc="{escape(page, quote=True)}" '
        f'style="width:100%;height:{height}px;border:0"></iframe>'
    )
