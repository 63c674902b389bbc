"""diffusers and transformers are quiet while a model is read, unless they are asked to speak."""

from collections.abc import Iterator

import diffusers
import pytest
import transformers
from huggingface_hub.utils import are_progress_bars_disabled

from motionlift.models.loading import load
from motionlift.models.quiet import quiet

LOGS = (diffusers.utils.logging, transformers.utils.logging)


@pytest.fixture(autouse=True)
def _as_they_are_at_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DIFFUSERS_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.delenv(name, raising=False)
    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in LOGS]
    for log in LOGS:
        log.set_verbosity_warning()
        log.enable_progress_bar()
    yield
    for log, level, shows in before:
        log.set_verbosity(level)
        log.enable_progress_bar() if shows else log.disable_progress_bar()


def test_loading_says_nothing_and_leaves_all_as_it_was(capfd: pytest.CaptureFixture[str]):
    load("tiny-dit", "cpu")
    assert capfd.readouterr() == ("", "")
    assert all(log.is_progress_bar_enabled() and log.get_verbosity() == log.WARNING for log in LOGS)


def test_bars_of_downloads_stay():
    with quiet():
        assert not are_progress_bars_disabled()
        assert not any(log.is_progress_bar_enabled() for log in LOGS)
        with quiet():
            pass
        assert not any(log.is_progress_bar_enabled() for log in LOGS)


def test_a_library_that_is_asked_speaks(monkeypatch: pytest.MonkeyPatch):
    diffusers.utils.logging.set_verbosity_info()
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    with quiet():
        assert all(log.is_progress_bar_enabled() for log in LOGS)
