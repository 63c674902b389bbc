"""Job files: what each form says, and what is refused with its line."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from motionlift.errors import InputError
from motionlift.jobs.job import KNOWN_FOR, Contents, Job, content_of
from motionlift.jobs.job_file import MOST_JOBS, check_outputs, for_clips, read_jobs
from motionlift.models.sources import DEFAULT_MODEL

RED, GREEN = "a red star on a blue plain background", "a green ring on a grey plain background"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two clips, whose bytes nobody reads."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    for name in ("one", "two"):
        Path(f"clips/{name}.mp4").write_bytes(b"clip")
    return tmp_path


def written(text: str, name: str = "jobs.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_yaml_makes_a_job_of_each_reference_prompt_and_seed():
    found = read_jobs(
        written(
            f"""
model: tiny-unet
settings: {{steps: 8, share: "0.5"}}
jobs:
  - reference: clips/*.mp4
    prompts: [{RED}, {GREEN}]
    seeds: [3, 4]
  - {{reference: clips/one.mp4, prompt: {RED}, method: vmc, model: tiny-dit, settings: {{steps: 5}}, output: "own/{{number}}.gif"}}
""".replace('share: "0.5"', "cfg: 2")
        )
    ).jobs
    assert len(found) == 9
    assert [(Path(job.reference).stem, job.prompt, job.seed) for job in found[:8]] == [
        (stem, prompt, seed) for stem in ("one", "two") for prompt in (RED, GREEN) for seed in (3, 4)
    ]
    assert found[0].output == "one-a-red-star-on-a-blue-plain-background-3.mp4"
    assert {job.model for job in found[:8]} == {"tiny-unet"} and {job.method for job in found[:8]} == {"ditflow"}
    assert found[0].settings == {"steps": 8, "cfg": 2.0}
    last = found[8]
    assert (last.method, last.model, last.output) == ("vmc", "tiny-dit", "own/0008.gif")
    assert last.settings == {"steps": 5, "cfg": 2.0} and last.place == "jobs.yaml, line 8"


def test_a_table_and_lines_of_json_say_the_same():
    table = written(
        "reference,prompts,seeds,settings,frames,size,start,duration\n"
        f'clips/one.mp4,{RED}|{GREEN},1|2,"share=0.25; read=flow",9,96x64,0.5,2\n',
        "jobs.csv",
    )
    lines = written(
        json.dumps(
            {
                "reference": "clips/one.mp4",
                "prompts": [RED, GREEN],
                "seeds": [1, 2],
                "settings": {"share": 0.25, "read": "flow"},
                "frames": 9,
                "size": "96x64",
                "start": 0.5,
                "duration": 2,
            }
        ),
        "jobs.jsonl",
    )
    of_table, of_lines = read_jobs(table).jobs, read_jobs(lines).jobs
    assert of_table == of_lines and len(of_table) == 4
    first = of_table[0]
    assert (first.settings, first.frames, first.size) == ({"share": 0.25, "read": "flow"}, 9, (96, 64))
    assert (first.start, first.duration) == (0.5, 2.0)
    assert (of_table[0].place, of_lines[0].place) == ("jobs.csv, line 2", "jobs.jsonl, line 1")


def test_a_picture_and_a_crop_are_the_jobs():
    Image.new("RGB", (8, 8)).save("photo.png")
    found = read_jobs(
        written(f"picture: photo.png\njobs:\n{JOB}, crop: '0.3,0.5'}}\n{JOB}, crop: motion, seed: 1}}")
    ).jobs
    assert [(job.picture, job.part().crop) for job in found] == [("photo.png", (0.3, 0.5)), ("photo.png", "motion")]
    assert (
        found[0].stated("a", "b").items() >= {"crop": "0.3,0.5", "picture": "photo.png", "picture_content": "b"}.items()
    )
    assert found[0].lifted_by() != found[1].lifted_by(), "another part is read"


def test_a_prompt_of_json_keeps_letters_of_all_scripts():
    prompt = "a \N{SNOWMAN} and a \N{GRINNING FACE}"
    (job,) = read_jobs(written(json.dumps({"reference": "clips/one.mp4", "prompt": prompt}), "j.jsonl")).jobs
    assert job.prompt == prompt


def test_outputs_tell_jobs_by_what_is_asked():
    output = "{method}/{model}-{seed}-{reference}.webm"
    text = f"- {{reference: clips/one.mp4, prompt: {RED}, seeds: [1, 2], output: '{output}'}}"
    assert [job.output for job in read_jobs(written(text)).jobs] == [
        f"ditflow/{DEFAULT_MODEL}-{seed}-one.webm" for seed in (1, 2)
    ]


JOB = f"- {{reference: clips/one.mp4, prompt: {RED}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"\n{JOB}, speed: 3}}", "line 2: unknown key 'speed'; allowed are reference, prompt"),
        ("- {reference: clips/one.mp4}", "line 1: a job lacks prompt"),
        (f"- {{prompt: {RED}}}", "line 1: a job lacks reference"),
        (
            f"\n- {{reference: clips/on.mp4, prompt: {RED}}}",
            "line 2: clips/on.mp4 does not exist (did you mean one.mp4?)",
        ),
        (f"- {{reference: clips/*.mov, prompt: {RED}}}", "line 1: nothing is there by the pattern 'clips/*.mov'"),
        (f"- {{reference: 'memory://a/none.mp4', prompt: {RED}}}", "line 1: cannot read memory://a/none.mp4"),
        (f"{JOB}, method: ditflw}}", "line 1: unknown method 'ditflw' (did you mean ditflow?)"),
        (f"{JOB},\n   settings: {{stps: 3}}}}", "line 2: unknown setting 'stps' (did you mean steps?)"),
        (f"{JOB}, settings: {{steps: many}}}}", "line 1: steps is 'many'"),
        (f"{JOB}, seed: -1}}", "line 1: a seed is '-1'; allowed is a whole number from 0"),
        (f"{JOB}, seed: 1, seeds: [2]}}", "line 1: seed and seeds are both given"),
        (f"{JOB}, frames: 0}}", "line 1: frames is '0'"),
        (f"{JOB}, size: 9}}", "line 1: size is '9'; give WIDTHxHEIGHT"),
        (f"{JOB}, start: -2}}", "line 1: start is -2"),
        (f"{JOB}, crop: middle}}", "line 1: crop is 'middle'"),
        (f"{JOB}, picture: photo.png}}", "line 1: photo.png does not exist; give a picture"),
        (f"{JOB}, picture: clips/one.mp4}}", "line 1: clips/one.mp4 is no picture, or is damaged; give a picture"),
        (f"{JOB}, picture: clips}}", "line 1: clips is no picture"),
        (f"{JOB}, picture: 'memory://a/none.png'}}", "line 1: cannot read memory://a/none.png"),
        (f"{JOB}, processes: 100}}", "line 1: processes is '100'"),
        (
            f"{JOB}, method: vmc,\n   processes: 4}}\n{JOB}, processes: 4}}",
            "line 3: processes is 4, and ditflow tunes nothing",
        ),
        (f"{JOB}, output: '../x.mp4'}}", "line 1: output is '../x.mp4'; give a place below the folder"),
        (f"{JOB}, output: .inputs/x.mp4}}", "line 1: output lies in .inputs, where is kept what is read of stores"),
        (f"- {{reference: '{'?' * 300}', prompt: {RED}}}", "line 1: nothing is there by the pattern"),
        (f"{JOB}, output: /x.mp4}}", "line 1: output is '/x.mp4'; give a place below the folder"),
        (f"{JOB}, output: '{{clip}}.mp4'}}", "line 1: output names {clip}; it may name {reference}, {prompt}, {seed}"),
        (f"{JOB}, output: '{{seed.real}}.mp4'}}", "line 1: output names {seed.real}"),
        (f"{JOB}, output: '{{seed:>9}}.mp4'}}", "line 1: output names {seed}"),
        (f"{JOB}, output: '{{.mp4'}}", "line 1: output is '{.mp4'"),
        (
            f"{JOB}}}\n\n{JOB}}}",
            "line 3: its output 'one-a-red-star-on-a-blue-plain-background-0.mp4' is that of jobs.yaml, line",
        ),
        (f"{JOB}}}\n{JOB}, method: vmc}}", "let the output name {method}"),
        (
            f"{JOB}, seeds: [1, 2], output: all.mp4}}",
            "line 1: its output 'all.mp4' is that of jobs.yaml, line 1 too; let the output name {seed}",
        ),
        (
            f"{JOB}, output: one.mp4}}\n{JOB}, output: One}}",
            "line 2: its record 'One.json' is that of jobs.yaml, line 1 too",
        ),
        (
            f"{JOB}, output: one.gif}}\n{JOB}, output: one.gif.mp4}}",
            "line 2: its record 'one.gif.json' is that of jobs.yaml, line 1 too",
        ),
        (
            f"{JOB}, output: x.mp4}}\n{JOB}, output: x.mp4/y.mp4}}",
            "line 2: its output 'x.mp4/y.mp4' lies in 'x.mp4', which jobs.yaml, line 1 writes",
        ),
        (
            f"{JOB}, output: X/deep/y.mp4}}\n{JOB}, output: x}}",
            "line 2: its output 'x' is the folder of 'X/deep/y.mp4' of jobs.yaml, line 1",
        ),
        (f"{JOB}, output: x.json/y.mp4}}\n{JOB}, output: x.mp4}}", "line 2: its record 'x.json' is the folder of"),
        (f"{JOB}, output: x}}\n\n{JOB}, output: x/y.mp4}}", "line 3: its output 'x/y.mp4' lies in 'x'"),
        (f"\n{JOB}, output: {'n' * 300}.mp4}}", "line 2: a name in its output has 304 bytes; at most 240 are allowed"),
        (f"{JOB}, output: {'é' * 121}/x.mp4}}", "line 1: a name in its output has 242 bytes"),
        (f"{JOB}, prompts: [], seed: 1}}", "prompt and prompts are both given"),
        ("model: tiny-dit", "line 1: a job file lacks jobs"),
        ("jobs: []", "line 1: jobs is a list of at least one"),
        ("- &a {x: 1}\n- *a", "line 2: aliases (*a) are not read"),
        ("# nothing\n", "is empty; name at least a reference and a prompt"),
        ("- [", "write YAML"),
    ],
)
def test_what_yaml_is_refused_with_its_line(text: str, told: str):
    with pytest.raises(InputError) as refusal:
        read_jobs(written(text))
    assert told in str(refusal.value) and str(refusal.value).startswith("jobs.yaml")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("j.csv", "reference,speed\n", "line 1: unknown key 'speed'"),
        ("j.csv", "reference,reference\n", "line 1: 'reference' comes twice"),
        ("j.csv", "", "line 1: no head"),
        (
            "j.csv",
            f"reference,prompt\nclips/one.mp4,{RED}\nclips/none.mp4,{RED}\n",
            "line 3: clips/none.mp4 does not exist",
        ),
        ("j.csv", f"reference,prompt\nclips/one.mp4,{RED},3\n", "line 2: there are 3 cells, and 2 in the head"),
        ("j.csv", f"reference,prompt,seed\nclips/one.mp4,{RED},x\n", "line 2: a seed is 'x'"),
        ("j.csv", 'reference,prompt\n"clips', "line 2: unexpected end of data"),
        ("j.jsonl", '\n{"reference": 1', "line 2: this is no JSON"),
        ("j.jsonl", "[1]", "line 1: a job needs keys"),
        ("j.jsonl", '{"reference": {"a": 1}, "prompt": "x"}', "line 1: reference is text"),
        ("j.jsonl", '{"reference": "clips/one.mp4", "prompt": null}', "line 1: a prompt is text"),
        ("j.jsonl", "\n", "is empty"),
        ("j.jsonl", '{"prompt": ' + "[" * 400 + "]" * 400 + "}", "line 1: "),
        ("j.txt", "x", "is no job file; its name ends in .yaml, .yml, .csv, .jsonl"),
    ],
)
def test_what_tables_and_lines_are_refused_with(name: str, text: str, told: str):
    Path(name).write_text(text or "\n", encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        read_jobs(name)
    assert told in str(refusal.value) and str(refusal.value).startswith(name)


@pytest.mark.slow
def test_what_is_no_text_or_too_large_is_refused():
    Path("j.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_jobs("j.jsonl")
    Path("j.yaml").write_text("# " + "x" * 2**20, encoding="utf-8")
    with pytest.raises(InputError, match=r"larger than 1048576 bytes; write so many jobs as \.csv or \.jsonl"):
        read_jobs("j.yaml")
    line = json.dumps({"reference": "clips/one.mp4", "prompt": RED, "seeds": [*range(999)], "output": "{number}.mp4"})
    Path("j.jsonl").write_text("\n".join([line] * (MOST_JOBS // 999 + 2)), encoding="utf-8")
    with pytest.raises(InputError, match=f"there are more than {MOST_JOBS} jobs; split the file"):
        read_jobs("j.jsonl")


def test_too_many_jobs_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("motionlift.jobs.job_file.MOST_JOBS", 50)
    made: list[object] = []
    monkeypatch.setattr("motionlift.jobs.job_file._named", lambda *given: made.append(given))
    prompts, seeds = [f"star {number}" for number in range(20)], list(range(20))
    with pytest.raises(InputError, match="line 1: there are more than"):
        read_jobs(written(json.dumps([{"reference": "clips/one.mp4", "prompts": prompts, "seeds": seeds}])))
    Path("j.csv").write_text("reference,prompt\n" + f"clips/one.mp4,{RED}\n" * 60, encoding="utf-8")
    with pytest.raises(InputError, match=r"line 52: there are more than"):
        read_jobs("j.csv")
    assert made == []


def test_names_of_pictures_may_be_no_text(tmp_path: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"\xe9.png")).write_bytes(b"one")
    except OSError:
        pytest.skip("this system's names are text")
    assert content_of(folder)


def test_a_job_without_a_reference_is_made_of_each_clip():
    found = read_jobs(written(f"- {{prompt: {RED}, seeds: [1, 2]}}"), templates=True)
    assert found.jobs == () and len(found.templates) == 2
    made = for_clips(found.templates, [Path("in/a b.mp4"), Path("in/two.mp4")])
    assert [(job.reference, job.output) for job in made] == [
        (f"in/{name}.mp4", f"{word}-a-red-star-on-a-blue-plain-background-{seed}.mp4")
        for name, word in (("a b", "a-b"), ("two", "two"))
        for seed in (1, 2)
    ]
    assert isinstance(made[0], Job) and made[0].place == "jobs.yaml, line 1, of a b.mp4"


def test_clips_whose_names_are_alike_are_told_by_the_number():
    """As the refusal of two of them advises."""
    alike = [Path(f"in/{name}") for name in (f"{'a' * 50}1.mp4", f"{'a' * 50}2.mp4", "walk.mp4", "walk.mov")]
    pattern = read_jobs(written(f"- {{prompt: {RED}, output: '{{reference}}.mp4'}}"), templates=True).templates
    with pytest.raises(InputError, match=r"let the output name \{number\}"):
        check_outputs(for_clips(pattern, alike[:2]))
    numbered = f"- {{prompt: {RED}, seeds: [1, 2], output: '{{reference}}-{{number}}.mp4'}}"
    found = for_clips(read_jobs(written(numbered), templates=True).templates, alike)
    check_outputs(found)
    again = for_clips(read_jobs(written(numbered), templates=True).templates, alike[2:])
    assert [job.output for job in again] == [job.output for job in found[4:]], "whatever else arrived"


def test_outputs_of_one_folder_are_none_in_the_others_way():
    text = f"{JOB}, seeds: [1, 2, 3], output: 'x/{{seed}}/y.mp4'}}\n{JOB}, output: x.mp4}}"
    assert len(read_jobs(written(text)).jobs) == 4


def test_an_address_is_asked_about_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr("motionlift.jobs.job.version_of", lambda place: (asked.append(place), "1")[1])
    line = json.dumps({"reference": "memory://clips/one.mp4", "prompt": RED, "output": "{number}.mp4"})
    contents = Contents()
    found = read_jobs(written("\n".join([line] * 5), "jobs.jsonl"), contents=contents).jobs
    assert len(found) == 5 and contents.of(found[0].reference) and len(asked) == 1


def test_what_an_address_holds_is_asked_again_later(monkeypatch: pytest.MonkeyPatch):
    """As of a watch that runs for days."""
    now = [0.0]
    monkeypatch.setattr("motionlift.jobs.job.version_of", lambda _: str(now[0]))
    contents = Contents(lambda: now[0])
    first = contents.of("memory://clips/one.mp4")
    now[0] = KNOWN_FOR + 1
    assert contents.of("memory://clips/one.mp4") != first
