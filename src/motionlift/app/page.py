"""The page: tabs over one queue."""

import json
from pathlib import Path

import gradio as gr

from motionlift.app.compare_panel import compare_panel
from motionlift.app.desk import Desk
from motionlift.app.history_tab import history_tab
from motionlift.app.jobs import Jobs
from motionlift.app.library_tab import library_tab
from motionlift.app.motion_tab import motion_tab
from motionlift.app.now import now_panel
from motionlift.app.path_tab import path_tab
from motionlift.app.scores_panel import scores_panel
from motionlift.app.study import Study
from motionlift.app.study_tab import study_tab
from motionlift.app.video_tab import video_tab
from motionlift.app.workspace import TOKEN, new_token

TITLE = "motionlift"
KEPT = 24 * 3600
"""Seconds after which copies that Gradio made of uploads and downloads are deleted (ours: what is taken in is kept apart)."""
STUDY = "study"
"""Folder of a user study below the data: where there is one, the page asks for answers."""
STYLE = """
.gradio-container, .gradio-container > .main { max-width: min(46rem, 100vw) !important; min-width: 0 !important; }
.gradio-container { margin: 0 auto !important; }
footer { display: none !important; }
.quiet { opacity: .7; }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.bar { height: 6px; border-radius: 3px; background: var(--border-color-primary); overflow: hidden; }
.bar > div { height: 100%; background: var(--color-accent); transition: width .4s; }
.curve { width: 100%; height: 48px; }
.curve polyline { fill: none; stroke: var(--color-accent); stroke-width: 1; vector-effect: non-scaling-stroke; }
.library { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .75rem; }
.library figure { margin: 0; }
.library video, .library .blank { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; }
.library .blank { background: var(--border-color-primary); display: grid; place-content: center; text-align: center; }
.history { list-style: none; padding: 0; } .history li { padding: .5rem 0; border-bottom: 1px solid var(--border-color-primary); }
.history code { display: block; white-space: pre-wrap; overflow-wrap: anywhere; padding: .5rem; }
.state { opacity: .75; } .state.failed, .state.stopped { color: #b3261e; opacity: 1; }
.dark .state.failed, .dark .state.stopped { color: #ffb4ab; }
.examples button { min-width: 7rem; }
.wide { overflow-x: auto; } .wide td { min-width: 9rem; font-size: .85em; }
.wide table, .scores, .foreseen { border-collapse: collapse; } .scores { width: 100%; }
.gradio-container :is(.wide, .scores, .foreseen) :is(th, td) { border: 0; border-bottom: 1px solid var(--border-color-primary);
  padding: .35rem .5rem .35rem 0; text-align: left; vertical-align: top; font-weight: 400; }
.gradio-container :is(.wide, .scores, .foreseen) thead th { font-weight: 600; }
.foreseen { width: 100%; }
#preview, #outline, #frames { border: 0; padding-top: 2rem; }
.notices { opacity: .85; padding-left: 1.2rem; }
"""
"""One column, quiet, the same on a phone."""
PICTURES = {
    "film": "The whole clip: touch it where the part begins or ends",
    "outline": "What of the clip is read: touch it to lay the crop there",
    "frames": "The frames that the model gets",
    "preview": "What comes into being",
    "path-picture": "The picture",
    "cast-picture": "The picture that the video begins with",
    "path-seen": "The path: touch it to add a point",
}
"""What is read out of pictures, by where they are: Gradio makes buttons without names of them."""
NAMING = """() => {
const names = %s, name = () => Object.entries(names).forEach(([place, told]) =>
    document.querySelectorAll(`#${place} button:has(img)`).forEach(each => { if (!each.ariaLabel) each.ariaLabel = told }));
new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
name() }"""
"""Names them, whenever they come."""


def built(
    jobs: Jobs, data: Path, secret: str, device: str = "auto", folders: bool = False, weights: str | None = None
) -> gr.Blocks:
    """The page over a queue.

    Args:
        jobs: the queue.
        data: folder of all data.
        secret: by which visitors' tokens are sealed in their browsers; another one makes new visitors of them.
        device: where models run.
        folders: whether a model may be named by its folder.
        weights: how the weights of models that are not bundled are held; by default as it fits.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        token = gr.BrowserState("", storage_key="motionlift", secret=secret)
        desk = Desk(jobs, data, token, gr.State(""), device, folders, weights, gr.State(""))
        gr.Markdown(
            "# motionlift\nThe motion of one video in another: lift it from a clip, then say what is to move like it."
        )
        with gr.Group():
            now_panel(desk)
        with gr.Tabs() as tabs:
            with gr.Tab("Motion", id="motion"):
                lifted = motion_tab(desk)
            with gr.Tab("Video", id="video"):
                motion = video_tab(desk)
            with gr.Tab("Library", id="library"):
                library_tab(desk, motion)
            with gr.Tab("History", id="history"):
                history_tab(desk)
                compare_panel(desk)
                scores_panel(desk)
            with gr.Tab("Draw", id="draw"):
                path_tab(desk, lifted, tabs)
            study = Study(data / STUDY)
            if study.items:
                with gr.Tab("Study", id="study"):
                    study_tab(study)
        page.load(None, js=NAMING % json.dumps(PICTURES))
        page.load(_visitor, token, token, show_progress="hidden")
    return page


def _visitor(token: str | None) -> str:
    """The visitor's token; a new one where there is none."""
    return token if isinstance(token, str) and TOKEN.fullmatch(token) else new_token()
