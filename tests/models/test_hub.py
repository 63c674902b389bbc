"""A hub that is slow is told from one that is not there."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

INDEX = json.dumps({"_class_name": "WanPipeline"}).encode()
SLOW = 2.5
"""Seconds until the first answer: more than the hub has to be reached."""
PROGRAM = """
import sys, time
from motionlift.errors import ModelError
from motionlift.models import hub
from motionlift.models.sources import check_had, found
hub.LONGEST = float(sys.argv[2])
began = time.monotonic()
try:
    check_had(sys.argv[1], print)
    print(found(sys.argv[1]))
except ModelError as error:
    print(error)
print(time.monotonic() - began)
"""


class Hub(BaseHTTPRequestHandler):
    """Has one model, an index alone, and takes its time to say so."""

    def do_GET(self) -> None:
        """Answer as the hub does."""
        asks = self.path.startswith("/api/models/")
        if asks:
            time.sleep(SLOW)
        if "owner/model" not in self.path:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = json.dumps({"id": "owner/model", "siblings": []}).encode() if asks else INDEX
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1234"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """The same without what it is about."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Where the hub is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def told(address: str, folder: Path, name: str = "owner/model", longest: float = 10) -> tuple[list[str], float]:
    """What is said of a model, and after how many seconds."""
    here = {"HF_ENDPOINT": address, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    words = [sys.executable, "-c", PROGRAM, name, str(longest)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **here}, check=True)
    *lines, seconds = done.stdout.splitlines()
    return lines, float(seconds)


@pytest.mark.slow
def test_a_hub_that_is_slow_is_waited_for_and_that_is_said(address: str, tmp_path: Path):
    """Also once the index is kept, beside which there are no weights yet."""
    (slow, found), seconds = told(address, tmp_path)
    assert slow == f"the hub {address} (HF_ENDPOINT) is slow to answer; it is waited for, up to 10 s"
    assert "pipeline='WanPipeline'" in found and "is_local=False" in found
    assert seconds >= 2 * SLOW


@pytest.mark.slow
def test_a_slow_hub_is_not_waited_for_where_the_model_is_kept(address: str, tmp_path: Path):
    told(address, tmp_path)
    (index,) = tmp_path.rglob("model_index.json")
    (index.parent / "weights.safetensors").touch()
    (found,), seconds = told(address, tmp_path)
    assert "is_local=True" in found and seconds < SLOW


@pytest.mark.slow
def test_a_slow_hub_that_has_no_such_model_is_believed(address: str, tmp_path: Path):
    (slow, unknown), _ = told(address, tmp_path, "owner/other")
    assert "is slow to answer" in slow and "model 'owner/other' is unknown to the hub" in unknown


@pytest.mark.slow
def test_a_hub_that_is_reached_and_does_not_answer_is_called_that(address: str, tmp_path: Path):
    (_, unanswered), seconds = told(address, tmp_path, longest=2)
    assert f"{address} (HF_ENDPOINT) was reached, and gave no answer within 2 s: try again later" in unanswered
    assert "no network" not in unanswered and seconds < SLOW + 1


def test_no_connection_is_told_at_once(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (absent,), seconds = told(f"http://127.0.0.1:{port}", tmp_path)
    assert "does not answer: there may be no network; connect" in absent and seconds < 4
