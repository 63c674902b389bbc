"""What ComfyUI does with a workflow: brings it to the form of its API, looks at every input, and runs it node after node.

Written anew after its ``execution.py`` and its page's way to make a prompt of a graph. Like these it takes a value of a widget for
each input that is no link, in the order of the inputs, with one more behind a seed and behind a file that can be uploaded; it runs
nodes in a thread of their own, in PyTorch's inference mode, and gives what a node gave before where nothing of its inputs changed.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

WIDGETS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
"""Types whose inputs are widgets, and what makes a value of them."""
MORE = ("control_after_generate", "image_upload", "video_upload")
"""What makes the page put one more value behind that of a widget."""
Nodes = Mapping[str, Any]
Prompt = dict[str, dict[str, Any]]


def is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in WIDGETS


def inputs_of(node: Any) -> Iterator[tuple[str, Any, Mapping[str, Any], bool]]:
    """Name, type, what goes with it, and whether it must be there, of each input."""
    types = node.INPUT_TYPES()
    for group in ("required", "optional"):
        for name, (kind, *more) in types.get(group, {}).items():
            yield name, kind, more[0] if more else {}, group == "required"


def prompt_of(workflow: Mapping[str, Any], nodes: Nodes) -> Prompt:
    """A workflow as the page saves it, in the form of the API."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    found: Prompt = {}
    for told in workflow["nodes"]:
        if told["type"] not in nodes:
            continue
        values = list(told.get("widgets_values", []))
        linked = {each["name"]: links[each["link"]] for each in told["inputs"] if each.get("link") is not None}
        given: dict[str, Any] = {}
        for name, kind, more, _ in inputs_of(nodes[told["type"]]):
            if is_widget(kind):
                given[name] = values.pop(0)
                if any(more.get(each) for each in MORE):
                    values.pop(0)
        assert not values, f"node {told['id']} has more values than widgets: {values}"
        found[str(told["id"])] = {"class_type": told["type"], "inputs": {**given, **linked}}
    return found


def faults(prompt: Prompt, nodes: Nodes) -> list[str]:
    """What ComfyUI would refuse of a prompt before it runs."""
    found = []
    for number, told in prompt.items():
        if told["class_type"] not in nodes:
            found.append(f"{number}: there is no node {told['class_type']}")
            continue
        node, given = nodes[told["class_type"]], told["inputs"]
        known = {name for name, *_ in inputs_of(node)}
        found += [f"{number}: {name} is no input of {told['class_type']}" for name in given if name not in known]
        for name, kind, more, must in inputs_of(node):
            if name not in given:
                found += [f"{number}: {name} is missing"] if must else []
                continue
            value = given[name]
            fault = _link_fault(value, kind, prompt, nodes) if isinstance(value, list) else _fault(value, kind, more)
            checks = getattr(node, "VALIDATE_INPUTS", None)
            if checks is not None:  # it takes the place of looking into the list
                told = checks(**{name: value})
                fault = "" if told is True else str(told)
            found += [f"{number}: {name}: {fault}"] if fault else []
    if not any(getattr(nodes.get(told["class_type"]), "OUTPUT_NODE", False) for told in prompt.values()):
        found.append("no node gives anything out")
    return found


def _link_fault(value: list[Any], kind: Any, prompt: Prompt, nodes: Nodes) -> str:
    source = nodes[prompt[value[0]]["class_type"]].RETURN_TYPES[value[1]]
    return "" if kind in ("*", source) else f"{source} comes, and {kind} is wanted"


def _fault(value: Any, kind: Any, more: Mapping[str, Any]) -> str:
    if not is_widget(kind):
        return f"{value!r} comes, and a link of {kind} is wanted"
    if isinstance(kind, list):
        return "" if value in kind else f"{value!r} is not in the list {kind}"
    try:
        value = WIDGETS[kind](value)
    except (TypeError, ValueError) as error:
        return str(error)
    if not more.get("min", value) <= value <= more.get("max", value):
        return f"{value} is not from {more.get('min')} to {more.get('max')}"
    return ""


class Executor:
    """Runs prompts; what nodes gave stays from one to the next."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.kept: dict[str, Any] = {}
        """What nodes gave, by all that decides it."""
        self.ran: list[str] = []
        """Types of the nodes that ran, over all prompts."""

    def run(self, prompt: Prompt) -> tuple[dict[str, Any], dict[str, tuple]]:
        """What nodes show, and what they give, by their numbers; raises what a node raises."""
        assert faults(prompt, self.nodes) == []
        shown: dict[str, Any] = {}
        given: dict[str, tuple] = {}
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with torch.inference_mode():
                    for number, told in prompt.items():
                        if getattr(self.nodes[told["class_type"]], "OUTPUT_NODE", False):
                            self._give(number, prompt, shown, given)
            except BaseException as error:  # also ComfyUI's own, which is no Exception
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return shown, given

    def _give(self, number: str, prompt: Prompt, shown: dict[str, Any], given: dict[str, tuple]) -> tuple:
        if number not in given:
            told = prompt[number]
            node = self.nodes[told["class_type"]]
            inputs = {
                name: self._give(value[0], prompt, shown, given)[value[1]] if isinstance(value, list) else value
                for name, value in told["inputs"].items()
            }
            key = self._key(number, prompt)
            if key not in self.kept:
                self.kept[key] = getattr(node(), node.FUNCTION)(**inputs)
                self.ran.append(told["class_type"])
            result = self.kept[key]
            if isinstance(result, dict):
                shown[number] = result["ui"]
            given[number] = result.get("result", ()) if isinstance(result, dict) else result
        return given[number]

    def _key(self, number: str, prompt: Prompt) -> str:
        """All that decides what a node gives."""
        told = prompt[number]
        changed = getattr(self.nodes[told["class_type"]], "IS_CHANGED", None)
        plain = {name: value for name, value in told["inputs"].items() if not isinstance(value, list)}
        linked = {
            name: [self._key(value[0], prompt), value[1]]
            for name, value in told["inputs"].items()
            if isinstance(value, list)
        }
        return json.dumps([told["class_type"], plain, linked, changed(**plain) if changed else None])
