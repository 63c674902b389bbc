"""``python -m motionlift.bench``."""

from motionlift.bench.runner import main

if __name__ == "__main__":
    main()
