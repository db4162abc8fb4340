"""Schemathesis over every route of the schema, by nobody, a reviewer, an editor and the owner: no 5xx, and no answer
without rights. LANTERNA_SCHEMA_REQUESTS raises the number of requests.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from test_api_fuzz import GOOD
from test_api_rights import LONG, OWNERS, REVIEWERS, SHARED, headers_of

from studio import app
from studio.api import make_api
from studio.errors import Forbidden
from studio.service import Studio

REQUESTS = int(os.environ.get("LANTERNA_SCHEMA_REQUESTS", "1000"))
NEVER_ENDS = {"GET /api/events"}


@pytest.fixture
def studio(instant: Any, build: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = build()
    studio.people.make_owner("Mina", LONG)
    studio.people.hosts.add("film.gradio.live", "share")
    monkeypatch.setattr(studio.exports, "_make", lambda *_: None)  # films are cut elsewhere

    def nowhere(url: str, *_: Any, **__: Any) -> None:
        raise Forbidden("fetch.private", host=urlsplit(url).hostname or "")

    monkeypatch.setattr("studio.media.fetch.fetch", nowhere)
    monkeypatch.setattr(studio.hooks, "_post", nowhere)
    return studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    whole = app.web_app(studio, "command-line")
    with TestClient(whole, base_url=SHARED, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def operations(studio: Studio) -> list[Any]:
    schema = schemathesis.openapi.from_dict(make_api(studio).openapi())
    return [found.ok() for found in schema.get_all_operations()]


def known(studio: Studio, client: TestClient, picture: Path, owner: dict[str, str]) -> dict[str, str]:
    """Ids that stand for something, by the name of the parameter."""
    queue = client.post("/api/queues", json={"name": "Q", "frame": GOOD["frame"]}, headers=owner).json()["id"]
    body = {name: value for name, value in GOOD.items() if name not in ("frame", "rating")}
    scene = client.post(f"/api/queues/{queue}/scenes", json=body, headers=owner).json()["id"]
    client.post(f"/api/queues/{queue}/run", headers=owner)
    studio.drain()
    asset = client.post("/api/assets", files={"file": ("a.png", picture.read_bytes())}, headers=owner).json()["sha256"]
    return {
        "queue_id": queue, "scene_id": scene, "sha256": asset, "take_id": studio.takes.list(limit=1)["takes"][0]["id"],
        "run_id": studio.reports.list(queue)[0]["id"],
    }  # fmt: skip


def test_nobody_gets_what_is_not_theirs_and_nothing_breaks(studio: Studio, client: TestClient, picture: Path) -> None:
    who = {role: headers_of(studio, role) for role in ("reviewer", "editor", "owner")} | {"nobody": {}}
    ids = known(studio, client, picture, who["owner"])
    every = [one for one in operations(studio) if f"{one.method.upper()} /api{one.path}" not in NEVER_ENDS]
    seen: Counter[tuple[str, int]] = Counter()
    broken: Counter[str] = Counter()

    def one_route(operation: Any, times: int, again: bool) -> None:
        @settings(
            max_examples=times, database=None, deadline=None, derandomize=not again,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(), role=st.sampled_from(sorted(who)), real=st.integers(0, 2))
        def one(case: Any, role: str, real: int) -> None:
            if real:
                case.path_parameters = {**(case.path_parameters or {}), **{
                    name: ids[name] for name in case.path_parameters or {} if name in ids
                }}  # fmt: skip
            sent = case.as_transport_kwargs(base_url=SHARED + "/api")
            method, url = sent.pop("method"), sent.pop("url")
            route = f"{method} /api{operation.path}"
            sent["headers"] = {**dict(sent["headers"]), **who[role]}
            cookies = sent.pop("cookies")
            assert not cookies
            answer = client.request(method, url, **sent)
            seen[role, answer.status_code // 100] += 1
            if answer.status_code >= 500:
                broken[f"{route} {answer.status_code} {answer.text[:200]}"] += 1
            closed = answer.status_code == 403 and "guard.role" in answer.text
            if role == "nobody":
                assert answer.status_code == 401, route
            elif role == "reviewer":
                assert closed or route in REVIEWERS, route
            elif role == "editor":
                for_ever = route == "DELETE /api/takes/{take_id}" and closed  # with ?forever= it is the owner's
                assert closed is bool(OWNERS.match(route)) or for_ever, route
            else:
                assert not closed, route

        one()

    again = False  # a route without parameters has few different requests: the others get what is left
    while (left := REQUESTS - sum(seen.values())) > 0:
        for operation in every:
            one_route(operation, -(-left // len(every)), again)
        again = True
    assert not broken, broken
    assert {role for role, kind in seen if kind == 4} == set(who) and seen["owner", 2] and seen["editor", 2]
