"""Stores that let nobody in, at ``closed://bucket/clip.mp4``, and in which nobody is known, at ``unsigned://bucket/clip.mp4``."""

from typing import Any

import fsspec
from fsspec import AbstractFileSystem


class NoCredentialsError(Exception):
    """As botocore names it."""


class Closed(AbstractFileSystem):
    """Refuses whatever is asked of it."""

    protocol: str = "closed"
    reason: Exception = PermissionError("Access Denied")

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self.reason

    info = ls = cat_file = pipe_file = put_file = rm_file = _open = _refuse


class Unsigned(Closed):
    """Knows nobody, as a store of which no key is set."""

    protocol = "unsigned"
    reason = NoCredentialsError("Unable to locate credentials")


for kind in (Closed, Unsigned):
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
