"""``python -m motionlift`` is the command line."""

from motionlift.cli import main

main()
