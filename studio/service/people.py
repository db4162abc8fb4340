"""Who may come in: owner, editors, reviewers; passwords, invitations, sessions. Knows no route and no cookie.

Tokens of sessions and invitations are kept as SHA-256, passwords as hashes (passwords.py): whoever reads the database
signs in nowhere. A session belongs to the way it was opened by and ends with it. Every session is also held in memory,
because the door asks at each request.
"""

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from argon2 import PasswordHasher
from pydantic import SecretStr

from studio.domain import Role, Visitor, Way, one_line
from studio.errors import Conflict, Forbidden, NotFound, Refused, TooOften
from studio.service.hosts import Hosts
from studio.service.passwords import Passwords
from studio.service.views import View
from studio.store import Store
from studio.store.database import Row, stamp

SESSION_DAYS = 30
MOST_NAME, MOST_AGENT = 60, 200
AUDIT_DAYS = 180
HERE_SECONDS = 300  # whoever asked for nothing that long is not here any more


@dataclass(frozen=True, slots=True)
class _Session:
    visitor: Visitor
    expires: str


class People:
    """`_lock` protects what is held of sessions; `_reading` keeps an older reading of them from replacing a newer one;
    `_arriving` lets one person come by an invitation at a time, and none while one is revoked."""

    def __init__(
        self, store: Store, hosts: Hosts, at_home: bool, clock: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:  # fmt: skip
        """`at_home`: by its settings the studio is one user's own."""
        self._rows, self.hosts, self._at_home, self.clock = store.people, hosts, at_home, clock
        self.passwords = Passwords(clock, hasher)
        self._sessions: dict[str, _Session] = {}
        self._live: frozenset[str] = frozenset()
        self._seen: dict[str, str] = {}
        self._closed: Counter[Way] = Counter()  # how often each way was
        self.came: Callable[[Visitor, str, str], None] = lambda visitor, how, address: None
        self.refused: Callable[[Way, str], None] = lambda way, address: None
        self._lock, self._reading, self._arriving = Lock(), Lock(), Lock()
        self._reload()

    @property
    def at_home(self) -> bool:
        """Nobody else can reach the studio: whoever is here is the owner."""
        return self._at_home and self.hosts.alone

    def start(self, auth: SecretStr | None) -> None:
        """The owner whom the settings name, if they do: the hash is kept, and another password ends every session."""
        self._rows.trim_audit(self._stamp(-AUDIT_DAYS * 86400))
        known = next((row for row in self._rows.all() if row["origin"] == "settings"), None)
        name, _, password = auth.get_secret_value().partition(":") if auth else ("", "", "")
        if known and (not auth or known["key"] != _key(name)):
            self._rows.remove(known["id"])
            known = None
        if auth and known is None:
            if other := self._rows.called(_key(name)):  # the settings win over whoever took that name
                self._rows.remove(other["id"])
            self._rows.add(
                name=name, key=_key(name), role="owner", origin="settings", password=self.passwords.hashed(password)
            )
        elif known and not self.passwords.matches(known["password"], password):
            self._rows.change(known["id"], {"password": self.passwords.hashed(password)})
            self._rows.end_sessions(known["id"])
        self._reload()

    def close(self) -> None:
        """Write down when each session was last used."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if seen:
            self._rows.seen(seen)

    # ------------------------------------------------------------------------------------------ sessions
    def visitor(self, token: str, way: Way) -> Visitor | None:
        """Whose session this is, where it is one that came by this way."""
        with self._lock:
            found = self._sessions.get(_digest(token))
            if found is None or found.visitor.way != way or found.expires <= self._stamp():
                return None
            self._seen[found.visitor.session_id] = self._stamp()
            return found.visitor

    def is_inside(self, visitor: Visitor) -> bool:
        """Has their session not ended meanwhile? At home there is none that could."""
        return not visitor.session_id or visitor.session_id in self._live

    def try_password(self, name: str, password: str, way: Way, address: str, agent: str = "") -> tuple[str, Visitor]:
        """A new session. Raises Forbidden("sign_in.wrong") or TooOften("sign_in.wait", seconds)."""
        try:
            with self._while_open(way):
                token, visitor = self._open(self._with_password(name, password, way, address), way, address, agent)
        except (Forbidden, TooOften):
            self.refused(way, address)
            raise
        self.came(visitor, "sign_in", address)
        return token, visitor

    def _with_password(self, name: str, password: str, way: Way, address: str) -> Row:
        row = self._rows.called(_key(name))
        if not self.passwords.is_right(row["password"] if row else "", password, way, address) or row is None:
            raise Forbidden("sign_in.wrong")
        return row

    def session_for_owner(self, way: Way, address: str = "", agent: str = "") -> tuple[str, Visitor]:
        """For whoever sits at home while it is opened to others. Raises Conflict where there is no owner yet."""
        owner = next((row for row in self._rows.all() if row["role"] == "owner" and row["password"]), None)
        if owner is None:
            raise Conflict("sharing.no_owner")
        return self._open(owner, way, address, agent)

    def me(self, visitor: Visitor) -> View:
        """{name, role, way, at_home, password: have they one, queue_id}."""
        row = self._rows.get(visitor.person_id) if visitor.person_id else {"password": "", "origin": ""}
        return {
            "name": visitor.name, "role": visitor.role, "way": visitor.way, "at_home": self.at_home,
            "password": bool(row["password"]) and row["origin"] != "settings", "queue_id": visitor.queue_id,
        }  # fmt: skip

    def sessions(self, of: Visitor) -> list[View]:
        with self._lock:
            seen = dict(self._seen)
        names = ("id", "person_id", "name", "role", "way", "address", "agent", "created", "expires")
        return [
            {name: row[name] for name in names}
            | {"seen": max(row["seen"], seen.get(row["id"], "")), "mine": row["id"] == of.session_id}
            for row in self._rows.sessions()
        ]

    def end_session(self, session_id: str) -> None:
        self._rows.end_session(session_id)
        self._reload()

    def end_way(self, way: Way) -> None:
        """Everybody who came by it has to sign in anew, once it is there again."""
        self._closed[way] += 1
        self._rows.end_way(way)
        self._reload()

    @contextmanager
    def _while_open(self, way: Way) -> Iterator[None]:
        """Raises Forbidden where the way was closed meanwhile: a session opened too late ends with the others."""
        before = self._closed[way]
        yield
        if self._closed[way] != before:
            self._rows.end_way(way)
            self._reload()
            raise Forbidden("sign_in.wrong")

    def here(self) -> int:
        """People whose browser asked for something in the last minutes."""
        since = self._stamp(-HERE_SECONDS)
        with self._lock:
            visitors = [session.visitor for session in self._sessions.values()]
            return len({one.person_id for one in visitors if self._seen.get(one.session_id, "") > since})

    def inside(self) -> int:
        """People with a session that is not over."""
        with self._lock:
            return len({session.visitor.person_id for session in self._sessions.values()})

    def _open(self, row: Row, way: Way, address: str, agent: str, expires: str = "") -> tuple[str, Visitor]:
        """Raises Forbidden where that person is not any more what they were when they were asked who they are."""
        token = secrets.token_urlsafe(32)
        self._rows.open_session(
            row, digest=_digest(token), way=way, address=address[:MOST_AGENT],
            agent=one_line(agent)[:MOST_AGENT], expires=expires or self._stamp(SESSION_DAYS * 86400),
        )  # fmt: skip
        self._reload()
        visitor = self.visitor(token, way)
        if visitor is None:
            raise Forbidden("sign_in.wrong")
        return token, visitor

    def _reload(self) -> None:
        with self._reading:
            rows = self._rows.sessions()
            with self._lock:
                self._sessions = {
                    row["digest"]: _Session(
                        Visitor(row["person_id"], row["name"], row["role"], row["way"], row["id"], row["queue_id"]),
                        row["expires"],
                    )
                    for row in rows
                }
                self._live = frozenset(row["id"] for row in rows)

    # ------------------------------------------------------------------------------------------ people
    def has_owner(self) -> bool:
        """Is there somebody who can sign in and may do everything?"""
        return any(row["role"] == "owner" and row["password"] for row in self._rows.all())

    def everybody(self) -> list[View]:
        with self._lock:
            seen = dict(self._seen)
        sessions = self._rows.sessions()
        views = []
        for row in self._rows.all():
            own = [session for session in sessions if session["person_id"] == row["id"]]
            last = [max(session["seen"], seen.get(session["id"], "")) for session in own]
            names = ("id", "name", "role", "origin", "queue_id", "created")
            views.append(
                {name: row[name] for name in names}
                | {"password": bool(row["password"]), "sessions": len(own), "seen": max(last, default=None)}
            )
        return views

    def make_owner(self, name: str, password: str) -> View:
        """Somebody who may do everything."""
        row = {"name": _name(name), "role": "owner", "origin": "made", "password": self.passwords.chosen(password)}
        person_id = self._rows.add(**row, key=_key(row["name"]))
        return next(view for view in self.everybody() if view["id"] == person_id)

    def change(self, person_id: str, *, role: Role | None = None, password: str | None = None) -> None:
        """Another role, or a new password; both end the sessions of that person. The settings' own owner is theirs."""
        row = self._mine_to_change(person_id)
        if role and role != "owner":
            self._another_owner(row)
        if role and role != "reviewer" and not (password or row["password"]):
            raise Refused("people.needs_password", name=row["name"])
        values: dict[str, str | None] = {"role": role} if role else {}
        if role and role != "reviewer":
            values["queue_id"] = None
        if password is not None:
            values["password"] = self.passwords.chosen(password)
        if values:
            self._rows.change(person_id, values)
            self._rows.end_sessions(person_id)
            self._reload()

    def change_own(self, visitor: Visitor, old: str, password: str) -> None:
        """Their own password; other sessions of theirs end. Raises Forbidden where the old one is wrong."""
        row = self._mine_to_change(visitor.person_id)
        kept = row["password"]
        if kept and not self.passwords.is_right(kept, old, visitor.way, visitor.person_id):
            raise Forbidden("people.wrong_password")
        self._rows.change(row["id"], {"password": self.passwords.chosen(password)})
        self._rows.end_sessions(row["id"], but=visitor.session_id)
        self._reload()

    def remove(self, person_id: str) -> None:
        self._another_owner(self._mine_to_change(person_id))
        self._rows.remove(person_id)
        self._reload()

    def _mine_to_change(self, person_id: str) -> Row:
        row = self._rows.get(person_id)
        if row["origin"] == "settings":
            raise Conflict("people.of_settings", name=row["name"])
        return row

    def _another_owner(self, row: Row) -> None:
        """Raises Conflict where this is the last one who may do everything."""
        owners = [one for one in self._rows.all() if one["role"] == "owner" and one["password"]]
        if [one["id"] for one in owners] == [row["id"]]:
            raise Conflict("people.last_owner", name=row["name"])

    # ------------------------------------------------------------------------------------------ invitations
    def invite(self, role: Role, note: str, queue_id: str | None, hours: float, most: int, by: Visitor) -> View:
        """{…, token}: the token is told once and kept nowhere."""
        if queue_id and role != "reviewer":
            raise Refused("invitation.film_of_reviewer")
        token = secrets.token_urlsafe(32)
        invitation_id = self._rows.invite(
            role=role, note=one_line(note)[:MOST_AGENT], digest=_digest(token), queue_id=queue_id, most=most,
            expires=self._stamp(hours * 3600), created_by=by.name,
        )  # fmt: skip
        return {**next(one for one in self.invitations() if one["id"] == invitation_id), "token": token}

    def invitations(self) -> list[View]:
        """`state`: open | used | expired | revoked."""
        names = ("id", "role", "note", "queue_id", "queue", "most", "expires", "created", "created_by", "used_by")
        return [{name: row[name] for name in names} | {"state": self._state(row)} for row in self._rows.invitations()]

    def revoke_invitation(self, invitation_id: str, forget: bool = False) -> None:
        """The link opens nothing any more, at once, nor does a password that was chosen by it. `forget`: it leaves the
        list too; one that is over takes nobody with it."""
        row = next((one for one in self._rows.invitations() if one["id"] == invitation_id), None)
        with self._arriving:
            if not (forget and row and self._state(row) in ("expired", "revoked")):
                for person in self._rows.came_by(invitation_id):
                    self._another_owner(person)
                self._rows.revoke(invitation_id)
            if forget:
                self._rows.forget_invitation(invitation_id)
        self._reload()

    def invited(self, token: str) -> View:
        """{role, note, queue_id, returns: name | "", password: is one needed}. Raises NotFound for a forged link,
        Forbidden for one that is over."""
        row = self._invitation(token)
        came = self._rows.came_by(row["id"])
        returns = came[0]["name"] if row["most"] == 1 and came else ""
        if not returns and len(came) >= row["most"]:
            raise Forbidden("invitation.used")
        return {
            "role": row["role"], "note": row["note"], "queue_id": row["queue_id"], "returns": returns,
            "password": row["role"] != "reviewer",
        }  # fmt: skip

    def accept(
        self, token: str, name: str, password: str, way: Way, address: str, agent: str = ""
    ) -> tuple[str, Visitor]:  # fmt: skip
        """A session for whom the link was meant: a new person, or the one who came by it before. Those with a password
        sign in with it the next time; a reviewer without one comes back by the link while it holds."""
        with self._arriving, self._while_open(way):
            invited, row = self.invited(token), self._invitation(token)
            if invited["returns"]:
                person = self._rows.came_by(row["id"])[0]
                if person["password"]:
                    raise Forbidden("invitation.used")
            else:
                person = self._arrive(row, name, password)
            until = self._stamp(SESSION_DAYS * 86400)
            expires = until if person["password"] else min(until, row["expires"])
            session, visitor = self._open(person, way, address, agent, expires)
        self.came(visitor, "invitation.accept", address)
        return session, visitor

    def _arrive(self, row: Row, name: str, password: str) -> Row:
        name, key = _name(name), _key(name)
        before = self._rows.called(key)
        if before and not self._is_over(before):
            raise Conflict("people.name_taken", name=name)
        hashed = self.passwords.chosen(password) if password or row["role"] != "reviewer" else ""
        values = {
            "name": name, "role": row["role"], "invitation_id": row["id"], "queue_id": row["queue_id"],
            "password": hashed,
        }  # fmt: skip
        if before:  # the same client, by a new link
            self._rows.change(before["id"], values)
            return self._rows.get(before["id"])
        return self._rows.get(self._rows.add(**values, key=key))

    def _is_over(self, person: Row) -> bool:
        """A reviewer who has no password, no session and no link that holds."""
        if person["role"] != "reviewer" or person["password"]:
            return False
        holds = [one for one in self._rows.invitations() if one["id"] == person["invitation_id"]]
        live = [one for one in self._rows.sessions() if one["person_id"] == person["id"]]
        return not live and not any(self._state(one) in ("open", "used") for one in holds)

    def _invitation(self, token: str) -> Row:
        row = self._rows.invitation(_digest(token))
        if row is None:
            raise NotFound("invitation.forged")
        if row["revoked"]:
            raise Forbidden("invitation.revoked")
        if row["expires"] <= self._stamp():
            raise Forbidden("invitation.expired")
        return row

    def _state(self, row: Row) -> str:
        if row["revoked"]:
            return "revoked"
        if row["expires"] <= self._stamp():
            return "expired"
        return "used" if len(row["used_by"]) >= row["most"] else "open"

    # ------------------------------------------------------------------------------------------ audit
    def record(self, visitor: Visitor, what: str, subject: str = "", facts: str = "{}", address: str = "") -> None:
        """Write down who did what."""
        self._rows.record(
            person_id=visitor.person_id, name=visitor.name, role=visitor.role, way=visitor.way, what=what,
            subject=subject, facts=facts, address=address[:MOST_AGENT],
        )  # fmt: skip

    def _stamp(self, plus: float = 0.0) -> str:
        return stamp(datetime.fromtimestamp(self.clock(), UTC) + timedelta(seconds=plus))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _name(name: str) -> str:
    name = one_line(name).strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise Refused("people.name", most=MOST_NAME)
    return name


def _key(name: str) -> str:
    """A name as it is compared: nobody passes for somebody else by a capital letter."""
    return " ".join(one_line(name).casefold().split())
