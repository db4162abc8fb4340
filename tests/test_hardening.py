"""What an attacker tries at the ways in, each once: links and sessions that outlive their end, a stranger at home,
another one's answers, a flood at the door."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from visitors import AT_HOME, Known

from studio.api import make_api
from studio.api.guard import Guard
from studio.api.rights import allowed
from studio.api.sign_in import routes
from studio.domain import Visitor
from studio.errors import Forbidden, StudioError, TooOften
from studio.media.roots import Roots
from studio.service import Studio
from studio.service.hosts import Hosts
from studio.service.people import People
from studio.service.words import Words
from studio.store import Store
from studio.store.people import MOST_SESSIONS

WORDS = Words(Path(__file__).parent.parent / "assets" / "locales")
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # what it costs is not what is tested
LONG, OTHER = "three plain words", "four other plain words"
SHARED = "me.gradio.live"


@pytest.fixture
def people(tmp_path: Path) -> People:
    people = People(Store(tmp_path / "studio.db", Roots({})), Hosts({SHARED: "share"}), True, time.time, HASHER)
    people.make_owner("Mina", LONG)
    return people


def door(people: People, base: str = f"http://{SHARED}") -> TestClient:
    async def anything(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"inside {len(await request.body())}")

    inside = Starlette(routes=[*routes(people, WORDS), Route("/{path:path}", anything, methods=["GET", "POST"])])
    return TestClient(Guard(inside, WORDS, "command-line", people, 100_000_000), base_url=base, follow_redirects=False)


def invited(people: People, role: Any = "reviewer", most: int = 1) -> dict[str, Any]:
    return people.invite(role, "", None, 24, most, AT_HOME)


def during(monkeypatch: pytest.MonkeyPatch, whose: Any, name: str, then: Callable[[], object]) -> None:
    """`then` happens once, right after `whose.name` has been called."""
    before, left = getattr(whose, name), [then]

    def both(*args: Any, **options: Any) -> Any:
        result = before(*args, **options)
        if left:
            left.pop()()
        return result

    monkeypatch.setattr(whose, name, both)


# ------------------------------------------------------------------------------------------------ what is over is over
def test_a_password_that_is_changed_while_it_is_compared_opens_nothing(people, monkeypatch):
    person = people.everybody()[0]["id"]
    during(monkeypatch, people.passwords, "matches", lambda: people.change(person, password=OTHER))
    with pytest.raises(Forbidden):
        people.try_password("Mina", LONG, "share", "1.2.3.4")
    assert people.sessions(AT_HOME) == []


def test_somebody_removed_while_their_password_is_compared_is_refused(people, monkeypatch):
    people.make_owner("Bo", LONG)
    bo = next(one["id"] for one in people.everybody() if one["name"] == "Bo")
    during(monkeypatch, people.passwords, "matches", lambda: people.remove(bo))
    with pytest.raises(Forbidden):
        people.try_password("Bo", LONG, "share", "1.2.3.4")


def test_a_link_that_is_revoked_while_somebody_comes_by_it_lets_nobody_stay(people, monkeypatch):
    link = invited(people, "editor")
    revoking = threading.Thread(target=people.revoke_invitation, args=[link["id"]])
    during(monkeypatch, people.passwords, "hashed", lambda: (revoking.start(), revoking.join(0.3)))
    token, _ = people.accept(link["token"], "Eve", LONG, "share", "1.2.3.4")
    revoking.join()
    assert people.visitor(token, "share") is None


def test_who_signs_in_while_a_way_is_closed_is_out_when_it_opens_again(people, monkeypatch):
    def close() -> None:
        people.hosts.remove([SHARED])
        people.end_way("share")

    during(monkeypatch, people.passwords, "matches", close)
    with pytest.raises(StudioError):
        people.try_password("Mina", LONG, "share", "1.2.3.4")
    assert people.sessions(AT_HOME) == []


def test_a_list_of_sessions_that_was_read_before_one_ended_does_not_bring_it_back(people, monkeypatch):
    token, visitor = people.try_password("Mina", LONG, "share", "1.2.3.4")
    ending = threading.Thread(target=people.end_session, args=[visitor.session_id])
    during(monkeypatch, people._rows, "sessions", lambda: (ending.start(), ending.join(0.3)))
    people.end_session("another one")
    ending.join()
    assert people.visitor(token, "share") is None


def test_a_revoked_link_is_no_account_either(people):
    """A password that was chosen by a link opens nothing once the link is revoked."""
    link = invited(people, "editor")
    people.accept(link["token"], "Eve", LONG, "share", "1.2.3.4")
    people.revoke_invitation(link["id"])
    with pytest.raises(Forbidden):
        people.try_password("Eve", LONG, "share", "1.2.3.4")


def test_a_link_that_is_over_leaves_the_list_and_takes_nobody_with_it(people):
    link = invited(people, "editor")
    token, _ = people.accept(link["token"], "Eve", LONG, "share", "1.2.3.4")
    people.clock = lambda: time.time() + 25 * 3600
    people.revoke_invitation(link["id"], forget=True)
    assert people.invitations() == []
    assert people.visitor(token, "share") and people.try_password("Eve", LONG, "share", "1.2.3.4")


def test_the_link_of_the_last_owner_is_not_revoked(people):
    link = invited(people, "owner")
    people.accept(link["token"], "Eve", LONG, "share", "1.2.3.4")
    people.remove(next(one["id"] for one in people.everybody() if one["name"] == "Mina"))
    with pytest.raises(StudioError) as refused:
        people.revoke_invitation(link["id"])
    assert refused.value.code == "people.last_owner" and people.has_owner()


def test_coming_by_a_link_a_thousand_times_is_not_a_thousand_sessions(people):
    link = invited(people)
    for _ in range(MOST_SESSIONS + 5):
        token, _ = people.accept(link["token"], "Ana", "", "share", "1.2.3.4")
    assert len(people.sessions(AT_HOME)) == MOST_SESSIONS and people.visitor(token, "share")


# ------------------------------------------------------------------------------------------------ at the door
def asked(people: People, **of: Any) -> int:
    """How a bare request is answered: `headers` as pairs, `server`: the end of the line that is ours."""
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7860), "headers": [(b"host", b"127.0.0.1:7860")], "http_version": "1.1", **of,
    }  # fmt: skip
    said: list[int] = []

    async def send(message: Any) -> None:
        said.append(message.get("status", 0))

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    asyncio.run(Guard(inside, WORDS, "command-line", people, 1000)(scope, receive, send))
    return said[0]


def test_who_comes_by_a_network_card_is_never_at_home(people):
    """While the network is opened and closed its listener is there, and its names are not."""
    people.hosts.remove([SHARED])
    assert people.at_home and asked(people) == 200
    assert asked(people, server=("192.168.1.5", 7860)) == 401
    assert asked(people, server=("2001:db8::5", 7860)) == 401
    assert asked(people, server=("::1", 7860)) == 200


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "True-Client-IP"])
def test_whatever_a_proxy_says_of_itself_nobody_is_at_home_behind_it(people, name):
    people.hosts.remove([SHARED])
    assert asked(people, headers=[(b"host", b"localhost"), (name.lower().encode(), b"https")]) == 403


def test_a_proxy_that_says_nothing_speaks_the_old_protocol(people):
    """nginx as it comes: another Host, no header of its own, HTTP/1.0. No browser speaks that."""
    people.hosts.remove([SHARED])
    assert asked(people, http_version="1.0") == 403
    assert asked(people, http_version="1.0", path="/health") == 200


@pytest.mark.parametrize("other", ['view={"a":1}', "path=/x", "version=2", "a=b,c", "=", "two words=x", 'x="'])
def test_a_cookie_of_another_program_on_this_computer_signs_nobody_out(people, other):
    token, _ = people.try_password("Mina", LONG, "share", "1.2.3.4")
    for cookie in (f"{other}; lanterna_session={token}", f"lanterna_session={token}; {other}"):
        assert asked(people, headers=[(b"host", SHARED.encode()), (b"cookie", cookie.encode())]) == 200


@pytest.mark.parametrize("field", ["user", "password"])
def test_half_an_emoji_is_a_wrong_name_and_a_wrong_password(people, field):
    client = door(people)
    body = json.dumps({"user": "Eve", "password": LONG, field: "\ud800" * 8})
    headers = {"content-type": "application/json"}
    assert client.post("/sign-in", content=body, headers=headers).status_code == 403
    answer = client.post(f"/invite/{invited(people, 'editor')['token']}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert client.post("/sign-in", content=body, headers=headers).status_code == 200


def test_a_reviewers_words_are_short(people):
    token, _ = people.accept(invited(people)["token"], "Ana", "", "share", "1.2.3.4")
    client = door(people)
    headers = {"authorization": f"Bearer {token}"}
    assert client.post("/api/reviews/x/comments", headers=headers, content=b"x" * 20_000).status_code == 200
    assert client.post("/api/reviews/x/comments", headers=headers, content=b"x" * 2_000_000).status_code == 413


# ------------------------------------------------------------------------------------------------ what is remembered
def by(studio: Studio, visitor: Visitor) -> TestClient:
    return TestClient(Known(make_api(studio), visitor), raise_server_exceptions=False)


def test_nobody_is_given_what_another_one_was_answered(studio):
    key = {"idempotency-key": "the same"}
    mine = by(studio, AT_HOME).post("/queues", json={"name": "one"}, headers=key)
    theirs = by(studio, Visitor("p-eve", "Eve", "editor", "share", "s")).post(
        "/queues", json={"name": "two"}, headers=key
    )
    assert (mine.json()["name"], theirs.json()["name"]) == ("one", "two")


def test_the_link_of_an_invitation_is_kept_nowhere(studio):
    answer = by(studio, AT_HOME).post("/invitations", json={}, headers={"idempotency-key": "a click"})
    token = answer.json()["url_path"].rpartition("/")[2]
    files = [path for path in studio.settings.data_dir.rglob("*") if path.is_file()]
    assert files and not [path for path in files if token.encode() in path.read_bytes()]


def test_who_had_to_wait_may_try_again(studio, monkeypatch):
    client, key = by(studio, AT_HOME), {"idempotency-key": "again"}

    def too_often(*args: Any, **options: Any) -> None:
        raise TooOften("review.too_often", most=1)

    with monkeypatch.context() as for_now:
        for_now.setattr(studio.queues, "create", too_often)
        assert client.post("/queues", json={"name": "one"}, headers=key).status_code == 429
    assert client.post("/queues", json={"name": "one"}, headers=key).status_code == 201


# ------------------------------------------------------------------------------------------------ what reviewers see
def test_a_reviewer_reads_no_prompt_and_no_path(studio):
    """Scenes without a label are called by their prompt, by the makers alone."""
    secret = "Zanzibar lighthouse at dusk"
    queue = studio.queues.create("Night pier", frame={"width": 256, "height": 144, "fps": 24})["id"]
    for n in range(2):
        studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": f"{secret} {n}", "duration": 0.5})
    studio.runs.run(queue)
    studio.drain()
    film = studio.exports.cut(queue, wait=True)
    review = studio.reviewing.publish(queue, film["id"], AT_HOME)
    studio.scenes.delete(review["version"]["scenes"][1]["scene_id"])
    studio.reviewing.publish(queue, studio.exports.cut(queue, wait=True)["id"], AT_HOME)
    ana = by(studio, Visitor("p-ana", "Ana", "reviewer", "share", "s"))
    below = f"/reviews/{review['id']}"
    film = ana.get(f"{below}/versions/1/film")
    assert film.status_code == 200 and b"ftyp" in film.content[:16]
    said = [ana.get(f"{below}?version={n}").text for n in (1, 2)] + [ana.get("/reviews").text]
    assert not [text for text in said if "Zanzibar" in text]
    assert b"Zanzibar" not in film.content

    comment = ana.post(f"{below}/comments", json={"version": 1, "at": 0.1, "text": "hm"}).json()["id"]
    studio.reviewing.close()
    for path in studio.settings.output_dir.rglob("*.mp4"):
        path.write_bytes(b"no film")
    for path in (studio.settings.data_dir).rglob("*.jpg"):
        path.unlink()
    for answer in (
        ana.get(f"{below}/versions/1/poster.jpg"), ana.get(f"/comments/{comment}/frame"),
        ana.get(f"{below}/versions/1/scenes/{review['version']['scenes'][0]['scene_id']}/poster.jpg"),
    ):  # fmt: skip
        assert answer.status_code >= 400, answer.request.url
        assert str(studio.settings.output_dir) not in answer.text, answer.text


# ------------------------------------------------------------------------------------------------ floods
def test_a_flood_of_passwords_leaves_everybody_elses_threads_alone(people, monkeypatch):
    """More sign-ins at once than there are threads wait for one that is compared; who is inside is answered."""
    token, _ = people.try_password("Mina", LONG, "share", "1.2.3.4")
    answered = threading.Event()
    monkeypatch.setattr(people.passwords, "matches", lambda *_: answered.wait(20) and False)

    def rest(request: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    site = Guard(Starlette(routes=[*routes(people, WORDS), Route("/rest", rest)]), WORDS, "cl", people, 1000)

    async def rush() -> list[int]:
        transport = httpx2.ASGITransport(app=site)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{SHARED}") as client:
            tries = [
                asyncio.create_task(client.post("/sign-in", json={"user": "Mina", "password": "no"})) for _ in range(60)
            ]
            await asyncio.sleep(0)
            inside = client.get("/rest", headers={"authorization": f"Bearer {token}"})
            said = (await asyncio.wait_for(inside, 10)).status_code
            answered.set()
            return [said, *(each.status_code for each in await asyncio.gather(*tries))]

    said = asyncio.run(rush())
    assert said[0] == 200 and set(said[1:]) == {403, 429}


def test_a_name_that_is_taken_costs_no_hash(people, monkeypatch):
    link = invited(people, "editor")["token"]
    monkeypatch.setattr(people.passwords, "hashed", lambda password: pytest.fail("hashed"))
    with pytest.raises(StudioError) as refused:
        people.accept(link, "Mina", LONG, "share", "1.2.3.4")
    assert refused.value.code == "people.name_taken"


# ------------------------------------------------------------------------------------------------ editors
def test_an_editor_fetches_no_weights_by_a_peers_route(studio):
    assert allowed("owner", "POST", "/api/models/download") and allowed("editor", "GET", "/api/models/download")
    assert not allowed("editor", "POST", "/api/models/download")


def test_what_is_gone_for_ever_is_the_owners(studio):
    eve = by(studio, Visitor("p-eve", "Eve", "editor", "share", "s"))
    queue = studio.queues.create("Pier", frame={"width": 256, "height": 144, "fps": 24})["id"]
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.5})
    studio.runs.run(queue)
    studio.drain()
    film = studio.exports.cut(queue, wait=True)["id"]
    for path in ("/takes/x", f"/exports/{film}"):
        answer = eve.delete(f"{path}?forever=true")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guard.role"), path
    assert studio.exports.file(film).is_file()
    assert by(studio, AT_HOME).delete(f"/exports/{film}?forever=true").status_code == 204
