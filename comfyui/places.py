"""Files of ComfyUI's own folders, and nothing beyond them."""

import os
from pathlib import Path

import folder_paths

from motionlift.errors import InputError, OutputError
from motionlift.motion.file import SUFFIX
from motionlift.video.marks import MOTION

OUTPUT = " [output]"
"""What ComfyUI writes behind the name of a file that lies in its output folder."""


def motion_names() -> list[str]:
    """Motions in ComfyUI's input and output folders, as :func:`motion_at` takes them."""
    return [*_motions(folder_paths.get_input_directory(), ""), *_motions(folder_paths.get_output_directory(), OUTPUT)]


def motion_at(name: str) -> Path:
    """The file of a motion.

    Args:
        name: where it lies in the input folder, or with ``[output]`` behind it in the output folder.

    Raises:
        InputError: it leads out of these folders, or there is no such file.
    """
    lies, folder = _named(name)
    try:
        path = (folder / lies).resolve()
        inside = path.is_relative_to(folder.resolve())
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the motion {name[:100]!r} cannot be read ({_reason(error)}); choose one of the list"
        ) from error
    if not inside:
        raise InputError(
            f"the motion {name[:100]!r} leads out of ComfyUI's folders; put the file into its input folder"
        )
    if not there:
        raise InputError(
            f"there is no motion {name[:100]!r} in ComfyUI's input and output folders; press R to read the list again"
        )
    return path


def new_file(prefix: str, suffix: str = SUFFIX) -> tuple[Path, dict[str, str]]:
    """A place for a new file in ComfyUI's output folder, with a number as ComfyUI gives it.

    Args:
        prefix: folder and beginning of the name, such as ``motions/walk``.
        suffix: what the name ends in.

    Returns:
        The path, and what ComfyUI tells its page of it.

    Raises:
        OutputError: it leads out of the folder, or no file can be there.
    """
    output, prefix = Path(folder_paths.get_output_directory()).resolve(), prefix.strip()
    try:
        if output not in (output / prefix).resolve().parents:
            raise OutputError(
                f"filename_prefix is {prefix[:100]!r}, which names no file within ComfyUI's output folder; give one such as "
                "motions/walk"
            )
        folder, name, number, within, _ = folder_paths.get_save_image_path(prefix, str(output))
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(
            f"nothing can be written as {prefix[:100]!r} ({_reason(error)}); give another name"
        ) from error
    file = f"{name}_{number:05}_{suffix}"
    return Path(folder) / file, {"filename": file, "subfolder": within, "type": "output"}


def _reason(error: Exception) -> str:
    """What the system says of a path, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:100]


def _named(name: str) -> tuple[str, Path]:
    """A name without what ComfyUI writes behind it, and the folder that it lies in."""
    if name.endswith(OUTPUT):
        return name.removesuffix(OUTPUT), Path(folder_paths.get_output_directory())
    return name.removesuffix(" [input]"), Path(folder_paths.get_input_directory())


def _motions(folder: str, behind: str) -> list[str]:
    """Motions in a folder and those within it, by the names that they are chosen by."""
    found = [Path(root, name) for root, _, names in os.walk(folder) for name in names if name.lower().endswith(SUFFIX)]
    return [f"{path.relative_to(folder).as_posix()}{behind}" for path in sorted(found) if MOTION.wrote(path)]
