"""Files that are given by their path: looked for before anything heavy is imported."""

import errno
import re
from pathlib import Path

from motionlift.core.meant import MOST, alike, asked
from motionlift.errors import InputError

ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)
"""How an address on the web begins, also where a path was made of it, which makes one slash of two. A letter alone is a drive."""
FOLDER = "/"
"""Stands for how the name of a folder ends."""
SHOWN = {
    *(
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".wmv",
        ".flv",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".3gp",
        ".ogv",
    ),
    *(".gif", ".webp", ".apng", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", FOLDER),
}
"""How videos, pictures, and folders of them end; one may be meant by another."""
RUNS = {".yaml", ".yml"}
"""How run files end."""
STANDARD_INPUT = "-"
"""What commands take for what is piped into them."""
MOST_BESIDE = 1000
"""Most names of a folder that are compared with one that is not there (ours)."""


def check_there(given: str | Path, wanted: str = "give a video file") -> None:
    """Refuse an address, what is not there, an empty file, and a device or a pipe, which may never end.

    Args:
        given: a path, as it was given.
        wanted: what to do instead.

    Raises:
        InputError: so it is; names beside it that are spelt alike are told.
    """
    check_no_address(given, wanted)
    path = Path(given)
    try:
        if not path.exists():
            raise InputError(f"{_absent(path, given)}; {wanted}")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{given} is empty; {wanted}")
        if not path.is_file() and not path.is_dir():
            raise InputError(f"{given} is not a regular file; {wanted}")
    except (OSError, ValueError) as error:
        raise InputError(f"{str(given)!r} cannot be read ({error}); {wanted}") from error


def address_in(given: str | Path) -> str | None:
    """The address that was given in the place of a path, with both of its slashes; none where it is a path."""
    found = ADDRESS.match(str(given))
    return None if found is None else f"{found[1]}://{str(given)[found.end() :]}"


def check_no_address(given: str | Path, wanted: str) -> None:
    """Refuse an address on the web.

    Raises:
        InputError: it is one.
    """
    address = address_in(given)
    if address is None:
        return
    scheme, _, rest = address.partition("://")
    if scheme.lower() == "file":
        raise InputError(f"{address} is an address; give the path alone: /{rest}")
    raise InputError(
        f"{address} is an address on the web, and nothing is fetched from there: download it, then {wanted}"
    )


def _absent(path: Path, given: str | Path) -> str:
    """What is said of a path at which nothing can be found: what it stands for, where its link leads, or what is spelt alike."""
    if str(given) == STANDARD_INPUT:
        return f"{given} stands for standard input, which is not read here"
    if path.is_symlink():
        try:
            path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                return f"{given} is a link that leads back to itself"
        return f"{given} is a link to {path.readlink()}, which does not exist"
    return f"{given} does not exist{asked(_beside(path))}"


def _beside(path: Path) -> list[str]:
    """Names in the folder in which a path would be that are spelt alike, and end alike or as what serves the same."""
    try:
        beside = [other for other, _ in zip(path.parent.iterdir(), range(MOST_BESIDE), strict=False)]
    except OSError:
        return []
    beside = [other for other in beside if _end_alike(path.suffix.lower(), other)]
    named: dict[str, list[str]] = {}
    for other in sorted(beside, key=lambda other: (other.suffix != path.suffix, other.name)):
        named.setdefault(other.stem, []).append(other.name)
    found = [name for stem in alike(path.stem, named) for name in named[stem]]
    return [name for name in found if Path(name).suffix == path.suffix] or found[:MOST]


def _end_alike(suffix: str, other: Path) -> bool:
    """Whether a file may be meant by a name that ends so: of none any, else one of the same kind, or that is spelt nearly so."""
    if not suffix or suffix == other.suffix.lower():
        return True
    own = other.suffix.lower() or (FOLDER if other.is_dir() else "")
    return any({suffix, own} <= kind for kind in (SHOWN, RUNS)) or (suffix not in SHOWN and bool(alike(suffix, [own])))
