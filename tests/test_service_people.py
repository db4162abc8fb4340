"""Who may come in: passwords, invitations, sessions, owners; what is written down opens nothing for who reads it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from visitors import AT_HOME

from studio.errors import Conflict, Forbidden, NotFound, Refused, TooOften
from studio.media.roots import Roots
from studio.service.hosts import Hosts
from studio.service.passwords import ALL_TRIES, SHORTEST, TRIES
from studio.service.people import HERE_SECONDS, People
from studio.store import Store

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # what it costs is not what is tested
LONG = "three plain words"


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Callable[..., People]:
    """The people of a studio on tmp_path, as after a start."""

    def one(auth: str = "") -> People:
        store = Store(tmp_path / "studio.db", Roots({}))
        people = People(store, Hosts({"me.gradio.live": "share"}), not auth, clock, HASHER)
        people.start(SecretStr(auth) if auth else None)
        return people

    return one


@pytest.fixture
def people(opened: Callable[..., People]) -> People:
    people = opened()
    people.make_owner("Mina", LONG)
    return people


def enter(people: People, role: str = "reviewer", name: str = "Ana", **how: object) -> tuple[str, str]:
    """(token of a session, token of the invitation) of somebody who came by a link over the tunnel."""
    link = people.invite(role, "", None, 24, 1, AT_HOME)["token"]  # type: ignore[arg-type]
    return people.accept(link, name, str(how.get("password", "")), "share", "1.2.3.4")[0], link


# ------------------------------------------------------------------------------------------------ passwords
def test_a_name_and_its_password_open_and_nothing_else_does(people: People) -> None:
    token, visitor = people.try_password("mina", LONG, "share", "1.2.3.4", "Firefox")
    assert (visitor.name, visitor.role, visitor.way) == ("Mina", "owner", "share")
    assert people.visitor(token, "share") == visitor
    for name, password in (("Mina", LONG + "x"), ("Minas", LONG), ("", ""), ("Mina", "")):
        with pytest.raises(Forbidden) as refused:
            people.try_password(name, password, "lan", "9.9.9.9")
        assert refused.value.code == "sign_in.wrong"


def test_nothing_that_is_kept_opens_anything(people: People, tmp_path: Path) -> None:
    token, link = enter(people)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (LONG, token, link):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept


def test_ten_thousand_tries_open_nothing_and_are_not_compared(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(people.passwords, "matches", lambda kept, password: bool(compared.append(password)))
    for number in range(10_000):
        with pytest.raises((Forbidden, TooOften)):
            people.try_password("Mina", f"guess {number}", "share", f"10.0.{number // 256}.{number % 256}")
    assert len(compared) == ALL_TRIES


def test_who_guesses_from_outside_does_not_lock_out_who_sits_here(people: People) -> None:
    for number in range(ALL_TRIES):
        with pytest.raises((Forbidden, TooOften)):
            people.try_password("Mina", "guess", "share", f"10.0.0.{number}")
    with pytest.raises(TooOften) as slowed:
        people.try_password("Mina", LONG, "share", "10.9.9.9")
    assert slowed.value.params["seconds"] >= 1
    assert people.try_password("Mina", LONG, "local", "127.0.0.1")


def test_after_a_minute_one_may_try_again(people: People, clock: Clock) -> None:
    for _ in range(TRIES):
        with pytest.raises(Forbidden):
            people.try_password("Mina", "guess", "lan", "10.0.0.1")
    with pytest.raises(TooOften):
        people.try_password("Mina", LONG, "lan", "10.0.0.1")
    clock.now += 61
    assert people.try_password("Mina", LONG, "lan", "10.0.0.1")


@pytest.mark.parametrize("password", ["", "short", "x" * (SHORTEST - 1), "x" * 2000])
def test_a_password_has_a_length(people: People, password: str) -> None:
    with pytest.raises(Refused) as refused:
        people.make_owner("Lin", password)
    assert refused.value.code == "people.password"


def test_a_new_password_of_mine_ends_my_other_sessions(people: People) -> None:
    here, me = people.try_password("Mina", LONG, "lan", "10.0.0.1")
    there, _ = people.try_password("Mina", LONG, "share", "1.2.3.4")
    with pytest.raises(Forbidden):
        people.change_own(me, "wrong", "another long one")
    people.change_own(me, LONG, "another long one")
    assert people.visitor(here, "lan") and not people.visitor(there, "share")
    assert people.try_password("Mina", "another long one", "lan", "10.0.0.1")


# ------------------------------------------------------------------------------------------------ the settings' owner
def test_the_settings_name_an_owner_until_they_name_another(opened: Callable[..., People]) -> None:
    first = opened("mina:lantern light")
    token, _ = first.try_password("mina", "lantern light", "local", "")
    assert opened("mina:lantern light").visitor(token, "local"), "a restart signs nobody out"
    assert not opened("mina:changed it").visitor(token, "local")
    second = opened("lin:lantern light")
    assert [view["name"] for view in second.everybody()] == ["lin"]
    assert opened().everybody() == []


def test_the_settings_owner_is_changed_in_the_settings(opened: Callable[..., People]) -> None:
    people = opened("mina:lantern light")
    mina = people.everybody()[0]["id"]
    for change in (lambda: people.remove(mina), lambda: people.change(mina, password=LONG)):
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code == "people.of_settings"


# ------------------------------------------------------------------------------------------------ invitations
def test_a_link_lets_one_in_and_lets_them_come_back(people: People) -> None:
    link = people.invite("reviewer", "for the client", None, 24, 1, AT_HOME)["token"]
    assert people.invited(link)["returns"] == ""
    _, ana = people.accept(link, "Ana", "", "share", "1.2.3.4")
    assert people.invited(link)["returns"] == "Ana"
    _, again = people.accept(link, "Somebody else", "", "share", "5.6.7.8")
    assert again.person_id == ana.person_id and again.name == "Ana"


def test_a_link_for_several_lets_in_that_many(people: People) -> None:
    link = people.invite("reviewer", "", None, 24, 2, AT_HOME)["token"]
    for name in ("Ana", "Bo"):
        people.accept(link, name, "", "share", "")
    with pytest.raises(Forbidden) as refused:
        people.accept(link, "Cy", "", "share", "")
    assert refused.value.code == "invitation.used"
    assert [(row["used_by"], row["state"]) for row in people.invitations()] == [(["Ana", "Bo"], "used")]


def test_forged_expired_and_revoked_links_open_nothing(people: People, clock: Clock) -> None:
    made = people.invite("reviewer", "", None, 1, 5, AT_HOME)
    with pytest.raises(NotFound):
        people.accept(made["token"][:-1] + "A" * 2, "Ana", "", "share", "")
    people.revoke_invitation(made["id"])
    with pytest.raises(Forbidden) as revoked:
        people.accept(made["token"], "Ana", "", "share", "")
    late = people.invite("reviewer", "", None, 1, 5, AT_HOME)["token"]
    clock.now += 3601
    with pytest.raises(Forbidden) as expired:
        people.accept(late, "Ana", "", "share", "")
    assert (revoked.value.code, expired.value.code) == ("invitation.revoked", "invitation.expired")
    assert people.inside() == 0


def test_revoking_a_link_ends_the_sessions_of_who_came_by_it(people: People) -> None:
    token, _ = enter(people)
    other, _ = enter(people, name="Bo")
    people.revoke_invitation(next(row["id"] for row in people.invitations() if row["used_by"] == ["Ana"]))
    assert not people.visitor(token, "share") and people.visitor(other, "share")


def test_a_reviewer_without_a_password_leaves_when_the_link_ends(people: People, clock: Clock) -> None:
    token, _ = enter(people)
    clock.now += 24 * 3600 - 1
    assert people.visitor(token, "share")
    clock.now += 2
    assert not people.visitor(token, "share")


def test_editors_and_owners_need_a_password(people: People) -> None:
    with pytest.raises(Refused):
        enter(people, "editor")
    token, link = enter(people, "editor", password=LONG)
    found = people.visitor(token, "share")
    assert found and found.role == "editor"
    with pytest.raises(Forbidden):
        people.accept(link, "Ana", "", "share", "")  # the link is no second password


@pytest.mark.parametrize("name", ["Mina", "mina", " MINA ", "Mi​na\n".replace("​", "")])
def test_nobody_passes_for_somebody_else(people: People, name: str) -> None:
    with pytest.raises(Conflict) as refused:
        enter(people, name=name)
    assert refused.value.code == "people.name_taken"


def test_a_client_comes_back_by_a_new_link_under_the_old_name(people: People, clock: Clock) -> None:
    enter(people)
    with pytest.raises(Conflict):
        enter(people)
    first = people.everybody()[-1]["id"]
    clock.now += 25 * 3600
    people.revoke_invitation(people.invitations()[-1]["id"])
    enter(people)
    assert [view["id"] for view in people.everybody() if view["name"] == "Ana"] == [first]


# ------------------------------------------------------------------------------------------------ sessions
def test_a_session_belongs_to_its_way_and_ends_with_it(people: People) -> None:
    token, _ = people.try_password("Mina", LONG, "share", "1.2.3.4")
    here, _ = people.try_password("Mina", LONG, "lan", "10.0.0.1")
    assert not people.visitor(token, "lan")
    people.end_way("share")
    assert not people.visitor(token, "share") and people.visitor(here, "lan")


def test_a_session_that_was_ended_is_over_at_once(people: People) -> None:
    token, visitor = people.try_password("Mina", LONG, "lan", "10.0.0.1")
    assert people.is_inside(visitor)
    assert [row["mine"] for row in people.sessions(visitor)] == [True]
    people.end_session(visitor.session_id)
    assert not people.is_inside(visitor) and not people.visitor(token, "lan")


def test_when_a_session_was_last_used_survives_a_restart(
    people: People, opened: Callable[..., People], clock: Clock
) -> None:
    token, visitor = people.try_password("Mina", LONG, "lan", "")
    before = people.sessions(visitor)[0]["seen"]
    clock.now += 100
    people.visitor(token, "lan")
    people.close()
    assert opened().sessions(visitor)[0]["seen"] > before


# ------------------------------------------------------------------------------------------------ roles
def test_there_is_always_an_owner(people: People) -> None:
    mina = people.everybody()[0]["id"]
    for change in (lambda: people.remove(mina), lambda: people.change(mina, role="editor")):
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code == "people.last_owner"
    people.make_owner("Lin", LONG)
    people.change(mina, role="editor")
    people.remove(mina)
    assert [view["name"] for view in people.everybody()] == ["Lin"]


def test_another_role_ends_the_sessions(people: People) -> None:
    token, _ = enter(people, "editor", password=LONG)
    ana = next(view["id"] for view in people.everybody() if view["name"] == "Ana")
    people.change(ana, role="reviewer")
    assert not people.visitor(token, "share")
    bo, _ = enter(people, name="Bo")
    bo_id = next(view["id"] for view in people.everybody() if view["name"] == "Bo")
    with pytest.raises(Refused) as refused:
        people.change(bo_id, role="editor")
    assert refused.value.code == "people.needs_password" and people.visitor(bo, "share")


def test_alone_on_its_computer_a_studio_asks_nobody(tmp_path: Path) -> None:
    hosts = Hosts()
    people = People(Store(tmp_path / "a.db", Roots({})), hosts, True, hasher=HASHER)
    assert people.at_home
    hosts.add("x.gradio.live", "share")
    assert not people.at_home
    hosts.remove(["x.gradio.live"])
    assert people.at_home


def test_who_asked_for_nothing_lately_is_not_here_though_the_session_goes_on(people: People, clock: Clock) -> None:
    token, _ = enter(people)
    enter(people, name="Bo")
    assert (people.here(), people.inside()) == (2, 2)
    clock.now += HERE_SECONDS - 1
    assert people.visitor(token, "share")
    clock.now += 2
    assert (people.here(), people.inside()) == (1, 2)
    people.end_way("share")
    assert people.here() == 0
