"""Sharing by itself: what the door knows while a way opens, breaks, comes back and closes; what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from studio.domain import Way
from studio.errors import Conflict, Refused, StudioError, Unavailable
from studio.media.roots import Roots
from studio.reach import Standing, Told
from studio.service.hosts import Hosts
from studio.service.people import People
from studio.service.sharing import Sharing
from studio.store import Store

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
LONG = "three plain words"
BROKE = Unavailable("sharing.broke", seconds=1)


class Line:
    """A way in that does as it is told."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.tells, self.happened = hosts, [], list[str]()
        self.impossible: StudioError | None = None

    def why_not(self) -> StudioError | None:
        return self.impossible

    def open(self, told: Told) -> None:
        self.happened.append("open")
        self.tells.append(told)
        told(Standing("opening"))

    def close(self) -> None:
        self.happened.append(f"close, {len(self.hosts.names('share'))} known")

    def on(self, name: str, by: int = -1) -> None:
        self.tells[by](Standing("on", (f"https://{name}",), (name,)))


class Opened:
    def __init__(self, folder: Path, owner: bool = True) -> None:
        self.hosts, self.store = Hosts(), Store(folder / "studio.db", Roots({}))
        self.people = People(self.store, self.hosts, True, hasher=HASHER)
        if owner:
            self.people.make_owner("Mina", LONG)
        self.line, self.heard = Line(self.hosts), list[tuple[Way, str]]()
        self.sharing = Sharing(self.people)
        self.sharing.use({"share": self.line}, lambda way, standing: self.heard.append((way, standing.state)))

    def way(self, name: str = "share") -> dict[str, Any]:
        return next(one for one in self.sharing.view()["ways"] if one["way"] == name)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path)


def test_a_name_is_known_from_the_moment_it_is_open(opened):
    assert opened.way() | {"possible": True} == {
        "way": "share", "state": "off", "on": False, "url": None, "urls": [], "since": None, "error": None,
        "possible": True, "why_not": None,
    }  # fmt: skip
    assert opened.sharing.switch("share", True)
    assert opened.way()["state"] == "opening" and opened.sharing.opening("share")
    assert opened.hosts.alone and opened.people.at_home
    opened.line.on("a.example")
    found = opened.way()
    assert (found["state"], found["url"], found["on"], bool(found["since"])) == ("on", "https://a.example", True, True)
    assert opened.hosts.way("a.example") == "share" and not opened.people.at_home
    assert opened.heard == [("share", "opening"), ("share", "on")]


def test_off_is_off_before_the_line_is_cut(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    token, _ = opened.people.try_password("Mina", LONG, "share", "")
    at_home, _ = opened.people.session_for_owner("local")
    assert opened.sharing.switch("share", False)
    assert opened.line.happened[-1] == "close, 0 known"
    assert opened.hosts.way("a.example") is None and opened.people.at_home
    assert opened.people.visitor(token, "share") is None
    assert opened.people.visitor(at_home, "local"), "who sits here is not sent away"
    assert opened.way()["state"] == "off" and opened.way()["since"] is None
    assert not opened.sharing.switch("share", False)


def test_a_session_of_before_is_worth_nothing_after_off_and_on(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    token, _ = opened.people.try_password("Mina", LONG, "share", "")
    opened.sharing.switch("share", False)
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    assert opened.people.visitor(token, "share") is None


def test_the_same_again_changes_nothing(opened):
    assert opened.sharing.switch("share", True)
    assert not opened.sharing.switch("share", True)
    opened.line.on("a.example")
    assert not opened.sharing.switch("share", True)
    assert opened.line.happened.count("open") == 1


def test_a_link_that_breaks_is_forgotten_at_once_and_its_new_name_replaces_it(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    opened.line.tells[-1](Standing("failed", error=BROKE, again=True))
    found = opened.way()
    assert (found["state"], found["on"], found["error"]["code"]) == ("failed", True, "sharing.broke")
    assert opened.hosts.way("a.example") is None
    opened.line.on("b.example")
    opened.line.on("c.example")
    assert opened.hosts.names("share") == ["c.example"]


def test_who_stays_the_same_is_never_unknown_in_between(opened, monkeypatch):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    monkeypatch.setattr(opened.hosts, "remove", lambda names: pytest.fail("removed") if list(names) else None)
    opened.line.tells[-1](Standing("on", ("https://a.example", "https://b.example"), ("a.example", "b.example")))
    assert set(opened.hosts.names("share")) == {"a.example", "b.example"}


def test_a_line_that_breaks_may_be_tried_at_once_by_hand(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    opened.line.tells[-1](Standing("failed", error=BROKE, again=True))
    assert opened.sharing.switch("share", True)
    assert opened.line.happened.count("open") == 2


def test_what_is_told_of_an_earlier_opening_does_not_count(opened):
    opened.sharing.switch("share", True)
    opened.sharing.switch("share", False)
    opened.line.on("late.example", by=0)
    assert opened.hosts.alone and opened.way()["state"] == "off"
    opened.sharing.switch("share", True)
    opened.line.on("late.example", by=0)
    assert opened.hosts.alone and opened.way()["state"] == "opening"


def test_one_that_never_opened_is_off_and_says_why(opened):
    opened.sharing.switch("share", True)
    opened.line.tells[-1](Standing("failed", error=Unavailable("sharing.tunnel", reason="no route")))
    found = opened.way()
    assert (found["state"], found["on"], found["error"]["params"]) == ("failed", False, {"reason": "no route"})
    assert opened.sharing.switch("share", False)
    assert opened.way()["error"] is None


def test_nothing_is_opened_before_somebody_has_a_password(tmp_path):
    opened = Opened(tmp_path, owner=False)
    with pytest.raises(Conflict) as refused:
        opened.sharing.switch("share", True)
    assert refused.value.code == "sharing.no_owner" and not opened.line.happened
    assert not opened.sharing.view()["has_owner"]
    opened.people.make_owner("Mina", LONG)
    assert opened.sharing.switch("share", True)


def test_what_cannot_be_opened_says_why(opened):
    opened.line.impossible = Unavailable("sharing.offline")
    with pytest.raises(Conflict) as refused:
        opened.sharing.switch("share", True)
    assert refused.value.code == "sharing.offline" and not opened.line.happened
    assert opened.way()["why_not"]["code"] == "sharing.offline" and not opened.way()["possible"]
    with pytest.raises(Conflict) as refused:
        opened.sharing.switch("lan", True)
    assert refused.value.code == "sharing.not_served" and not opened.sharing.switch("lan", False)


def test_at_the_start_sessions_of_what_stays_closed_are_over(opened):
    by_share, _ = opened.people.session_for_owner("share")
    by_lan, _ = opened.people.session_for_owner("lan")
    opened.sharing.start(["share"])
    opened.line.on("a.example")
    assert opened.people.visitor(by_share, "share") and not opened.people.visitor(by_lan, "lan")


def test_at_the_start_a_link_that_cannot_be_had_is_told_and_an_address_that_cannot_is_raised(opened):
    class Wrong(Line):
        def open(self, told: Told) -> None:
            told(Standing("failed", error=Unavailable("sharing.no_listener", address="x", port=1, reason="y")))

    opened.sharing.use({"share": Wrong(opened.hosts), "lan": Wrong(opened.hosts)})
    opened.sharing.start(["share"])
    with pytest.raises(Unavailable) as refused:
        opened.sharing.start(["share", "lan"])
    assert refused.value.code == "sharing.no_listener"


def test_when_the_studio_ends_every_way_is_closed_and_sessions_stay(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    token, _ = opened.people.try_password("Mina", LONG, "share", "")
    opened.sharing.close()
    assert opened.hosts.alone and opened.line.happened[-1] == "close, 0 known"
    assert opened.people.visitor(token, "share")


# ------------------------------------------------------------------------------------------------ for phones
def test_an_address_of_ours_is_drawn_for_a_phone(opened):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    for text in ("https://a.example", "https://a.example/invite/abc-_1", "http://127.0.0.1:7860/"):
        drawn = opened.sharing.qr(text).decode()
        assert drawn.startswith("<?xml") and "<svg" in drawn and "<script" not in drawn


@pytest.mark.parametrize(
    "text",
    ["https://evil.example", "javascript:alert(1)", "https://a.example@evil.example", "a.example", "https://[", "",
     "https://a.example/\n", "https://a.example/ x", "https://a.example/" + "x" * 600, "ftp://a.example"],
)  # fmt: skip
def test_nothing_else_is(opened, text):
    opened.sharing.switch("share", True)
    opened.line.on("a.example")
    with pytest.raises(Refused) as refused:
        opened.sharing.qr(text)
    assert refused.value.code == "sharing.not_ours"
