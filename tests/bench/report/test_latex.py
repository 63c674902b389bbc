"""Tables for LaTeX."""

import pytest

from motionlift.bench.report.latex import FIRST, Titled, escaped, latex


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("50 % & more", r"50 \% \& more"),
        ("read_flow #1 {a}", r"read\_flow \#1 \{a\}"),
        (r"a\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("one\ntwo", "one two"),
        ("$x < y$", r"\$x \textless{} y\$"),
    ],
)
def test_nothing_in_a_text_is_markup(text: str, written: str):
    assert escaped(text) == written


def test_a_table():
    text = latex(
        "told\nonce", [[Titled("smm_1", "In %.", ["method", "error"], [["none", "0.3 (0.1 to 0.5)"]], "Bad.")]]
    )
    lines = text.splitlines()
    assert lines[0] == FIRST and lines[1] == "% told once"
    assert r"\caption{smm\_1. In \%. Bad.}" in lines
    assert lines[lines.index(r"\midrule") + 1] == r"none & 0.3 (0.1 to 0.5) \\"
