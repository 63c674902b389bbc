"""Lines for the person at the terminal."""

import sys


def say(message: str) -> None:
    """One line on standard error, whatever characters a file's name or a message brings."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
    print(line, file=sys.stderr)
