"""The source of the site: ``python -m lab.site.compose build/site-source`` puts it together, for zensical to build.

Pages of ``docs`` are taken as they are. What stands in them as a comment, ``<!-- figures: ditflow -->``, is filled from records,
from the command line or from the code (:mod:`lab.site.filling`); formulas become MathML, so that nothing is fetched to show them;
and what is linked outside of ``docs`` comes along as a page or a file below ``repository/``.
"""

import json
import os
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from latex2mathml.converter import convert

from lab.site.filling import filled
from lab.site.reference import command_page, python_page

ROOT = Path(__file__).parents[2]
DOCS = PurePosixPath("docs")
OUTSIDE = PurePosixPath("repository")
"""Folder of the site for what lies outside of docs."""
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))|(?<= src=\")([^\"]+)(?=\")")
"""Targets of Markdown links and pictures, and of players."""
FENCED = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
"""Code, in which nothing is a link."""
FORMULA, WITHIN = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL), re.compile(r"\$`(.+?)`\$")
"""Formulas as GitHub shows them: by themselves, and within a line."""
SHOWN = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".json": "json", ".cff": "yaml", "": "text"}
"""Files that become pages, by the language that they are coloured as; others are copied."""


class Site:
    """Pages and files on their way to a folder."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._waiting: list[PurePosixPath] = []
        self._placed: dict[PurePosixPath, PurePosixPath] = {}

    def write(self) -> None:
        """All of docs, the pages that are generated, and what they link to.

        Raises:
            ValueError: a link leads nowhere, or a comment asks for what there is not.
        """
        for path in sorted((ROOT / DOCS).rglob("*")):
            if path.suffix in (".md", ".ipynb", ".css"):
                self._place(PurePosixPath(path.relative_to(ROOT).as_posix()))
        while self._waiting:
            source = self._waiting.pop()
            self._written(source, self._placed[source])
        self._into.joinpath("commands.md").write_text(command_page(), encoding="utf-8")
        self._into.joinpath("reference.md").write_text(python_page(), encoding="utf-8")

    def _place(self, source: PurePosixPath) -> PurePosixPath:
        """Where a file of the repository lies in the site; it is written in its turn."""
        if source not in self._placed:
            place = source.relative_to(DOCS) if source.is_relative_to(DOCS) else OUTSIDE / source
            shown = place.suffix == ".ipynb" or (place.suffix in SHOWN and not source.is_relative_to(DOCS))
            self._placed[source] = PurePosixPath(f"{place}.md") if shown else place
            self._waiting.append(source)
        return self._placed[source]

    def _written(self, source: PurePosixPath, place: PurePosixPath) -> None:
        path, target = ROOT / source, self._into / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".ipynb":
            shutil.copyfile(path, target.with_suffix(""))
            target.write_text(self._linked(notebook_page(path), source, place), encoding="utf-8")
        elif source.suffix == ".md":
            text = filled(path.read_text(encoding="utf-8"), source)
            target.write_text(mathematical(self._linked(text, source, place)), encoding="utf-8")
        elif place.suffix == ".md":
            code = path.read_text(encoding="utf-8")
            target.write_text(f"# `{source}`\n\n````{SHOWN[source.suffix]}\n{code}````\n", encoding="utf-8")
        else:
            shutil.copyfile(path, target)

    def _linked(self, text: str, source: PurePosixPath, place: PurePosixPath) -> str:
        """The page with its links as they are in the site."""

        def link(found: re.Match[str]) -> str:
            target, mark, anchor = found[0].partition("#")
            if "://" in target or target.startswith("mailto:") or not target:
                return found[0]
            if found[0] in ("commands.md", "reference.md") or target in ("../commands.md", "../reference.md"):
                return found[0]
            at = PurePosixPath(posixpath.normpath(source.parent / target))
            at = at / "README.md" if (ROOT / at).is_dir() else at
            if not (ROOT / at).is_file():
                raise ValueError(f"{source}: the link {found[0]!r} leads nowhere")
            return os.path.relpath(self._place(at), place.parent).replace(os.sep, "/") + mark + anchor

        parts = FENCED.split(text)
        return "".join(part if number % 2 else LINK.sub(link, part) for number, part in enumerate(parts))


def mathematical(text: str) -> str:
    """A page whose formulas are MathML."""

    def alone(found: re.Match[str]) -> str:
        parts = " ".join(found[1].split()).split("\\qquad")
        return f'<div class="formula">{"".join(convert(part, display="block") for part in parts)}</div>'

    def within(found: re.Match[str]) -> str:
        return f"<span>{convert(found[1])}</span>"  # within a line to Markdown, wherever the line begins

    return WITHIN.sub(within, FORMULA.sub(alone, text))


def notebook_page(path: Path) -> str:
    """A notebook as a page: its text and code, and a link to itself."""
    cells = list(cells_of(path))
    head, *rest = [text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells]
    get = f'<a href="{path.name}" download>Get this notebook</a> to run it where motionlift is installed.'
    return "\n\n".join([head, get, *rest]) + "\n"


def cells_of(path: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of each cell of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield cell["cell_type"], "".join(cell["source"])


def main() -> None:
    """Write the site's source into the folder that is named, which is emptied first."""
    into = Path(sys.argv[1])
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    Site(into).write()


if __name__ == "__main__":
    main()
