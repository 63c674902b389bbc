"""What ComfyUI and kohya's programs load of an adapter, told apart from ours, by the names that their own sources have.

ComfyUI's ``model_lora_keys_unet`` and kohya's ``lora_utils`` map a name in a file to a weight of their own network; what stands
behind it are two factors, of scale one where no ``.alpha`` says another, or in ComfyUI a ``.diff``. What is of the network's own
name is added to it; what has another name is not.
"""

from collections.abc import Mapping

from torch import Tensor

from motionlift.motion.readers import STAR, known

ALPHA = ".alpha"


def keys(reader: str, family: str, blocks: int) -> dict[str, str]:
    """What a reader looks for in a file, and the weight of its own network that it is for, of a model of so many blocks."""
    found = {}
    forms = known().readers[reader].families[family]
    for form in [form for form in forms if any(STAR in name for name in form.names)]:
        for name, native in zip(form.names, forms[0].names, strict=True):
            for number in range(blocks):
                found[form.named(name).replace(STAR, str(number))] = native.replace(STAR, str(number))
    return found


def loaded(reader: str, family: str, blocks: int, file: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], set[str]]:
    """What a reader adds to the weights of its own network by a file, and the names in it that it does not load."""
    changes: dict[str, Tensor] = {}
    used: set[str] = set()
    known_ends = known().ends
    ends = [known_ends[kind] for kind in known().readers[reader].families[family][0].ends]
    for key, layer in keys(reader, family, blocks).items():
        for own in ends:
            if any(key + end not in file for end in own):
                continue
            tensors = [file[key + end] for end in own]
            used |= {key + end for end in own}
            scale = 1.0
            if key + ALPHA in file:
                scale = float(file[key + ALPHA]) / len(tensors[0])
                used.add(key + ALPHA)
            assert layer not in changes, "one name for one weight"
            changes[layer] = tensors[0] if len(own) == 1 else scale * tensors[1] @ tensors[0]
    return changes, set(file) - used
