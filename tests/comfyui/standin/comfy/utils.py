"""The progress bar of a ComfyUI that is not there."""

from collections.abc import Callable

PROGRESS_BAR_HOOK: Callable[[int, int], None] | None = None
"""Called with what is done and the total, as the real one tells its page."""


class ProgressBar:
    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total, self.current = total, 0

    def update_absolute(self, value: int, total: int | None = None, preview: object = None) -> None:
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        if PROGRESS_BAR_HOOK is not None:
            PROGRESS_BAR_HOOK(self.current, self.total)
