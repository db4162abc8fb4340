"""Casting by picture: who is proposed, and what one confirmation does to an episode and to a stored queue."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import media_tools
import pytest
import skyreels_episode
from drawing import draw
from drawn_faces import cartoon
from starlette.testclient import TestClient

from studio.domain import Line, TalkingAvatar
from studio.errors import Refused
from studio.service import Studio
from studio.service.roles import Cue, Part, roles_of, spoken
from studio.story.who import named_in_file, named_in_label

LABELS = {
    "C01 · Valen — 'Foi mal.'": "Valen",
    "Maya — close-up": "Maya",
    "c03_maya_02": "Maya",
    "ep01_c03_inês_01": "Inês",
    "C03-A · Sala — abertura": "",
    "Close-up": "",
    "A quiet street": "",
    "": "",
}
FILES = {
    "uploads/vale/Inês, retrato.png": "Inês",
    "Tomás (avô).png": "Tomás",
    "小林.png": "小林",
    "maya_portrait_v2.jpg": "Maya",
    "C:\\x\\figurante_Rui.png": "Rui",
    "Imagem 25 de fev. de 2026, 00_51_49.png": "",
    "portrait.png": "",
    "3f2a9c8b12aa.png": "",
}


@pytest.mark.parametrize("label", LABELS)
def test_who_a_label_speaks_of(label: str) -> None:
    assert named_in_label(label) == LABELS[label]


@pytest.mark.parametrize("name", FILES)
def test_who_a_file_is_called_after(name: str) -> None:
    assert named_in_file(name) == FILES[name]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people; one of them also as a smaller copy under another name."""
    folder = tmp_path_factory.mktemp("media")
    one = cartoon()
    cv2.imwrite(str(folder / "Inês.png"), one)
    cv2.imwrite(str(folder / "img_0044.jpg"), cv2.resize(one, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(folder / "rui.png"), cartoon(skin=(90, 130, 180), hair=(30, 30, 30)))
    draw(folder / "sala.png")
    media_tools.wav(folder / "fala.wav", seconds=1.0)
    return folder


def avatar(image: str, text: str = "", character: str = "", voice: str = "", **more: Any) -> dict[str, Any]:
    lines = [{"text": text, "character": character, "voice": voice}] if text else []
    heard = {} if text else {"input_audio": "fala.wav"}
    return {"task_type": "talking_avatar", "input_image": image, "lines": lines, **heard, **more}


SCENES = [
    {"task_type": "reference_to_video", "prompt": "both", "ref_imgs": ["sala.png", "Inês.png", "rui.png"]},
    avatar("img_0044.jpg", "Olá", voice="woman-1", label="c01_ines_01"),
    avatar("rui.png", "Oi", label="c01_rui_01"),
    avatar("{{prev}}", "E então?"),
    avatar("Inês.png", label="Inês — recorded"),
    {"task_type": "text_to_video", "prompt": "the sea", "lines": [{"character": "Narrador", "text": "Longe."}]},
    {"task_type": "text_to_video", "prompt": "the pier", "lines": [{"text": "De novo."}]},
]


def casting(studio: Studio, scenes: Any, base: Path) -> list[dict[str, Any]]:
    return list(studio.episodes.check(json.dumps(scenes), base=base, trusted=True)["casting"])


def test_one_character_is_proposed_for_each_face(studio: Studio, media: Path) -> None:
    roles = casting(studio, SCENES, media)
    told = [(role["name"], role["scenes"], role["lines"], role["voice"]) for role in roles]
    assert told == [
        ("Ines", [1, 2, 5], 1, "woman-1"), ("Rui", [1, 3, 4], 2, ""), ("Narrador", [6], 1, ""), ("", [7], 1, ""),
    ]  # fmt: skip
    assert (roles[0]["files"], roles[0]["pictures"]) == (2, 1) and roles[0]["thumb"].startswith("data:image/jpeg")
    assert [role["key"] for role in roles] == ["c1", "c2", "c3", "c4"]


def test_one_confirmation_casts_an_episode(studio: Studio, media: Path) -> None:
    cast = {"c1": Part("Inês", "woman-2"), "c2": Part(" Rui  Sá "), "c4": Part("旁白")}
    made = studio.episodes.import_file(json.dumps(SCENES), base=media, trusted=True, cast=cast)["queue"]["id"]
    cards = studio.queues.get(made)["scenes"]
    lines = [studio.scenes.get(card["id"])["scene"]["lines"] for card in cards]
    assert [[(line["character"], line["voice"]) for line in some] for some in lines] == [
        [], [("Inês", "")], [("Rui Sá", "")], [("Rui Sá", "")], [], [("Narrador", "")], [("旁白", "")],
    ]  # fmt: skip
    kept = studio._store.queues.cast(studio._store.projects.default())
    assert {row["name"]: row["voice"] for row in kept.values()} == {"Inês": "woman-2", "Rui Sá": "", "旁白": ""}
    portrait = kept["ines"]["portrait"].removeprefix("asset:")
    assert studio.library.get(portrait)["name"] == "img_0044.jpg" and not kept["旁白"]["portrait"]
    again = casting(studio, SCENES, media)
    assert [(role["name"], role["known"], role["voice"]) for role in again[:1]] == [("Inês", True, "woman-2")]


def test_a_whole_episode_has_four_faces(studio: Studio, tmp_path: Path) -> None:
    file = skyreels_episode.write(tmp_path / "vale")
    report = studio.episodes.check(file.read_bytes(), base=file.parent, trusted=True)
    found = {role["name"]: role for role in report["casting"]}
    assert set(found) == set(skyreels_episode.PORTRAITS)
    speaking = {row["name"]: row["scenes"] for row in report["cast"]}
    assert all(set(speaking[name]) <= set(role["scenes"]) and role["portrait"] for name, role in found.items())


def test_after_the_import_too(client: TestClient, studio: Studio, media: Path) -> None:
    queue = studio.episodes.import_file(json.dumps(SCENES), base=media, trusted=True)["queue"]["id"]
    roles = client.get(f"/queues/{queue}/casting").json()["roles"]
    assert [role["name"] for role in roles] == ["Ines", "Rui", "Narrador", ""]
    told = client.post(f"/queues/{queue}/casting", json={"cast": {"c1": {"name": "Inês"}, "c2": {"name": "Rui"}}})
    assert (told.status_code, len(told.json()["changed"]), told.json()["characters"]) == (200, 3, 2)
    names = [[line["character"] for line in studio.scenes.get(card["id"])["scene"]["lines"]]
             for card in studio.queues.get(queue)["scenes"]]  # fmt: skip
    assert names == [[], ["Inês"], ["Rui"], ["Rui"], [], ["Narrador"], [""]]
    assert studio.editing.undo(queue)["done"]["verb"] == "cast"
    assert client.get(f"/queues/{queue}/casting").json()["roles"][0]["known"]
    refused = client.post(f"/queues/{queue}/casting", json={"cast": {"c9": {"name": "x"}}})
    assert refused.json()["error"]["code"] == "casting.unknown"


def test_who_is_known_keeps_voice_and_portrait(studio: Studio, media: Path) -> None:
    for voice in ("woman-1", ""):
        studio.episodes.import_file(json.dumps(SCENES[1:2]), base=media, trusted=True, cast={"c1": Part("Inês", voice)})
    kept = studio._store.queues.cast(studio._store.projects.default())["ines"]
    first = kept["portrait"]
    studio.episodes.import_file(json.dumps([avatar("rui.png", "x", "Inês")]), base=media, trusted=True,
                                cast={"c1": Part("Inês")})  # fmt: skip
    kept = studio._store.queues.cast(studio._store.projects.default())["ines"]
    assert (kept["voice"], kept["portrait"]) == ("woman-1", first)


def test_nothing_is_cast_without_a_confirmation(studio: Studio, media: Path) -> None:
    studio.episodes.import_file(json.dumps(SCENES), base=media, trusted=True)
    assert studio._store.queues.cast(studio._store.projects.default()) == {}
    with pytest.raises(Refused, match=r"casting\.unknown"):
        studio.episodes.import_file(json.dumps(SCENES), base=media, trusted=True, cast={"c12": Part("x")})


def test_pictures_are_looked_at_once(studio: Studio, media: Path, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "media"
    shutil.copytree(media, folder)
    asked: list[str] = []
    ask = studio._runner.ask
    monkeypatch.setattr(studio._runner, "ask", lambda lane, tool, *more, **named: (
        asked.append(tool), ask(lane, tool, *more, **named))[1])  # fmt: skip
    for _ in range(3):
        casting(studio, SCENES, folder)
    assert asked.count("portraits") == 1


def test_ten_thousand_scenes_are_cast_in_a_moment() -> None:
    line = Line(text="hello")
    cues = [
        Cue(str(n), n + 1, TalkingAvatar(input_image=f"p{n % 7}.png", label=f"c{n}_maya{n % 7}x_1", lines=[line]), {})
        for n in range(10_000)
    ]
    began = time.process_time()
    roles = roles_of(cues, {}, {})
    said = spoken(cues, [(role, Part("Somebody")) for role in roles])
    assert (len(roles), len(said)) == (7, 10_000) and time.process_time() - began < 4
