"""Folders of a ComfyUI that is not there: the functions of its ``folder_paths`` that nodes call, written anew."""

import re
from pathlib import Path

base = Path()
"""Where its folders lie."""


def get_input_directory() -> str:
    return str(base / "input")


def get_output_directory() -> str:
    return str(base / "output")


def get_temp_directory() -> str:
    return str(base / "temp")


def get_folder_paths(kind: str) -> list[str]:
    return [str(base / "models" / kind)]


def get_annotated_filepath(name: str) -> str:
    """As the real one it lets a name lead anywhere."""
    for kind in ("input", "output", "temp"):
        if name.endswith(f" [{kind}]"):
            return str(base / kind / name.removesuffix(f" [{kind}]"))
    return str(base / "input" / name)


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Folder, name, number after the greatest that is there, folder within the output folder, and the prefix."""
    prefix = filename_prefix.replace("%width%", str(image_width)).replace("%height%", str(image_height))
    within, name = Path(prefix).parent, Path(prefix).name
    folder = Path(output_dir) / within
    if not folder.resolve().is_relative_to(Path(output_dir).resolve()):
        raise Exception(f"outside\nof {output_dir}")  # over several lines, as the real one does
    folder.mkdir(parents=True, exist_ok=True)
    found = [re.match(re.escape(name) + r"_(\d+)_", file.name) for file in folder.iterdir()]
    number = max((int(each[1]) for each in found if each), default=0) + 1
    return str(folder), name, number, str(within) if within.name else "", prefix
