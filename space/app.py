"""The page of motionlift, served as a Space; its secret MOTIONLIFT_PASSWORD says what visitors have to say."""

import sys
from pathlib import Path

from motionlift.cli.main import main

LASTING = Path("/data")
"""Where a Space with lasting storage has it."""


def words() -> list[str]:
    """The command line of the page."""
    kept = ["--data", str(LASTING / "motionlift")] if LASTING.is_dir() else []
    return ["motionlift", "app", "--host", "0.0.0.0", "--port", "7860", *kept]


if __name__ == "__main__":
    sys.argv = words()
    main()
