"""One motion on several prompts: lift it once, keep it, cast it as often as you like.

python examples/several_prompts.py clip.mp4 folder
"""

import logging
import sys
from pathlib import Path

import motionlift as ml

PROMPTS = ["a red car on a grey road", "a yellow fish in the sea", "a purple butterfly in the sky"]


def main(reference: Path, folder: Path, steps: int = 20) -> None:
    """Write a video and its record for every prompt and seed, and the motion."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # phases, notes, files; diffusers stays quiet
    model = ml.load("tiny-wan")
    motion = ml.lift(reference, model, settings={"read": "flow", "steps": steps})
    folder.mkdir(parents=True, exist_ok=True)
    motion.save(folder / "motion.safetensors")
    for video in ml.cast(motion, PROMPTS, model, seeds=[0, 1]):
        name = f"{video.record['prompt'].replace(' ', '-')}-{video.record['seed']}.mp4"
        video.save(folder / name)
        print(f"{folder / name}: {video.record['seconds']:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
