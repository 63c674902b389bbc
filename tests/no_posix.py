"""A stand-in for Windows: what POSIX alone has is absent to the package, though not to the libraries, which are built for Linux.

``python -m tests.no_posix ARGUMENTS`` runs the command line so, and ``make test-no-posix`` the quick tests.
"""

import builtins
import enum
import os
import signal
import sys
from types import ModuleType
from typing import Any

MODULES = ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "pty")
CALLS = (
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "setsid", "killpg", "getpgid", "wait3", "wait4"),
    *("sched_getaffinity", "mkfifo", "uname", "statvfs", "getloadavg", "chown", "lchown", "sysconf", "nice", "pread"),
)
SIGNALS = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV")
"""Those that Windows has too."""
SIGNAL_CALLS = (
    "pthread_sigmask",
    "pthread_kill",
    "sigwait",
    "sigpending",
    "alarm",
    "setitimer",
    "siginterrupt",
    "pause",
)


def is_asked_for() -> bool:
    """Whether all tests are to run so."""
    return bool(os.environ.get("WITHOUT_POSIX"))


def hide() -> None:
    """Hide all that from the package, from now on."""
    imported = builtins.__import__
    others = {"os": _without(os, CALLS), "signal": _signals()}

    def importing(name: str, globals: Any = None, *rest: Any, **more: Any) -> ModuleType:
        if str((globals or {}).get("__name__", "")).split(".")[0] == "motionlift":
            if name in MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in others:
                return others[name]
        return imported(name, globals, *rest, **more)

    builtins.__import__ = importing


def _without(module: ModuleType, names: tuple[str, ...]) -> ModuleType:
    """A module like another that lacks some names."""
    other = ModuleType(module.__name__)
    vars(other).update({name: value for name, value in vars(module).items() if name not in names})
    return other


def _signals() -> ModuleType:
    numbers = [name for name in dir(signal) if name.startswith("SIG") and isinstance(getattr(signal, name), int)]
    posix = tuple(name for name in numbers if name not in (*SIGNALS, "SIG_DFL", "SIG_IGN"))
    other = _without(signal, (*posix, *SIGNAL_CALLS))
    other.Signals = enum.IntEnum("Signals", {name: int(getattr(signal, name)) for name in SIGNALS})
    return other


def import_all() -> None:
    """Import every module of the package."""
    import importlib
    import pkgutil

    import motionlift

    for module in pkgutil.walk_packages(motionlift.__path__, "motionlift."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    hide()
    if sys.argv[1:] == ["--import-all"]:
        import_all()
    else:
        from motionlift.cli.main import main

        main()
