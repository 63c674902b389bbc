"""A ComfyUI that is not there, with the nodes in it."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.work.trials import a_clip

PACK = Path(__file__).parents[2] / "comfyui"
STANDIN = Path(__file__).parent / "standin"
PICTURED = "Wan2.2-TI2V-5B-Diffusers"
"""The model that the workflow with a picture names."""
OURS = ("folder_paths", "comfy", "core_nodes", "graph", "custom_nodes_motionlift")


@dataclass(frozen=True)
class Comfy:
    """What tests use of it."""

    base: Path
    """Where its folders lie."""
    pack: ModuleType
    """The nodes, as it loads them."""
    graph: Any
    """What it does with workflows."""
    management: Any
    """What it says of devices, and of work that is to stop."""
    utils: Any
    """Its progress bar."""

    @property
    def nodes(self) -> dict[str, Any]:
        """Its own nodes and ours."""
        from core_nodes import CORE

        return {**CORE, **self.pack.NODE_CLASS_MAPPINGS}


@pytest.fixture(scope="session")
def _loaded() -> Iterator[ModuleType]:
    """The pack, loaded as ComfyUI does: from its folder, under a name of ComfyUI's own."""
    sys.path.insert(0, str(STANDIN))
    name = "custom_nodes_motionlift"
    spec = importlib.util.spec_from_file_location(name, PACK / "__init__.py", submodule_search_locations=[str(PACK)])
    assert spec is not None and spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    sys.modules[name] = pack
    spec.loader.exec_module(pack)
    yield pack
    sys.path.remove(str(STANDIN))
    for module in [each for each in sys.modules if each.split(".")[0] in OURS]:
        del sys.modules[module]


@pytest.fixture
def comfy(_loaded: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Comfy]:
    """An empty ComfyUI of one test."""
    import comfy.model_management
    import comfy.utils
    import folder_paths
    import graph

    for folder in ("input", "output", "temp", "models/diffusers"):
        (tmp_path / "comfy" / folder).mkdir(parents=True)
    monkeypatch.setattr(folder_paths, "base", tmp_path / "comfy")
    yield Comfy(tmp_path / "comfy", _loaded, graph, comfy.model_management, comfy.utils)
    comfy.model_management.interrupt_current_processing(False)


@pytest.fixture
def filled(comfy: Comfy) -> Comfy:
    """With what the workflows read; of the model with a picture the name alone."""
    a_clip(frames=17, height=64, width=64).save(comfy.base / "input" / "reference.mp4")
    Image.new("RGB", (96, 64), (200, 30, 30)).save(comfy.base / "input" / "picture.png")
    folder = comfy.base / "models" / "diffusers" / PICTURED
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    return comfy
