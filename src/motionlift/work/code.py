"""Which code made something: a hash that changes when the code of a method, or of what runs it, does.

A kept motion or a measured cell is only as good as the code behind it. The version of the library tells releases apart and not
the edits between them. What is said about code, in comments and docstrings, does not run and does not count.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.resources import files

SHARED = ("core", "signals", "loops", "models")
"""Folders whose files every method and every model runs through; folders within them do not count."""
READING = (
    *(
        "video/animated.py",
        "video/clock.py",
        "video/colour.py",
        "video/decoding.py",
        "video/dynamic_range.py",
        "video/fitting.py",
    ),
    *(
        "video/flattening.py",
        "video/folder.py",
        "video/interlaced.py",
        "video/layers.py",
        "video/moment.py",
        "video/part.py",
        "video/pixels.py",
        "video/reading.py",
        "video/series.py",
        "video/transparency.py",
    ),
)
"""Files that decide which frames of a video a method sees, and in which colours."""
METHODS, SETTINGS, FAMILIES = "methods", "settings", "models/families"
"""Folders of which one file alone counts, with those beside it that it imports; it bears the name of the method or family."""
DIGITS = 16
"""Length of the hash in hexadecimal digits (ours: 64 bits, for at most some thousands of states of the code)."""


@cache
def code_of(method: str, family: str) -> str:
    """Hash of the sources that a method runs through on a family of models, and of PyTorch's version.

    The files are read once in a process, as Python itself does.

    Args:
        method: name of the method.
        family: name of the model's family. One that is written outside the library has no file here, so that its own code does
            not count.

    Returns:
        :data:`DIGITS` hexadecimal digits.
    """
    paths = {path for folder in SHARED for path in _modules(folder)} | set(READING)
    paths |= _with_imports(METHODS, method) | _with_imports(SETTINGS, method) | _with_imports(FAMILIES, family)
    hashed = hashlib.sha256(metadata.version("torch").encode())
    for path in sorted(paths):
        source = hashlib.sha256(_running(_source(path)).encode()).hexdigest()
        hashed.update(f"\n{path} {source}".encode())
    return hashed.hexdigest()[:DIGITS]


def _source(path: str) -> bytes:
    """A file of the package, wherever it is installed."""
    return files("motionlift").joinpath(path).read_bytes()


@cache
def _running(source: bytes) -> str:
    """The words of a source that run: without comments, blank lines, and texts that stand alone, as docstrings do."""
    alone = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    words = tokenize.tokenize(io.BytesIO(source).readline)
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING)
    return "\n".join(
        word.string
        for word in words
        if word.type not in silent and not (word.type == tokenize.STRING and word.start in alone)
    )


def _modules(folder: str) -> list[str]:
    """The Python files of a folder of the package."""
    return [
        f"{folder}/{entry.name}"
        for entry in files("motionlift").joinpath(folder).iterdir()
        if entry.is_file() and entry.name.endswith(".py")
    ]


def _with_imports(folder: str, name: str) -> set[str]:
    """The file of a name in a folder, and those beside it that it imports, and so on; none where there is no such file."""
    beside = set(_modules(folder))
    found: set[str] = set()
    waiting = {f"{folder}/{name}.py"} & beside
    while waiting:
        path = waiting.pop()
        found.add(path)
        imported = {f"{own.replace('.', '/')}.py" for own in _imported(_source(path))}
        waiting |= (imported & beside) - found
    return found


def _imported(source: bytes) -> Iterator[str]:
    """Names of the modules of this package that a source imports, without the package's own; and of what it takes out of them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
        else:
            continue
        yield from (name.removeprefix("motionlift.") for name in names if name.startswith("motionlift."))
