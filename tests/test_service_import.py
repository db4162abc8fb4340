"""The import door with real files: what is wrong is named before anything is rendered, and the rest can be taken."""

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import media_tools
import pytest
from drawing import draw

from studio.errors import Conflict, DiskFull, NotFound, Refused, StudioError, Unavailable
from studio.media import fetch
from studio.media.fetch import Fetched
from studio.pipelines.base import Availability
from studio.service import LANGUAGES, Studio, library

SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.25}


def episode(*scenes: Mapping[str, Any], **head: Any) -> str:
    return json.dumps({**head, "scenes": list(scenes)})


def image(ref: str, **more: Any) -> dict[str, Any]:
    return {"task_type": "image_to_video", "input_image": ref, "prompt": "on", **more}


def avatar(ref: str, audio: str | None = None, **more: Any) -> dict[str, Any]:
    return {"task_type": "talking_avatar", "input_image": ref, **({"input_audio": audio} if audio else {}), **more}


def video(ref: str) -> dict[str, Any]:
    return {"task_type": "single_shot_extension", "input_video": ref, "prompt": "on"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An episode's folder with one file of each kind, and some that are not what they seem."""
    made = tmp_path / "episode"
    draw(made / "a.png")
    draw(made / "wide.png", (20_000, 4))
    media_tools.wav(made / "a.wav", seconds=1.0)
    media_tools.wav(made / "short.wav", seconds=0.1)
    media_tools.wav(made / "brief.wav", seconds=0.3)
    media_tools.clip(made / "a.mp4", num_frames=6)
    (made / "text.mp4").write_text("not a film\n" * 20)
    (made / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n")
    (made / "empty.mp4").touch()
    (made / "half.mp4").write_bytes((made / "a.mp4").read_bytes()[:900])
    (made / "page.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    return made


@pytest.fixture
def checked(studio: Studio, folder: Path) -> Callable[..., list[tuple[int, str, str]]]:
    """(scene, field, code) of all that is wrong with an episode beside the files of `folder`."""

    def check(*scenes: Mapping[str, Any], **head: Any) -> list[tuple[int, str, str]]:
        report = studio.episodes.check(episode(*scenes, **head), base=folder, trusted=True)
        found = [(row, problem) for row in report["scenes"] for problem in row["problems"]]
        assert report["valid"] == sum(row["ok"] for row in report["scenes"])
        for row, problem in found:
            assert row["ok"] is False
            _has_words(studio, problem)
        assert studio.queues.list() == []
        return [(row["index"], problem["field"], problem["code"]) for row, problem in found]

    return check


def _has_words(studio: Studio, problem: Mapping[str, Any]) -> None:
    said = [studio.words.error({"code": problem["code"], "params": problem["params"]}, lang) for lang in LANGUAGES]
    messages = [row["message"] for row in said]
    assert len(set(messages)) == len(LANGUAGES), f"{problem['code']}: {messages}"
    assert not any("…" in row["message"] + row["hint"] for row in said), said  # stands for a missing parameter
    assert not any(row["message"].endswith(("..", "。。")) for row in said), said


HOSTILE = {
    "missing file": (image("nobody.png"), "input_image", "input.missing"),
    "folder": (image("."), "input_image", "input.missing"),
    "absolute and missing": (image("/nobody/at/home.png"), "input_image", "input.missing"),
    "name without end": (image("x" * 4000), "input_image", "input.missing"),
    "name with NUL": (image("a\0.png"), "input_image", "input.missing"),
    "home of nobody": (image("~nobody-here/a.png"), "input_image", "input.missing"),
    "text named .mp4": (video("text.mp4"), "input_video", "media.not_media"),
    "playlist named .mp4": (video("list.mp4"), "input_video", "media.playlist"),
    "empty": (video("empty.mp4"), "input_video", "media.empty"),
    "half a film": (video("half.mp4"), "input_video", "media.broken"),
    "an image as film": (video("a.png"), "input_video", "input.kind"),
    "a film as image": (image("a.mp4"), "input_image", "input.kind"),
    "a sound as image": (image("a.wav"), "input_image", "input.kind"),
    "an image as sound": (avatar("a.png", "a.png"), "input_audio", "input.kind"),
    "0.1 s of sound": (avatar("a.png", "short.wav"), "input_audio", "media.too_short"),
    "0.3 s of sound": (avatar("a.png", "brief.wav"), "input_audio", "input.audio_length"),
    "20,000 pixels": (image("wide.png"), "input_image", "media.too_many_pixels"),
    "a drawing that is a page": (image("page.svg"), "input_image", "media.not_media"),
    "the fourth of four": (
        {"task_type": "reference_to_video", "ref_imgs": ["a.png", "a.png", "a.png", "text.mp4"]},
        "ref_imgs.3", "media.not_media",
    ),
    "an avatar with nothing to say": (avatar("a.png"), "input_audio", "avatar.silent"),
    "an avatar at 8K": (avatar("a.png", "a.wav", resolution="8K"), "resolution", "field.choice"),
    "five references": ({"task_type": "reference_to_video", "ref_imgs": ["a.png"] * 5}, "ref_imgs", "field.too_many"),
    "an unknown engine": ({**SHOT, "engine": "nobody"}, "engine", "engine.unknown"),
    "an unknown knob": ({**SHOT, "options": {"instant": {"gray": 1}}}, "options.instant.gray", "engine.options"),
    "a knob of another type": (
        {**SHOT, "options": {"instant": {"grey": "dark"}}}, "options.instant.grey", "engine.options"
    ),
    "an unknown asset": (image("asset:" + "ab" * 32), "input_image", "asset.unknown"),
    "an unknown scene": (image("scene:01ARZ3NDEKTSV4RRFFQ69G5FAV"), "input_image", "scene.unknown"),
    "no task": ({"prompt": "x"}, "task_type", "field.missing"),
    "no scene": ([], "", "scene.not_an_object"),
    "a seed beyond 2^63": ({**SHOT, "seed": 2**63}, "seed", "field.at_most"),
    "a wrong cut": (
        {"task_type": "shot_switching_extension", "input_video": "a.mp4", "prompt": "cut"}, "prompt", "field.cut_prefix"
    ),
    "a reference too far": (image("{{job:77}}"), "input_image", "reference.no_scene"),
    "a reference of nobody": (image("{{next}}"), "input_image", "reference.unreadable"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_is_named_by_scene_and_field(checked: Callable[..., Any], name: str) -> None:
    scene, field, code = HOSTILE[name]
    assert checked(SHOT, scene, SHOT) == [(1, field, code)]


def test_good_files_of_every_kind_are_taken(checked: Callable[..., Any]) -> None:
    good = [
        image("a.png", end_image="a.png"), video("a.mp4"), avatar("a.png", "a.wav"), image("{{prev}}#first"),
        {"task_type": "reference_to_video", "ref_imgs": ["a.png"] * 4}, {"task_type": "text_to_image", "prompt": "x"},
        {"task_type": "shot_switching_extension", "prompt": "[PAN_LEFT_CUT] on", "input_video": "{{job:1}}"},
        {"task_type": "speech", "lines": [{"text": "hello"}]}, avatar("a.png", lines=[{"text": "hello"}]),
    ]  # fmt: skip
    assert checked(*good, music={"ref": "a.wav"}) == []


def test_a_scene_that_reads_a_bad_one_is_bad_too(checked: Callable[..., Any]) -> None:
    scenes = [image("nobody.png"), video("{{prev}}"), video("{{job:1}}"), SHOT]
    assert checked(*scenes) == [
        (0, "input_image", "input.missing"),
        (1, "input_video", "reference.bad_scene"),
        (2, "input_video", "reference.bad_scene"),
    ]


# ------------------------------------------------------------------------------------------------ importing
def test_nothing_is_imported_while_something_is_wrong(studio: Studio, folder: Path) -> None:
    text = episode(SHOT, image("nobody.png", label="Lamp"))
    with pytest.raises(Refused) as refused:
        studio.episodes.import_file(text, base=folder, trusted=True)
    said = studio.words.error(refused.value, "en")
    assert (
        refused.value.code == "episode.problems" and "2 · Lamp" in said["message"] and "input_image" in said["message"]
    )
    assert refused.value.params["report"]["valid"] == 1
    assert studio.queues.list() == []


def test_a_queue_comes_with_its_scenes_or_not_at_all(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise DiskFull("disk.full", path="", free=0)

    monkeypatch.setattr(studio._store.queues, "add_scenes", full)
    with pytest.raises(DiskFull):
        studio.episodes.import_file(episode(SHOT, title="Half", cast=[{"name": "Ana", "voice": "one"}]))
    assert [queue["name"] for queue in studio.queues.list()] == []
    assert studio._store.queues.cast(studio._store.projects.default()) == {}


def test_the_valid_scenes_are_imported_and_still_find_each_other(studio: Studio, folder: Path) -> None:
    text = episode(image("nobody.png"), SHOT, video("{{prev}}"), 7, video("{{job:2}}"), video("{{job:0}}"))
    imported = studio.episodes.import_file(text, base=folder, trusted=True, only_valid=True)
    assert (imported["report"]["valid"], imported["report"]["problems"]) == (3, 3)
    shot, first, second = studio.queues.get(imported["queue"]["id"])["scenes"]
    refs = [studio.scenes.get(card["id"])["scene"]["input_video"] for card in (first, second)]
    assert refs == [f"scene:{shot['id']}", f"scene:{first['id']}"]


def test_a_file_without_one_valid_scene_is_refused(studio: Studio) -> None:
    with pytest.raises(Refused) as refused:
        studio.episodes.import_file("[1, 2]", only_valid=True)
    assert refused.value.code == "episode.problems" and studio.queues.list() == []


@pytest.mark.parametrize("music", ["nobody.wav", "a.png", "a.mp4", "{{prev}}", "asset:" + "00" * 32])
def test_music_that_is_none_is_named(studio: Studio, folder: Path, music: str) -> None:
    text = episode(SHOT, music={"ref": music})
    report = studio.episodes.check(text, base=folder, trusted=True)
    assert (report["valid"], [problem["field"] for problem in report["head"]]) == (1, ["music.ref"])
    _has_words(studio, report["head"][0])
    with pytest.raises(Refused) as refused:
        studio.episodes.import_file(text, base=folder, trusted=True)
    assert (refused.value.code, refused.value.params["field"]) == ("episode.head", "music.ref")
    _has_words(studio, refused.value.as_dict())
    assert studio.queues.list() == []
    taken = studio.episodes.import_file(text, base=folder, trusted=True, only_valid=True)["queue"]
    assert (taken["music"], taken["counts"]["total"]) == (None, 1)


def test_the_queue_is_named_by_its_file(studio: Studio) -> None:
    def named(text: str, **more: Any) -> str:
        return str(studio.episodes.import_file(text, **more)["queue"]["name"])

    assert named(episode(SHOT, title="Night"), name="Mine", fallback_name="file") == "Mine"
    assert named(episode(SHOT, title="Night"), fallback_name="file") == "Night"
    assert named(episode(SHOT), fallback_name="file") == "file"


def test_a_file_stays_where_it_is_and_is_looked_at_again_when_it_changes(studio: Studio, folder: Path) -> None:
    def imported() -> str:
        queue = studio.episodes.import_file(episode(image("a.png")), base=folder, trusted=True)["queue"]["id"]
        scene = studio.scenes.get(studio.queues.get(queue)["scenes"][0]["id"])
        return str(scene["scene"]["input_image"])

    first = imported()
    assert first.startswith("asset:") and imported() == first
    assert studio.library.file(first[6:]) == (folder / "a.png").resolve()
    draw(folder / "a.png", (50, 50))
    assert imported() != first


# ------------------------------------------------------------------------------------------------ export
def test_an_export_imports_as_the_same_scenes(studio: Studio, folder: Path) -> None:
    scenes = [
        {**SHOT, "label": "one", "seed": 2**63 - 1, "lines": [{"character": "Inês", "text": "Olá"}]},
        video("{{prev}}"), {"task_type": "text_to_image", "prompt": "🎬 ${x}", "in_cut": True},
        image("{{job:0}}#first", transition="dissolve"),
        image("a.png", end_image="{{job:2}}", resolution="480P", aspect="9:16", duration=1.5), avatar("a.png", "a.wav"),
        {"task_type": "speech", "lines": [{"text": "a", "voice": "own", "direction": "soft", "language": "pt"}]},
        {**SHOT, "engine": "instant", "options": {"instant": {"grey": 3}, "other": {"x": [1, None]}}, "in_cut": False},
    ]  # fmt: skip
    head = {
        "title": "Night pier", "music": {"ref": "a.wav", "level": -30},
        "frame": {"width": 640, "height": 360, "fps": 25}, "cast": [{"name": "Inês", "voice": "deep"}],
    }  # fmt: skip
    first = studio.episodes.import_file(episode(*scenes, **head), base=folder, trusted=True)["queue"]["id"]
    written = studio.episodes.export(first)
    second = studio.episodes.import_file(json.dumps(written))["queue"]["id"]
    assert studio.episodes.export(second) == written
    assert written["cast"] == [{"name": "Inês", "voice": "deep"}] and written["frame"]["fps"] == 25
    assert [_content(studio, first), _content(studio, second)][0] == _content(studio, second)


def _content(studio: Studio, queue: str) -> list[dict[str, Any]]:
    """The scenes of a queue with references by number and without ids."""
    cards = studio.queues.get(queue)["scenes"]
    text = json.dumps([studio.scenes.get(card["id"])["scene"] for card in cards])
    for card in cards:
        text = text.replace(card["id"], f"#{card['number']}")
    scenes: list[dict[str, Any]] = json.loads(text)
    for scene in scenes:
        for line in scene["lines"]:
            assert line.pop("id")
    return scenes


# ------------------------------------------------------------------------------------------------ who may read what
def test_strangers_read_below_the_roots_only(studio: Studio, folder: Path, tmp_path: Path) -> None:
    inside = draw(studio.settings.output_dir / "b.png")
    (studio.settings.output_dir / "link.png").symlink_to(folder / "a.png")
    outside = ["../episode/a.png", str(folder / "a.png"), str(studio.settings.output_dir / "link.png"), "link.png"]
    outside += [str(folder / "nobody.png"), "/etc/passwd", "~/a.png", f"file://{folder}/a.png"]
    assert studio.episodes.check(episode(image("b.png"), image(str(inside))))["problems"] == 0
    for ref in outside:  # whether or not something is there: nobody learns what files this computer has
        report = studio.episodes.check(episode(image(ref)))
        assert [problem["code"] for problem in report["scenes"][0]["problems"]] == ["input.outside"], ref


def test_media_roots_are_read_too(build: Callable[..., Studio], instant: Any, folder: Path) -> None:
    studio = build(media_roots=[folder])
    assert studio.episodes.check(episode(image("a.png"), image(str(folder / "a.png"))))["problems"] == 0


def test_an_upload_is_kept_by_its_content(studio: Studio, folder: Path) -> None:
    first = studio.library.add(folder / "a.png", "../../x/My Lamp.PNG")
    again = studio.library.add(folder / "a.png", "other.png")
    assert first["sha256"] == again["sha256"] and first["name"] == "My Lamp.PNG"
    kept = studio.library.file(first["sha256"])
    assert kept.is_relative_to(studio.settings.data_dir) and kept.read_bytes() == (folder / "a.png").read_bytes()
    kept.unlink()
    with pytest.raises(NotFound):
        studio.library.file(first["sha256"])
    with pytest.raises(StudioError):
        studio.library.add(folder / "text.mp4", "film.mp4")


def test_an_engine_that_lacks_something_says_so_before_anything_is_rendered(
    studio: Studio, checked: Callable[..., list[tuple[int, str, str]]], instant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = {**SHOT, "engine": "instant"}
    assert checked(scene) == []
    lacking = Availability("needs_download", bytes=9, licence="MIT")
    monkeypatch.setattr(instant.Instant, "availability", lambda self, machine: lacking)
    assert checked(scene) == [(0, "engine", "engine.needs_download")]
    with pytest.raises(Conflict) as refused:
        studio.scenes.generate(scene)
    _has_words(studio, refused.value.as_dict())


# ------------------------------------------------------------------------------------------------ from the web
@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """`http://x.example/<name>` gives a file of `folder`; the addresses that were asked for."""
    asked: list[str] = []

    def fetched(url: str, target: Path, **_: Any) -> Fetched:
        asked.append(url)
        name = url.rpartition("/")[2]
        if name == "nothing":
            raise Unavailable("fetch.status", host="x.example", status=404)
        target.write_bytes((folder / name).read_bytes())
        return Fetched(target, name, "", 1)

    monkeypatch.setattr(fetch, "fetch", fetched)
    return asked


def test_what_the_web_gives_is_looked_at_like_any_file(studio: Studio, web: list[str]) -> None:
    at = "http://x.example/"
    queue = studio.episodes.import_file(episode(image(at + "a.png")))["queue"]["id"]
    (card,) = studio.queues.get(queue)["scenes"]
    assert studio.scenes.get(card["id"])["scene"]["input_image"].startswith("asset:")
    for name, code in (("a.wav", "input.kind"), ("text.mp4", "media.not_media"), ("nothing", "fetch.status")):
        with pytest.raises(Refused) as refused:
            studio.episodes.import_file(episode(SHOT, image(at + name, label="Lamp")))
        params = refused.value.params
        assert (params["scene"], params["field"], params["why"]["code"]) == ("2 · Lamp", "input_image", code)
        _has_words(studio, refused.value.as_dict())
    with pytest.raises(Refused) as refused:
        studio.scenes.generate(avatar(at + "a.png", at + "brief.wav"))
    assert (refused.value.code, refused.value.params["field"]) == ("input.audio_length", "input_audio")
    assert len(studio.queues.list()) == 1


def test_a_check_fetches_and_writes_nothing(studio: Studio, web: list[str], folder: Path) -> None:
    text = episode(image("http://x.example/a.png"), music={"ref": "http://x.example/a.wav"})
    assert studio.episodes.check(text)["problems"] == 0 and web == []
    studio.episodes.check(episode(SHOT, music={"ref": "a.wav"}), base=folder, trusted=True)
    assert studio._store.takes.asset_at(folder / "a.wav") is None
    queue = studio.episodes.import_file(text)["queue"]
    assert queue["music"]["ref"].startswith("asset:") and len(web) == 2
    with pytest.raises(Refused) as refused:
        studio.episodes.import_file(episode(SHOT, music={"ref": "http://x.example/a.png"}))
    assert refused.value.params["why"]["code"] == "input.kind"


# ------------------------------------------------------------------------------------------------ uploads
def test_an_upload_that_fills_the_disk_leaves_nothing(
    studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(library.shutil, "copyfile", full)
    with pytest.raises(DiskFull):
        studio.library.add(folder / "a.png")
    with pytest.raises(DiskFull), studio.library.incoming() as path:
        full(path, path)
    assert not [path for path in (studio.settings.data_dir / "assets").rglob("*") if path.is_file()]


def test_what_a_crash_left_of_an_upload_goes_at_the_next_start(studio: Studio) -> None:
    with studio.library.incoming() as path:
        path.write_bytes(b"half")
        studio.start()
        assert not path.exists()


def test_who_uploads_is_seen(studio: Studio) -> None:
    assert not studio.library.busy()
    with studio.library.incoming() as part:
        part.write_bytes(b"half")
        assert studio.library.busy() and any(busy() for busy in studio._runner.power.busy)
    assert not studio.library.busy()


def test_a_changed_file_is_known_by_each_of_its_contents(studio: Studio, folder: Path) -> None:
    path = folder / "a.png"
    before = studio.library.adopt(path)
    draw(path, (50, 50))
    after = studio.library.adopt(path)
    known = studio._store.takes.asset_at(path)
    assert known and known.sha256 == after["sha256"] != before["sha256"]
