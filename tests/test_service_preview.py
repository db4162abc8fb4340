"""The look at an episode before it is imported: what is missing, translated and left open, who speaks; many files."""

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import media_tools
import pytest
import skyreels_episode
from drawing import draw
from starlette.testclient import TestClient

from studio.errors import Forbidden, NotFound, Refused, Unavailable
from studio.service import LANGUAGES, Studio
from studio.service.beside import MAX_STORYBOARDS, Listing, storyboards_in, title_of

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 2}


def look(studio: Studio, content: Any, base: Path | None = None, **more: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return studio.episodes.check(text, base=base, trusted=True, **more)


def problems(report: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    return [(row["number"], each["field"], each["code"]) for row in report["scenes"] for each in row["problems"]]


# ------------------------------------------------------------------------------------------------ a whole episode
@pytest.fixture(scope="module")
def vale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return skyreels_episode.write(tmp_path_factory.mktemp("vale"))


def test_the_episode_is_what_producers_bring() -> None:
    scenes = skyreels_episode.scenes()
    tasks = [scene["task_type"] for scene in scenes]
    assert (len(scenes), tasks.count("reference_to_video"), tasks.count("talking_avatar")) == (59, 21, 38)
    assert len({scene["seed"] for scene in scenes}) == 59 and len(skyreels_episode.media()) == 52


def test_a_whole_episode_comes_in_without_a_loss(studio: Studio, vale: Path) -> None:
    report = look(studio, vale.read_text("utf-8"), vale.parent)
    assert report["dialect"] == "skyreels" and problems(report) == [] and report["missing"] == []
    totals = report["totals"]
    assert (totals["scenes"], totals["ok"], totals["missing"], totals["translated"]) == (59, 59, 0, 4)
    assert 79 < totals["seconds"] < 120
    assert {note["code"] for row in report["scenes"] for note in row["notes"]} == {"translated.resolution"}
    assert [row["name"] for row in report["cast"]] == ["Luísa", "小林", "Inês", "Tomás"]
    assert sorted(number for row in report["cast"] for number in row["scenes"]) == sorted(
        row["number"] for row in report["scenes"] if row["task_type"] == "talking_avatar"
    )
    queue = studio.episodes.import_file(vale.read_bytes(), base=vale.parent, trusted=True)["queue"]
    cards = studio.queues.get(queue["id"])["scenes"]
    assert len(cards) == 59
    for card, job in zip(cards, skyreels_episode.scenes(), strict=True):
        scene = studio.scenes.get(card["id"])["scene"]
        assert (scene["label"], scene["prompt"], scene["seed"]) == (job["label"], job["prompt"], job["seed"])
        refs = [*scene.get("ref_imgs", ()), scene.get("input_image"), scene.get("input_audio")]
        assert len(list(filter(None, refs))) == len(job.get("ref_imgs", ("", "")))


def test_exactly_what_is_missing_is_named(studio: Studio, vale: Path, tmp_path: Path) -> None:
    lost = (skyreels_episode.SETS[4], skyreels_episode.PORTRAITS["Tomás"], skyreels_episode.recording(2, 1))
    file = skyreels_episode.write(tmp_path / "lost", without=lost)
    report = look(studio, file.read_text("utf-8"), file.parent)
    assert sorted(row["name"] for row in report["missing"]) == sorted(lost) and report["totals"]["missing"] == 3
    named = {number for row in report["missing"] for number in row["scenes"]}
    assert named == {number for number, _, code in problems(report) if code == "input.missing"}
    assert all(len(row["missing"]) <= len(row["problems"]) for row in report["scenes"])
    with pytest.raises(Refused) as refused:
        studio.episodes.import_file(file.read_bytes(), base=file.parent, trusted=True)
    assert refused.value.params["report"]["totals"] == report["totals"]


def test_their_markdown_says_the_same(studio: Studio, vale: Path) -> None:
    both = [look(studio, text, vale.parent) for text in (vale.read_text("utf-8"), skyreels_episode.markdown())]
    for report in both:
        del report["preflight"]  # counts what is free on the disk at this moment
    assert both[1].pop("title") == "O primeiro dia" and both[0].pop("title") == ""
    assert both[0] == both[1]


# ------------------------------------------------------------------------------------------------ the report
def test_what_nobody_said_is_told(studio: Studio) -> None:
    scenes = [SHOT, {**SHOT, "seed": 1, "aspect": "1:1"}, {"task_type": "speech", "lines": [{"text": "oi"}]}, 7]
    rows = look(studio, {"defaults": {"resolution": "480P"}, "scenes": scenes})["scenes"]
    assert [row["defaults"] for row in rows] == [["aspect", "seed"], [], ["aspect", "seed"], []]


def test_missing_media_are_told_once_with_their_scenes_and_the_music(studio: Studio) -> None:
    portrait = {"task_type": "image_to_video", "input_image": "a, b.png", "end_image": "ç.png"}
    report = look(studio, {"music": {"ref": "bed.mp3"}, "scenes": [portrait, SHOT, portrait]})
    assert report["missing"] == [
        {"name": "a, b.png", "kind": "image", "scenes": [1, 3], "can_make_do": False},
        {"name": "ç.png", "kind": "image", "scenes": [1, 3], "can_make_do": False},
        {"name": "bed.mp3", "kind": "audio", "scenes": [], "can_make_do": True},
    ]
    assert report["scenes"][0]["missing"] == [
        {"field": "input_image", "name": "a, b.png"}, {"field": "end_image", "name": "ç.png"},
    ]  # fmt: skip
    assert report["scenes"][1]["missing"] == []


def test_whoever_speaks_is_listed_and_whoever_is_unknown(studio: Studio) -> None:
    def said(*names: str) -> dict[str, Any]:
        return {**SHOT, "lines": [{"character": name, "text": "oi"} for name in names]}

    studio.episodes.import_file(json.dumps({"cast": [{"name": "Inês", "voice": "deep"}], "scenes": [said("Inês")]}))
    report = look(studio, {"cast": [{"name": "Rui"}], "scenes": [said("INÊS", "Rui"), said("", "Ana"), said("Ana")]})
    assert report["cast"] == [
        {"name": "INÊS", "voice": "deep", "known": True, "scenes": [1]},
        {"name": "Rui", "voice": "", "known": True, "scenes": [1]},
        {"name": "", "voice": "", "known": False, "scenes": [2]},
        {"name": "Ana", "voice": "", "known": False, "scenes": [2, 3]},
    ]


def test_how_long_it_will_be_counts_what_is_shown(studio: Studio, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    media_tools.wav(tmp_path / "a.wav", seconds=1.5)
    avatar = {"task_type": "talking_avatar", "input_image": "a.png", "input_audio": "a.wav"}
    still = {"task_type": "text_to_image", "prompt": "x", "in_cut": True}
    report = look(studio, [SHOT, avatar, {**SHOT, "in_cut": False}, still, {**SHOT, "seed": -1}], tmp_path)
    assert report["totals"]["seconds"] == pytest.approx(3.5, abs=0.1)
    assert [row["seconds"] for row in report["scenes"]][::4] == [2.0, None]


def test_a_long_line_makes_its_scene_longer(studio: Studio) -> None:
    (row,) = look(studio, [{**SHOT, "lines": [{"text": "a rather long sentence, said slowly " * 4}]}])["scenes"]
    assert row["seconds"] > 6


# ------------------------------------------------------------------------------------------------ making do
def test_a_picture_that_is_only_described_is_made(studio: Studio, tmp_path: Path) -> None:
    draw(tmp_path / "set.png")
    job = {"task_type": "reference_to_video", "prompt": "she enters", "offload": True, "label": "A", "seed": 3}
    jobs = [
        {**job, "image_prompt": "a room"},
        {**job, "image_prompt": "a room", "ref_imgs": ["gone.png", "set.png"]},
        {"task_type": "single_shot_extension", "prompt": "on", "input_video": "{{prev}}", "offload": True},
    ]
    report = look(studio, jobs, tmp_path)
    assert [row["task_type"] for row in report["scenes"]][:2] == ["text_to_image", "reference_to_video"]
    assert report["missing"] == [{"name": "gone.png", "kind": "image", "scenes": [3], "can_make_do": True}]
    again = look(studio, jobs, tmp_path, make_do=True)
    assert problems(again) == [] and again["totals"]["scenes"] == 5
    made = studio.episodes.import_file(json.dumps(jobs), base=tmp_path, trusted=True, make_do=True)["queue"]
    cards = studio.queues.get(made["id"])["scenes"]
    scenes = [studio.scenes.get(card["id"])["scene"] for card in cards]
    assert [scene["in_cut"] for scene in scenes] == [False, True, False, True, True]
    assert scenes[3]["ref_imgs"][0] == f"scene:{cards[2]['id']}" and scenes[3]["ref_imgs"][1].startswith("asset:")
    assert scenes[4]["input_video"] == f"scene:{cards[3]['id']}"


def test_a_film_can_do_without_music_that_nobody_has(studio: Studio) -> None:
    text = json.dumps({"music": {"ref": "bed.mp3"}, "scenes": [SHOT]})
    with pytest.raises(Refused):
        studio.episodes.import_file(text)
    assert studio.episodes.import_file(text, make_do=True)["queue"]["music"] is None


def test_what_could_be_done_without_is_only_said_of_what_is_missing(studio: Studio, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    shot = {"task_type": "reference_to_video", "prompt": "x", "image_prompt": "a room", "offload": True}
    there, gone = look(studio, [{**shot, "ref_imgs": ["a.png"]}, {**shot, "ref_imgs": ["b.png"]}], tmp_path)["scenes"]
    assert there["notes"] == [] and [note["code"] for note in gone["notes"]] == ["translated.can_make"]


# ------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize("name", ["Inês, retrato.png", "小林 (2).png", "a'b\"c.png", "100% #1 ;x.png", "éàü.PNG"])
def test_any_name_of_a_file_is_found(studio: Studio, tmp_path: Path, name: str) -> None:
    draw(tmp_path / "imgs" / name)
    scene = {"task_type": "image_to_video", "input_image": f"imgs/{name}"}
    assert look(studio, [scene], tmp_path)["missing"] == []
    assert look(studio, [{**scene, "input_image": f"imgs\\{name}"}], tmp_path)["missing"] == []


@pytest.mark.parametrize(("stored", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_are_found_however_they_are_stored(studio: Studio, tmp_path: Path, stored: Any, written: Any) -> None:
    draw(tmp_path / unicodedata.normalize(stored, "Inês.png"))
    scene = {"task_type": "image_to_video", "input_image": unicodedata.normalize(written, "Inês.png")}
    assert look(studio, [scene], tmp_path)["missing"] == []


def test_another_spelling_leads_nowhere_new(studio: Studio, tmp_path: Path) -> None:
    """A link beside the name, in the other spelling, is no way out of the roots."""
    outside = draw(tmp_path / "outside.png")
    home = studio.settings.output_dir
    home.mkdir(exist_ok=True)
    (home / unicodedata.normalize("NFD", "é.png")).symlink_to(outside)
    scene = {"task_type": "image_to_video", "input_image": "é.png"}
    report = studio.episodes.check(json.dumps([scene]))
    assert [each["code"] for each in report["scenes"][0]["problems"]] == ["input.outside"]


# ------------------------------------------------------------------------------------------------ folders
def storyboard(folder: Path, name: str, *prompts: str, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    segments = [
        {"segment_index": number, "prompt_text": prompt, "duration_seconds": 5, **more}
        for number, prompt in enumerate(prompts, start=1)
    ]
    path = folder / name
    path.write_text(json.dumps({"segments": segments}), "utf-8")
    return path


@pytest.fixture
def shelf(studio: Studio) -> Path:
    """Below a folder that everybody may read: two storyboards with pictures, one broken, other files."""
    made = studio.settings.output_dir / "series"
    storyboard(made / "ep 1", "storyboard_night_pier.json", "a", "b", asset={"characters": ["Inês@i"]})
    draw(made / "ep 1" / "asset" / "character" / "Inês.png")
    draw(made / "ep 1" / "asset" / "segment" / "2_start.png")
    (made / "ep 2").mkdir()
    (made / "ep 2" / "Storyboard.md").write_text("# Ep 2\n## x\n- prompt_text: c\n- duration_seconds: 5\n", "utf-8")
    (made / "storyboard_broken.json").write_text("{", "utf-8")
    (made / "notes.json").write_text("[]", "utf-8")
    storyboard(made / ".hidden", "storyboard_x.json", "a")
    return made


def test_every_storyboard_of_a_folder_is_looked_at(studio: Studio, shelf: Path) -> None:
    files = studio.episodes.check_path("series")["files"]
    assert [row["file"] for row in files] == [
        "storyboard_broken.json", "ep 1/storyboard_night_pier.json", "ep 2/Storyboard.md",
    ]  # fmt: skip
    assert files[0]["error"]["code"] == "episode.not_json"
    assert [row["task_type"] for row in files[1]["report"]["scenes"]] == ["reference_to_video", "image_to_video"]
    assert [row["report"]["title"] for row in files[1:]] == ["night pier", "Ep 2"]
    assert studio.queues.list() == []


def test_every_storyboard_of_a_folder_becomes_a_queue(studio: Studio, shelf: Path) -> None:
    files = studio.episodes.import_path(str(shelf))["files"]
    assert [row.get("error", {}).get("code") for row in files] == ["episode.not_json", None, None]
    assert [queue["name"] for queue in studio.queues.list()] == ["night pier", "Ep 2"]
    one = studio.episodes.import_path("series/ep 1/storyboard_night_pier.json")["files"]
    assert [row["file"] for row in one] == ["storyboard_night_pier.json"] and one[0]["queue"]["counts"]["total"] == 2


def test_a_folder_is_brought_over_rest(client: TestClient, shelf: Path, tmp_path: Path) -> None:
    checked = client.post("/queues/check", params={"path": "series", "lang": "pt"})
    assert checked.status_code == 200 and checked.json()["files"][0]["error"]["message"].startswith("Isto não é JSON")
    taken = client.post("/queues/import", params={"path": "series"})
    assert taken.status_code == 201 and len(client.get("/queues").json()) == 2
    note = checked.json()["files"][2]["report"]["scenes"][0]
    assert note["ok"] and note["notes"] == []
    for outside in (str(tmp_path / "elsewhere"), "../..", "/etc", "~/.ssh"):
        answer = client.post("/queues/check", params={"path": outside})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "input.outside"), outside


def test_a_path_that_holds_no_storyboard_says_so(studio: Studio, tmp_path: Path) -> None:
    empty = studio.settings.output_dir / "empty"
    empty.mkdir(parents=True)
    with pytest.raises(Refused) as refused:
        studio.episodes.check_path("empty")
    assert refused.value.code == "episode.no_storyboards"
    with pytest.raises(NotFound):
        studio.episodes.check_path("nobody")
    storyboard(tmp_path / "elsewhere", "storyboard.json", "a")
    with pytest.raises(Forbidden):
        studio.episodes.check_path(str(tmp_path / "elsewhere"))
    assert studio.episodes.check_path(str(tmp_path / "elsewhere"), trusted=True)["files"][0]["report"]["valid"] == 1


def test_a_listing_reads_a_folder_once_and_only_where_it_may(tmp_path: Path) -> None:
    draw(tmp_path / "asset" / "character" / unicodedata.normalize("NFD", "Inês.PNG"))
    asked: list[Path] = []

    def may_read(folder: Path) -> bool:
        asked.append(folder)
        return folder.name != "segment"

    draw(tmp_path / "asset" / "segment" / "1_start.png")
    listing = Listing(tmp_path, may_read)
    assert listing.first(["x.png", "asset/character/Inês.png"]).endswith(".PNG")
    assert listing.first(["asset/segment/1_start.png"]) == ""
    assert listing.first(["asset/segment/1_start.png", "asset/nobody/a.png", "x.png"]) == ""
    assert len(asked) == len(set(asked)) == 4
    assert Listing(None, lambda folder: True).first(["a.png"]) == ""


def test_a_folder_of_folders_ends_somewhere(tmp_path: Path) -> None:
    for number in range(MAX_STORYBOARDS + 20):
        (tmp_path / f"storyboard_{number:04d}.json").touch()
    assert len(storyboards_in(tmp_path)) == MAX_STORYBOARDS
    assert [title_of(Path(name)) for name in ("storyboard_a_b.json", "Storyboard.md", "storyboard-x.json")] == [
        "a b", "Storyboard", "x",
    ]  # fmt: skip


def test_every_note_has_words(studio: Studio) -> None:
    jobs = [{"task_type": "talking_avatar", "resolution": "540P", "audio_text": "oi", "input_image": "x", "seed": -1}]
    (row,) = look(studio, jobs)["scenes"]
    assert {note["code"] for note in row["notes"]} == {
        "translated.resolution", "translated.line", "translated.seed",
    }  # fmt: skip
    for note in row["notes"]:
        assert len({studio.words.error(note, lang)["message"] for lang in LANGUAGES}) == len(LANGUAGES)


# ------------------------------------------------------------------------------------------------ ten thousand scenes
def test_many_files_are_looked_at_in_few_questions_and_kept_in_one_write(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 250
    for number in range(count):
        draw(tmp_path / f"{number}.png", (8 + number, 8))
    (tmp_path / "249.png").write_text("no picture")
    asked: list[str] = []
    ask = studio._runner.ask
    monkeypatch.setattr(
        studio._runner, "ask", lambda lane, tool, *a, **m: asked.append(tool) or ask(lane, tool, *a, **m)
    )
    scenes = [{"task_type": "image_to_video", "input_image": f"{number}.png"} for number in range(count)]
    report = look(studio, scenes, tmp_path)
    assert problems(report) == [(250, "input_image", "media.not_media")]
    assert asked.count("probe_all") == 3 and asked.count("probe") <= 3  # the one that is none, by itself
    asked.clear()
    taken = studio.episodes.import_file(json.dumps(scenes[:-1]), base=tmp_path, trusted=True)["queue"]
    assert taken["counts"]["total"] == count - 1 and asked == []


def test_a_worker_that_dies_of_one_file_still_names_it(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = studio._runner.ask

    def dying(lane: Any, tool: str, arguments: Any, **more: Any) -> Any:
        if tool == "probe_all" or "bad" in arguments["path"]:
            raise Unavailable("worker.died", how="told to")
        return ask(lane, tool, arguments, **more)

    monkeypatch.setattr(studio._runner, "ask", dying)
    scenes = [
        {"task_type": "image_to_video", "input_image": str(draw(tmp_path / name))} for name in ("a.png", "bad.png")
    ]
    assert problems(look(studio, scenes)) == [(2, "input_image", "worker.died")]
