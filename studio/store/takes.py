"""Takes, assets and exports: files that exist, and the marks people put on them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from studio.domain import Asset, Take, new_id
from studio.errors import Conflict, NotFound
from studio.media.roots import Roots
from studio.store.changes import Changes
from studio.store.database import Connection, Row, now
from studio.store.queues import tell_readers


class Takes:
    def __init__(self, connection: Connection, changes: Changes, roots: Roots) -> None:
        self._c, self._changes, self.roots = connection, changes, roots

    def get(self, take_id: str) -> Take:
        row = self._c.row("select * from takes where id = ?", [take_id])
        if row is None:
            raise NotFound("take.unknown", take=take_id)
        return self._take(row)

    def settings(self, take_id: str) -> dict[str, Any]:
        """The scene as it was when this take was made."""
        found = self._c.value("select settings from takes where id = ?", [take_id])
        return dict(json.loads(found)) if found else {}

    def where(self, take_id: str) -> Row:
        """Names for the screen: scene, queue, label, prompt, rating."""
        row = self._c.row(_GALLERY + " where t.id = ?", [take_id])
        if row is None:
            raise NotFound("take.unknown", take=take_id)
        return row

    def of_scene(self, scene_id: str) -> list[Take]:
        """Newest first, without the trash."""
        rows = self._c.rows("select * from takes where scene_id = ? and trashed is null order by id desc", [scene_id])
        return [self._take(row) for row in rows]

    def selected(self, scene_ids: Iterable[str], layer: str = "picture") -> dict[str, Take]:
        """By scene for pictures, by line for voices."""
        rows = self._c.rows(
            "select * from takes where selected = 1 and trashed is null and layer = ?"
            " and scene_id in (select value from json_each(?))",
            [layer, json.dumps(list(scene_ids))],
        )
        return {row["line_id"] or row["scene_id"]: self._take(row) for row in rows}

    def spoken(self, scene_ids: Iterable[str]) -> dict[str, Row]:
        """By line, of the voice takes that count: id, engine, fingerprint, duration, root, path."""
        rows = self._c.rows(
            "select line_id, id, engine, fingerprint, duration, root, path from takes where selected = 1"
            " and trashed is null and layer = 'voice' and scene_id in (select value from json_each(?))",
            [json.dumps(list(scene_ids))],
        )
        return {row["line_id"]: row for row in rows}

    def counts(self, scene_ids: Iterable[str]) -> dict[str, int]:
        rows = self._c.rows(
            "select scene_id, count(*) as n from takes where trashed is null and layer = 'picture'"
            " and scene_id in (select value from json_each(?)) group by scene_id",
            [json.dumps(list(scene_ids))],
        )
        return {row["scene_id"]: row["n"] for row in rows}

    def search(self, filters: Mapping[str, Any], *, before: str | None, limit: int) -> tuple[list[Row], int]:
        """Rows of the gallery, newest first, and how many there are in all. Filters: words (each must be in label,
        prompt, a line or the queue's name), task, kind, engine, queue, private, draft, trashed, layer,
        results (no voices but those of scenes that are only heard)."""
        where, values = ["t.trashed is " + ("not null" if filters.get("trashed") else "null")], []
        for word in str(filters.get("words") or "").split():
            escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            where.append(f"{_WORDS} like ? escape '\\'")
            values.append(f"%{escaped}%")
        columns = {
            "task": "s.task_type", "kind": "t.kind", "engine": "t.engine", "queue": "s.queue_id",
            "private": "t.private", "draft": "t.draft", "layer": "t.layer",
        }  # fmt: skip
        for name, column in columns.items():
            if filters.get(name) not in (None, ""):
                where.append(f"{column} = ?")
                values.append(filters[name])
        if filters.get("results"):
            where.append("(t.layer = 'picture' or s.task_type = 'speech')")
        total = self._c.value(f"{_COUNT} where {' and '.join(where)}", values)
        if before:
            where.append("t.id < ?")
            values.append(before)
        rows = self._c.rows(f"{_GALLERY} where {' and '.join(where)} order by t.id desc limit ?", [*values, limit])
        return rows, int(total)

    def mark(self, take_id: str, marks: Mapping[str, Any]) -> None:
        """selected (only True: choose this one by hand), locked (selects it too), private, rating."""
        with self._c.write():
            row = self.where(take_id)
            if marks.get("selected") or marks.get("locked"):  # the one that stays is the one that is shown
                if row["trashed"]:
                    raise Conflict("take.in_trash", take=take_id)
                key = [row["scene_id"], row["layer"], row["line_id"] or ""]
                self._c.execute(
                    "update takes set selected = 0, chosen = 0"
                    " where scene_id = ? and layer = ? and coalesce(line_id, '') = ?",
                    key,
                )
                chosen = int(bool(marks.get("selected")))
                self._c.execute("update takes set selected = 1, chosen = ? where id = ?", [chosen, take_id])
            for name in ("locked", "private", "rating"):
                if name in marks:
                    self._c.execute(f"update takes set {name} = ? where id = ?", [int(marks[name]), take_id])  # noqa: S608
            self._changed(row)

    def trash(self, take_id: str, *, restore: bool = False) -> None:
        """Into the trash or out of it. The next newest take is selected when the selected one goes."""
        with self._c.write():
            row = self.where(take_id)
            key = [row["scene_id"], row["layer"], row["line_id"] or ""]
            self._c.execute(
                "update takes set trashed = ?, selected = 0, chosen = 0 where id = ?",
                [None if restore else now(), take_id],
            )
            self._c.execute(
                "update takes set selected = 1 where id = (select max(id) from takes where scene_id = ? and layer = ?"
                " and coalesce(line_id, '') = ? and trashed is null) and not exists (select 1 from takes where"
                " scene_id = ? and layer = ? and coalesce(line_id, '') = ? and selected = 1 and trashed is null)",
                [*key, *key],
            )
            self._changed(row)

    def _changed(self, row: Row) -> None:
        self._changes.take()
        self._changes.scene(row["queue_id"], row["scene_id"])
        if row["layer"] == "picture":
            tell_readers(self._c, self._changes, row["scene_id"])

    def _take(self, row: Row) -> Take:
        values = {name: row[name] for name in _PLAIN}
        values |= {name: bool(row[name]) for name in ("draft", "selected", "locked", "private", "trashed", "chosen")}
        values |= {"path": self.roots.file(row["root"], row["path"]), "facts": json.loads(row["facts"])}
        return Take(**values)

    # ------------------------------------------------------------------------------------------ assets
    def add_asset(self, asset: Asset, provenance: Mapping[str, Any]) -> None:
        """Known by content: a second file with the same hash is the one that is read from now on, and new again."""
        root, path = self.roots.place(asset.path)
        stat = asset.path.stat()
        with self._c.write():
            self._c.execute(
                "insert into assets (sha256, kind, root, path, name, size, mtime, width, height, fps, duration,"
                " provenance, created) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " on conflict (sha256) do update set root = excluded.root, path = excluded.path,"
                " mtime = excluded.mtime, created = excluded.created",
                [
                    asset.sha256, asset.kind, root, path, asset.name, asset.size, stat.st_mtime, asset.width,
                    asset.height, asset.fps, asset.duration, json.dumps(provenance), now(),
                ],
            )  # fmt: skip

    def add_assets(self, assets: Iterable[Asset], provenance: Mapping[str, Any]) -> None:
        """Many in one transaction: each by itself would be a wait for the disk."""
        with self._c.write():
            for asset in assets:
                self.add_asset(asset, provenance)

    def asset(self, sha256: str) -> Asset:
        row = self._c.row("select * from assets where sha256 = ?", [sha256])
        if row is None:
            raise NotFound("asset.unknown", asset=sha256[:12])
        return self._asset(row)

    def assets(self, limit: int) -> list[Asset]:
        """Newest first."""
        return [self._asset(row) for row in self._c.rows("select * from assets order by created desc limit ?", [limit])]

    def asset_at(self, path: Path) -> Asset | None:
        """The asset that lies there unchanged (same size and time)."""
        root, relative = self.roots.place(path)
        stat = path.stat()
        row = self._c.row(  # a file that was changed has a row for each of its contents
            "select * from assets where root = ? and path = ? and size = ? and mtime = ?",
            [root, relative, stat.st_size, stat.st_mtime],
        )
        return self._asset(row) if row else None

    def _asset(self, row: Row) -> Asset:
        names = ("sha256", "kind", "name", "size", "width", "height", "fps", "duration")
        return Asset(path=self.roots.file(row["root"], row["path"]), **{name: row[name] for name in names})

    # ------------------------------------------------------------------------------------------ exports
    def add_export(self, queue_id: str, kind: str) -> str:
        export_id = new_id()
        with self._c.write():
            self._c.insert(
                "exports", {"id": export_id, "queue_id": queue_id, "kind": kind, "state": "queued", "created": now()}
            )
            self._changes.queue()
        return export_id

    def update_export(self, export_id: str, **values: Any) -> None:
        """Columns of one export; `file` (a Path) is stored by root, dicts as JSON."""
        if "file" in values:
            values["root"], values["path"] = self.roots.place(values.pop("file"))
        values = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in values.items()}
        with self._c.write():
            sets = ", ".join(f"{name} = :{name}" for name in values)
            self._c.execute(f"update exports set {sets} where id = :id", {**values, "id": export_id})  # noqa: S608
            self._changes.queue()

    def export(self, export_id: str) -> Row:
        row = self._c.row("select * from exports where id = ?", [export_id])
        if row is None:
            raise NotFound("export.unknown", export=export_id)
        return row

    def delete_export(self, export_id: str) -> None:
        with self._c.write():
            self._c.execute("delete from exports where id = ?", [export_id])
            self._changes.queue()

    def ended_export(self, export_id: str) -> bool:
        """Is this the id of an export that is over, in whatever way?"""
        found = "select 1 from exports where id = ? and state not in ('queued', 'running')"
        return bool(self._c.value(found, [export_id]))

    def exports(self, queue_id: str) -> list[Row]:
        return self._c.rows("select * from exports where queue_id = ? order by id desc", [queue_id])

    def break_exports(self, error: Mapping[str, Any]) -> None:
        """At start: what was being exported when the studio went down did not finish."""
        with self._c.write():
            self._c.execute(
                "update exports set state = 'failed', error = ?, finished = ? where state in ('queued', 'running')",
                [json.dumps(error), now()],
            )


_PLAIN = (
    "id", "scene_id", "line_id", "layer", "number", "kind", "engine", "profile", "seed", "width", "height", "fps",
    "num_frames", "duration", "created", "job_id", "degraded_reason", "rating", "note", "fingerprint",
)  # fmt: skip
_FROM = " from takes t join scenes s on s.id = t.scene_id join queues q on q.id = s.queue_id"
_WORDS = (  # as text, not as JSON: there `à` is `\\u00e0`, and every scene has a "prompt"
    "(q.name || ' ' || coalesce(json_extract(t.settings, '$.label'), '') || ' '"
    " || coalesce(json_extract(t.settings, '$.prompt'), '') || ' ' || coalesce((select"
    " group_concat(json_extract(line.value, '$.text'), ' ') from json_each(t.settings, '$.lines') line), ''))"
)
_COUNT = "select count(*)" + _FROM
_GALLERY = (
    "select t.*, s.queue_id, s.task_type as task, q.name as queue,"
    " json_extract(t.settings, '$.label') as label, json_extract(t.settings, '$.prompt') as prompt,"
    " json_extract(t.settings, '$.lines[0].text') as said" + _FROM
)
