"""ComfyUI's own page, of its package on the index, served with nodes of a ComfyUI that is not there."""

import json
import mimetypes
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

PACKAGE = "comfyui_frontend_package"
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "LoadVideo": ("VIDEO",),
    "LoadImage": ("IMAGE", "MASK"),
    "GetVideoComponents": ("images", "audio", "fps", "bit_depth", "color_space"),
}
"""Names of outputs of ComfyUI's own nodes; of others their types."""
NOTHING = ("/extensions", "/embeddings", "/userdata", "/models", "/experiment/models")
NO_ENTRIES = ("/features", "/i18n", "/workflow_templates", "/history", "/global_subgraphs")
ANSWERS: Mapping[str, Any] = {
    "/users": {"storage": "server", "migrated": True},
    "/settings": {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False},
    "/queue": {"queue_running": [], "queue_pending": []},
    "/system_stats": {"system": {"comfyui_version": "0.35.0", "argv": []}, "devices": []},
    **{path: [] for path in NOTHING},
    **{path: {} for path in NO_ENTRIES},
}
"""What the page asks of ComfyUI, and what one says in which nothing is."""


def told(name: str, node: Any) -> dict[str, Any]:
    """A node as ComfyUI tells its page of it."""
    inputs = node.INPUT_TYPES()
    names = OUTPUTS.get(name) or getattr(node, "RETURN_NAMES", node.RETURN_TYPES)
    return {
        "name": name,
        "display_name": getattr(node, "TITLE", name),
        "description": getattr(node, "DESCRIPTION", ""),
        "category": getattr(node, "CATEGORY", "core"),
        "python_module": "custom_nodes.motionlift" if hasattr(node, "TITLE") else "nodes",
        "input": inputs,
        "input_order": {group: [*within] for group, within in inputs.items()},
        "output": [*node.RETURN_TYPES],
        "output_name": [*names],
        "output_is_list": [False] * len(node.RETURN_TYPES),
        "output_node": getattr(node, "OUTPUT_NODE", False),
    }


@contextmanager
def served(nodes: Mapping[str, Any]) -> Iterator[str]:
    """The address of the page while it is served."""
    static = files(PACKAGE) / "static"
    answers = {**ANSWERS, "/object_info": {name: told(name, node) for name, node in nodes.items()}}

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            answer = answers.get(path.removeprefix("/api"))
            if answer is not None:
                return self._send(json.dumps(answer).encode(), "application/json")
            file = static / (path.lstrip("/") or "index.html")
            if not file.is_file():
                return self._send(b"{}", "application/json", 404)
            return self._send(file.read_bytes(), mimetypes.guess_type(path)[0] or "text/html")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._send(b"{}", "application/json")

        def _send(self, body: bytes, kind: str, code: int = 200) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
