"""Who may reach the page, and where its data lies."""

from dataclasses import dataclass
from pathlib import Path

from motionlift.errors import SettingError

HERE = "127.0.0.1"
"""The address that only this machine reaches."""
LOCAL = (HERE, "localhost", "::1")
PORTS = (1, 65535)
LEAST_PASSWORD = 8
"""Fewest letters of a password (ours)."""


@dataclass(frozen=True)
class Serving:
    """How the page is served."""

    host: str = HERE
    """Address that it listens at."""
    port: int = 7860
    """Port that it listens at."""
    password: str = ""
    """What visitors have to say, if anything."""
    share: bool = False
    """Whether it gets a public address by Gradio's tunnel."""
    device: str = "auto"
    """Where models run."""
    weights: str | None = None
    """How the weights of models that are not bundled are held; by default as it fits."""

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches the page."""
        return self.host in LOCAL and not self.share

    def check(self) -> None:
        """Refuse what would let anybody in.

        Raises:
            SettingError: another host or a public address without a password, or one that is short; a port that is none.
        """
        if not PORTS[0] <= self.port <= PORTS[1]:
            raise SettingError(f"--port is {self.port}; allowed is {PORTS[0]} to {PORTS[1]}")
        public = "--share" if self.share else f"--host {self.host}" if self.host not in LOCAL else ""
        if public and not self.password:
            raise SettingError(f"with {public} others reach the page; give --password, or leave it out")
        if self.password and len(self.password) < LEAST_PASSWORD:
            raise SettingError(f"--password has {len(self.password)} letters; give at least {LEAST_PASSWORD}")


def data_folder() -> Path:
    """Where motions, videos and the history are kept by default."""
    import platformdirs

    return Path(platformdirs.user_data_dir("motionlift", appauthor=False))
