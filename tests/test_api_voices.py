"""Voices over REST: from a recording to a line that a character says with it, to another studio and back."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from studio.domain import Line
from studio.pipelines.base import Speaks
from studio.pipelines.draft.speech import VOICES, speak
from studio.service import Studio

TEXT = "The lamp has been dark for eleven years, and tonight it burns again over the water."


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of one voice."""
    samples, rate, _ = speak(Line(text=f"{TEXT} Come and see."), VOICES["woman-1"], 1)
    path = tmp_path_factory.mktemp("recording") / "Inês.wav"
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def looked(client: TestClient, studio: Studio, recording: Path) -> dict[str, Any]:
    ref = studio.library.add(recording, recording.name)["ref"]
    return dict(good(client.post("/voices/look", json={"ref": ref})))


def good(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text[:400]
    return answer.json() if answer.content else None


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def make(client: TestClient, looked: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {"name": "Inês", "sample": looked["sample"]["sha256"], "consent": "Maria, the speaker", **more}
    return dict(good(client.post("/voices", json=values), 201))


def test_a_recording_becomes_a_voice_with_a_profile(client: TestClient, looked: dict[str, Any]) -> None:
    assert looked["sample"]["seconds"] > 3 and looked["profile"]["pitch_hz"] > 150
    voice = make(client, looked, language="en", transcript=TEXT)
    assert (voice["kind"], voice["language"], voice["transcript"]) == ("sample", "en", TEXT)
    assert voice["consent"]["by"] == "Maria, the speaker" and voice["consent"]["at"]
    assert voice["profile"]["pitch_hz"] == pytest.approx(looked["profile"]["pitch_hz"], rel=0.03)
    assert good(client.get("/voices"))["voices"] == [good(client.get(f"/voices/{voice['id']}"))]
    heard = client.get(f"/voices/{voice['id']}/sample")
    assert heard.headers["content-type"] == "audio/wav" and soundfile.info(io.BytesIO(heard.content)).duration > 3


def test_nobody_is_cloned_without_consent(client: TestClient, looked: dict[str, Any]) -> None:
    for consent in ("", "   "):
        values = {"name": "Inês", "sample": looked["sample"]["sha256"], "consent": consent}
        assert code(client.post("/voices", json=values)) == (422, "voice.consent")
    assert good(client.get("/voices"))["voices"] == []
    plain = good(client.post("/voices", json={"name": "Robot", "engine": "draft", "preset": "man-2"}), 201)
    assert plain["kind"] == "preset" and plain["consent"] is None
    # a sample that comes later wants it too
    changed = client.patch(f"/voices/{plain['id']}", json={"sample": looked["sample"]["sha256"], "preset": ""})
    assert code(changed) == (422, "voice.consent")


def test_names_are_one_whatever_their_case_and_follow_a_change(client: TestClient, studio: Studio) -> None:
    voice = good(client.post("/voices", json={"name": "Inês"}), 201)
    assert code(client.post("/voices", json={"name": " INÊS "})) == (409, "voice.exists")
    queue = studio.queues.create("Pier")["id"]
    lines = [{"text": "Hello.", "voice": name} for name in ("Inês", "INÊS", "inês", "Inêsita")]
    scene = studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "x", "lines": lines})
    good(client.patch(f"/voices/{voice['id']}", json={"name": "Maya"}))
    named = [line["voice"] for line in studio.scenes.get(scene["id"])["scene"]["lines"]]
    assert named == ["Maya", "Maya", "Maya", "Inêsita"]


def test_a_name_is_one_line(client: TestClient) -> None:
    assert good(client.post("/voices", json={"name": " Tia\n\x00Inês\u202e "}), 201)["name"] == "Tia Inês"
    for name in (" \x00 ", "", 7, None):
        assert client.post("/voices", json={"name": name}).status_code == 422


def test_a_character_speaks_with_it_and_a_change_is_heard(
    client: TestClient, studio: Studio, looked: dict[str, Any]
) -> None:
    voice = make(client, looked)
    queue = studio.queues.create("Pier")["id"]
    line = {"character": "Inês", "text": "Hello."}
    scene = studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "x", "duration": 2, "lines": [line]})[
        "id"
    ]
    project = studio._store.projects.default()
    studio._store.queues.add_character(project, "Inês")
    (character,) = good(client.get("/characters"))["characters"]
    given = good(client.post(f"/voices/{voice['id']}/characters", json={"character": character["id"]}))
    assert [user["name"] for user in given["used_by"]] == ["Inês"]
    studio.runs.run(queue)
    studio.drain()
    view = studio.scenes.get(scene)
    assert view["changed"] == [] and view["voice_list"][0]["engine"] == "instant"
    good(client.patch(f"/voices/{voice['id']}", json={"transcript": "other words"}))
    assert studio.scenes.get(scene)["changed"] == ["voice"]
    assert code(client.delete(f"/voices/{voice['id']}")) == (409, "voice.used")
    good(client.delete(f"/voices/{voice['id']}?force=true"), 204)
    problems = studio.preflight.queue(queue)["scenes"][0]["problems"]
    assert [problem["code"] for problem in problems] == ["preflight.voice_unknown"]


def test_what_another_engine_would_heed_changes_no_line(
    client: TestClient, studio: Studio, looked: dict[str, Any]
) -> None:
    """A line may have been paid for."""
    voice = make(client, looked)
    queue = studio.queues.create("Pier")["id"]
    line = {"text": "Hello.", "voice": voice["name"]}
    scene = studio.scenes.add(queue, {"task_type": "speech", "engine": "instant", "lines": [line]})["id"]
    studio.runs.run(queue)
    studio.drain()
    for harmless in ({"settings": {"elsewhere": {"speed": 2}}}, {"language": "pt"}, {"engine": "instant"}):
        good(client.patch(f"/voices/{voice['id']}", json=harmless))
        assert studio.scenes.get(scene)["changed"] == []
    for heard in ({"settings": {"instant": {"grey": 5}}}, {"engine": "draft"}):
        good(client.patch(f"/voices/{voice['id']}", json=heard))
        assert studio.scenes.get(scene)["changed"] == ["voice"]
        good(client.patch(f"/voices/{voice['id']}", json={"settings": {}, "engine": "auto"}))


def test_knobs_of_a_voice_that_its_engine_does_not_know_are_told_before_the_run(
    client: TestClient, studio: Studio, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant.Instant, "speaks", Speaks())
    voice = {"name": "Robot", "engine": "instant", "settings": {"instant": {"grey": "loud"}, "draft": {"pitch": 9}}}
    robot = good(client.post("/voices", json=voice), 201)
    queue = studio.queues.create("Pier")["id"]
    line = {"text": "Hello.", "voice": "Robot"}
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "x", "duration": 2, "lines": [line]})
    (problem,) = studio.preflight.queue(queue)["scenes"][0]["problems"]
    assert (problem["level"], problem["code"], problem["params"]["option"]) == ("error", "voice.settings", "grey")
    refused = client.post(f"/voices/{robot['id']}/say", json={"text": "Hello."}).json()["error"]
    assert refused["params"]["why"]["code"] == "voice.settings"
    good(client.patch(f"/voices/{robot['id']}", json={"settings": {"instant": {"grey": 7}, "draft": {"pitch": 9}}}))
    assert studio.preflight.queue(queue)["scenes"][0]["problems"] == []


def test_say_something_with_any_engine(client: TestClient, studio: Studio, looked: dict[str, Any]) -> None:
    voice = make(client, looked)
    said = good(client.post(f"/voices/{voice['id']}/say", json={"text": "Good night.", "engine": "draft"}), 201)
    studio.drain()
    take = studio.scenes.get(said["id"])["take_list"] or list(studio.scenes.get(said["id"])["line_takes"].values())
    assert take[0]["engine"] == "draft" and take[0]["duration"] > 0.4
    refused = client.post(f"/voices/{voice['id']}/say", json={"text": "🎉🎉"}).json()["error"]
    assert refused["params"]["why"]["code"] == "speech.nothing_to_say"


def test_an_engines_own_voice_is_the_one_that_is_heard(client: TestClient, studio: Studio) -> None:
    """By what was made of it, and by its plain name in a line."""
    for name, preset in (("Inês", "man-2"), ("Tio", "child-1")):
        voice = good(client.post("/voices", json={"name": name, "engine": "draft", "preset": preset}), 201)
        by_voice = good(client.post(f"/voices/{voice['id']}/say", json={"text": "Good night."}), 201)["id"]
        line = {"text": "Good night.", "voice": preset}
        by_name = studio.scenes.generate({"task_type": "speech", "engine": "draft", "lines": [line]})["id"]
        studio.drain()
        for scene in (by_voice, by_name):
            (take,) = studio.scenes.get(scene)["line_takes"].values()
            facts = studio.takes.get(take["id"])["facts"]
            assert facts["voice"]["variant"] == VOICES[preset]["variant"]


def test_a_line_that_names_an_engines_own_voice_is_spoken_by_it(
    studio: Studio, instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant.Instant, "speaks", Speaks(presets=("George", "Sarah")))
    asked: list[str] = []
    monkeypatch.setattr(instant, "ON_RUN", [lambda scene, run: asked.append(run.inputs.speaker.preset)])
    for name in ("Sarah", "Nobody"):
        line = {"text": "Good night.", "voice": name}
        studio.scenes.generate({"task_type": "speech", "engine": "instant", "lines": [line]})
        studio.drain()
    assert asked == ["Sarah", ""]


def test_a_recording_is_tried_with_another_engine_than_its_own(client: TestClient, looked: dict[str, Any]) -> None:
    voice = make(client, looked, engine="instant")
    good(client.post(f"/voices/{voice['id']}/say", json={"text": "Good night.", "engine": "draft"}), 201)
    preset = good(client.post("/voices", json={"name": "Plain", "engine": "instant"}), 201)
    refused = client.post(f"/voices/{preset['id']}/say", json={"text": "Good night.", "engine": "draft"}).json()
    assert refused["error"]["params"]["why"]["code"] == "voice.other_engine"


def test_a_character_gives_a_voice_back(client: TestClient, studio: Studio, looked: dict[str, Any]) -> None:
    voice, other = make(client, looked), make(client, looked, name="Other")
    studio._store.queues.add_character(studio._store.projects.default(), "Inês")
    (character,) = good(client.get("/characters"))["characters"]
    good(client.post(f"/voices/{voice['id']}/characters", json={"character": character["id"]}))
    good(client.delete(f"/voices/{other['id']}/characters/{character['id']}"))
    assert good(client.get("/characters"))["characters"][0]["voice"] == "Inês"  # it was not the other one's
    assert good(client.delete(f"/voices/{voice['id']}/characters/{character['id']}"))["used_by"] == []
    assert good(client.get("/characters"))["characters"][0]["voice"] == ""
    nobody = client.delete(f"/voices/{voice['id']}/characters/01J0000000000000000000000")
    assert code(nobody) == (404, "character.unknown")


def test_how_words_are_said_makes_only_their_lines_anew(client: TestClient, studio: Studio) -> None:
    queue = studio.queues.create("Pier")["id"]
    project = good(client.get("/projects/Default/pronunciations"))["project"]
    lines = [{"text": "Inês climbs."}, {"text": "The lamp is lit."}]
    scene = studio.scenes.add(queue, {"task_type": "speech", "lines": lines})["id"]
    studio.runs.run(queue)
    studio.drain()
    entries = [{"word": "inês", "said": "ee-nesh", "language": None}]
    told = good(client.put(f"/projects/{project}/pronunciations", json={"entries": entries}))
    assert told["entries"] == entries
    assert studio.scenes.get(scene)["changed"] == ["voice"]
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 1


def test_lines_are_spoken_alone_and_one_of_their_takes_is_chosen(client: TestClient, studio: Studio) -> None:
    queue = studio.queues.create("Pier")["id"]
    shot = {"task_type": "text_to_video", "prompt": "x", "duration": 2, "lines": [{"text": "One."}, {"text": "Two."}]}
    scene = studio.scenes.add(queue, shot)["id"]
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 2
    studio.drain()
    view = studio.scenes.get(scene)
    assert view["state"] == "draft" and view["take_list"] == [] and len(view["voice_list"]) == 2
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 0
    line = view["scene"]["lines"][1]["id"]
    assert good(client.post(f"/queues/{queue}/speak", json={"lines": [line]}))["jobs"] == 1
    studio.drain()
    takes = [take for take in studio.scenes.get(scene)["voice_list"] if take["line_id"] == line]
    assert [take["selected"] for take in takes] == [True, False]  # newest first
    good(client.patch(f"/takes/{takes[1]['id']}", json={"selected": True}))
    assert studio.scenes.get(scene)["line_takes"][line]["id"] == takes[1]["id"]
    assert code(client.post(f"/queues/{queue}/speak", json={"lines": ["nobody"]})) == (404, "line.unknown")


# ------------------------------------------------------------------------------------------------ to another studio
def test_a_voice_travels_as_one_file(client: TestClient, looked: dict[str, Any]) -> None:
    voice = make(client, looked, language="pt", settings={"draft": {"pitch": 40}})
    packed = client.get(f"/voices/{voice['id']}/package").content
    good(client.delete(f"/voices/{voice['id']}"), 204)
    for name in ("Inês", "Inês 2"):
        back = good(client.post("/voices/import", files={"file": ("x.voice.zip", packed)}), 201)
        assert back["name"] == name
    same = ("language", "settings", "sample", "kind")
    assert {key: back[key] for key in same} == {key: voice[key] for key in same}
    assert back["consent"]["by"] == "Maria, the speaker" and back["consent"]["brought"]


@pytest.mark.parametrize("how", ["no zip", "no consent", "other sample", "other names", "wrong fields", "no version"])
def test_no_strange_file_becomes_a_voice(client: TestClient, looked: dict[str, Any], how: str) -> None:
    voice = make(client, looked)
    packed = client.get(f"/voices/{voice['id']}/package").content
    members = {
        name: zipfile.ZipFile(io.BytesIO(packed)).read(name) for name in zipfile.ZipFile(io.BytesIO(packed)).namelist()
    }
    content = json.loads(members["voice.json"])
    sample = next(name for name in members if name.startswith("samples/"))
    match how:
        case "no zip":
            packed = b"PK nothing"
        case "no consent":
            content["consent"] = None
        case "other sample":
            members[sample] = np.zeros(9000, np.int16).tobytes()
        case "other names":
            members["../../evil.wav"] = b"x"
        case "wrong fields":
            content["voice"]["sample"] = "../x"
        case "no version":
            del content["lanterna_voice"]
    if how != "no zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, value in {**members, "voice.json": json.dumps(content).encode()}.items():
                archive.writestr(name, value)
        packed = buffer.getvalue()
    before = good(client.get("/voices"))["voices"]
    answer = client.post("/voices/import", files={"file": ("x.zip", packed)})
    assert 400 <= answer.status_code < 500 and answer.json()["error"]["hint"]
    assert good(client.get("/voices"))["voices"] == before


def test_a_voice_that_is_called_otherwise_sounds_the_same(
    client: TestClient, studio: Studio, looked: dict[str, Any]
) -> None:
    """No line is spoken again for a name, and nothing is paid twice; one that is made of nothing is its name."""
    voice, plain = make(client, looked), good(client.post("/voices", json={"name": "Deep"}), 201)
    queue = studio.queues.create("Pier")["id"]
    lines = [{"text": "Hello.", "voice": "Inês"}, {"text": "Goodbye.", "voice": "Deep"}]
    scene = studio.scenes.add(queue, {"task_type": "speech", "lines": lines})["id"]
    studio.runs.run(queue)
    studio.drain()
    good(client.patch(f"/voices/{voice['id']}", json={"name": "Maya"}))
    assert studio.scenes.get(scene)["changed"] == []
    good(client.patch(f"/voices/{plain['id']}", json={"name": "Low"}))
    assert studio.scenes.get(scene)["changed"] == ["voice"]
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 1


def test_its_language_is_spoken_where_the_words_tell_nothing(client: TestClient, studio: Studio) -> None:
    voice = good(client.post("/voices", json={"name": "Tomás", "engine": "draft", "language": "pt"}), 201)
    queue = studio.queues.create("Pier")["id"]
    lines = [{"text": text, "voice": "tomás"} for text in ("Lisboa, 1974.", "The lamp is lit, and this is the light.")]
    scene = studio.scenes.add(queue, {"task_type": "speech", "lines": lines})["id"]
    studio.runs.run(queue)
    studio.drain()
    takes = studio.scenes.get(scene)["line_takes"].values()
    spoken = {take["id"]: studio.takes.get(take["id"])["facts"]["language"] for take in takes}
    assert sorted(spoken.values()) == ["en", "pt"] and studio.scenes.get(scene)["changed"] == []
    good(client.patch(f"/voices/{voice['id']}", json={"language": "en"}))
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 1  # the line that is now said in English


def test_only_whole_words_are_said_otherwise(client: TestClient, studio: Studio) -> None:
    queue = studio.queues.create("Pier")["id"]
    lines = [{"text": "O sol nasceu."}, {"text": "Há uma solução."}]
    studio.scenes.add(queue, {"task_type": "speech", "lines": lines})
    studio.runs.run(queue)
    studio.drain()
    entries = [{"word": "sol", "said": "sóu", "language": None}]
    good(client.put("/projects/Default/pronunciations", json={"entries": entries}))
    assert good(client.post(f"/queues/{queue}/speak"))["jobs"] == 1


def test_a_deleted_voice_leaves_no_package_and_a_character_holds_it_in_any_spelling(
    client: TestClient, studio: Studio, looked: dict[str, Any], tmp_path: Path
) -> None:
    voice = make(client, looked)
    client.get(f"/voices/{voice['id']}/package")
    assert list((tmp_path / "data" / "cache" / "voices").glob("*.zip"))
    studio._store.queues.add_character(studio._store.projects.default(), "Keeper", "INÊS")
    assert code(client.delete(f"/voices/{voice['id']}")) == (409, "voice.used")
    good(client.delete(f"/voices/{voice['id']}?force=true"), 204)
    assert not list((tmp_path / "data" / "cache" / "voices").glob("*.zip"))


def test_a_package_for_an_engine_that_speaks_nothing_brings_no_sample(
    client: TestClient, studio: Studio, looked: dict[str, Any], tmp_path: Path
) -> None:
    voice = make(client, looked)
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"/voices/{voice['id']}/package").content))
    content = json.loads(packed.read("voice.json"))
    content["voice"]["engine"] = "svd-xt"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in packed.namelist():
            archive.writestr(name, json.dumps(content) if name == "voice.json" else packed.read(name))
    answer = client.post("/voices/import", files={"file": ("x.zip", buffer.getvalue())})
    assert code(answer) == (422, "engine.wrong_task") and len(good(client.get("/voices"))["voices"]) == 1
