"""Who did what: a row for every write of somebody who signed in, through the door; counted refusals; trimming."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from studio.api import make_api, sign_in
from studio.api.guard import Guard
from studio.domain import Visitor
from studio.service import Studio
from studio.service.audit import AGAIN_SECONDS, COUNT_SECONDS, Audit
from studio.store.people import AUDIT_ROWS

LONG = "three plain words"
SHARED = "https://film.gradio.live"
ANA = Visitor("1", "Ana", "editor", "share", "s1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(studio.audit, "_clock", clock)
    return clock


@pytest.fixture
def ana(studio: Studio) -> Iterator[TestClient]:
    """An editor, by the public link, through the door."""
    studio.people.hosts.add("film.gradio.live", "share")
    studio.people.make_owner("Mina", LONG)
    site = Starlette(routes=[*sign_in.routes(studio.people, studio.words), Mount("/api", make_api(studio))])
    door = Guard(site, studio.words, "command-line", studio.people, 10**9, studio.audit)
    at_home = Visitor("", "", "owner", "local")
    link = studio.people.invite("editor", "for Ana", None, 1, 1, at_home)["token"]
    with TestClient(door, base_url=SHARED, follow_redirects=False) as client:
        client.post(f"/invite/{link}", data={"user": "Ana", "password": LONG})
        yield client


def rows(studio: Studio, lang: str = "en", limit: int = 100) -> list[dict[str, Any]]:
    return list(reversed(studio.audit.list(None, limit, lang)["entries"]))


def texts(studio: Studio, lang: str = "en") -> list[str]:
    return [row["text"] for row in rows(studio, lang)]


# ------------------------------------------------------------------------------------------------ through the door
def test_rows_say_who_did_what(studio, ana):
    queue = ana.post("/api/queues", json={"name": "Pilot"}).json()
    body = {"task_type": "text_to_video", "prompt": "a lamp", "label": "Lamp"}
    scene = ana.post(f"/api/queues/{queue['id']}/scenes", json=body).json()
    assert ana.patch(f"/api/scenes/{scene['id']}", json={"prompt": "a lantern"}).status_code == 200
    assert ana.delete(f"/api/queues/{queue['id']}").status_code < 300
    assert texts(studio) == [
        "Came in by an invitation", "Made a queue", "Added scenes to “Pilot”", "Changed the scene “Pilot · 1 · Lamp”",
        "Deleted the queue “Pilot”",
    ]  # fmt: skip
    last = rows(studio)[-1]
    assert (last["name"], last["role"], last["way"], last["subject"]) == ("Ana", "editor", "share", "Pilot")
    assert last["address"] and last["at"]


def test_what_was_refused_or_only_read_is_no_row(studio, ana):
    before = rows(studio)
    assert ana.get("/api/queues").status_code == 200
    assert ana.patch("/api/queues/unknown", json={"name": "x"}).status_code == 404
    assert ana.post("/api/sharing/share", json={"on": True}).status_code == 403
    assert ana.post("/api/queues/check", json=[]).status_code < 500
    assert rows(studio) == before


def test_at_home_nothing_is_written_down_but_who_may_come_in(studio):
    site = Starlette(routes=[Mount("/api", make_api(studio))])
    door = Guard(site, studio.words, "command-line", studio.people, 10**9, studio.audit)
    client = TestClient(door, base_url="http://127.0.0.1:7860")
    assert client.post("/api/queues", json={"name": "Pilot"}).status_code < 300
    assert client.post("/api/people/owner", json={"name": "Mina", "password": LONG}).status_code == 201
    made = client.post("/api/invitations", json={"role": "reviewer", "note": "the client"}).json()
    assert client.delete(f"/api/invitations/{made['id']}").status_code == 204
    assert texts(studio) == [
        "Gave an owner a name and a password", "Made an invitation: the client", "Revoked the invitation: the client",
    ]  # fmt: skip
    assert {row["name"] for row in rows(studio)} == {""}


def test_signing_in_and_out(studio, ana):
    ana.post("/sign-out")
    ana.post("/sign-in", data={"user": "Ana", "password": "wrong wrong"})
    ana.post("/sign-in", data={"user": "Ana", "password": LONG})
    assert texts(studio) == ["Came in by an invitation", "Signed out", "A sign-in was refused", "Signed in"]


def test_the_list_is_the_owners_alone_and_in_their_language(studio, ana):
    assert ana.get("/api/audit").status_code == 403
    ana.post("/api/queues", json={"name": "Pilot"})
    ana.post("/sign-out")
    ana.post("/sign-in", data={"user": "Mina", "password": LONG})
    answer = ana.get("/api/audit", params={"limit": 2, "lang": "pt"}).json()
    assert [one["text"] for one in answer["entries"]] == ["Entrou", "Saiu"]
    answer = ana.get("/api/audit", params={"limit": 2, "lang": "zh", "before": answer["next"]}).json()
    assert [one["text"] for one in answer["entries"]] == ["新建了队列", "通过邀请进入"]
    rest = ana.get("/api/audit", params={"before": answer["next"]}).json()
    assert rest == {"entries": [], "next": None}
    for wrong in ({"limit": 0}, {"limit": 1000}, {"before": 0}, {"before": 10**30}, {"before": "x"}):
        assert ana.get("/api/audit", params=wrong).status_code == 422


def test_a_full_disk_does_not_undo_what_was_done(studio, ana, monkeypatch):
    from studio.errors import DiskFull

    def full(*args: Any, **more: Any) -> None:
        raise DiskFull("store.full")

    monkeypatch.setattr(studio.people, "record", full)
    assert ana.post("/api/queues", json={"name": "Pilot"}).status_code < 300
    assert any(queue["name"] == "Pilot" for queue in studio.queues.list())


# ------------------------------------------------------------------------------------------------ the table
def test_every_write_there_is_has_words(studio):
    """A route that is added and has no rule reads as a method and a path: give it a rule in service/audit.py."""
    paths = make_api(studio).openapi()["paths"]
    writes = [(method.upper(), path) for path, methods in paths.items() for method in methods if method != "get"]
    assert len(writes) > 90
    unknown = []
    for method, path in writes:
        deed = studio.audit.about(ANA, method, "/api" + re.sub(r"{\w+}", "x", path))
        if deed is not None and deed.what == "other":
            unknown.append(f"{method} {path}")
    assert unknown == []


def test_every_rule_has_words_in_every_language(studio):
    from studio.service.audit import PATTERNS

    for what in {what for _, _, what, _ in PATTERNS if what}:
        for lang in ("en", "pt", "zh"):
            assert studio.words.text(f"audit.{what}", lang) != f"audit.{what}", (what, lang)


def test_what_no_rule_knows_is_told_as_it_was(studio):
    for method, path in (("PATCH", "/api/unheard/of"), ("POST", "/nqueues"), ("POST", "/api/../x")):
        deed = studio.audit.about(ANA, method, path)
        assert deed is not None
        studio.audit.keep(ANA, deed)
        assert rows(studio)[-1]["text"] == f"Changed something: {method} {path}"
    studio.audit.keep(ANA, studio.audit.about(ANA, "POST", "/" + "x" * 5000))
    assert len(rows(studio)[-1]["text"]) < 400


def test_a_name_with_braces_stays_a_name(studio, ana):
    queue = ana.post("/api/queues", json={"name": "{count} {name.__class__} <b>"}).json()
    ana.patch(f"/api/queues/{queue['id']}", json={"priority": 1})
    assert texts(studio)[-1] == "Changed the queue “{count} {name.__class__} <b>”"


def test_the_same_change_within_a_minute_is_one_row(studio, ana, clock):
    queue = ana.post("/api/queues", json={"name": "Pilot"}).json()
    before = len(rows(studio))
    for priority in range(5):
        ana.patch(f"/api/queues/{queue['id']}", json={"priority": priority})
    assert len(rows(studio)) == before + 1
    clock.now += AGAIN_SECONDS + 1
    ana.patch(f"/api/queues/{queue['id']}", json={"priority": 7})
    assert len(rows(studio)) == before + 2
    other = Visitor("2", "Eva", "editor", "share", "s2")
    studio.audit.keep(other, studio.audit.about(other, "PATCH", f"/api/queues/{queue['id']}"))
    assert rows(studio)[-1]["name"] == "Eva"


# ------------------------------------------------------------------------------------------------ refused sign-ins
def test_ten_thousand_refused_sign_ins_are_one_row(studio, clock, monkeypatch):
    written = []
    real = studio.audit._store.people.amend
    monkeypatch.setattr(studio.audit._store.people, "amend", lambda *a: (written.append(a), real(*a)))
    for _ in range(10_000):
        studio.audit.refused("share", "203.0.113.9")
    assert len(written) < 20
    assert texts(studio) == ["10000 sign-ins were refused within an hour"]
    clock.now += COUNT_SECONDS + 1
    studio.audit.refused("share", "203.0.113.9")
    studio.audit.refused("lan", "192.168.1.9")
    assert [(row["text"], row["way"]) for row in rows(studio)][1:] == [
        ("A sign-in was refused", "share"), ("A sign-in was refused", "lan"),
    ]  # fmt: skip


def test_a_count_is_written_when_the_studio_ends(studio, clock):
    for _ in range(3):
        studio.audit.refused("share", "x")
    studio.audit.close()
    again = Audit(studio.audit._store, studio.people, studio.words)
    assert again.list(None, 10, "en")["entries"][0]["text"] == "3 sign-ins were refused within an hour"


# ------------------------------------------------------------------------------------------------ trimming
def test_old_rows_go_at_the_start(build: Callable[..., Studio]):
    studio = build()
    c = studio.people._rows._c
    old = (datetime.now(UTC) - timedelta(days=181)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    facts = {"person_id": "", "name": "", "role": "", "way": "local", "what": "sign_in", "facts": json.dumps({})}
    with c.write():
        c.insert("audit", {"at": old, **facts})
    studio.people.record(ANA, "sign_in")
    studio.people.start(None)
    assert len(rows(studio)) == 1
    with c.write():
        c.execute_many(
            "insert into audit (at, person_id, name, role, way, what) values (?, '', '', '', 'local', 'sign_in')",
            [[rows(studio)[0]["at"]]] * (AUDIT_ROWS + 5),
        )
    studio.people.start(None)
    assert c.value("select count(*) from audit") == AUDIT_ROWS
