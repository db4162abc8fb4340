"""Hooks and their outbox: what is sent, how often; nothing is lost, leaked or held up. No network but loopback."""

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.header import decode_header
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from test_service_runs import BAD, FINE, queue_of

from studio.errors import Forbidden, Refused, Unavailable
from studio.media.fetch import Posted, post
from studio.service import Studio
from studio.service.hooks import CALLBACK_DELAYS, HOOK_DELAYS, Hooks, masked
from studio.service.messages import signature

HOOK = {"kind": "generic", "name": "n8n", "url": "https://example.com/in?key=abc", "secret": "s3cret"}


class Wire:
    """A transport that notes what is sent and answers what it was told to: a status, or an error to raise."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, Mapping[str, str], dict[str, Any]]] = []
        self.answers: list[int | Posted | BaseException] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], **more: Any) -> Posted:
        self.sent.append((url, body, headers, more))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Posted) else Posted(answer, None)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body, _, _ in self.sent]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def clock() -> list[float]:
    """Seconds since 1970, to be moved by hand."""
    return [time.time() + 600]


@pytest.fixture
def hooks(studio: Studio, wire: Wire, clock: list[float]) -> Hooks:
    return Hooks(studio._store, studio.words, studio.settings, wire, lambda: clock[0])


def run(studio: Studio, *prompts: str, **more: Any) -> str:
    queue = queue_of(studio, *prompts)
    studio.runs.run(queue, **more)
    studio.drain()
    return queue


# ------------------------------------------------------------------------------------------------ what is sent
def test_a_generic_hook_hears_the_first_failure_and_the_end_signed(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hooks.create(HOOK)
    queue = run(studio, BAD, FINE)
    assert hooks.send_due() == 2
    first, last = wire.bodies
    assert (first["event"], first["scene"]["number"], first["error"]["code"]) == ("first_failure", 1, "engine.failed")
    assert first["error"]["message"] and first["error"]["hint"]
    assert (last["event"], last["run"]["state"], last["counts"]["done"]) == ("finish", "failed", 1)
    assert [scene["number"] for scene in last["failed_scenes"]] == [1]
    assert last["url"].endswith(f"/?queue={queue}") and last["queue"]["name"] == "Night"
    for url, body, headers, _ in wire.sent:
        assert url == HOOK["url"]
        expected = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["X-Lanterna-Signature"] == expected
    assert len({headers["X-Lanterna-Delivery"] for _, _, headers, _ in wire.sent}) == 2


def test_a_hook_hears_only_what_it_asked_for(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, BAD)
    hooks.send_due()
    assert [body["event"] for body in wire.bodies] == ["finish"]


def test_ntfy_gets_text_and_headers_that_any_letter_survives(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hooks.create({"kind": "ntfy", "url": "https://ntfy.sh/night", "secret": "tk_1", "lang": "zh"})
    run(studio, FINE)
    hooks.send_due()
    ((_, body, headers, _),) = wire.sent
    title, charset = decode_header(headers["Title"])[0]
    assert title.decode(charset) == "Night 已完成"
    assert "1" in body.decode() and headers["Priority"] == "default" and headers["Authorization"] == "Bearer tk_1"
    assert all(value.isascii() and "\n" not in value for value in headers.values())
    assert "X-Lanterna-Signature" not in headers


def test_telegram_and_discord_are_sent_plain_text(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hooks.create({"kind": "telegram", "secret": "12:ab", "target": "77"})
    hooks.create({"kind": "discord", "url": "https://discord.com/api/webhooks/1/token"})
    queue = queue_of(studio, FINE)
    studio.queues.update(queue, {"name": "@everyone <b>${x}</b>"})
    studio.runs.run(queue)
    studio.drain()
    hooks.send_due()
    telegram, discord = sorted(wire.sent, key=lambda sent: sent[0], reverse=False)
    assert telegram[0] == "https://api.telegram.org/bot12:ab/sendMessage"
    said = json.loads(telegram[1])
    assert said["chat_id"] == "77" and "parse_mode" not in said and "<b>" in said["text"]
    told = json.loads(discord[1])
    assert told["content"] == "" and told["allowed_mentions"] == {"parse": []}
    assert "\\@everyone \\<b\\>${x}\\</b\\>" in told["embeds"][0]["title"]


def test_a_callback_is_what_skyreels_sends(
    instant: Any, build: Callable[..., Studio], wire: Wire, clock: list[float]
) -> None:
    studio = build(webhook_secret="signing")
    hooks = Hooks(studio._store, studio.words, studio.settings, wire, lambda: clock[0])
    queue = run(studio, FINE, BAD, callback_url="https://example.com/done")
    assert hooks.send_due() == 1
    ((url, body, headers, more),) = wire.sent
    told = json.loads(body)
    assert url == "https://example.com/done" and more["home"] is False
    assert list(told) == [
        "queue_id", "queue_name", "project", "status", "duration_s", "output_videos", "failed_jobs",
    ]  # fmt: skip
    assert (told["queue_id"], told["status"], len(told["output_videos"])) == (queue, "error", 1)
    failed = told["failed_jobs"][0]
    assert (failed["index"], failed["label"], failed["task_type"]) == (1, "S1", "text_to_video") and "seed" in failed
    assert headers["X-Lanterna-Signature"] == signature("signing", body)


# ------------------------------------------------------------------------------------------------ how often
def test_what_fails_is_tried_again_later_and_longer_until_a_day_has_passed(
    studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]
) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    wire.answers, waits = [503] * 20, []
    while (delivery := hooks.deliveries()[0])["state"] == "waiting":
        hooks.send_due()
        due = datetime.fromisoformat(hooks.deliveries()[0]["next_at"]).timestamp()
        waits.append(round(due - clock[0]))
        clock[0] = max(clock[0], due) + 0.01
    assert tuple(waits[:-1]) == HOOK_DELAYS and list(HOOK_DELAYS) == sorted(HOOK_DELAYS)
    assert 80_000 < sum(HOOK_DELAYS) <= 86_400
    assert delivery["attempts"] == len(HOOK_DELAYS) + 1 and delivery["error"]["code"] == "hook.answered"


def test_a_callback_is_tried_three_times(studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]) -> None:
    run(studio, FINE, callback_url="https://example.com/done")
    wire.answers = [Unavailable("fetch.slow", host="example.com", seconds=10)] * 9
    for _ in range(9):
        hooks.send_due()
        clock[0] += 2.5
    assert len(wire.sent) == 3 == len(CALLBACK_DELAYS) + 1
    assert hooks.deliveries()[0]["state"] == "failed"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
def test_a_refusal_is_final(studio: Studio, hooks: Hooks, wire: Wire, clock: list[float], status: int) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    wire.answers = [status]
    for _ in range(3):
        hooks.send_due()
        clock[0] += 100_000
    assert len(wire.sent) == 1 and hooks.deliveries()[0]["state"] == "failed"


def test_who_asks_for_patience_gets_it(studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    wire.answers = [Posted(429, 300.0)]
    hooks.send_due()
    clock[0] += 290
    assert hooks.send_due() == 0 and len(wire.sent) == 1
    clock[0] += 20
    assert hooks.send_due() == 1


def test_what_was_sent_is_sent_once(studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    hooks.send_due()
    clock[0] += 100_000
    hooks.send_due()
    assert len(wire.sent) == 1 and hooks.deliveries()[0]["state"] == "sent"


def test_a_studio_that_dies_while_sending_sends_again_with_the_same_id(
    instant: Any, build: Callable[..., Studio], wire: Wire, clock: list[float]
) -> None:
    studio = build()
    first = Hooks(studio._store, studio.words, studio.settings, wire, lambda: clock[0])
    first.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    wire.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):  # it went out, and nobody could write that down
        first.send_due()
    studio.close()
    again = build()
    second = Hooks(again._store, again.words, again.settings, wire, lambda: clock[0])
    assert second.send_due() == 1 and second.send_due() == 0
    (_, body, headers, _), (_, same, headers_again, _) = wire.sent
    assert body == same and headers["X-Lanterna-Delivery"] == headers_again["X-Lanterna-Delivery"]


def test_old_deliveries_and_notices_are_forgotten(studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]) -> None:
    hooks.create({**HOOK, "events": ["finish"]})
    run(studio, FINE)
    hooks.send_due()
    studio._store.notices.prune(clock[0])
    assert hooks.deliveries() and studio.notices.list()
    studio._store.notices.prune(clock[0] + 31 * 86_400)
    assert not hooks.deliveries() and len(studio.notices.list()) == 1  # the newest keeps its number


# ------------------------------------------------------------------------------------------------ safe
def test_secrets_never_come_back(studio: Studio, client: TestClient) -> None:
    made = client.post("/hooks", json=HOOK).json()
    discord = {"kind": "discord", "url": "https://u:p@discord.com/api/webhooks/1/tokentoken"}
    client.post("/hooks", json=discord)
    seen = client.get("/hooks").text + json.dumps(made) + client.get("/deliveries").text
    for secret in ("s3cret", "abc", "tokentoken", "u:p"):
        assert secret not in seen
    assert made["has_secret"] and made["url"] == "https://example.com/in?•••"


def test_a_hook_that_is_changed_keeps_its_secret_only_for_its_own_host(studio: Studio, hooks: Hooks) -> None:
    hook = hooks.create(HOOK)["id"]
    assert hooks.update(hook, {"name": "new", "secret": "", "url": ""})["has_secret"]
    assert hooks.update(hook, {"url": "https://example.com/elsewhere"})["has_secret"]
    assert not hooks.update(hook, {"url": "https://evil.example/"})["has_secret"]


@pytest.mark.parametrize(
    "wrong",
    [{"url": "file:///etc/passwd"}, {"url": ""}, {"kind": "fax"}, {"events": []}, {"more": 1}, {"local": "yes"}],
)
def test_a_hook_that_is_none_is_refused(client: TestClient, wrong: dict[str, Any]) -> None:
    answer = client.post("/hooks", json={**HOOK, **wrong})
    assert answer.status_code == 422 and answer.json()["error"]["hint"]
    assert client.get("/hooks").json() == []


def test_telegram_needs_token_and_chat(hooks: Hooks) -> None:
    with pytest.raises(Refused, match="hook.telegram"):
        hooks.create({"kind": "telegram", "secret": "1:a"})


def test_only_a_studio_of_this_computer_may_tell_the_own_network(
    instant: Any, build: Callable[..., Studio], wire: Wire
) -> None:
    home = build()
    Hooks(home._store, home.words, home.settings, wire).create({**HOOK, "local": True})
    home.close()
    opened = build(host="0.0.0.0", auth="me:secret")
    hooks = Hooks(opened._store, opened.words, opened.settings, wire)
    with pytest.raises(Forbidden, match="hook.local"):
        hooks.create({**HOOK, "local": True})
    (kept,) = hooks.list()  # made while nobody else could reach the studio: it stays, but leads nowhere else
    with pytest.raises(Forbidden, match="hook.local"):
        hooks.update(kept["id"], {"url": "http://10.0.0.1/"})


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server that takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        yield listener.getsockname()[1]


def test_a_private_address_is_refused_unless_the_hook_is_at_home(deaf: int) -> None:
    with pytest.raises(Forbidden, match="fetch.private"):
        post(f"http://127.0.0.1:{deaf}/", b"{}", {})
    with pytest.raises(Forbidden, match="fetch.private"):  # where clouds keep their keys: never
        post("http://169.254.169.254/latest/", b"{}", {}, home=True)


def test_a_server_that_never_answers_costs_no_more_than_the_time_of_one_try(deaf: int) -> None:
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="fetch.slow"):
        post(f"http://localhost:{deaf}/", b"{}", {}, home=True, max_seconds=0.3)
    assert time.monotonic() - begun < 5


def test_a_hook_that_hangs_holds_up_neither_a_run_nor_the_others(
    studio: Studio, hooks: Hooks, wire: Wire, clock: list[float]
) -> None:
    hooks.create({**HOOK, "events": ["finish"], "name": "deaf"})
    hooks.create({**HOOK, "events": ["finish"], "url": "https://example.org/ok"})
    wire.answers = [Unavailable("fetch.slow", host="example.com", seconds=10)]
    run(studio, FINE)  # ends without anybody having been told
    assert hooks.send_due() == 1
    assert {row["state"] for row in hooks.deliveries()} == {"sent", "waiting"}


def test_a_studio_that_is_opened_for_one_run_tells_before_it_closes(
    instant: Any, build: Callable[..., Studio], wire: Wire
) -> None:
    studio = build()
    studio.hooks._post = wire
    studio.hooks.create({**HOOK, "events": ["finish"]})
    studio.notices.start()
    run(studio, FINE)
    studio.notices.close()
    assert [body["event"] for body in wire.bodies] == ["finish"]


def test_a_test_says_what_went_wrong(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hook = hooks.create(HOOK)["id"]
    assert hooks.test(hook) == {"status": 200}
    assert wire.bodies[0]["event"] == "test" and "test" in wire.bodies[0]["title"]
    wire.answers = [404]
    with pytest.raises(Unavailable, match="hook.answered"):
        hooks.test(hook)
    assert not hooks.deliveries()  # a test is no delivery


def test_a_hook_that_is_deleted_is_told_nothing_more(studio: Studio, hooks: Hooks, wire: Wire) -> None:
    hook = hooks.create(HOOK)["id"]
    run(studio, FINE)
    hooks.delete(hook)
    assert hooks.send_due() == 0 and not wire.sent


def test_an_address_is_masked_but_can_be_told_apart() -> None:
    assert masked("https://u:p@h.example:8443/a/b?token=1#x", "generic") == "https://h.example:8443/a/b?•••"
    assert masked("http://[::1]:80/topic", "ntfy") == "http://[::1]:80/topic"


def test_no_secret_is_in_the_log(studio: Studio, hooks: Hooks, wire: Wire, tmp_path: Path) -> None:
    hooks.create({"kind": "telegram", "secret": "12:token", "target": "77"})
    run(studio, FINE)
    wire.answers = [404]
    hooks.send_due()
    logs = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.log"))
    assert "hook.answered" in logs and "12:token" not in logs


def test_the_number_of_a_notice_is_never_given_twice(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    studio.drain()
    seen = studio.notices.list()[0]["id"]  # by a page that asks for what comes after it
    with studio._store.together():
        studio._store.notices.tell("resumed", {})
    newest = studio._store.night.newest_event()
    studio._store.notices.prune(time.time() + 40 * 86_400)
    assert studio._store.night.newest_event() == newest > seen


def test_what_happened_to_scenes_that_are_gone_is_forgotten_too(studio: Studio) -> None:
    kept, gone = (str(studio.queues.create(name)["id"]) for name in ("Kept", "Gone"))
    for queue in (kept, gone):
        studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "a shot"})
        studio.runs.run(queue)
    studio.drain()
    studio.queues.delete(gone)
    rows = "select distinct queue_id from events where kind = 'done'"
    studio._store.notices.prune(time.time() + 40 * 86_400)
    assert [row["queue_id"] for row in studio._store._connection.rows(rows)] == [kept]


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("https://discord.com/api/webhooks/123/Tok/slack", "discord", "https://discord.com/api/webhooks/123/•••/•••"),
        (
            "https://hooks.example/services/T0/B0/abcdefghijklmnopqrst",
            "generic",
            "https://hooks.example/services/T0/B0/•••",
        ),
        ("https://ntfy.sh/my-lantern", "ntfy", "https://ntfy.sh/my-lantern"),
    ],
)
def test_no_token_in_a_path_is_shown(url: str, kind: str, shown: str) -> None:
    assert masked(url, kind) == shown


@pytest.mark.parametrize(
    "changes",
    [{"url": 5}, {"url": ["a"]}, {"url": "http://["}, {"url": "http://a\nb/"}, {"url": "http://a b/"},
     {"secret": "a\r\nX: y"}, {"name": "a\nb"}, {"kind": "ntfy", "secret": "é"}],
)  # fmt: skip
def test_a_change_that_means_harm_is_refused(studio: Studio, changes: dict[str, Any]) -> None:
    hook = studio.hooks.create({"url": "https://example.com/in"})
    with pytest.raises(Refused):
        studio.hooks.update(hook["id"], changes)
    assert studio.hooks.list() == [hook]
