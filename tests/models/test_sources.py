"""Where models are read from, and what is said where they cannot be had."""

import json
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from motionlift.errors import ModelError
from motionlift.models import sources
from motionlift.models.sources import BUNDLED_MODELS, check_had, found, joined_sources
from tests.work.trials import refusal

NAME = "owner/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A hub that answers as a test says, and what is kept of it here."""
    state = SimpleNamespace(answer=lambda: None, kept=None, index=None, fault=None)
    index = tmp_path / "model_index.json"
    index.write_text(json.dumps({"_class_name": "WanPipeline"}))
    state.index = index

    def download(_name: str, _file: str) -> str:
        if state.fault is not None:
            raise state.fault
        return str(state.index)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: state.answer())
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: state.kept)
    return state


def raising(kind: type[Exception]):
    """An answer that is an error."""

    def answer() -> None:
        error = kind.__new__(kind)
        Exception.__init__(error, "as the hub says it")
        raise error

    return answer


def test_a_model_that_the_hub_has(hub: SimpleNamespace):
    source = found(NAME)
    assert (source.place, source.pipeline, source.is_local) == (NAME, "WanPipeline", False)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (errors.GatedRepoError, "is gated: accept its terms on https://huggingface.co/owner/model"),
        (errors.RepositoryNotFoundError, "is unknown to the hub, or private"),
        (errors.OfflineModeIsEnabled, "is not kept on this machine, and the hub is switched off (HF_HUB_OFFLINE)"),
        (ConnectionError, "is not kept on this machine, and the hub does not answer: there may be no network"),
    ],
)
def test_why_a_model_is_not_to_be_had_is_said_apart(hub: SimpleNamespace, kind: type[Exception], said: str):
    hub.answer = raising(kind)
    message = refusal(ModelError, lambda: found(NAME))
    assert f"model 'owner/model' {said}" in message


def test_only_of_what_is_not_kept_the_hub_is_asked_early(hub: SimpleNamespace):
    check_had(NAME)
    hub.answer = raising(ConnectionError)
    for name in (NAME, f"{NAME}+some/adapter"):
        assert "is not kept on this machine" in refusal(ModelError, lambda name=name: check_had(name))
    check_had("tiny-dit")
    hub.kept = str(hub.index)
    hub.answer = lambda: pytest.fail("the hub was asked")
    check_had(NAME)


def test_a_motion_adapter_that_is_not_to_be_had_is_named_early(
    hub: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    check_had("tiny-unet+owner/adapter")
    hub.answer = raising(errors.RepositoryNotFoundError)
    told = refusal(ModelError, lambda: check_had("tiny-unet+owner/adapter"))
    assert "the motion adapter 'owner/adapter' is unknown to the hub, or private" in told
    hub.answer = raising(errors.GatedRepoError)
    assert "'owner/adapter' is gated" in refusal(ModelError, lambda: check_had("tiny-unet+owner/adapter"))
    hub.kept = str(hub.index)
    check_had("tiny-unet+owner/adapter")
    told = refusal(ModelError, lambda: check_had("tiny-unet+/nowhere/adapter"))
    assert "the motion adapter '/nowhere/adapter' is not to be had: there is no such folder" in told
    assert "is there, but holds no config.json" in refusal(ModelError, lambda: check_had(f"tiny-unet+{tmp_path}"))
    (tmp_path / "config.json").write_text("{}")
    check_had(f"tiny-unet+{tmp_path}")


@pytest.mark.parametrize(
    "name", ["/nowhere/model", "./nowhere/model", "../model", "~/none", r"C:\models\mine", "a/b/c"]
)
def test_a_path_that_leads_nowhere_is_told_as_one(name: str):
    assert "is not to be had: there is no such folder" in refusal(ModelError, lambda: sources.check_name(name))


def test_an_address_is_no_path():
    assert "no such folder" not in refusal(ModelError, lambda: sources.check_name("https://hf.co/a/b"))


def test_a_model_that_is_no_pipeline(hub: SimpleNamespace):
    hub.fault = errors.EntryNotFoundError("no index")
    message = refusal(ModelError, lambda: found(NAME))
    assert "is no diffusers pipeline" in message and "-Diffusers" in message


def answered(status: int, kind: type[Exception] = errors.HfHubHTTPError) -> Exception:
    """An error as the hub's library makes it of an answer."""
    error = kind.__new__(kind)
    Exception.__init__(error, "as the hub says it")
    vars(error)["response"] = SimpleNamespace(status_code=status)
    return error


REFUSED = [
    (answered(401), "the hub does not take the token that it is shown (401)"),
    (answered(403), "the hub refuses you (403): the token lacks permission"),
    (answered(403, errors.DisabledRepoError), "the hub has switched it off"),
    (answered(429), "the hub has had too many requests from here (429)"),
    (answered(503), "the hub has a fault of its own (503)"),
    (errors.LocalEntryNotFoundError("the network fails meanwhile"), "the hub does not answer"),
]


@pytest.mark.parametrize("at", ["asked", "downloaded"])
@pytest.mark.parametrize(("error", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_whom_the_hub_refuses_is_told_why_in_time(hub: SimpleNamespace, error: Exception, said: str, at: str):
    def answer() -> None:
        raise error

    if at == "asked":
        hub.answer = answer
    else:
        hub.fault = error
    began = time.monotonic()
    message = refusal(ModelError, lambda: found(NAME))
    assert f"model 'owner/model' is not kept on this machine, and {said}" in message
    assert time.monotonic() - began < 2
    hub.kept = str(hub.index)
    assert found(NAME).is_local, "what is kept serves"


def test_a_gated_model_is_told_where_its_files_are_refused(hub: SimpleNamespace):
    hub.fault = answered(403, errors.GatedRepoError)
    assert "is gated: accept its terms on" in refusal(ModelError, lambda: found(NAME))


def test_a_mirror_is_named_by_its_address(hub: SimpleNamespace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://mirror.example")
    hub.answer = raising(ConnectionError)
    assert "the hub https://mirror.example (HF_ENDPOINT) does not answer" in refusal(ModelError, lambda: found(NAME))


@pytest.mark.parametrize("kind", [errors.GatedRepoError, errors.OfflineModeIsEnabled, ConnectionError])
def test_what_is_kept_here_serves_without_the_hub(hub: SimpleNamespace, kind: type[Exception]):
    hub.answer, hub.kept = raising(kind), str(hub.index)
    source = found(NAME)
    assert source.pipeline == "WanPipeline"
    assert source.is_local == (kind is not errors.GatedRepoError), "the hub that answers is asked for the rest"


@pytest.mark.slow
def test_a_hub_that_is_not_reached_is_waited_for_no_longer_than_patience(
    hub: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    released = threading.Event()
    hub.answer = lambda: released.wait(60)
    began = time.monotonic()
    assert "(HF_ENDPOINT) does not answer: there may be no network" in refusal(ModelError, lambda: found(NAME))
    assert time.monotonic() - began < 2
    released.set()


def test_a_picture_model_and_a_motion_adapter(tmp_path: Path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (tmp_path / "adapter").mkdir()
    source, adapter = joined_sources(f"{base}+{tmp_path / 'adapter'}")
    assert (source.pipeline, adapter) == ("StableDiffusionPipeline", str(tmp_path / "adapter"))
    assert joined_sources(f"{base}+guoyww/motion")[1] == "guoyww/motion"
    assert joined_sources(str(base))[1] is None
    assert "ends in a plus" in refusal(ModelError, lambda: joined_sources(f"{base}+ "))


def test_a_folder_whose_name_has_a_plus_is_a_folder(tmp_path: Path):
    folder = tmp_path / "a+b"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    assert joined_sources(str(folder)) == (found(str(folder)), None)


def test_an_index_of_any_size_is_not_read(tmp_path: Path):
    (tmp_path / "model_index.json").write_bytes(b" " * (sources.MOST_INDEX + 1))
    assert "cannot be read (it is too large)" in refusal(ModelError, lambda: found(str(tmp_path)))


@pytest.mark.parametrize(
    "name",
    [NAME, "tiny-dit", "tiny-unet", f"tiny-dit+{NAME}", f"{NAME}+owner/adapter", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"],
)
def test_what_everybody_may_have(hub: SimpleNamespace, name: str):
    sources.check_given(name)


def test_who_asks_from_elsewhere_learns_nothing_of_this_machine(
    hub: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same is said of a pipeline, of a folder, of a file and of nothing, by whatever way it is named."""
    monkeypatch.chdir(tmp_path)
    hub.answer = raising(errors.RepositoryNotFoundError)
    for name in ("owner/pipeline", "owner/folder"):
        Path(name).mkdir(parents=True)
    Path("owner/pipeline/model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    Path("owner/file").touch()
    ways = (
        "owner/{}",
        "./owner/{}",
        f"{tmp_path}/owner/{{}}",
        "tiny-dit+owner/{}",
        "tiny-dit+./owner/{}",
        "~/{}",
        "../{}",
    )
    names = [
        way.format(what)
        for way in (*ways, *(f"{way}+tiny-dit" for way in ways))
        for what in ("pipeline", "folder", "file", "nothing", "nu\0l")
    ]
    told = {refusal(ModelError, partial(sources.check_given, name)).replace(repr(name), "") for name in names}
    assert (
        len(told) == 1
        and f"is not to be had on this page; allowed: {', '.join(BUNDLED_MODELS)}, and what the hub" in told.pop()
    )


def test_a_folder_that_is_called_like_a_model_of_the_hub_is_not_read_in_its_place(
    hub: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir(parents=True)
    for name in (NAME, f"tiny-dit+{NAME}"):
        with pytest.raises(ModelError, match="is not to be had on this page"):
            sources.check_given(name)
