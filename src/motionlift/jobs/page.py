"""Pages in YAML in which every refusal names its line; what comes in another form is read as the nodes of one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from motionlift.core.settings import MOST_TEXT
from motionlift.errors import InputError, MotionliftError

NULL = "tag:yaml.org,2002:null"
"""What YAML calls a value that is left out, ``null`` or ``~``."""
NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""Characters that YAML can spell, and no file name and no file can hold."""
MOST_DEPTH = 20
"""Most levels of lists and mappings within each other (ours: a run has six; PyYAML takes minutes for thousands)."""
MOST_LISTED = 1000
"""Most entries of a list, and most combinations of a grid (ours)."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Page:
    """Reads the nodes of one file; every refusal names the line."""

    name: str
    """The file, as refusals name it."""

    def refusal(self, node: yaml.Node, problem: str) -> InputError:
        """An error at a node."""
        return InputError(f"{self.name}, line {node.start_mark.line + 1}: {problem}")

    def root(self, text: str, wanted: str) -> yaml.Node:
        """The only node of a text in YAML; without aliases, by which a few lines can grow to billions.

        Args:
            text: what the file holds.
            wanted: what an empty one is told to name.

        Raises:
            InputError: it is no YAML, or has aliases, tags or too many levels.
        """
        try:
            depth = 0
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                line = event.start_mark.line + 1
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if depth > MOST_DEPTH:
                    raise InputError(f"{self.name}, line {line}: more than {MOST_DEPTH} levels; write fewer")
                tag = getattr(event, "tag", None)
                if tag is not None:
                    raise InputError(
                        f"{self.name}, line {line}: the tag {tag[:80]!r} cannot be read; write the value alone"
                    )
                if isinstance(event, yaml.AliasEvent):
                    raise InputError(f"{self.name}, line {line}: aliases (*{event.anchor}) are not read; write it out")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InputError(f"{self.name}, line {line}: {error.problem or error.context}; write YAML") from error
        except yaml.YAMLError as error:
            raise InputError(f"{self.name} holds characters that are no text; write YAML") from error
        if root is None:
            raise InputError(f"{self.name} is empty; {wanted}")
        return root

    def value(self, node: yaml.Node) -> Any:
        """What YAML says that a node is: text, a number, a list, ..."""
        self._check_lengths(node)
        try:
            return yaml.safe_load(yaml.serialize(node))
        except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise self.refusal(
                node, "this cannot be read; write text, numbers, true or false, or lists of them"
            ) from error

    def _check_lengths(self, node: yaml.Node) -> None:
        """Refuse what is longer than any setting: Python does not write numbers of thousands of digits."""
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > MOST_TEXT:
                raise self.refusal(node, f"this has {len(node.value)} characters; a value has at most {MOST_TEXT}")
            return
        for each in node.value:
            for part in each if isinstance(each, tuple) else (each,):
                self._check_lengths(part)

    def mapping(
        self, node: yaml.Node, what: str, needed: Sequence[str], others: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The nodes under the keys of a mapping, which are checked.

        Raises:
            InputError: an unknown key, one that is lacking, or no mapping.
        """
        allowed = (*needed, *others)
        found = self.pairs(node, f"{what} needs {', '.join(needed) or 'keys'} with a colon behind each")
        for key, (place, _) in found.items():
            if key not in allowed:
                raise self.refusal(place, f"unknown key {key[:80]!r}; allowed are {', '.join(allowed)}")
        lacking = [key for key in needed if key not in found]
        if lacking:
            raise self.refusal(node, f"{what} lacks {', '.join(lacking)}; allowed are {', '.join(allowed)}")
        return {key: value for key, (_, value) in found.items()}

    def pairs(self, node: yaml.Node, needs: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The nodes of the keys and values of a mapping, by key.

        Raises:
            InputError: no mapping, which ``needs`` says, or a key that comes twice.
        """
        if not isinstance(node, yaml.MappingNode):
            raise self.refusal(node, needs)
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.refusal(key, "a key is a word; put a text before the colon")
            if key.value in found:
                raise self.refusal(key, f"{key.value[:80]!r} comes twice; give it once")
            found[key.value] = (key, value)
        return found

    def items(self, node: yaml.Node, what: str, most: int = MOST_LISTED) -> list[yaml.Node]:
        """The entries of a list, of which there is at least one, and at most so many.

        Raises:
            InputError: no such list.
        """
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.refusal(node, f"{what} is a list of at least one; write {what}: [first, second]")
        if len(node.value) > most:
            raise self.refusal(node, f"{what} has {len(node.value)} entries; at most {most} are read")
        return node.value

    def text(self, node: yaml.Node, what: str) -> str:
        """A text that is not empty.

        Raises:
            InputError: it is none.
        """
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or node.tag == NULL:
            raise self.refusal(node, f"{what} is text; write a name")
        if NO_TEXT.search(node.value):
            raise self.refusal(node, f"{what} holds characters that are no text; write a name")
        return node.value

    def whole(self, node: yaml.Node, what: str, low: int, high: int) -> int:
        """A whole number within bounds.

        Raises:
            InputError: it is none.
        """
        value = self.value(node)
        if type(value) is not int or not low <= value <= high:
            came = " ".join(str(value).split())[:40]
            raise self.refusal(node, f"{what} is {came!r}; allowed is a whole number from {low} to {high}")
        return value

    def checked(self, node: yaml.Node, check: Callable[[], Value]) -> Value:
        """What a check gives; what it refuses is refused at the node."""
        try:
            return check()
        except MotionliftError as error:
            raise self.refusal(node, str(error)) from error


def node_of(value: Any, line: int) -> yaml.Node:
    """A node of YAML that says what a value of JSON says, at a line that is counted from 0."""
    node = yaml.representer.SafeRepresenter().represent_data(value)
    mark = yaml.Mark("", 0, line, 0, None, 0)
    waiting = [node]
    while waiting:
        each = waiting.pop()
        each.start_mark = each.end_mark = mark
        if not isinstance(each, yaml.ScalarNode):
            waiting += [part for own in each.value for part in (own if isinstance(own, tuple) else (own,))]
    return node
