"""Checks annotations of the package while tests run.

jaxtyping compares the shapes of a call with each other, for which it binds and checks each call's arguments twice. Most
annotations name no array; of those beartype alone checks the same, in a tenth of the time.
"""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException

# The package takes a TypeError of what it reads for a wrong file, as that of jaxtyping is.
check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeError))
"""Checks annotations; takes an ``int`` for a ``float``, as type checkers do."""
_with_shapes = jaxtyping.jaxtyped


def install() -> None:
    """Check every annotation of the package from here on; to be called before anything imports it."""
    jaxtyping.jaxtyped = checked  # what the hook puts above each function and class
    jaxtyping.install_import_hook("motionlift", "tests.annotations.check")


def checked(made: Any = None, *, typechecker: Any) -> Any:
    """A function or class whose annotations are checked at each call; arrays' shapes where there are arrays."""
    if made is None:
        return partial(checked, typechecker=typechecker)
    if inspect.isclass(made):
        own = vars(made).get("__init__")
        if dataclasses.is_dataclass(made) and own is not None and not hasattr(own, "__wrapped__"):
            made.__init__ = checked(own, typechecker=typechecker)
        return made
    # beartype puts off what it checks of a generator to its first item
    if inspect.isfunction(made) and not inspect.isgeneratorfunction(made) and _names_no_array(made):
        try:
            return check(made)
        except BeartypeDecorHintException:  # such as defaults that stand for others, as a dataclass has them
            pass
    return _with_shapes(made, typechecker=typechecker)


def _names_no_array(function: Callable[..., Any]) -> bool:
    """Whether all its annotations can be read, and none is or holds an array."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception:  # whatever a name that is not there yet raises: jaxtyping leaves such annotations out
        return False
    return not any(_has_array(hint) for hint in hints.values())


def _has_array(hint: Any) -> bool:
    if isinstance(hint, list | tuple):  # the arguments of a callable
        return any(_has_array(each) for each in hint)
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray | jaxtyping.AbstractDtype):
        return True
    return any(_has_array(each) for each in get_args(hint))
