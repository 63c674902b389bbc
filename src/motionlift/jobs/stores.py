"""Inputs and outputs in stores: a place is a local path, or an address such as ``s3://bucket/clip.mp4``, by fsspec.

What is read is kept on the machine, once for all its processes. What is written is there whole or not at all: where a store
renames at once, it is written under another name first; elsewhere a small file beside it, the marker, is written last, and says
what is whole. What a process that was killed left under such a name goes with the next write in its folder, as it does here
(:mod:`motionlift.video.writing`).
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import fsspec
import psutil
from fsspec.core import url_to_fs

from motionlift.core.places import address_in
from motionlift.errors import InputError, MotionliftError, OutputError, SettingError
from motionlift.motion.lock import held
from motionlift.video.writing import STALE_AFTER, TEMPORARY, machine

RENAMING = ("file", "local", "sftp", "ssh", "hdfs", "webhdfs", "arrow_hdfs")
"""Stores where a file takes another's place at once. Of the others most copy and delete: what is half copied has the name."""
DONE = ".done"
"""How a marker's name ends, after the name of what it is about."""
TRIAL = ".motionlift-trial.tmp"
"""How the name ends of the file by which is tried whether a store can be written, where nothing is renamed. It is always the same:
what a run left that was killed goes with the next, and two that try at once do not mind each other."""
MOST_BYTES = 8 * 2**30
"""Most bytes of a file that is read (ours: as of a motion file)."""
MOST_MARKER = 4096
"""Most bytes of a marker (ours: one has a tenth of it)."""
AT_ONCE = 2**20
"""Bytes that are read at once (ours)."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Seconds between tries, where a store fails (ours: a step of a store that fails every third time is given up once in 6,561)."""
FINAL = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    ValueError,
    NotImplementedError,
)
"""What another try does not change."""
NO_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "ProfileNotFound",
)
"""Errors of the libraries behind stores (botocore, google-auth) that say the same."""
VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "content_md5",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "created",
)
"""By which stores tell one content of a name from another."""

MOST_TOLD = 200
"""Most characters of a store's own words that are told (ours)."""

Result = TypeVar("Result")


def is_address(place: str | Path) -> bool:
    """Whether a place is in a store; else it is a path here."""
    return address_in(place) is not None or ("::" in str(place) and "://" in str(place))


def check_address(place: str) -> None:
    """Refuse what is no address of a store.

    Raises:
        SettingError: so it is.
    """
    if not is_address(place):
        raise SettingError(
            f"the store is {place[:80]!r}; give an address such as s3://bucket/night or gs://bucket/night"
        )


def fetched(place: str | Path, cache: Path, most: int = MOST_BYTES) -> Path:
    """The local file with what is at a place; read once on each machine, whoever asks.

    Args:
        place: a path, which is given back, or an address.
        cache: folder of this machine in which is kept what was read.
        most: most bytes that are read.

    Raises:
        InputError: it is not there, is too large, or the store cannot be read, at last or at all.
        OutputError: the folder cannot be written.
    """
    if not is_address(place):
        return Path(place)
    told = str(place)
    store, path = _store(told, InputError)

    def read() -> Path:
        about = _about(store, path)
        size = about.get("size")
        if size is not None and size > most:
            raise InputError(f"{told} has {size} bytes; at most {most} are read")
        folder = cache / hashlib.sha256(f"{told}\n{_version(about)}".encode()).hexdigest()
        kept = folder / PurePosixPath(path).name
        if kept.exists():
            return kept
        with held(folder, wait=True):
            if not kept.exists():
                part = folder / "part"  # of a process that was killed, too: the lock says that nobody writes it
                _read(store, path, part, most, told)
                if _version(_about(store, path)) != _version(about) or size not in (None, part.stat().st_size):
                    raise OSError("it changed while it was read")
                with _here(part):
                    os.replace(part, kept)
        return kept

    return _tried(read, InputError, f"cannot read {told}")


def version_of(place: str | Path) -> str:
    """By what the store tells the content of an address from what was there before.

    Raises:
        InputError: nothing is there, or the store cannot be read.
    """
    store, path = _store(str(place), InputError)
    return _tried(lambda: _version(_about(store, path)), InputError, f"cannot read {place}")


def deliver(local: Path, place: str | Path) -> None:
    """Put a finished local file at a place, whole or not at all.

    Args:
        local: the file; it stays.
        place: a path or an address; what is there is replaced.

    Raises:
        OutputError: the store cannot be written, at last or at all.
    """
    told = str(place) if is_address(place) else Path(place).absolute().as_uri()
    store, path = _store(told, OutputError)
    wanted = f"cannot write {place}"

    def taking_its_place() -> None:
        with _beside(store, path) as beside:
            _put(store, local, beside)
            store.mv(beside, path)

    def unmarked() -> None:
        _remove(store, path + DONE)  # from now on, what is there is not whole
        _put(store, local, path)

    def marked() -> None:
        marker = {"size": local.stat().st_size, "version": _version(_about(store, path))}
        store.pipe_file(path + DONE, json.dumps(marker).encode())

    for step in (taking_its_place,) if _renames(store) else (unmarked, marked):
        _tried(step, OutputError, wanted)


def withdraw(place: str | Path) -> None:
    """Let what is at a place no longer count as whole; where a store renames, which has no marker, it goes.

    Raises:
        OutputError: the store cannot be written, at last or at all.
    """
    store, path = _store(str(place), OutputError)
    _tried(lambda: _remove(store, path if _renames(store) else path + DONE), OutputError, f"cannot write {place}")


def exists(place: str | Path) -> bool:
    """Whether there is a whole output at a place.

    Raises:
        OutputError: the store cannot be read.
    """
    if not is_address(place):
        return Path(place).is_file()
    store, path = _store(str(place), OutputError)

    def found() -> bool:
        try:
            about = _about(store, path)
            if _renames(store):
                return about.get("type") == "file"
            return _is_marked(store.cat_file(path + DONE, start=0, end=MOST_MARKER), about)
        except FileNotFoundError:
            return False

    return _tried(found, OutputError, f"cannot look at {place}")


class Shelves:
    """Which outputs are whole in the folders of stores; each folder is listed once, and its markers are read together."""

    def __init__(self) -> None:
        """No folder is listed yet."""
        self._whole: dict[str, dict[str, bool]] = {}

    def hold(self, place: str) -> bool:
        """Whether there was a whole output at an address when its folder was listed.

        Raises:
            OutputError: the store cannot be read.
        """
        store, path = _store(place, OutputError)
        folder, _, name = path.rpartition("/")
        told = place.removesuffix(name)  # a path alone does not say of which store
        if told not in self._whole:
            self._whole[told] = _tried(lambda: _listed(store, folder), OutputError, f"cannot look at {place}")
        listed = self._whole[told]
        if (
            name in listed and not listed[name]
        ):  # its marker may say otherwise than a listing what a store says of one file
            listed[name] = exists(place)
        return listed.get(name, False)


def _listed(store: Any, folder: str) -> dict[str, bool]:
    """The files of a folder that are whole, as far as a listing tells, by name; False of those that are to be asked about."""
    store.invalidate_cache()
    try:
        entries = store.ls(folder, detail=True)
    except FileNotFoundError:
        return {}
    files = {PurePosixPath(about["name"]).name: about for about in entries if about.get("type") == "file"}
    if _renames(store):
        return dict.fromkeys(files, True)
    marked = [name for name in files if name + DONE in files]
    paths, most = [f"{folder}/{name}{DONE}" for name in marked], [MOST_MARKER] * len(marked)
    markers = store.cat_ranges(paths, [0] * len(marked), most, on_error="return") if marked else []
    return {name: _is_marked(marker, files[name]) for name, marker in zip(marked, markers, strict=True)}


def _is_marked(marker: bytes | Exception, about: Mapping[str, Any]) -> bool:
    """Whether a marker, as it was read, is of what a store says of a file."""
    try:
        told = json.loads(marker) if isinstance(marker, bytes) else None
    except ValueError:
        return False
    return isinstance(told, dict) and (told.get("size"), told.get("version")) == (about.get("size"), _version(about))


def check_store(place: str | Path) -> None:
    """Make sure, before long work, that a store can be written beside a place, by a small file that is removed again.

    Raises:
        OutputError: it cannot.
    """
    if not is_address(place):
        return
    store, path = _store(str(place), OutputError)

    def written() -> None:
        with _beside(store, path) if _renames(store) else contextlib.nullcontext(path + TRIAL) as trial:
            store.pipe_file(trial, b"motionlift")
            _remove(store, trial)

    _tried(written, OutputError, f"cannot write {place}")


# Stores


def _store(address: str, kind: type[MotionliftError]) -> tuple[Any, str]:
    """The store of an address, and the path in it."""
    address = address if "://" in address else address_in(address) or address
    scheme = address.partition("://")[0].lower()
    if "::" in address:
        raise kind(f"{address} is an address through another; give that of the store itself")
    try:
        store, path = url_to_fs(address)
    except ImportError as error:
        raise kind(f"{scheme}:// needs a package more ({_line(error)})") from error
    except ValueError as error:
        if scheme not in fsspec.available_protocols():
            raise kind(
                f"{address}: there is no kind of store called {scheme!r}; give s3://, gs:// or another of fsspec's"
            ) from error
        raise kind(f"{address} is no address of a store ({_line(error)})") from error
    except Exception as error:
        raise _refused(error, kind, f"cannot use {address}") from error
    if not PurePosixPath(path).name:
        raise kind(f"{address} names no file in the store")
    return store, path


def _renames(store: Any) -> bool:
    names = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    return any(name in RENAMING for name in names)


@contextlib.contextmanager
def _beside(store: Any, path: str) -> Iterator[str]:
    """A name for a file until it is whole, in its folder, which is made if need be; nothing stays there where writing fails."""
    folder = store._parent(path)
    store.makedirs(folder, exist_ok=True)
    _clean_once(store, folder)
    temporary = f"{folder.rstrip('/')}/.motionlift-{machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(Exception):
            store.rm_file(temporary)
        raise


@functools.lru_cache(maxsize=1024)
def _clean_once(store: Any, folder: str) -> None:
    """Remove what was left in a folder, the first time that this process writes there; what cannot be looked at stays."""
    with contextlib.suppress(Exception):  # each library behind a store has errors of its own
        store.invalidate_cache()
        for path in store.ls(folder, detail=False):
            named = TEMPORARY.fullmatch(PurePosixPath(path).name)
            if named is not None:
                with contextlib.suppress(Exception):
                    if _is_left(store, path, named):
                        store.rm_file(path)


def _is_left(store: Any, path: str, named: re.Match[str]) -> bool:
    """Whether nobody writes a file any more: its process is gone, or it has not changed for long."""
    about = store.info(path)
    if about.get("type") != "file" or about.get("islink"):
        return False
    if named["machine"] == machine() and not _is_running(int(named["process"])):
        return True
    changed = store.modified(path)
    changed = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
    return (datetime.now(UTC) - changed).total_seconds() > STALE_AFTER


def _is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _about(store: Any, path: str) -> Mapping[str, Any]:
    """What a store says of a file now."""
    store.invalidate_cache()
    return store.info(path)


def _version(about: Mapping[str, Any]) -> str:
    """What tells this content of a name from another."""
    return "\n".join([f"size={about.get('size')}", *(f"{name}={about[name]}" for name in VERSIONS if name in about)])


def _read(store: Any, path: str, target: Path, most: int, told: str) -> None:
    left = most
    with store.open(path, "rb") as source:
        with _here(target):
            file = target.open("wb", buffering=0)
        with file:
            while part := source.read(AT_ONCE):
                left -= len(part)
                if left < 0:
                    raise InputError(f"{told} has more than {most} bytes; at most so many are read")
                with _here(target):
                    file.write(part)


@contextlib.contextmanager
def _here(place: Path) -> Iterator[None]:
    """What this machine's own disk refuses is no fault of the store, and no other try changes it.

    Raises:
        OutputError: so it did.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {place}: {error.strerror or error}; free space, or give another folder"
        ) from error


def text_of(place: str, most: int) -> str | None:
    """A text at an address, as far as ``most`` bytes; None where nothing is there.

    Raises:
        OutputError: the store cannot be read.
    """
    store, path = _store(place, OutputError)

    def read() -> str | None:
        try:
            store.invalidate_cache()
            return store.cat_file(path, start=0, end=most).decode(errors="replace")
        except FileNotFoundError:
            return None

    return _tried(read, OutputError, f"cannot read {place}")


def _put(store: Any, local: Path, path: str) -> None:
    """Write a file; looked at after, since not every store tells that it wrote half."""
    store.put_file(str(local), path)
    if (size := _about(store, path).get("size")) not in (None, local.stat().st_size):
        raise OSError(f"{size} bytes of {local.stat().st_size} arrived")


def _remove(store: Any, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        store.rm_file(path)


# Tries


def _tried(action: Callable[[], Result], kind: type[MotionliftError], wanted: str) -> Result:
    """Do something that may fail now and then, a few times with growing waits.

    Raises:
        MotionliftError: of the kind that is given: it failed every time, or as another try does not change.
    """
    for wait in (*WAITS, None):
        try:
            return action()
        except MotionliftError:
            raise
        except Exception as error:  # each library behind a store has errors of its own
            if wait is None or isinstance(error, FINAL) or _no_credentials(error):
                raise _refused(error, kind, wanted) from error
        time.sleep(wait)
    raise AssertionError


def _no_credentials(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ in NO_CREDENTIALS:
            return True
        error = error.__cause__ or error.__context__
    return False


def _refused(error: Exception, kind: type[MotionliftError], wanted: str) -> MotionliftError:
    """Why a store did not do something, for a person."""
    if _no_credentials(error):
        return kind(f"{wanted}: there are no credentials for this store; set them as its own tools want them")
    if isinstance(error, FileNotFoundError):
        return kind(f"{wanted}: it is not there")
    if isinstance(error, NotImplementedError):
        return kind(f"{wanted}: this kind of store cannot do that")
    if isinstance(error, PermissionError):
        return kind(f"{wanted}: the store does not allow it ({_line(error)})")
    return kind(f"{wanted}: {type(error).__name__}: {_line(error)}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:MOST_TOLD]
