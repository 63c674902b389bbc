"""The notebooks run on the bundled model, cell after cell, and what ends a cell can be shown."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from lab.site.compose import cells_of
from tests.docs.pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_a_notebook_without_results(path: Path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, (kind, text) in enumerate(cells_of(path)):
        if kind == "code":
            _run(ast.parse(text, f"{path.name}:{number}"), names)


def _run(cell: ast.Module, names: dict[str, Any]) -> None:
    """As a notebook runs a cell: what its last line gives is shown, as a page or in words."""
    last = cell.body.pop() if isinstance(cell.body[-1], ast.Expr) else None
    exec(compile(cell, "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        assert value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)
