"""Finished videos, which are saved with their records."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.encoding import Beside, write_video
from motionlift.video.marks import RECORD, VIDEO, hash_of, marked_json
from motionlift.video.notebook import playing
from motionlift.video.sound import Sound
from motionlift.video.writing import companion, replacing, write_json

OF_ONE_RUN = ("command", "notices", "losses", "seconds", "passes", "phases", "peak_memory_bytes", "plan", "output")
"""What records say of one run alone: what it cost, which the cache lessens, and where it was written."""


@dataclass(frozen=True)
class Video:
    """A finished video and how it came about."""

    clip: Clip
    """The frames."""
    record: Mapping[str, Any]
    """Settings, versions, seconds, passes, memory and hashes, JSON-ready."""
    motion: Motion
    """The motion it was cast from, with the positions that this run optimised, if it did."""
    reference: Clip | None = None
    """The reference at the model's size, where the run began with one."""
    keyframes: Clip | None = None
    """The frames before the stages of a cascade, where there were any."""

    def __repr__(self) -> str:
        return f"Video({self._title()}, {self.clip!r})"

    def _repr_html_(self) -> str:
        """The video as notebooks show it: it plays."""
        return playing(self.clip, self._title())

    def _title(self) -> str:
        return f"{str(self.record.get('prompt', ''))!r}, seed {self.record.get('seed')}"

    def save(
        self, path: str | Path, added: Mapping[str, Any] | None = None, sound: Sound | None = None
    ) -> dict[str, Any]:
        """Write the video, and its record beside it: ``x.json`` of ``x.mp4``, ``x.gif.json`` of ``x.gif``.

        MP4, MOV and WebM also hold :func:`repeatable` of it, as their comment.

        Args:
            path: the file, or the folder; :meth:`motionlift.Clip.save` says which forms there are.
            added: what else the record is to say, such as the command; it comes first.
            sound: what is heard, in forms that have sound.

        Returns:
            The record as it was written.

        Raises:
            OutputError: one of them cannot be written, or would replace a file that this program did not write.
        """
        # Both are whole before either takes its place.
        with replacing(companion(path, ".json"), RECORD) as record, replacing(path, VIDEO) as video:
            told = {**(added or {}), **self.record}
            beside = Beside(marked_json(RECORD, repeatable(told)), sound)
            notices = write_video(video, self.clip.frames.numpy(), self.clip.fps, VIDEO, Path(path).suffix, beside)
            output = {"path": str(path), "sha256": hash_of(video).hex(), **({"notices": notices} if notices else {})}
            return write_json(record, RECORD, {**told, "output": output}, indent=2)


def repeatable(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what is another each time that the same is made again, so that the same run gives the same file."""
    return {name: value for name, value in record.items() if name not in OF_ONE_RUN}
