"""What stands in the pages of README and docs as code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"


BLOCKS = [
    Block(str(page.relative_to(ROOT)), number, language, text)
    for page in PAGES
    for number, (language, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]
PROGRAMS = [block for block in BLOCKS if block.language == "python"]


def commands(block: Block) -> list[str]:
    """Lines of a console, those that go on joined, without prompts and comments."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    found = [re.sub(r"(^|\s)#.*", "", line.strip()).removeprefix("$ ").strip() for line in lines]
    return [line for line in found if line]
