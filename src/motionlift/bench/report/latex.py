"""Tables for LaTeX."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from motionlift.video.marks import opened_by

FIRST = "% tables of a motionlift report; they need \\usepackage{booktabs,graphicx}"
"""First line of the file, by which it is known again."""
LATEX_KIND = opened_by("tables", ".tex", FIRST)
"""The file."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
"""What LaTeX takes for markup, and how it is written instead."""


@dataclass(frozen=True)
class Titled:
    """A table as text."""

    title: str
    """What it is of."""
    told: str
    """What is said before it, in sentences."""
    head: Sequence[str]
    """Titles of its columns."""
    rows: Sequence[Sequence[str]]
    """Its lines."""
    after: str = ""
    """What is said behind it, in sentences."""


def latex(told: str, parts: Iterable[Iterable[Titled]]) -> str:
    """All tables, each as a float as wide as the page at most, with its title and what is said of it as the caption.

    Args:
        told: what is said once of all, as a comment.
        parts: the tables of each section.
    """
    return "\n".join([FIRST, f"% {' '.join(told.split())}", *[_float(own) for part in parts for own in part]])


def _float(own: Titled) -> str:
    caption = escaped(" ".join(f"{text.rstrip('.')}." for text in (own.title, own.told, own.after) if text))
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (own.head, *own.rows)]
    return "\n".join(
        [
            "",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * (len(own.head) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text of one line that LaTeX takes for nothing else."""
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda found: SPECIAL[found[0]], " ".join(text.split()))
