"""From a motion to an edited one."""

from dataclasses import replace

from motionlift.core.given import check_given
from motionlift.methods import method as method_named
from motionlift.motion.checking import check_held
from motionlift.motion.edits import edit_named
from motionlift.motion.file import Motion
from motionlift.work.prepare import check_motion


def edit(motion: Motion, name: str) -> Motion:
    """A motion as it would be of an edited reference; no model is needed.

    What a method reads of places and directions is edited exactly. Latents and inverted noise are only near those of the edited
    reference, since no autoencoder treats both sides quite alike; where they matter, as in injection, lift the edited clip instead.

    Args:
        motion: what :func:`motionlift.lift` gave; not yet cast with ``target=positions``.
        name: of the edit with its amounts, such as ``mirror`` or ``move=0.25,0`` (right and down, as shares of the frame).

    Raises:
        MotionError: the method cannot say what becomes of its motion, or the motion lacks latents.
        SettingError: there is no such edit, it takes other amounts, or it would change nothing.
    """
    check_motion(motion)
    check_given(name=name)
    chosen = edit_named(name)
    method = method_named(motion.method)
    check_held(motion.tensors, method.holds, ())
    tensors = method.edited(motion.tensors, chosen, motion.lattice)
    return replace(motion, tensors=tensors, edits=(*motion.edits, chosen.name))
