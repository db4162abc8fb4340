"""Many lines over one portrait: a scene for each, in one edit; the two routes that look at a picture and crop it."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_faces import cartoon, landscape
from media_tools import wav
from PIL import Image
from starlette.testclient import TestClient

from studio.domain import SceneAdapter
from studio.pipelines import ENGINES
from studio.pipelines.base import Availability, Machine
from studio.service import Studio

LINES = [
    {"character": "Inês", "text": "Boa noite. O farol está aceso."},
    {"character": "Inês", "text": "One two three four five six seven eight"},
    {"text": "灯塔亮了，回家吧。"},
]


@pytest.fixture
def portrait(client: TestClient) -> str:
    return upload(client, picture_bytes(cartoon()), "ines.png")


@pytest.fixture
def couple(client: TestClient) -> str:
    return upload(
        client, picture_bytes(np.hstack([cartoon(), cartoon(skin=(80, 120, 170), hair=(25, 20, 25))])), "two.png"
    )


def picture_bytes(bgr: np.ndarray) -> bytes:
    return cv2.imencode(".png", bgr)[1].tobytes()


def upload(client: TestClient, content: bytes, name: str) -> str:
    return str(client.post("/assets", files={"file": (name, io.BytesIO(content))}).json()["ref"])


def made(client: TestClient, **order: Any) -> dict[str, Any]:
    answer = client.post("/avatars", json={"run": False, **order})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def refused(client: TestClient, **order: Any) -> tuple[str, dict[str, Any]]:
    answer = client.post("/avatars", json=order)
    assert answer.status_code in (404, 422), answer.text
    error = answer.json()["error"]
    assert error["message"] and error["hint"]
    return error["code"], error["params"]


def scenes_of(client: TestClient, told: dict[str, Any]) -> list[dict[str, Any]]:
    return [client.get(f"/scenes/{scene}").json()["scene"] for scene in told["scenes"]]


# ------------------------------------------------------------------------------------------------ lines
def test_each_line_is_a_scene_of_one_portrait(client: TestClient, portrait: str) -> None:
    told = made(client, portrait=portrait, lines=LINES, name="Night", engine="draft", aspect="1:1", prompt="a pier")
    scenes = scenes_of(client, told)
    assert [scene["lines"][0]["text"] for scene in scenes] == [line["text"] for line in LINES]
    assert {scene["input_image"] for scene in scenes} == {portrait}
    assert [scene["label"] for scene in scenes] == [
        "Inês: Boa noite. O farol está aceso.", "Inês: One two three four five six…", "灯塔亮了，回家吧。"
    ]  # fmt: skip
    assert {(s["engine"], s["aspect"], s["prompt"], s["duration"]) for s in scenes} == {
        ("draft", "1:1", "a pier", None)
    }
    assert client.get(f"/queues/{told['queue']}").json()["queue"]["name"] == "Night"


def test_they_are_one_edit_that_can_be_undone(client: TestClient, portrait: str) -> None:
    queue = made(client, portrait=portrait, lines=LINES[:1])["queue"]
    told = made(client, portrait=portrait, lines=LINES, queue=queue)
    assert told["queue"] == queue and len(client.get(f"/queues/{queue}").json()["scenes"]) == 4
    done = client.post(f"/queues/{queue}/undo").json()["done"]
    assert (done["verb"], done["count"]) == ("avatars", 3)
    assert len(client.get(f"/queues/{queue}").json()["scenes"]) == 1


def test_on_request_they_run_voice_first_and_a_changed_line_renders_alone(
    client: TestClient, studio: Studio, portrait: str
) -> None:
    told = made(client, portrait=portrait, lines=LINES, engine="draft", run=True)
    assert not told["refused"]
    studio.drain()
    views = [client.get(f"/scenes/{scene}").json() for scene in told["scenes"]]
    for view in views:
        voice = next(iter(view["line_takes"].values()))
        assert view["take"]["duration"] >= voice["duration"] + 0.5  # the speech, and air
    changed = [{**views[1]["scene"]["lines"][0], "text": "Other words."}]
    client.patch(f"/scenes/{told['scenes'][1]}", json={"lines": changed})
    client.post(f"/queues/{told['queue']}/run")
    studio.drain()
    takes = [len(client.get(f"/scenes/{scene}").json()["take_list"]) for scene in told["scenes"]]
    assert takes == [1, 2, 1]


def test_what_cannot_run_stays_and_says_why(client: TestClient, portrait: str) -> None:
    told = made(client, portrait=portrait, lines=LINES, engine="no-such", run=True)
    (row,) = told["refused"]
    assert row["error"]["code"] and row["error"]["message"] and len(told["scenes"]) == 3


def test_recordings_are_scenes_as_long_as_they_are(client: TestClient, portrait: str, tmp_path: Path) -> None:
    sounds = [upload(client, wav(tmp_path / f"take {i}.wav", i).read_bytes(), f"take {i}.wav") for i in (1, 2)]
    scenes = scenes_of(client, made(client, portrait=portrait, recordings=sounds))
    assert [scene["input_audio"] for scene in scenes] == sounds
    assert [scene["label"] for scene in scenes] == ["take 1", "take 2"]
    (both,) = scenes_of(client, made(client, portrait=portrait, recordings=sounds, together=True,
                                     speaker_boxes=[[0, 0, 0.4, 1], [0.6, 0, 1, 1]]))  # fmt: skip
    assert (both["input_audio"], both["input_audio_2"], both["audio_order"]) == (*sounds, "in_turn")
    assert both["speaker_boxes"] == [[0, 0, 0.4, 1], [0.6, 0, 1, 1]]


# ------------------------------------------------------------------------------------------------ two people
def test_two_characters_are_two_faces_left_to_right(client: TestClient, couple: str) -> None:
    lines = [
        {"character": "Ana", "text": "Hi."},
        {"character": "Rui", "text": "Oi."},
        {"character": "Ana", "text": "So?"},
    ]
    scenes = scenes_of(client, made(client, portrait=couple, lines=lines))
    boxes = [scene["speaker_boxes"] for scene in scenes]
    assert [len(box) for box in boxes] == [1, 1, 1]
    assert boxes[0] == boxes[2] and boxes[0][0][2] < 0.5 < boxes[1][0][0]
    (one,) = scenes_of(client, made(client, portrait=couple, lines=lines, together=True))
    assert len(one["lines"]) == 3 and one["speaker_boxes"] == [boxes[0][0], boxes[1][0]]


def test_one_who_speaks_needs_no_box(client: TestClient, couple: str) -> None:
    assert scenes_of(client, made(client, portrait=couple, lines=LINES[:2]))[0]["speaker_boxes"] == []


# ------------------------------------------------------------------------------------------------ refusals
def test_what_cannot_be_is_refused_and_nothing_is_made(client: TestClient, portrait: str, tmp_path: Path) -> None:
    queues = len(client.get("/queues").json())
    sound = upload(client, wav(tmp_path / "a.wav", 1).read_bytes(), "a.wav")
    two, three = ([{"character": name, "text": "Hi."} for name in names] for names in ("AB", "ABC"))
    found = {
        "avatar.nothing_said": refused(client, portrait=portrait),
        "avatar.lines_or_recordings": refused(client, portrait=portrait, lines=LINES, recordings=[sound]),
        "avatar.more_speakers_than_faces": refused(client, portrait=portrait, lines=two),
        "avatar.too_many_people": refused(client, portrait=portrait, lines=three),
        "avatar.too_many_speakers": refused(client, portrait=portrait, recordings=[sound] * 3, together=True),
        "input.kind": refused(client, portrait=sound, lines=LINES),
        "queue.unknown": refused(client, portrait=portrait, lines=LINES, queue="nowhere"),
        "scene.field": refused(client, portrait=portrait, lines=[{"text": " "}]),
    }  # fmt: skip
    assert {code: one[0] for code, one in found.items()} == {code: code for code in found}
    assert found["avatar.more_speakers_than_faces"][1]["names"] == "A, B"
    assert len(client.get("/queues").json()) == queues


# ------------------------------------------------------------------------------------------------ pictures
def test_a_picture_is_looked_at_in_words(client: TestClient) -> None:
    hills = upload(client, picture_bytes(landscape()), "hills.png")
    (one,) = client.post("/portraits/look", json={"ref": hills}).json()["advice"]
    other = client.post("/portraits/look", json={"ref": hills}, headers={"accept-language": "zh"}).json()["advice"][0]
    assert one["code"] == other["code"] == "portrait.no_face" and one["level"] == "warning"
    assert one["message"] and one["hint"] and one["message"] != other["message"]


def test_a_crop_is_an_asset_of_its_own(client: TestClient, portrait: str) -> None:
    answer = client.post("/portraits/crop", json={"ref": portrait, "box": [0.25, 0.0, 0.75, 0.5]})
    asset = answer.json()
    assert answer.status_code == 201 and (asset["width"], asset["height"], asset["name"]) == (240, 320, "ines.png")
    content = client.get(f"/assets/{asset['sha256']}/file").content
    assert Image.open(io.BytesIO(content)).format == "PNG"
    empty = client.post("/portraits/crop", json={"ref": portrait, "box": [0.5, 0, 0.5, 1]})
    assert empty.json()["error"]["code"] == "portrait.box"


def test_a_gif_is_a_portrait_by_its_first_frame(client: TestClient, studio: Studio) -> None:
    held = io.BytesIO()
    face, night = Image.fromarray(cartoon()[..., ::-1]), Image.new("RGB", (480, 640))
    face.save(held, "GIF", save_all=True, append_images=[night] * 3, duration=100)
    gif = upload(client, held.getvalue(), "moving.gif")
    looked = client.post("/portraits/look", json={"ref": gif}).json()
    assert [one["code"] for one in looked["advice"]] == ["portrait.animated"] and len(looked["faces"]) == 1
    (scene,) = scenes_of(client, made(client, portrait=gif, lines=LINES[:1]))
    still = client.get(f"/assets/{scene['input_image'][6:]}").json()
    assert (still["kind"], still["name"], still["width"]) == ("image", "moving.png", 480)
    shown = Image.open(io.BytesIO(client.get(f"/assets/{still['sha256']}/file").content)).convert("RGB")
    assert np.asarray(shown).mean() > 100  # the face, not the night after it


def test_a_scene_s_picture_is_a_portrait_too(client: TestClient, studio: Studio) -> None:
    scene = client.post("/scenes", json={"task_type": "text_to_image", "prompt": "boat", "engine": "draft"}).json()[
        "id"
    ]
    assert client.post("/portraits/look", json={"ref": f"scene:{scene}"}).json()["error"]["code"] == "input.no_take"
    studio.drain()
    assert client.post("/portraits/look", json={"ref": f"scene:{scene}"}).json()["width"] > 0
    assert client.post("/portraits/crop", json={"ref": f"scene:{scene}", "box": [0, 0, 1, 0.5]}).status_code == 201


def test_nobody_reads_files_that_are_not_theirs(client: TestClient, tmp_path: Path) -> None:
    outside = Path(__file__).parent.parent / "assets" / "favicon.svg"
    for route, more in (("look", {}), ("crop", {"box": [0, 0, 1, 1]})):
        answer = client.post(f"/portraits/{route}", json={"ref": str(outside), **more})
        assert answer.json()["error"]["code"] == "input.outside"


# ------------------------------------------------------------------------------------------------ who makes it
WISH = ("infinitetalk", "skyreels-v3-a2v-19b", "ltx2.3-distilled", "ltx2", "wan2gp", "draft")


@pytest.mark.parametrize(
    "machine",
    [Machine(16, 128, "RTX 4090", 24), Machine(32, 128, "A6000", 48), Machine(32, 256, "H100", 80), Machine(16, 64)],
    ids=["24 GB", "48 GB", "80 GB", "no GPU"],
)
def test_auto_keeps_the_order_of_wish_where_all_are_ready(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    monkeypatch.setattr(studio.engines._planner, "whole", lambda: machine)
    ready = {name: Availability() for name in ENGINES}
    known = [name for name in WISH if name in ENGINES]
    policy = {"allow_paid": False, "allow_draft": True}
    taken = []
    while not taken or taken[-1] != "draft":  # the first of them is gone, then the first of the others
        choice = studio.engines.pick("talking_avatar", "auto", policy, ready)
        taken += [choice.engine.id]
        ready[taken[-1]] = Availability("unfit")
    assert [name for name in taken if name in known] == known
    two = SceneAdapter.validate_python({
        "task_type": "talking_avatar", "input_image": "asset:1",
        "lines": [{"character": name, "text": "Hi."} for name in "AB"],
    })  # fmt: skip
    ready = {name: Availability() for name in ENGINES}
    assert studio.engines.pick_for(two, policy, ready).engine.id == "infinitetalk-multi"
