"""Where a model is read from: a bundled one, a folder, or the Hugging Face hub and what of it is kept here."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.core.meant import meant
from motionlift.core.places import MOST_BESIDE
from motionlift.errors import ModelError
from motionlift.models.hub import HUB, UnansweredError, ask, hub_called, in_log

BUNDLED = Path(__file__).resolve().parents[1] / "world" / "weights"
"""Folder of the models that come with the package."""
BUNDLED_MODELS = ("tiny-wan", "tiny-dit", "tiny-unet")
DEFAULT_MODEL = "tiny-wan"
"""The model that is taken where none is named."""
INDEX = "model_index.json"
"""File by which a folder is known as a diffusers pipeline."""
ADAPTER = "config.json"
"""File that every motion adapter has."""
MOST_INDEX = 2**20
"""Largest index that is read, bytes (ours: published ones have a few hundred)."""
REFUSALS = {
    401: "does not take the token that it is shown (401): log in again with hf auth login, or unset HF_TOKEN",
    403: "refuses you (403): the token lacks permission; give one that may read it, in HF_TOKEN or by hf auth login",
    429: "has had too many requests from here (429): wait some minutes, or log in with hf auth login",
}
"""What the hub means by the status of an answer, and what to do."""
ON_HUB = re.compile(r"https?://(?:huggingface\.co|hf\.co|hf-mirror\.com)/([\w.-]+/[\w.-]+)", re.IGNORECASE)
"""The page of a model on the hub, and the model's name in it."""

PATH = re.compile(r"(?!\w\w+://)(?:[/~.\\]|[A-Za-z]:[/\\]|[^/]*/[^/]*/)")
"""How a name begins that can only be a folder's."""
GIVE_ADAPTER = "give the folder of a motion adapter, or a hub name such as guoyww/animatediff-motion-adapter-v1-5-3"
"""What may stand behind the plus."""

HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a model of somebody is called on the hub."""


@dataclass(frozen=True)
class Source:
    """Where a model is read from."""

    name: str
    """What it was called."""
    place: str
    """A folder, or a name on the hub."""
    pipeline: str
    """Name of the pipeline class that it was saved with."""
    index: dict[str, Any]
    """Its index: for each part, library and class."""
    is_local: bool
    """Whether all is read from here: a folder, or the hub's cache where there is no network."""


def found(name: str) -> Source:
    """A model by its name.

    Raises:
        ModelError: there is none; for a name on the hub, whether it is unknown, gated, or not kept here while there is no network.
    """
    folder = _folder(name)
    if folder is not None:
        return _indexed(name, str(folder), folder / INDEX, is_local=True)
    return _on_hub(name)


def check_name(name: str) -> None:
    """Refuse a name that can be no model's; the hub is not asked.

    Raises:
        ModelError: so it is.
    """
    base, plus, adapter = name.partition("+")
    joined = bool(plus and adapter.strip()) and not _is_there(name)
    _folder(base if joined else name)


def check_given(name: str) -> None:
    """Refuse all but bundled models and what the hub gives: one who asks learns nothing of the folders of this machine.

    Raises:
        ModelError: so it is, in the same words whatever lies here.
    """
    base, plus, adapter = name.partition("+")
    is_given = (base in BUNDLED_MODELS or _is_given(base, INDEX)) and (not plus or _is_given(adapter, ADAPTER))
    # Last, since only names of the hub may lead to a look at what is here: a folder would be read in their place.
    if not is_given or any(_is_there(own) for own in {base, adapter, name} - {"", *BUNDLED_MODELS}):
        raise ModelError(
            f"model {name[:200]!r} is not to be had on this page; allowed: {', '.join(BUNDLED_MODELS)}, and what the hub gives "
            "everybody, such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
        )


def _is_given(name: str, file: str) -> bool:
    """Whether a name is one of the hub's, and the file of that model is kept here, or the hub gives the model."""
    from huggingface_hub import errors, try_to_load_from_cache

    if HUB_NAME.fullmatch(name) is None:
        return False
    try:
        if isinstance(try_to_load_from_cache(name, file), str):
            return True
        ask(name)
    except (errors.HTTPError, OSError, ValueError, RuntimeError):
        return False
    return True


def check_had(name: str, tell: Callable[[str], None] = in_log) -> None:
    """Refuse a model of which nothing is kept here and which the hub does not give; of one that is kept the hub is not asked.

    Args:
        name: the model.
        tell: is called with a line where the hub is slow.

    Raises:
        ModelError: so it is.
    """
    base, _, adapter = (name, "", "") if _is_there(name) else name.partition("+")
    if _folder(base) is None and _kept_index(base) is None:
        _on_hub(base, tell)
    if adapter.strip():
        _check_adapter(adapter, tell)


def _check_adapter(name: str, tell: Callable[[str], None]) -> None:
    """Refuse a motion adapter that is neither here nor on the hub; of one that is kept the hub is not asked.

    Raises:
        ModelError: so it is.
    """
    from huggingface_hub import errors, try_to_load_from_cache

    if _is_there(name):
        if not (Path(name).expanduser() / ADAPTER).is_file():
            raise ModelError(f"the motion adapter {name[:200]!r} is there, but holds no {ADAPTER}; {GIVE_ADAPTER}")
        return
    if HUB_NAME.fullmatch(name) is None:
        why = ": there is no such folder" if PATH.match(name) else ""
        raise ModelError(f"the motion adapter {name[:200]!r} is not to be had{why}; {GIVE_ADAPTER}")
    if isinstance(try_to_load_from_cache(name, ADAPTER), str):
        return
    try:
        ask(name, tell)
    except errors.GatedRepoError as error:
        raise _gated(name) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"the motion adapter {name!r} is unknown to {hub_called()}, or private; check the name, or log in with: hf auth login"
        ) from error
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the motion adapter {name!r} is not kept on this machine, and {_why_nothing(error)}; without the hub {GIVE_ADAPTER}"
        ) from error


def joined_sources(name: str) -> tuple[Source, str | None]:
    """A model by its name, and where a motion adapter is whose name follows a plus.

    Raises:
        ModelError: as :func:`found`.
    """
    base, plus, adapter = name.partition("+")
    if not plus or _is_there(name):
        return found(name), None
    if not adapter.strip():
        raise ModelError(
            f"model {name[:200]!r} ends in a plus; name the motion adapter after it, or leave the plus out"
        )
    folder = str(Path(adapter).expanduser()) if _is_there(adapter) else adapter
    return found(base), folder


def _is_there(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _folder(name: str) -> Path | None:
    """The folder that holds a pipeline; none where a name may be one on the hub."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        folder = BUNDLED / name if name in BUNDLED_MODELS else Path(name).expanduser()
        if (folder / INDEX).is_file():
            return folder
        there = folder.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise _nowhere(name) from error
    if there:
        raise ModelError(
            f"model {name[:200]!r} is there, but holds no diffusers pipeline (no {INDEX}); allowed: {_allowed()}"
        )
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise _nowhere(name) from error
    if name in BUNDLED_MODELS or "/" not in name:
        raise _nowhere(name)
    return None


def _indexed(name: str, place: str, index: Path, is_local: bool) -> Source:
    """A source whose index is a file here."""
    try:
        if index.stat().st_size > MOST_INDEX:
            raise ValueError("it is too large")
        told = json.loads(index.read_text(encoding="utf-8"))
        kind = told["_class_name"]
        if not isinstance(kind, str):
            raise ValueError("it names no class")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the {INDEX} of model {name[:200]!r} cannot be read ({reason}); allowed: {_allowed()}"
        ) from error
    return Source(name, place, kind, told, is_local)


def read_config(source: Source, part: str) -> Mapping[str, Any]:
    """The configuration of a part, without its weights; nothing where it cannot be read: reading the part says why."""
    import diffusers

    try:
        maker = getattr(diffusers, source.index[part][1])
        told = maker.load_config(source.place, subfolder=part, local_files_only=source.is_local)
        return told if isinstance(told, Mapping) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def _on_hub(name: str, tell: Callable[[str], None] = in_log) -> Source:
    """A model on the hub; where the hub does not answer, or lets nobody in, what is kept here of it.

    Raises:
        ModelError: it is unknown, gated, switched off, no pipeline, or not kept here while the hub gives nothing.
    """
    from huggingface_hub import errors, hf_hub_download

    kept = _kept_index(name)
    try:
        ask(name, tell, waits=kept is None or not any(kept.parent.rglob("*.safetensors")))
    except errors.GatedRepoError as error:
        if kept is None:
            raise _gated(name) from error
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        return _indexed(name, name, _kept_though(name, kept, error), is_local=True)
    try:
        index = Path(hf_hub_download(name, INDEX))
    except (errors.HTTPError, errors.EntryNotFoundError, OSError, ValueError, RuntimeError) as error:
        return _indexed(name, name, _kept_though(name, kept, error), is_local=True)
    return _indexed(name, name, index, is_local=False)


def _kept_though(name: str, kept: Path | None, error: Exception) -> Path:
    """The index that is kept here although the hub gives none.

    Raises:
        ModelError: none is kept, or the hub says that there is no such model.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        raise _gated(name) from error
    if isinstance(error, errors.RepositoryNotFoundError):
        raise ModelError(
            f"model {name!r} is unknown to {hub_called()}, or private; check the name, or log in with: hf auth login"
        ) from error
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        raise ModelError(
            f"model {name!r} is on {hub_called()}, but is no diffusers pipeline (no {INDEX}); many models have such a form under a "
            "name that ends in -Diffusers"
        ) from error
    if kept is None:
        raise ModelError(
            f"model {name!r} is not kept on this machine, and {_why_nothing(error)}; without the hub there are a folder of a "
            f"pipeline, {' and '.join(BUNDLED_MODELS)}"
        ) from error
    return kept


def _why_nothing(error: Exception) -> str:
    """Why the hub gives nothing of any model, and what to do."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "the hub is switched off (HF_HUB_OFFLINE): unset that"
    if isinstance(error, errors.DisabledRepoError):
        return f"{hub_called()} has switched it off: take another"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSALS:
        return f"{hub_called()} {REFUSALS[status]}"
    if isinstance(status, int) and status >= 500:
        return f"{hub_called()} has a fault of its own ({status}): try again later"
    if isinstance(error, UnansweredError):
        return str(error)
    return f"{hub_called()} does not answer: there may be no network; connect"


def _kept_index(name: str) -> Path | None:
    """The index of a model in the hub's cache on this machine."""
    from huggingface_hub import try_to_load_from_cache

    kept = try_to_load_from_cache(name, INDEX)
    return Path(kept) if isinstance(kept, str) else None


def kept_folder(source: Source) -> Path | None:
    """The folder that holds what is here of a model; None where nothing of it is."""
    if Path(source.place).is_dir():
        return Path(source.place)
    index = _kept_index(source.place)
    return None if index is None else index.parent


def _gated(name: str) -> ModelError:
    return ModelError(f"model {name!r} is gated: accept its terms on {HUB}/{name}, then log in with: hf auth login")


def _nowhere(name: str) -> ModelError:
    if PATH.match(name):
        return ModelError(f"model {name[:200]!r} is not to be had: there is no such folder; allowed: {_allowed()}")
    on_hub = ON_HUB.match(name)
    told = f" (did you mean {on_hub[1]}?)" if on_hub else meant(name, (*BUNDLED_MODELS, *_folders_beside()))
    return ModelError(f"model {name[:200]!r} is not to be had{told}; allowed: {_allowed()}")


def _folders_beside() -> list[str]:
    """Folders here that hold a pipeline, as far as the first few are looked at."""
    try:
        beside = [path for path, _ in zip(Path().iterdir(), range(MOST_BESIDE), strict=False)]
        return [path.name for path in beside if (path / INDEX).is_file()]
    except OSError:
        return []


def _allowed() -> str:
    return f"{', '.join(BUNDLED_MODELS)}, a folder of a diffusers pipeline, or a hub name such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
