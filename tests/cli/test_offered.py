"""What the check of named options finds; it looks at every line that the tests of this folder see."""

import errno

import pytest

from motionlift.cli.main import run
from tests.cli.offered import not_offered


@pytest.mark.parametrize(
    ("line", "words", "found"),
    [
        ("shorten it, or give --cut-prompt", "bench", ["--cut-prompt"]),
        ("shorten it, or give --cut-prompt", "transfer", []),
        ("shorten it, or give --cut-prompt", "plan transfer", []),
        ("shorten it, or give --cut-prompt", "again", []),
        ("mix it by motionlift cast --mix", "adapter", []),
        ("motions take it by --mix", "adapter", ["--mix"]),
        ("No such option: --colour (Possible options: --count)", "world", []),
        ("--colour is given; see --help", "world --colour=red", []),
        ("the demo-output and two - dashes", "demo", []),
    ],
)
def test_an_option_that_a_command_lacks_is_found(line: str, words: str, found: list[str]):
    assert not_offered(line, ["motionlift", *words.split()]) == found


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (MemoryError(), ""),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ""),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."),
            ", where 4096 bytes more were asked for",
        ),
    ],
)
def test_no_option_is_named_where_memory_ends(
    error: Exception, asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of a command without --frames and --model too, and whatever the allocator raises."""

    def short(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("motionlift.motion.adapter_file.look_into", short)
    assert run(["adapter", "a.safetensors"]) == 1
    told = f"error: out of memory{asked}; ask for fewer frames, a smaller model, or another device\n"
    assert capsys.readouterr().err == told
