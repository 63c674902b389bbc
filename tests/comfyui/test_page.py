"""ComfyUI's own page takes the nodes and the workflows for what they are meant as."""

import json
from importlib.util import find_spec

import pytest

from tests.bench.chromium import browser
from tests.comfyui.conftest import PACK, Comfy
from tests.comfyui.page import PACKAGE, served
from tests.comfyui.test_workflows import WORKFLOWS

READY = "() => window.app?.graph && 'MotionliftCastMotion' in (window.LiteGraph?.registered_node_types ?? {})"
PROMPT_OF = "async workflow => { await app.loadGraphData(workflow); return (await app.graphToPrompt()).output }"
"""What the page sends for a workflow when somebody presses Run."""
FRESH = """type => {
  app.graph.clear()
  const node = LiteGraph.createNode(type)
  app.graph.add(node)
  return Object.fromEntries((node.widgets ?? []).map(widget => [widget.name, widget.value]))
}"""
"""The values of a new node's widgets."""


@pytest.mark.slow
@pytest.mark.skipif(browser() is None, reason="no Chromium")
@pytest.mark.skipif(find_spec(PACKAGE) is None, reason="ComfyUI's page is not installed")
@pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed")
def test_the_page_makes_of_a_workflow_what_the_api_is_given(filled: Comfy):
    from playwright.sync_api import sync_playwright

    with served(filled.nodes) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(address, timeout=120_000)
        page.wait_for_function(READY, timeout=120_000)
        for name in WORKFLOWS:
            workflow, api = (
                json.loads((PACK / folder / f"{name}.json").read_text(encoding="utf-8"))
                for folder in ("example_workflows", "api_workflows")
            )
            made = page.evaluate(PROMPT_OF, workflow)
            assert {number: told["inputs"] for number, told in made.items()} == {
                number: told["inputs"] for number, told in api.items()
            }
        for name, node in filled.pack.NODE_CLASS_MAPPINGS.items():
            shown = page.evaluate(FRESH, name)
            for widget, kind, more, _ in filled.graph.inputs_of(node):
                if filled.graph.is_widget(kind) and kind:
                    assert shown[widget] == more.get("default", kind[0]), (name, widget)
        chromium.close()
