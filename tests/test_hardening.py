"""What an attacker tries at the ways in, each once: links and sessions that outlive their end, a stranger at home,
another one's answers, a flood at the door."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from visitors import AT_HOME

from studio.api.guard import Guard
from studio.api.sign_in import routes
from studio.errors import Forbidden, StudioError
from studio.media.roots import Roots
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
