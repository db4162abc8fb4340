"""Rights by role, over every route there is: nobody without a session; reviewers and editors with their own alone."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient
from visitors import AT_HOME

from studio import app
from studio.api.rights import allowed, is_open
from studio.service import Studio

SHARED = "https://film.gradio.live"
LONG = "three plain words"
OPEN_TO_ALL = {"/sign-in", "/invite/{token}", "/health", "/healthz", "/ready", "/manifest.webmanifest"}
REVIEWERS = {
    "GET /review", "GET /review/{review_id}", "GET /api/reviews", "GET /api/reviews/{review_id}",
    "GET /api/reviews/{review_id}/versions/{number}/film", "GET /api/reviews/{review_id}/versions/{number}/poster.jpg",
    "GET /api/reviews/{review_id}/versions/{number}/subtitles.vtt",
    "GET /api/reviews/{review_id}/versions/{number}/scenes/{scene_id}/poster.jpg",
    "POST /api/reviews/{review_id}/comments",
    "PUT /api/reviews/{review_id}/verdict", "GET /api/comments/{comment_id}/frame", "DELETE /api/comments/{comment_id}",
    "GET /api/me", "PATCH /api/me", "GET /api/dictionary", "POST /sign-out",
}  # fmt: skip
OWNERS = re.compile(
    r"\w+ /api/(people|invitations|sessions|sharing|audit|preferences)\b|\w+ /api/folders"
    r"|(POST|PUT|PATCH|DELETE) /api/(hooks|deliveries|catalogue|storage|installations|memory/measure|models/download)\b"
)


@pytest.fixture
def studio(build: Callable[..., Studio]) -> Studio:
    studio = build()
    studio.people.make_owner("Mina", LONG)
    studio.people.hosts.add("film.gradio.live", "share")
    return studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    whole = app.web_app(studio, "command-line")
    with TestClient(whole, base_url=SHARED, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def headers_of(studio: Studio, role: str) -> dict[str, str]:
    if role == "owner":
        token, _ = studio.people.try_password("Mina", LONG, "share", "")
    else:
        link = studio.people.invite(role, "", None, 1, 1, AT_HOME)["token"]  # type: ignore[arg-type]
        token, _ = studio.people.accept(link, f"the {role}", LONG, "share", "")
    return {"authorization": f"Bearer {token}"}


def every_route(routes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of everything that answers: ours, peers', Gradio's, bundled files."""
    for route in routes:
        path = before + getattr(route, "path", "")
        if hasattr(route, "original_router"):  # how FastAPI keeps a router that was included
            yield from every_route(route.original_router.routes, before)
        elif isinstance(route, Mount):
            yield from every_route(route.routes, path) if route.routes else [("GET", f"{path}/a.css")]
        for method in sorted(getattr(route, "methods", None) or ()):
            if method not in ("HEAD", "OPTIONS"):
                yield method, path.replace("//", "/")


def routes_of(client: TestClient) -> list[tuple[str, str]]:
    inner: Any = client.app
    while not hasattr(inner, "routes"):
        inner = inner.app
    return list(every_route(inner.routes))


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "1", path)


def test_there_are_routes_of_every_kind(client: TestClient) -> None:
    paths = {path for _, path in routes_of(client)}
    for path in ("/api/queues", "/api/me", "/nqueues", "/gradio_api/upload", "/theme.css", "/ui/a.css", "/health"):
        assert path in paths or any(known.startswith(path) for known in paths), path
    assert len(paths) > 150


def test_without_a_session_nothing_answers(client: TestClient) -> None:
    for method, path in routes_of(client):
        answer = client.request(method, filled(path))
        if path in OPEN_TO_ALL:
            assert answer.status_code != 401, path
        else:
            assert answer.status_code == 401, f"{method} {path}"


def test_a_reviewer_has_the_review_and_nothing_else(studio: Studio, client: TestClient) -> None:
    reviewer = headers_of(studio, "reviewer")
    for method, path in routes_of(client):
        answer = client.request(method, filled(path), headers=reviewer)
        may = f"{method} {path}" in REVIEWERS or path in OPEN_TO_ALL
        closed = answer.status_code == 403 and "guard.role" in answer.text
        assert closed is not may, f"{method} {path}: {answer.status_code}"


def test_an_editor_has_all_but_the_owners(studio: Studio, client: TestClient) -> None:
    editor = headers_of(studio, "editor")
    closed = 0
    for method, path in routes_of(client):
        mine = f"{method} {path}"
        assert allowed("editor", method, filled(path)) is not bool(OWNERS.match(mine)), mine
        if OWNERS.match(mine):
            closed += 1
            answer = client.request(method, filled(path), headers=editor)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guard.role"), mine
    assert closed > 20


def test_only_an_owner_removes_for_ever(studio: Studio, client: TestClient) -> None:
    closed = client.delete("/api/takes/1?forever=true", headers=headers_of(studio, "editor"))
    assert (closed.status_code, closed.json()["error"]["code"]) == (403, "guard.role")
    assert client.delete("/api/takes/1?forever=true", headers=headers_of(studio, "owner")).status_code == 404


def test_an_editor_spends_no_money_of_the_owners_and_sends_no_computer_to_sleep(
    studio: Studio, client: TestClient
) -> None:
    editor, owner = headers_of(studio, "editor"), headers_of(studio, "owner")
    at = f"/api/queues/{client.post('/api/queues', json={'name': 'Night'}, headers=editor).json()['id']}"
    for wish in ({"allow_paid": True}, {"afterwards": "shut_down", "name": "Day"}):
        refused = client.patch(at, json=wish, headers=editor)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "guard.role")
    assert client.get(at, headers=editor).json()["queue"]["name"] == "Night"
    assert client.patch(at, json={"allow_paid": True}, headers=owner).json()["allow_paid"] is True
    back = client.patch(at, json={"allow_paid": False, "afterwards": "nothing", "retries": 2}, headers=editor)
    assert back.status_code == 200 and back.json()["allow_paid"] is False


def test_an_owner_may_do_everything(client: TestClient) -> None:
    assert all(allowed("owner", method, filled(path)) for method, path in routes_of(client))


@pytest.mark.parametrize(
    "path",
    ["//api/people", "/api//people", "/api/people/", "/api/people%0a", "/API/people", "/api/people;x", "/invite/a/b",
     "/api/x/%2e%2e/people", "/api/preferences/%2e", "/api/folders/", "/review/%2e%2e/api/queues", "/review/x/y",
     "/api/%2e/people", "/ui/app/%2e%2e/x", "/api/reviews/x/versions/1/film/", "/sign-in/", "/invite/"],
)  # fmt: skip
def test_no_spelling_of_a_path_is_a_way_round(studio: Studio, client: TestClient, path: str) -> None:
    for role in ("reviewer", "editor"):
        who = headers_of(studio, role)
        answer = client.get(path, headers={**who, "accept": "application/json"})
        assert answer.status_code in (303, 307, 401, 403, 404, 405), path
        studio.people.remove(next(one["id"] for one in studio.people.everybody() if one["name"] == f"the {role}"))
    assert client.get(path).status_code == 401 or is_open(path)


def test_a_reviewer_who_opens_the_studio_is_led_to_the_films(studio: Studio, client: TestClient) -> None:
    page = {**headers_of(studio, "reviewer"), "accept": "text/html"}
    sent = client.get("/", headers=page)
    assert (sent.status_code, sent.headers["location"]) == (303, "/review")
    refused = client.get("/api/queues", headers=page)
    assert refused.status_code == 403 and "reviewer" in refused.text


# ------------------------------------------------------------------------------------------------ the routes of people
def test_an_invitation_from_link_to_session(studio: Studio, client: TestClient) -> None:
    mina = headers_of(studio, "owner")
    made = client.post("/api/invitations", json={"role": "editor", "note": "for Ana"}, headers=mina).json()
    page = client.get(made["url_path"], headers={"accept": "text/html", "accept-language": "pt"})
    assert page.status_code == 200 and 'name="password"' in page.text and "estúdio" in page.text
    assert studio.people.inside() == 1, "reading a link changes nothing"
    short = client.post(made["url_path"], data={"user": "Ana", "password": "x"})
    assert short.status_code == 422 and 'role="alert"' in short.text
    came = client.post(made["url_path"], data={"user": "Ana", "password": LONG})
    assert (came.status_code, came.headers["location"]) == (303, "/")
    me = client.get("/api/me").json()
    assert (me["name"], me["role"], me["way"], me["at_home"]) == ("Ana", "editor", "share", False)
    assert client.get("/api/people").status_code == 403
    listed = client.get("/api/invitations", headers=mina).json()["invitations"]
    assert [(row["state"], row["used_by"]) for row in listed] == [("used", ["Ana"])]
    assert "token" not in listed[0] and "digest" not in listed[0]
    client.delete(f"/api/invitations/{listed[0]['id']}", headers=mina).raise_for_status()
    assert client.get("/api/me").status_code == 401
    gone = client.get(made["url_path"], headers={"accept": "text/html"})
    assert gone.status_code == 403 and "<input" not in gone.text


def test_a_reviewer_of_one_film_comes_in_by_name_alone(studio: Studio, client: TestClient) -> None:
    mina = headers_of(studio, "owner")
    queue = client.post("/api/queues", json={"name": "Night"}, headers=mina).json()["id"]
    assert client.post("/api/invitations", json={"queue_id": "nowhere"}, headers=mina).status_code == 404
    made = client.post("/api/invitations", json={"queue_id": queue}, headers=mina).json()
    assert made["queue"] == "Night" and 'name="password"' not in client.get(made["url_path"]).text
    came = client.post(made["url_path"], data={"user": "Client"})
    assert (came.status_code, came.headers["location"]) == (303, "/review")
    assert client.get("/api/me").json()["queue_id"] == queue


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "${7*7}", "{{x}}", "</form>", "Ana\u2028\u202e"])
def test_names_of_strangers_are_drawn_nowhere(studio: Studio, client: TestClient, name: str) -> None:
    made = client.post("/api/invitations", json={}, headers=headers_of(studio, "owner")).json()
    client.post(made["url_path"], data={"user": name})
    client.cookies.clear()
    again = client.get(made["url_path"]).text
    assert "onerror" not in again and "7*7" not in again and again.count("</form>") == 1


def test_at_home_everybody_is_the_owner(build: Callable[..., Studio], tmp_path: Any) -> None:
    studio = build(data_dir=tmp_path / "home")
    client = TestClient(app.web_app(studio, "command-line"), base_url="http://127.0.0.1:7860", follow_redirects=False)
    me = client.get("/api/me").json()
    assert (me["name"], me["role"], me["at_home"]) == ("", "owner", True)
    assert client.get("/sign-in").headers["location"] == "/"
    client.post("/api/people/owner", json={"name": "Mina", "password": LONG}).raise_for_status()
    assert client.get("/api/queues").status_code == 200, "a password alone closes nothing"
    studio.people.hosts.add("film.gradio.live", "share")
    assert client.get("/api/queues").status_code == 401, "no right comes with the address while others can come"
    studio.people.hosts.remove(["film.gradio.live"])
    assert client.get("/api/queues").status_code == 200
