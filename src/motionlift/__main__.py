"""``python -m motionlift`` is the command line."""

from motionlift.cli.main import main

main()
