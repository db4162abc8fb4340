"""Missing files are found again: below a folder here, among names from a browser, before an import and after it."""

import json
import shutil
from pathlib import Path
from typing import Any

import media_tools
import pytest
import skyreels_episode
from drawing import draw
from starlette.testclient import TestClient

from studio.domain import State
from studio.errors import Forbidden, NotFound, Refused
from studio.service import Studio

LOST = (skyreels_episode.PORTRAITS["Inês"], skyreels_episode.recording(2, 1), skyreels_episode.recording(7, 2))


@pytest.fixture
def home(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for this studio, with an episode of which three files lie elsewhere."""
    made = tmp_path / "home"
    monkeypatch.setattr(Path, "home", lambda: made)
    skyreels_episode.write(made / "episode", without=LOST)
    for number, name in enumerate(LOST):
        path = made / "old disk" / f"backup {number}" / Path(name).parent.name / Path(name).name
        draw(path, (40, 32)) if path.suffix == ".png" else media_tools.wav(path, seconds=1.0 + number / 10)
    return made


def check(studio: Studio, home: Path, **more: Any) -> dict[str, Any]:
    """As somebody asks who may read below that home and no further."""
    found = studio.episodes.check_path(str(home / "episode" / "ep01_primeiro_dia.json"), **more)
    return dict(found["files"][0]["report"])


def test_three_missing_files_are_found_and_come_in(studio: Studio, home: Path) -> None:
    report = check(studio, home)
    assert {row["name"] for row in report["missing"]} == set(LOST) and report["totals"]["ok"] < 59
    wanted = [{"ref": row["name"], "kind": row["kind"]} for row in report["missing"]]
    search = studio.relink.begin(str(home / "old disk"), wanted, wait=True)
    assert (search["state"], search["found"], search["complete"]) == (State.DONE, 3, True)
    taken = studio.relink.take(search["id"], {})
    assert set(taken["relinked"]) == set(LOST) and taken["refused"] == []
    again = check(studio, home, relinked=taken["relinked"])
    assert again["missing"] == [] and again["totals"]["ok"] == 59
    path = str(home / "episode" / "ep01_primeiro_dia.json")
    made = studio.episodes.import_path(path, relinked=taken["relinked"])["files"][0]
    assert len(studio.queues.get(made["queue"]["id"])["scenes"]) == 59
    assert studio.relink.missing(made["queue"]["id"])["files"] == []


def test_only_what_was_found_may_be_taken(studio: Studio, home: Path) -> None:
    media_tools.wav(home / "elsewhere.wav", seconds=1.0)
    (home / "old disk" / "twice.wav").write_text("no sound at all, but a name\n" * 9)
    wanted = [{"ref": "a/twice.wav", "kind": "audio"}, {"ref": LOST[1], "kind": "audio"}]
    search = studio.relink.begin(str(home / "old disk"), wanted, wait=True)
    with pytest.raises(Refused, match=r"search\.no_candidate"):
        studio.relink.take(search["id"], {LOST[1]: "../elsewhere.wav"})
    taken = studio.relink.take(search["id"], {LOST[1]: ""})
    assert taken["relinked"] == {} and taken["refused"][0]["error"]["code"] == "media.not_media"
    with pytest.raises(NotFound):
        studio.relink.take("nobody", {})
    with pytest.raises(Refused, match=r"search\.no_folder"):
        studio.relink.begin(str(home / "elsewhere.wav"), wanted)


# ------------------------------------------------------------------------------------------------ who may look where
def test_folders_are_shown_below_home_and_roots_only(studio: Studio, home: Path, tmp_path: Path) -> None:
    (home / ".ssh").mkdir()
    start = studio.folders.look()
    assert {place["name"] for place in start["places"]} == {"home", "outputs"} and start["folders"] == []
    seen = studio.folders.look(str(home))
    assert [row["name"] for row in seen["folders"]] == ["episode", "old disk"] and seen["parent"] is None
    inside = studio.folders.look(str(home / "episode"))
    assert inside["episodes"][0]["name"] == "ep01_primeiro_dia.json" and inside["parent"] == str(home)
    draw(home / "episode" / "a.png")
    assert studio.folders.look(str(home / "episode"))["media"] == {"image": 1}
    for outside in (str(tmp_path), str(home / ".ssh"), str(home / "..")):
        with pytest.raises(Forbidden):
            studio.folders.look(outside)
        with pytest.raises(Forbidden):
            studio.relink.begin(outside, [])


def test_an_episode_at_home_reads_its_own_folder_and_no_other(studio: Studio, home: Path) -> None:
    draw(home / "private.png")
    shot = {"task_type": "image_to_video", "prompt": "x"}
    scenes = [{**shot, "input_image": name} for name in ("uploads/vale/ep01/小林.png", "../private.png")]
    scenes.append({**shot, "input_image": str(home / "private.png")})
    (home / "episode" / "mine.json").write_text(json.dumps(scenes), "utf-8")
    report = studio.episodes.check_path(str(home / "episode" / "mine.json"))["files"][0]["report"]
    codes = [[problem["code"] for problem in row["problems"]] for row in report["scenes"]]
    assert codes == [[], ["input.outside"], ["input.outside"]]
    dropped = studio.episodes.check(json.dumps(scenes[2:]))  # nobody picked that one
    assert dropped["scenes"][0]["problems"][0]["code"] == "input.outside"


@pytest.mark.parametrize("more", [{"auth": "ana:secret"}, {"allowed_hosts": ["studio.example"]}])
def test_a_studio_for_others_shows_no_home(build: Any, more: dict[str, Any]) -> None:
    assert build(**more).library.homes == []


def test_while_it_is_shared_a_studio_shows_no_home(studio: Studio, home: Path) -> None:
    assert studio.library.homes == [home]
    studio.people.hosts.add("film.gradio.live", "share")
    assert studio.library.homes == []
    with pytest.raises(Forbidden):
        studio.folders.look(str(home))
    studio.people.hosts.remove(["film.gradio.live"])
    assert studio.library.homes == [home]


# ------------------------------------------------------------------------------------------------ a stored queue
@pytest.fixture
def queue(studio: Studio, tmp_path: Path) -> str:
    folder = tmp_path / "media"
    draw(folder / "Inês, retrato.png")
    media_tools.wav(folder / "fala.wav", seconds=1.0)
    avatar = {"task_type": "talking_avatar", "input_image": "Inês, retrato.png", "input_audio": "fala.wav"}
    text = json.dumps({"scenes": [avatar, avatar], "music": {"ref": "fala.wav"}})
    return str(studio.episodes.import_file(text, base=folder, trusted=True)["queue"]["id"])


def test_media_that_went_away_come_back_without_an_edit(
    studio: Studio, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert studio.relink.missing(queue)["files"] == []
    moved = tmp_path / "moved" / "deep"
    shutil.move(tmp_path / "media", moved)
    (moved / "Inês, retrato.png").rename(moved / "somebody.png")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    lost = studio.relink.missing(queue)["files"]
    assert [(row["kind"], row["scenes"]) for row in lost] == [("image", [1, 2]), ("audio", [1, 2])]
    assert not studio.preflight.queue(queue)["clean"]
    search = studio.relink.begin(str(tmp_path / "moved"), lost, wait=True)
    assert [match["how"] for match in search["matches"]] == ["content", "content"]
    told = studio.relink.relink(queue, studio.relink.take(search["id"], {})["relinked"])
    assert told == {"changed": [], "refused": [], "missing": 0}
    assert all(card["version"] == 1 for card in studio.queues.get(queue)["scenes"])
    assert studio.preflight.queue(queue)["clean"]


def test_other_content_is_an_edit_that_can_be_undone(studio: Studio, queue: str, tmp_path: Path) -> None:
    lost = {row["kind"]: row["ref"] for row in _take_away(studio, queue, tmp_path)}
    other = studio.library.add(media_tools.wav(tmp_path / "new.wav", seconds=2.0), "new.wav")["ref"]
    told = studio.relink.relink(queue, {lost["audio"]: other})
    assert len(told["changed"]) == 2 and told["missing"] == 1
    card = studio.queues.get(queue)["scenes"][0]
    assert studio.scenes.get(card["id"])["scene"]["input_audio"] == other
    assert studio.queues.view(queue)["music"]["ref"] == other
    studio.editing.undo(queue)
    assert studio.scenes.get(card["id"])["scene"]["input_audio"] == lost["audio"]
    with pytest.raises(NotFound):
        studio.relink.relink(queue, {lost["audio"]: "asset:" + "0" * 64})


def _take_away(studio: Studio, queue: str, tmp_path: Path) -> list[dict[str, Any]]:
    shutil.rmtree(tmp_path / "media")
    return list(studio.relink.missing(queue)["files"])


# ------------------------------------------------------------------------------------------------ REST
def test_a_dropped_folder_over_rest(client: TestClient, tmp_path: Path) -> None:
    sound = media_tools.wav(tmp_path / "c01_maya.wav", seconds=1.0)
    draw(tmp_path / "maya.png")
    avatar = {"task_type": "talking_avatar", "input_image": "up/maya.png", "input_audio": "up/ep/c01_maya.wav"}
    text = json.dumps([avatar])
    report = client.post("/queues/check", files={"file": ("ep.json", text)}).json()
    held = [{"path": f"all/{path.name}", "size": path.stat().st_size} for path in (sound, tmp_path / "maya.png")]
    search = client.post("/searches", json={"files": held, "wanted": report["missing"]}).json()
    assert [match["path"] for match in search["matches"]] == ["all/maya.png", "all/c01_maya.wav"]
    relinked = {}
    for match in search["matches"]:
        path = tmp_path / Path(match["path"]).name
        relinked[match["ref"]] = client.post("/assets", files={"file": (path.name, path.read_bytes())}).json()["ref"]
    form = {"relinked": json.dumps(relinked), "cast": json.dumps({"c1": {"name": "Maya", "voice": ""}})}
    checked = client.post("/queues/check", files={"file": ("ep.json", text)}, data=form).json()
    assert checked["totals"]["ok"] == 1 and checked["casting"][0]["name"] == "Maya"
    made = client.post("/queues/import", files={"file": ("ep.json", text)}, data=form)
    assert made.status_code == 201 and made.json()["queue"]["counts"]["total"] == 1


BAD = [
    ({"relinked": "{"}, "request.invalid"),
    ({"relinked": "[]"}, "request.invalid"),
    ({"relinked": '{"a.png": "/etc/passwd"}'}, "relink.no_asset"),
    ({"cast": '{"c1": {"nom": "x"}}'}, "request.invalid"),
    ({"cast": '{"c9": {"name": "x"}}'}, "casting.unknown"),
    ({"cast": '{"c1": {"name": "!?"}}'}, "casting.no_name"),
    ({"beside": '{"a": 1}'}, "request.invalid"),
]


@pytest.mark.parametrize(("form", "code"), BAD)
def test_a_mapping_that_is_none_is_refused(client: TestClient, form: dict[str, str], code: str) -> None:
    text = json.dumps([{"task_type": "text_to_video", "prompt": "x", "lines": [{"text": "hello"}]}])
    answer = client.post("/queues/import", files={"file": ("ep.json", text)}, data=form)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert client.get("/queues").json() == []


def test_searches_over_rest(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    outputs = studio.settings.output_dir
    draw(outputs / "x" / "a.png")
    wanted = [{"name": "y/a.png", "kind": "image"}]
    begun = client.post("/searches", json={"path": str(outputs), "wanted": wanted})
    assert begun.status_code == 202
    studio.relink.close()  # it is done then
    search = client.get(f"/searches/{begun.json()['id']}").json()
    assert search["matches"][0]["path"] == "x/a.png"
    taken = client.post(f"/searches/{search['id']}/take", json={"choices": {}}).json()
    assert taken["relinked"]["y/a.png"].startswith("asset:")
    assert client.delete(f"/searches/{search['id']}").status_code == 204
    assert client.get("/folders", params={"path": str(outputs)}).json()["folders"][0]["media"] == 1
    assert client.get("/folders", params={"path": "/etc"}).status_code == 403
    assert client.post("/searches", json={"path": "x"}).status_code == 422


def test_pictures_beside_a_dropped_storyboard_count(client: TestClient) -> None:
    """The browser holds the folder: names are enough to know the task of a segment."""
    segments = [{"segment_index": 1, "prompt_text": "A ((pier)) at night", "duration_seconds": 4}]
    text = json.dumps({"segments": segments, "metadata": {}})
    plain = client.post("/queues/check", files={"file": ("storyboard.json", text)}).json()
    names = json.dumps(["asset/segment/1_start.PNG"])
    held = client.post("/queues/check", files={"file": ("storyboard.json", text)}, data={"beside": names}).json()
    assert [report["scenes"][0]["task_type"] for report in (plain, held)] == ["text_to_video", "image_to_video"]
    assert [row["name"] for row in held["missing"]] == ["asset/segment/1_start.PNG"]
