"""``python -m lab.experiments``."""

from lab.experiments.runner import main

if __name__ == "__main__":
    main()
