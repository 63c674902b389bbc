"""Two methods beside plain sampling, measured; what cannot be done is told in one line.

python examples/compare_methods.py clip.mp4
"""

import sys
from pathlib import Path

import motionlift as ml

PROMPT = "a red car on a grey road"
METHODS = {"none": {}, "ditflow": {"read": "flow"}, "flowmotion": {}}


def main(reference: Path, steps: int = 20) -> None:
    """Print what each method reaches and costs."""
    model = ml.load("tiny-wan")
    for method, own in METHODS.items():
        try:
            video = ml.transfer(reference, PROMPT, model, method=method, seed=1, settings={**own, "steps": steps})
        except ml.MotionliftError as error:  # a bad file, a setting that the method has not, too little memory, ...
            print(f"{method}: {error}")
            continue
        scores = ml.score(reference, video.clip, prompt=PROMPT, from_start=True, metrics=["motion_fidelity", "ssim"])
        passes = video.record["passes"]
        print(f"{method}: {scores}, work of {passes['work']:.0f} passes in {video.record['seconds']:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
