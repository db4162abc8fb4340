"""A film under review: versions and what changed, who sees which, notes on scenes, a package and what comes back."""

import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from store_tools import open_store

from studio.domain import Music, Visitor
from studio.errors import Conflict, Forbidden, NotFound, Refused, StudioError, TooLarge, TooOften
from studio.service import Studio, review_comments, review_package, reviewing
from studio.service.review_comments import Said
from studio.store.migrations import migrations

FRAME = {"width": 144, "height": 128, "fps": 12}
SHOT = {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.5}
HOSTILE = '</script><script>alert(1)</script> & "quotes" {braces} \''
OWNER = Visitor("", "", "owner", "local")
EDITOR = Visitor("p-ed", "Ed", "editor", "share", "s-ed")
ANA = Visitor("p-ana", "Ana", "reviewer", "share", "s-ana")
BO = Visitor("p-bo", "Bo", "reviewer", "share", "s-bo")


@pytest.fixture
def queue(studio: Studio) -> str:
    """Three scenes with takes."""
    made = str(studio.queues.create("Night pier", frame=FRAME)["id"])
    for label in ("one", "two", "three"):
        studio.scenes.add(made, {**SHOT, "label": label})
    studio.runs.run(made)
    studio.drain()
    return made


def scenes_of(studio: Studio, queue: str) -> dict[str, str]:
    return {card["title"]: card["id"] for card in studio.queues.get(queue)["scenes"]}


def cut(studio: Studio, queue: str, **wish: Any) -> str:
    film = studio.exports.cut(queue, wait=True, **wish)
    assert film["state"] == "done", film["error"]
    return str(film["id"])


def published(studio: Studio, queue: str) -> dict[str, Any]:
    return studio.reviewing.publish(queue, cut(studio, queue), OWNER)


def again(studio: Studio, scene: str) -> str:
    """Another take of it; the take's id."""
    studio.review.seeds(scene, 1)
    studio.drain()
    return str(studio.scenes.get(scene)["take"]["id"])


def code(call: Callable[[], Any]) -> str:
    """What it is refused with."""
    with pytest.raises(StudioError) as raised:
        call()
    return raised.value.code


# ------------------------------------------------------------------------------------------------ versions
def test_a_version_says_by_scene_what_changed(studio: Studio, queue: str) -> None:
    scenes = scenes_of(studio, queue)
    first = published(studio, queue)
    assert (first["name"], first["open"], first["version"]["number"]) == ("Night pier", True, 1)
    assert [scene["change"] for scene in first["version"]["scenes"]] == ["", "", ""]
    starts = [(scene["start"], scene["duration"]) for scene in first["version"]["scenes"]]
    assert starts == [(0.0, 0.5), (0.5, 0.5), (1.0, 0.5)] and first["version"]["seconds"] == 1.5

    again(studio, scenes["one"])
    studio.scenes.edit(scenes["two"], {"trim_end": 0.25})
    new = studio.scenes.add(queue, {**SHOT, "label": "four"}, 0)["id"]
    studio.scenes.run(new)
    studio.drain()
    studio.scenes.delete(scenes["three"])
    second = published(studio, queue)
    assert second["id"] == first["id"] and second["version"]["number"] == 2
    assert [(scene["title"], scene["change"]) for scene in second["version"]["scenes"]] == [
        ("four", "new"), ("one", "retaken"), ("two", "trimmed"),
    ]  # fmt: skip
    assert second["version"]["removed"] == [{"number": 3, "title": "three"}]

    studio.queues.reorder(queue, [scenes["two"], new, scenes["one"]])
    third = published(studio, queue)
    assert [(scene["title"], scene["change"]) for scene in third["version"]["scenes"]] == [
        ("two", "moved"), ("four", ""), ("one", ""),
    ]  # fmt: skip
    assert [version["number"] for version in third["versions"]] == [1, 2, 3]
    assert studio.reviewing.view(first["id"], ANA, 2)["version"] == second["version"]


def test_a_line_that_is_spoken_anew_is_a_retake(studio: Studio, queue: str) -> None:
    scene = studio.scenes.add(queue, {**SHOT, "label": "said", "lines": [{"text": "Good night"}]})
    studio.runs.run(queue)
    studio.drain()
    published(studio, queue)
    line = studio.scenes.get(scene["id"])["scene"]["lines"][0]["id"]
    studio.runs.speak(queue, lines=[line])
    studio.drain()
    assert published(studio, queue)["version"]["scenes"][-1]["change"] == "retaken"


def test_publishing_the_newest_film_again_is_no_new_version(studio: Studio, queue: str) -> None:
    film = cut(studio, queue)
    assert studio.reviewing.of_queue(queue, OWNER) is None
    for _ in range(2):
        assert studio.reviewing.publish(queue, film, OWNER)["version"]["number"] == 1
    other = published(studio, queue)
    assert other["version"]["number"] == 2
    assert studio.reviewing.publish(queue, film, OWNER)["version"]["number"] == 3  # back to how it was


def test_only_a_finished_film_of_this_queue_that_knows_its_scenes_is_published(studio: Studio, queue: str) -> None:
    other = str(studio.queues.create("Other", frame=FRAME)["id"])
    film = cut(studio, queue)
    assert code(lambda: studio.reviewing.publish(other, film, OWNER)) == "export.unknown"
    stems = studio.exports.cut(queue, kind="stems", wait=True)["id"]
    assert code(lambda: studio.reviewing.publish(queue, stems, OWNER)) == "review.not_a_film"
    facts = json.loads(studio._store.takes.export(film)["facts"])
    studio._store.takes.update_export(film, facts={name: facts[name] for name in facts if name != "scenes"})
    assert code(lambda: studio.reviewing.publish(queue, film, OWNER)) == "review.old_film"
    assert studio.reviewing.of_queue(queue, OWNER) is None


def test_a_card_in_place_of_a_take_is_no_private_take(studio: Studio, queue: str) -> None:
    studio.scenes.add(queue, {**SHOT, "label": "missing"})
    made = studio.reviewing.publish(queue, cut(studio, queue, missing="draft_card"), OWNER)
    assert made["version"]["scenes"][3]["title"] == "missing"
    said = studio.reviewing.comment(made["id"], Said(1, 1.6, "what comes here?", "retake"), ANA)
    assert said["number"] == 4


def test_a_version_stays_while_films_are_cut_anew_and_says_when_its_film_went(studio: Studio, queue: str) -> None:
    first = published(studio, queue)
    film = studio.reviewing.film(first["id"], 1, ANA)
    content = film.read_bytes()
    again(studio, scenes_of(studio, queue)["one"])
    cut(studio, queue)
    assert studio.reviewing.film(first["id"], 1, ANA) == film and film.read_bytes() == content
    said = studio.reviewing.comment(first["id"], Said(1, 0.2, "slower"), ANA)
    studio.reviewing.poster(first["id"], 1, ANA)
    studio.reviewing.frame(said["id"], ANA)
    studio.exports.remove(first["versions"][0]["export_id"])
    assert code(lambda: studio.reviewing.film(first["id"], 1, ANA)) == "review.no_film"
    assert code(lambda: studio.review_packages.pack(first["id"], OWNER, "en")) == "review.no_film"
    view = studio.reviewing.view(first["id"], ANA)
    assert (view["version"]["film"], [comment["id"] for comment in view["comments"]]) == (False, [said["id"]])
    assert view["comments"][0]["frame"] and studio.reviewing.frame(said["id"], ANA).is_file()
    late = studio.reviewing.comment(first["id"], Said(1, 0.4, "and the hat"), ANA)
    assert late["frame"] is False and code(lambda: studio.reviewing.frame(late["id"], ANA)) == "review.no_film"
    assert studio.reviewing.poster(first["id"], 1, ANA).is_file()  # it was drawn while the film was there


# ------------------------------------------------------------------------------------------------ who sees what
def test_a_reviewer_of_one_film_sees_that_and_no_other(studio: Studio, queue: str) -> None:
    other = str(studio.queues.create("Other", frame=FRAME)["id"])
    studio.scenes.run(studio.scenes.add(other, SHOT)["id"])
    studio.drain()
    mine, theirs = published(studio, queue), published(studio, other)
    said = studio.reviewing.comment(theirs["id"], Said(1, 0, "hello"), BO)
    guest = Visitor("p-guest", "Guest", "reviewer", "share", "s", queue_id=queue)
    assert [review["id"] for review in studio.reviewing.list(guest)] == [mine["id"]]
    assert [review["id"] for review in studio.reviewing.list(ANA)] == [theirs["id"], mine["id"]]
    asked: list[Callable[[], Any]] = [
        lambda: studio.reviewing.view(theirs["id"], guest),
        lambda: studio.reviewing.film(theirs["id"], 1, guest),
        lambda: studio.reviewing.poster(theirs["id"], 1, guest),
        lambda: studio.reviewing.subtitles(theirs["id"], 1, guest),
        lambda: studio.reviewing.frame(said["id"], guest),
        lambda: studio.reviewing.comment(theirs["id"], Said(1, 0, "me too"), guest),
        lambda: studio.reviewing.judge(theirs["id"], 1, "", True, guest),
        lambda: studio.reviewing.delete(said["id"], guest),
    ]
    assert {code(ask) for ask in asked} == {"review.unknown"}


def test_a_closed_review_lets_no_reviewer_in_and_keeps_everything(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    said = studio.reviewing.comment(review, Said(1, 0, "hello"), ANA)
    assert studio.reviewing.set_open(review, False, OWNER)["open"] is False
    assert studio.reviewing.list(ANA) == [] and len(studio.reviewing.list(OWNER)) == 1
    for ask in (
        lambda: studio.reviewing.view(review, ANA), lambda: studio.reviewing.film(review, 1, ANA),
        lambda: studio.reviewing.frame(said["id"], ANA), lambda: studio.reviewing.delete(said["id"], ANA),
    ):  # fmt: skip
        assert code(ask) == "review.closed"
    studio.reviewing.set_open(review, True, EDITOR)
    assert studio.reviewing.view(review, ANA)["comments"][0]["text"] == "hello"


def reachable(studio: Studio, review: str, comments: list[str], visitor: Visitor) -> dict[int, set[str]]:
    """By version, everything of its pictures and sounds that a visitor gets to see, by whatever way."""
    found: dict[int, set[str]] = {}

    def tried(number: int, what: str, ask: Callable[[], Any]) -> None:
        try:
            ask()
        except NotFound:
            return
        found.setdefault(number, set()).add(what)

    for listed in studio.reviewing.list(visitor):
        found.setdefault(listed["version"], set()).add("list")
    for row in studio._store.reviews.versions(review):
        number = row["number"]
        tried(number, "view", lambda n=number: studio.reviewing.view(review, visitor, n))
        tried(number, "film", lambda n=number: studio.reviewing.film(review, n, visitor))
        tried(number, "poster", lambda n=number: studio.reviewing.poster(review, n, visitor))
    for comment in comments:
        number = studio._store.reviews.comment(comment)["version"]
        tried(number, "frame", lambda c=comment: studio.reviewing.frame(c, visitor))
    try:
        shown = studio.reviewing.view(review, visitor)
    except NotFound:
        return found
    found.setdefault(shown["version"]["number"], set()).add("newest")
    for each in shown["versions"]:
        found.setdefault(each["number"], set()).add("named")
    for each in shown["comments"]:
        if each["frame"]:
            found.setdefault(each["version"], set()).add("frame promised")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_reviewer_never_sees_a_private_take(studio: Studio, queue: str, seed: int) -> None:
    """Whatever happens to takes, in whatever order: hidden, shown, made anew, chosen, thrown away, gone for ever."""
    dice, store = random.Random(seed), studio._store
    review = published(studio, queue)["id"]
    comments: list[str] = []
    films: dict[int, set[str]] = {1: {card["take"]["id"] for card in studio.queues.get(queue)["scenes"]}}
    private: set[str] = set()

    def takes() -> list[str]:
        return [
            take["id"] for scene in scenes_of(studio, queue).values() for take in studio.scenes.get(scene)["take_list"]
        ]

    def hide() -> None:
        take = dice.choice(takes() or [again(studio, scenes_of(studio, queue)["two"])])
        private.symmetric_difference_update({take})
        studio.takes.mark(take, {"private": take in private})

    def remake() -> None:
        again(studio, dice.choice(list(scenes_of(studio, queue).values())))

    def choose() -> None:
        studio.takes.mark(dice.choice(takes() or [again(studio, scenes_of(studio, queue)["one"])]), {"selected": True})

    def destroy() -> None:
        take = dice.choice(takes() or [again(studio, scenes_of(studio, queue)["three"])])
        studio.takes.trash(take)
        if dice.random() < 0.7:
            studio.storage.remove_take(take)
        else:
            studio.takes.restore(take)

    def publish() -> None:
        cards = studio.queues.get(queue)["scenes"]
        used = {card["take"]["id"] for card in cards if card["take"]}
        if not used:
            return
        film = cut(studio, queue, missing="leave_out")
        if used & private:
            assert code(lambda: studio.reviewing.publish(queue, film, OWNER)) == "review.private"
        else:
            films[studio.reviewing.publish(queue, film, OWNER)["version"]["number"]] = used

    def say() -> None:
        number = dice.choice(list(films))
        at = dice.random() * store.reviews.versions(review)[number - 1]["seconds"]
        comments.append(studio.reviewing.comment(review, Said(number, at, "look"), OWNER)["id"])

    for _ in range(18):
        dice.choice([hide, hide, remake, choose, destroy, publish, say])()
        allowed = {number for number, used in films.items() if not used & private}
        seen = reachable(studio, review, comments, ANA)
        assert set(seen) <= allowed, (films, private)
        assert {number for number, ways in seen.items() if {"view", "film", "poster", "named"} <= ways} == allowed
        withheld = {
            number for number in films
            if studio.reviewing.view(review, OWNER, number)["version"]["withheld"]
        }  # fmt: skip
        assert withheld == set(films) - allowed
        for number in films:
            if number in withheld:
                assert code(lambda n=number: studio.review_packages.pack(review, OWNER, "en", n)) == "review.private"


def test_what_was_hidden_stays_hidden_when_its_scene_goes_and_returns(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["two"]
    take = studio.scenes.get(scene)["take"]["id"]
    review = published(studio, queue)["id"]
    studio.takes.mark(take, {"private": True})
    studio.scenes.delete(scene)
    assert code(lambda: studio.reviewing.film(review, 1, ANA)) == "review.withheld"
    assert studio.reviewing.view(review, OWNER)["version"]["withheld"] == ["2 · two"]
    studio.editing.undo(queue)
    assert code(lambda: studio.reviewing.film(review, 1, ANA)) == "review.withheld"
    studio.takes.mark(take, {"private": False})
    assert studio.reviewing.film(review, 1, ANA).is_file()
    studio.scenes.delete(scene)  # public as it is now: nothing is hidden by what it was once
    assert studio.reviewing.film(review, 1, ANA).is_file()


def test_a_private_voice_or_sound_withholds_too_and_is_named(studio: Studio, queue: str) -> None:
    bells = {"task_type": "speech", "label": "bells", "lines": [{"text": "ding dong"}]}
    speech = studio.scenes.add(queue, bells)["id"]
    said = studio.scenes.add(queue, {**SHOT, "label": "said", "lines": [{"text": "Good night"}]})["id"]
    studio.runs.run(queue)
    studio.drain()
    studio._store.queues.update(queue, {"music": Music(ref=f"scene:{speech}").model_dump_json()})
    review = published(studio, queue)["id"]
    voice, bell = (studio.scenes.get(scene)["voice_list"][0]["id"] for scene in (said, speech))
    for take, names in ((voice, ["5 · said"]), (bell, ["bells"])):
        studio.takes.mark(take, {"private": True})
        assert code(lambda: studio.reviewing.film(review, 1, ANA)) == "review.withheld"
        assert studio.reviewing.list(ANA) == []
        assert studio.reviewing.view(review, EDITOR)["version"]["withheld"] == names
        assert code(lambda: published(studio, queue)) == "review.private"
        studio.takes.mark(take, {"private": False})
        assert studio.reviewing.film(review, 1, ANA).is_file()


# ------------------------------------------------------------------------------------------------ comments
def test_a_comment_stands_on_its_scene_with_take_and_frame(studio: Studio, queue: str) -> None:
    scenes = scenes_of(studio, queue)
    studio.scenes.edit(scenes["two"], {"trim_start": 0.125})
    review = published(studio, queue)["id"]
    said = studio.reviewing.comment(review, Said(1, 0.75, HOSTILE, region=(0, 0.1, 0.5, 1)), ANA)
    assert (said["scene_id"], said["number"], said["frame"], said["mine"]) == (scenes["two"], 2, True, True)
    (told,) = studio.scenes.get(scenes["two"])["comments"]
    take = studio.scenes.get(scenes["two"])["take"]["id"]
    assert (told["text"], told["author"], told["take_id"], told["second"]) == (HOSTILE, "Ana", take, 0.375)
    assert studio.reviewing.frame(said["id"], ANA).read_bytes()[:3] == b"\xff\xd8\xff"
    assert studio.scenes.get(scenes["two"])["retake"] is None  # a comment is no wish
    assert studio.reviewing.view(review, BO)["comments"][0]["mine"] is False


def test_a_comment_over_a_title_or_the_credits_is_of_no_scene(studio: Studio, queue: str) -> None:
    cards = {"title": "Pier", "title_seconds": 1, "credits": "All of us", "credits_seconds": 2}
    studio.queues.update(queue, {"cut": cards})
    review = published(studio, queue)
    assert review["version"]["scenes"][0]["start"] == 1.0
    for at in (0.2, 3.0, review["version"]["seconds"]):
        said = studio.reviewing.comment(review["id"], Said(1, at, "bigger", "retake"), ANA)
        assert (said["scene_id"], said["number"]) == ("", None)
    assert not any(card["retake"] for card in studio.queues.get(queue)["scenes"])


def test_of_two_that_dissolve_the_later_one_is_meant(studio: Studio, queue: str) -> None:
    studio.scenes.edit(scenes_of(studio, queue)["one"], {"transition": "dissolve"})
    review = published(studio, queue)
    second = review["version"]["scenes"][1]["start"]
    assert second < 0.5
    assert studio.reviewing.comment(review["id"], Said(1, second, "here"), ANA)["number"] == 2


def test_what_is_wrong_with_a_comment_is_said(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"text": "  \n "}, "comment.empty"), ({"text": "\u202e\u2066"}, "comment.empty"),
        ({"text": "x" * 2001}, "comment.too_long"), ({"at": 1.7}, "comment.time"), ({"at": -0.1}, "comment.time"),
        ({"at": float("nan")}, "comment.time"), ({"region": (0.5, 0, 0.5, 1)}, "comment.region"),
        ({"region": (0, 0.9, 0.5, 0.1)}, "comment.region"), ({"version": 7}, "review.no_version"),
    ]  # fmt: skip
    for wrong, why in wrongs:
        fields = {"version": 1, "at": 0.0, "text": "x", **wrong}
        assert code(lambda fields=fields: studio.reviewing.comment(review, Said(**fields), ANA)) == why, wrong
    assert studio.reviewing.view(review, ANA)["comments"] == []


def test_text_is_kept_as_text(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    said = studio.reviewing.comment(review, Said(1, 0, "one\r\ntwo\x00\x1b[31m \ud83d\u2028three \u202eevil"), ANA)
    assert said["text"] == "one\ntwo  [31m ? three  evil"


def test_the_same_comment_twice_is_one_and_nobody_takes_anothers_id(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    for _ in range(2):
        said = studio.reviewing.comment(review, Said(1, 0, "once", "retake", id="abcdefgh"), ANA)
    assert said["text"] == "once" and len(studio.reviewing.view(review, ANA)["comments"]) == 1
    with pytest.raises(Conflict):
        studio.reviewing.comment(review, Said(1, 0, "mine!", id="abcdefgh"), BO)


def test_nobody_writes_without_end(studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "MOST_A_MINUTE", 2)
    review = published(studio, queue)["id"]
    for _ in range(2):
        studio.reviewing.comment(review, Said(1, 0, "again"), ANA)
    with pytest.raises(TooOften):
        studio.reviewing.comment(review, Said(1, 0, "again"), ANA)
    studio.reviewing.comment(review, Said(1, 0, "I too"), BO)
    monkeypatch.setattr(review_comments, "MOST_COMMENTS", 3)
    assert code(lambda: studio.reviewing.comment(review, Said(1, 0, "one more"), BO)) == "review.full"


def test_who_wrote_a_comment_deletes_it_and_the_makers_do(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    mine = [studio.reviewing.comment(review, Said(1, 0, f"{n}"), ANA)["id"] for n in range(2)]
    with pytest.raises(Forbidden):
        studio.reviewing.delete(mine[0], BO)
    still = studio.reviewing.frame(mine[0], ANA)
    studio.reviewing.delete(mine[0], ANA)
    studio.reviewing.delete(mine[1], EDITOR)
    assert studio.reviewing.view(review, ANA)["comments"] == [] and not still.exists()
    assert code(lambda: studio.reviewing.delete(mine[0], ANA)) == "comment.unknown"


# ------------------------------------------------------------------------------------------------ notes and verdicts
def test_wishes_become_the_note_of_a_scene_and_go_when_they_are_heeded(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["one"]
    studio.review.ask_again(scene, "mine: darker")
    review = published(studio, queue)["id"]
    one = studio.reviewing.comment(review, Said(1, 0.25, "slower,\nplease", "retake"), ANA)["id"]
    two = studio.reviewing.comment(review, Said(1, 0.5 - 1 / 8, "no hat", "retake"), BO)["id"]

    def note() -> tuple[Any, int, int]:
        card = studio.scenes.get(scene)
        return card["retake"], card["comments"][0]["number"], len([c for c in card["comments"] if c["state"] == "open"])

    first, second = "Ana · 0:00.2: slower, please", "Bo · 0:00.4: no hat"
    assert note() == (f"mine: darker\n{first}\n{second}", 1, 2)
    studio.reviewing.set_state(one, "done", EDITOR)
    assert note() == (f"mine: darker\n{second}", 1, 1)
    studio.reviewing.set_state(one, "open", EDITOR)
    assert note() == (f"mine: darker\n{second}\n{first}", 1, 2)
    studio.reviewing.delete(two, BO)
    assert note() == (f"mine: darker\n{first}", 1, 1)
    studio.review.ask_again(scene, None)  # the makers will not do it: then it is dealt with
    assert note() == (None, 1, 0)
    assert studio.queues.get(queue)["scenes"][0]["comments"] == {"open": 0, "retake": 0}


def test_a_new_take_answers_and_deciding_about_it_ends_the_wishes(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["one"]
    review = published(studio, queue)["id"]
    early = studio.reviewing.comment(review, Said(1, 0, "slower", "retake"), ANA)["id"]
    later = studio.reviewing.comment(review, Said(1, 0.1, "darker", "retake"), ANA)["id"]
    again(studio, scene)
    assert studio.scenes.get(scene)["review"] == "retaken"
    studio.reviewing.set_state(early, "done", EDITOR)  # the note says less, and is answered as before
    assert (studio.scenes.get(scene)["review"], studio.scenes.get(scene)["retake"]) == (
        "retaken", "Ana · 0:00.1: darker",
    )  # fmt: skip
    published(studio, queue)
    studio.reviewing.comment(review, Said(2, 0, "still too fast", "retake"), ANA)  # of the answer: a note of its own
    assert (studio.scenes.get(scene)["review"], studio.scenes.get(scene)["retake"]) == (
        "retake", "Ana · 0:00.0: still too fast",
    )  # fmt: skip
    studio.takes.mark(again(studio, scene), {"rating": 5})
    card = studio.scenes.get(scene)
    assert (card["retake"], card["review"], {comment["state"] for comment in card["comments"]}) == (
        None, "seen", {"done"},
    )  # fmt: skip
    assert studio._store.reviews.comment(later)["state"] == "done"


def test_a_full_note_stays_and_asks_again(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["one"]
    review = published(studio, queue)["id"]
    for n in range(6):
        studio.reviewing.comment(review, Said(1, 0.1, f"{n} " + "long " * 390, "retake"), ANA)
    card = studio.scenes.get(scene)
    assert len(card["retake"]) <= 500 and card["retake"].startswith("Ana · 0:00.1: 0 long")
    assert len(card["comments"]) == 6 and card["comments"][-1]["text"] == "0 " + ("long " * 390).strip()


def test_verdicts_on_the_film_and_on_scenes(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["one"]
    review = published(studio, queue)["id"]
    studio.reviewing.judge(review, 1, "", True, ANA)
    assert studio.reviewing.list(OWNER)[0]["verdict"] is True
    studio.reviewing.judge(review, 1, "", False, BO)
    view = studio.reviewing.judge(review, 1, scene, True, BO)
    said = {(row["author"], row["scene_id"], row["approved"], row["mine"]) for row in view["verdicts"]}
    assert said == {("Ana", "", True, False), ("Bo", "", False, True), ("Bo", scene, True, True)}
    assert studio.reviewing.list(OWNER)[0]["verdict"] is False
    studio.reviewing.judge(review, 1, "", None, BO)
    assert studio.reviewing.list(OWNER)[0]["verdict"] is True
    published(studio, queue)
    assert studio.reviewing.list(OWNER)[0]["verdict"] is None  # nobody has said anything of the new one
    assert {row["version"] for row in studio.reviewing.view(review, ANA)["verdicts"]} == {1}
    assert code(lambda: studio.reviewing.judge(review, 1, "elsewhere", True, ANA)) == "review.no_scene"


# ------------------------------------------------------------------------------------------------ what goes and returns
def test_scenes_go_and_return_and_names_change(studio: Studio, queue: str) -> None:
    scene = scenes_of(studio, queue)["one"]
    review = published(studio, queue)["id"]
    wish = studio.reviewing.comment(review, Said(1, 0, "slower", "retake"), ANA)["id"]
    studio.scenes.delete(scene)
    assert studio.reviewing.frame(wish, ANA).is_file()
    studio.reviewing.set_state(wish, "done", EDITOR)
    studio.reviewing.comment(review, Said(1, 0, "and darker", "retake"), ANA)  # of the version that still has it
    studio.editing.undo(queue)
    assert [comment["text"] for comment in studio.scenes.get(scene)["comments"]] == ["and darker", "slower"]
    assert studio.queues.get(queue)["scenes"][0]["comments"] == {"open": 1, "retake": 1}
    studio.queues.update(queue, {"name": "Dawn"})
    assert studio.reviewing.view(review, ANA)["name"] == "Dawn"
    assert studio.reviewing.film(review, 1, ANA).is_file()


def test_a_deleted_queue_takes_its_review_along(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    said = studio.reviewing.comment(review, Said(1, 0, "slower", "retake"), ANA)["id"]
    folder = studio.reviewing.frame(said, ANA).parent
    studio.reviewing.judge(review, 1, "", True, ANA)
    studio.queues.delete(queue)
    assert studio.reviewing.list(ANA) == []
    assert code(lambda: studio.reviewing.view(review, OWNER)) == "review.unknown"
    assert code(lambda: studio.reviewing.frame(said, OWNER)) == "comment.unknown"
    assert folder.is_dir()
    studio.reviewing.tidy()
    assert not folder.exists()


def test_a_database_of_before_gets_the_tables_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    old = Database(tmp_path / "data" / "studio.db")
    migrations.apply(old, stop_before="m005_people")
    old.conn.execute("insert into projects (id, slug, name, created) values ('p', 'default', 'Default', '2026')")
    old.conn.execute(
        "insert into queues (id, project_id, code, name, position, created) values ('q', 'p', 'E1', 'Pier', 0, '2026')"
    )
    old.conn.commit()
    before = {table: old[table].columns for table in old.table_names()}
    old.conn.close()
    store = open_store(tmp_path)
    assert store.queues.get("q").name == "Pier" and store.reviews.of_queue("q") is None
    for table, columns in before.items():
        assert store._connection.db[table].columns == columns
    store.close()


# ------------------------------------------------------------------------------------------------ out and back
def unpacked(package: review_package.Package) -> zipfile.ZipFile:
    content = b"".join(package.chunks)
    assert len(content) == package.size
    return zipfile.ZipFile(io.BytesIO(content))


def test_a_package_holds_the_page_and_the_film(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    studio.reviewing.comment(review, Said(1, 0, HOSTILE), ANA)
    package = studio.review_packages.pack(review, OWNER, "pt")
    archive = unpacked(package)
    assert package.name == "night-pier_review_v1.zip"
    assert archive.namelist() == ["index.html", "film.mp4", "film.vtt"]
    assert archive.getinfo("film.mp4").compress_type == zipfile.ZIP_STORED
    assert archive.read("film.mp4") == studio.reviewing.film(review, 1, OWNER).read_bytes()
    page = archive.read("index.html").decode()
    assert "Night pier" in page and "<script>alert(1)" not in page and queue not in page
    assert '"mine":true' not in page.replace(" ", "") and '"frame":true' not in page.replace(" ", "")


def saved(review: str, **more: Any) -> dict[str, Any]:
    """What the offline page saves."""
    comments = [
        {"id": "offline-1", "version": 1, "at": 0.2, "text": "slower", "wish": "retake", "region": None},
        {"id": "offline-2", "version": 1, "at": 0.7, "text": HOSTILE, "wish": "comment", "region": [0, 0, 0.5, 0.5]},
    ]
    verdicts = [{"version": 1, "scene_id": "", "approved": False}]
    return {
        "lanterna_review": 1,
        "review_id": review,
        "author": "Zoe",
        "comments": comments,
        "verdicts": verdicts,
    } | more


def brought(studio: Studio, review: str, file: Mapping[str, Any]) -> dict[str, Any]:
    return studio.review_packages.bring(review, json.dumps(file).encode(), EDITOR)


def test_comments_come_back_once(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    assert brought(studio, review, saved(review)) == {"added": 2, "known": 0, "verdicts": 1}
    assert brought(studio, review, saved(review)) == {"added": 0, "known": 2, "verdicts": 1}
    view = studio.reviewing.view(review, EDITOR)
    assert [(one["author"], one["text"], one["imported"], one["mine"]) for one in view["comments"]] == [
        ("Zoe", "slower", True, False), ("Zoe", HOSTILE, True, False),
    ]  # fmt: skip
    assert [(one["author"], one["approved"], one["mine"]) for one in view["verdicts"]] == [("Zoe", False, False)]
    assert studio.queues.get(queue)["scenes"][0]["retake"] == "Zoe · 0:00.2: slower"
    assert studio.reviewing.frame("offline-2", EDITOR).is_file()


def test_a_name_in_a_file_is_nobody_who_signed_in(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    studio.reviewing.judge(review, 1, "", True, ANA)
    brought(studio, review, saved(review, author="Ana"))
    assert [(one["author"], one["approved"]) for one in studio.reviewing.view(review, ANA)["verdicts"]] == [
        ("Ana", True), ("Ana", False),
    ]  # fmt: skip
    assert code(lambda: studio.reviewing.delete("offline-1", ANA)) == "comment.not_yours"


STRANGE: list[tuple[str, Any, str, str | None]] = [  # place in the file, what stands there, error, where it is found
    ("review_id", "another", "review.import_other", None),
    ("author", "  ", "review.import_field", "author"),
    ("author", "\u202e", "review.import_field", "author"),
    ("author", ["Zoe"], "review.import_field", "author"),
    ("lanterna_review", 2, "review.import_field", "lanterna_review"),
    ("comments", {}, "review.import_field", "comments"),
    ("comments.1.at", 99, "review.import_field", "comments.1"),
    ("comments.1.at", "NaN", "review.import_field", "comments.1.at"),
    ("comments.1.version", 9, "review.import_field", "comments.1"),
    ("comments.1.version", 10**30, "review.import_field", "comments.1"),
    ("comments.1.id", "../../etc/passwd", "review.import_field", "comments.1.id"),
    ("comments.1.text", "x" * 2500, "review.import_field", "comments.1"),
    ("comments.1.text", 5, "review.import_field", "comments.1.text"),
    ("comments.1.wish", "money", "review.import_field", "comments.1.wish"),
    ("comments.1.region", [0, 0, 2, 2], "review.import_field", "comments.1.region.2"),
    ("verdicts.0.scene_id", "elsewhere", "review.import_field", "verdicts.0"),
    ("verdicts.0.approved", "perhaps", "review.import_field", "verdicts.0.approved"),
]


def test_a_strangers_file_comes_in_whole_or_not_at_all(studio: Studio, queue: str) -> None:
    review = published(studio, queue)["id"]
    for place, value, why, field in STRANGE:
        file = saved(review)
        *way, last = place.split(".")
        target: Any = file
        for step in way:
            target = target[int(step) if step.isdecimal() else step]
        target[last] = value
        with pytest.raises(Refused) as refused:
            brought(studio, review, file)
        assert (refused.value.code, refused.value.params.get("field")) == (why, field), place
        said = studio.words.error(refused.value, "pt")
        assert said["message"] and said["hint"] and "error." not in said["message"], place
    view = studio.reviewing.view(review, EDITOR)
    assert (view["comments"], view["verdicts"]) == ([], [])
    assert studio.queues.get(queue)["scenes"][0]["retake"] is None


def test_what_is_no_file_of_comments_is_said(studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    review = published(studio, queue)["id"]
    whole = json.dumps(saved(review)).encode()
    bring = studio.review_packages.bring
    for content in (b"", whole[:-20], b"\xff\xfe\x00", b"[" * 100_000, b"PK\x03\x04"):  # half an upload among them
        assert code(lambda c=content: bring(review, c, EDITOR)) == "review.import_unreadable"
    for content in (b"[]", b"{}", b"null", b'"x"'):
        assert code(lambda c=content: bring(review, c, EDITOR)) == "review.import_not_ours"
    assert code(lambda: bring("elsewhere", whole, EDITOR)) == "review.import_other"
    monkeypatch.setattr(review_package, "MOST_BYTES", len(whole) - 1)
    with pytest.raises(TooLarge):
        bring(review, whole, EDITOR)
    assert studio.reviewing.view(review, EDITOR)["comments"] == []


def test_an_id_of_another_review_is_not_taken(studio: Studio, queue: str) -> None:
    other = str(studio.queues.create("Other", frame=FRAME)["id"])
    studio.scenes.run(studio.scenes.add(other, SHOT)["id"])
    studio.drain()
    mine, theirs = published(studio, queue)["id"], published(studio, other)["id"]
    studio.reviewing.comment(theirs, Said(1, 0, "there", id="offline-2"), ANA)
    with pytest.raises(Conflict):
        brought(studio, mine, saved(mine))
    assert studio.reviewing.view(mine, EDITOR)["comments"] == []
    assert studio.reviewing.view(theirs, EDITOR)["comments"][0]["text"] == "there"
