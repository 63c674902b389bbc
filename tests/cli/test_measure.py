"""Measuring from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionlift.cli.main import run
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage
from tests.cli.calls import bad_references, left_behind, refused, without_phases


def test_the_world_is_written_and_can_be_read_again():
    assert run(["world", "clips", "--count", "2", "--seed", "5", "--frames", "9", "--size", "48"]) == 0
    assert left_behind("clips") == ["0000.json", "0000.mp4", "0001.json", "0001.mp4"]
    truth = json.loads(Path("clips/0001.json").read_text())
    assert {"caption", "motion", "camera", "background", "objects"} <= set(truth)
    assert {"pattern", "rgb"} <= set(truth["background"])
    for item in truth["objects"]:
        assert {"shape", "colour", "rgb", "size", "orientation", "track"} <= set(item)
        assert np.shape(item["track"]) == (9, 2)
    clip = Clip.read("clips/0001.mp4", frames=9, fps=8, aspect=(1, 1))
    assert (clip.frames.shape, clip.notices) == ((9, 48, 48, 3), ())
    x, y = (int(48 * value) for value in truth["objects"][-1]["track"][0])
    there = clip.frames[0, y - 1 : y + 2, x - 1 : x + 2].float().mean(dim=(0, 1))
    if truth["objects"][-1]["shape"] not in ("ring",):
        assert (there - torch.tensor(truth["objects"][-1]["rgb"])).abs().max() < 30
    first = Path("clips/0000.mp4").read_bytes()
    assert run(["world", "again", "--count", "1", "--seed", "5", "--frames", "9", "--size", "48"]) == 0
    assert Path("again/0000.mp4").read_bytes() == first


@pytest.mark.slow
def test_clips_of_things_that_have_names_are_written_and_judged(capsys: pytest.CaptureFixture[str]):
    assert run(["world", "clips", "--count", "2", "--seed", "5", "--frames", "9", "--things"]) == 0
    truth = json.loads(Path("clips/0001.json").read_text())
    assert truth["background"]["pattern"] in ("sky", "sea", "grass", "road", "night", "sand")
    assert all(0 <= share <= 1 for item in truth["objects"] for share in item["shown"])
    capsys.readouterr()
    judged = 0
    for name in ("0000", "0001"):
        truth = json.loads(Path(f"clips/{name}.json").read_text())
        if len(truth["objects"]) == 1:
            judged += 1
            how = (
                "--prompt",
                truth["caption"],
                "--truth",
                f"clips/{name}.json",
                "--metrics",
                "aligned_error,shape,background",
            )
            assert run(["score", *[f"clips/{name}.mp4"] * 2, *how, "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert found["aligned_error"] < 0.02 and found["shape"] == found["background"] == 1
    assert judged


@pytest.mark.slow
def test_score_gives_each_figure_as_a_key(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, truth = str(clips / "one.mp4"), str(clips / "one.json")
    caption = json.loads(Path(truth).read_text())["caption"]
    assert run(["score", one, one, "--prompt", caption, "--truth", truth, "--legacy", "--json"]) == 0
    told = capsys.readouterr()
    assert without_phases(told.err) == ""
    record = json.loads(told.out)
    assert record["motion_fidelity"] == record["motion_fidelity_moving"] == 1.0
    assert record["motion_discrepancy"] == 0.0
    assert record["aligned_error"] < 0.05
    assert (record["colour"], record["reference"], record["tracker"]) == (1.0, one, "flow")
    assert {"motion_fidelity_legacy", "ssim", "histogram", "temporal_consistency", "moving_share"} <= record.keys()
    assert {"clip_text", "image_reward"} <= record["left_out"].keys()


def test_score_writes_what_is_undefined_as_null(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from motionlift.measure import score

    found = score.Scores({"motion_fidelity_legacy": float("nan"), "ssim": 0.5}, {"lpips": "why"}, ("a notice",))
    monkeypatch.setattr(score, "score", lambda *_, **__: found)
    one = str(clips / "one.mp4")
    assert run(["score", one, one, "--json"]) == 0
    record = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert (record["motion_fidelity_legacy"], record["ssim"], record["left_out"]) == (None, 0.5, {"lpips": "why"})
    assert run(["score", one, one]) == 0
    told = capsys.readouterr()
    assert "undefined" in told.out and "0.5000" in told.out and "why" in told.out
    assert told.err == "note: a notice\n"


@pytest.mark.slow
def test_score_gives_what_is_asked(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, two = str(clips / "one.mp4"), str(clips / "two.mp4")
    assert run(["score", one, two, "--metrics", "ssim, motion_fidelity", "--tracker", "lucas-kanade", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record.keys() - {"reference", "generated", "prompt", "tracker", "measured_by", "left_out", "notices"} == {
        "ssim",
        "motion_fidelity",
    }
    assert (record["tracker"], record["left_out"]) == ("lucas-kanade", {})


@pytest.mark.slow
def test_score_without_weights_gives_what_it_can(clips: Path, capsys: pytest.CaptureFixture[str]):
    one = str(clips / "one.mp4")
    names = "motion_fidelity,clip_text,clip_frames,ssim"
    asked = {
        "--clip-model": ("no/such", "not to be had as a CLIP model"),
        "--tracker": ("cotracker", "CoTracker is not here"),
    }
    for option, (value, words) in asked.items():
        assert run(["score", one, one, "--prompt", "a red star", "--metrics", names, option, value, "--json"]) == 0
        record = json.loads(capsys.readouterr().out)
        left_out = record["left_out"]
        assert words in left_out["clip_frames" if option == "--clip-model" else "motion_fidelity"]
        assert record.keys() & {*names.split(",")} == {*names.split(",")} - left_out.keys() >= {"ssim"}


def test_score_takes_the_beginning_of_a_longer_reference(clips: Path, capsys: pytest.CaptureFixture[str]):
    one, short = str(clips / "one.mp4"), "short.mp4"
    whole = Footage.of(one)
    Clip.of(torch.from_numpy(np.stack(list(whole)[:5])), whole.fps).save(short)
    assert run(["score", one, short, "--metrics", "motion_fidelity", "--from-start", "--json"]) == 0
    notices = json.loads(capsys.readouterr().out)["notices"]
    assert len(notices) == 1 and f"the first {5 / whole.fps:.2f} s are taken" in notices[0]


@pytest.mark.slow
def test_what_cannot_be_scored_is_refused(clips: Path, capsys: pytest.CaptureFixture[str]):
    one = str(clips / "one.mp4")
    for name, words in bad_references(Path.cwd(), (clips / "one.mp4").read_bytes()).items():
        for pair in ((name, one), (one, name)):
            told = refused(capsys, 1, "score", *pair)
            assert name in told and words in told
    for arguments, words in {
        ("--metrics", "beauty"): "'beauty' came; allowed are motion_fidelity",
        ("--metrics", ","): "no name came; allowed are motion_fidelity",
        ("--tracker", "eyes"): "--tracker is 'eyes'; allowed are flow, lucas-kanade, cotracker",
        ("--tracker-weights", "own.pth"): "takes none",
        ("--tracker", "cotracker", "--tracker-weights", "none.pth"): "as --tracker-weights FILE",
        ("--truth", "none.json"): "none.json does not exist; give what motionlift world wrote beside the reference",
        ("--truth", str(clips / "two.json")): "tells of 2 objects",
    }.items():
        assert words in refused(capsys, 1, "score", one, one, *arguments)


def test_an_odd_size_is_refused(capsys: pytest.CaptureFixture[str]):
    assert "size is 33" in refused(capsys, 1, "world", "clips", "--size", "33")


@pytest.mark.parametrize("truth", ["{", '{"objects": [{"track": [[0, "x"]]}]}', "[1]"])
def test_a_truth_that_cannot_be_read_is_refused(truth: str, clips: Path, capsys: pytest.CaptureFixture[str]):
    Path("told.json").write_text(truth)
    one = str(clips / "one.mp4")
    assert "told.json" in refused(capsys, 1, "score", one, one, "--truth", "told.json")
