"""Docstrings name what they speak of as Sphinx does, ``:class:`motionlift.Clip```: for the site the last name stands, as code."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":\w+:`~?([\w.]+)`")


class Roles(Extension):
    """The extension of griffe that reads docstrings so."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Of every object."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", obj.docstring.value)
