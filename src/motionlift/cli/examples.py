"""An example of each command, as its help shows it."""

from collections.abc import Mapping

PROMPT = '"a red car on a grey road"'
EXAMPLES: Mapping[str, str] = {
    "transfer": f"motionlift transfer dance.mp4 -p {PROMPT} -o car.mp4",
    "lift": "motionlift lift dance.mp4 -o dance.safetensors",
    "cast": f"motionlift cast dance.safetensors -p {PROMPT} -o car.mp4 -s 7",
    "again": "motionlift again car.mp4 --seed 8",
    "batch": "motionlift batch night.yaml -o night",
    "edit": "motionlift edit dance.safetensors mirror move=0.25,0 -o elsewhere.safetensors",
    "export": "motionlift export tuned.safetensors adapter.safetensors --for comfyui",
    "adapter": "motionlift adapter adapter.safetensors",
    "inspect": "motionlift inspect dance.mp4 --read flow -o arrows.mp4",
    "score": "motionlift score dance.mp4 car.mp4 --start 3 --crop 0.3,0.5",
    "world": "motionlift world clips --count 4",
    "bench": "motionlift bench quick",
    "report": "motionlift report runs/quick -o report.html",
    "protocol": "motionlift protocol davis DAVIS/JPEGImages/480p",
    "models": "motionlift models",
    "methods": "motionlift methods --json",
    "cache": "motionlift cache --clear",
    "app": "motionlift app",
    "demo": "motionlift demo -o demo-output",
}
"""By the command's name."""


def example_of(name: str, group: str = "") -> str | None:
    """The last line of a command's help; of one within a group, with the group's name."""
    example = EXAMPLES.get(name)
    if example is None:
        return None
    return f"Example: {example.replace('motionlift ', f'motionlift {group} ', 1) if group else example}"
