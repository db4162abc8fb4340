"""The schema, as a list of functions. One is added per release that changes it; none is ever edited afterwards."""

import json

from sqlite_utils import Database, Migrations

from studio.store import fingerprint

migrations = Migrations("studio")


@migrations()
def m001_spine(db: Database) -> None:
    for statement in _SPINE.split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m002_production(db: Database) -> None:
    for statement in _PRODUCTION.split(";\n"):
        if statement.strip():
            db.execute(statement)
    for take_id, layer, engine, settings, facts in list(
        db.execute("select id, layer, engine, settings, facts from takes")
    ):
        letters = fingerprint.of_take(layer, engine, json.loads(settings), json.loads(facts))
        db.execute("update takes set fingerprint = ? where id = ?", [letters, take_id])


@migrations()
def m003_models(db: Database) -> None:
    for statement in _MODELS.split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m004_voices(db: Database) -> None:
    for statement in _VOICES.split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def m005_people(db: Database) -> None:
    for statement in _PEOPLE.split(";\n"):
        if statement.strip():
            db.execute(statement)


_PEOPLE = """
create table people (
    id text primary key, name text not null, key text not null unique, role text not null,
    password text not null default '', origin text not null default 'invited', invitation_id text,
    queue_id text references queues (id) on delete cascade, created text not null);
create table invitations (
    id text primary key, role text not null, note text not null default '', digest text not null unique,
    queue_id text references queues (id) on delete cascade, most integer not null default 1, expires text not null,
    revoked text, created_by text not null default '', created text not null);
create table sessions (
    id text primary key, person_id text not null references people (id) on delete cascade, digest text not null unique,
    way text not null, address text not null default '', agent text not null default '', created text not null,
    seen text not null, expires text not null);
create index sessions_by_person on sessions (person_id);
create table audit (
    id integer primary key, at text not null, person_id text not null, name text not null, role text not null,
    way text not null, address text not null default '', what text not null, subject text not null default '',
    facts text not null default '{}');
create table reviews (
    id text primary key, queue_id text not null unique references queues (id) on delete cascade,
    open integer not null default 1, created text not null);
create table versions (
    id text primary key, review_id text not null references reviews (id) on delete cascade, number integer not null,
    export_id text not null, seconds real not null, fps real not null, width integer not null, height integer not null,
    scenes text not null, changed text not null default '{}', created text not null, unique (review_id, number));
create table version_takes (
    version_id text not null references versions (id) on delete cascade, take_id text not null,
    primary key (version_id, take_id)) without rowid;
create table private_takes (take_id text primary key) without rowid;
create trigger takes_stay_private before delete on takes begin
    delete from private_takes where take_id = old.id; insert into private_takes (take_id)
    select old.id where old.private = 1; end;
create table comments (
    id text primary key, review_id text not null references reviews (id) on delete cascade,
    version_id text not null references versions (id) on delete cascade, scene_id text not null default '',
    take_id text, number integer, at real not null, second real, region text, text text not null,
    wish text not null default 'comment', state text not null default 'open', person_id text not null default '',
    author text not null, origin text not null default 'page', drawn integer not null default 0,
    created text not null);
create index comments_by_review on comments (review_id, at);
create index comments_by_scene on comments (scene_id, state);
create table verdicts (
    review_id text not null references reviews (id) on delete cascade, author text not null,
    scene_id text not null default '', take_id text,
    version_id text not null references versions (id) on delete cascade,
    approved integer not null, person_id text not null default '', at text not null,
    primary key (review_id, person_id, scene_id)) without rowid;
"""


_VOICES = """
drop table voices;
create table voices (
    id text primary key, name text not null, key text not null unique, engine text not null default 'auto',
    language text, sample text references assets (sha256), transcript text not null default '',
    preset text not null default '', settings text not null default '{}', consent text not null default '{}',
    profile text not null default '{}', note text not null default '', created text not null);
create table pronunciations (
    project_id text not null references projects (id) on delete cascade, word text not null, said text not null,
    language text, position integer not null);
create index pronunciations_by_project on pronunciations (project_id, position);
create table transcripts (
    subject text primary key, language text not null default '', text text not null, words text not null default '[]',
    missing text not null default '[]', model text not null, at text not null) without rowid;
"""


_MODELS = """
create table downloads (
    id text primary key, model text not null, state text not null default 'waiting', done integer not null default 0,
    total integer not null default 0, error text, queue_id text, created text not null, ended text);
create index downloads_by_model on downloads (model);
create table licences (name text primary key, accepted text not null) without rowid;
create table measured (
    id integer primary key, engine text not null, task text not null, profile text not null, width integer not null,
    height integer not null, num_frames integer not null, steps integer not null, predicted_bytes integer not null,
    peak_bytes integer not null, step_seconds real not null, facts text not null default '{}', at text not null);
create index measured_by_engine on measured (engine, profile);
create table machine (name text primary key, value real not null, at text not null) without rowid;
"""


_PRODUCTION = """
alter table queues add column priority integer not null default 0;
alter table queues add column starts_at text;
alter table queues add column cut text;
alter table scenes add column retake text;
alter table scenes add column retake_at text;
create index assets_by_place on assets (root, path);
alter table jobs add column seed integer;
drop index one_live_job;
create unique index one_live_job on jobs (scene_id, layer, coalesce(line_id, ''), coalesce(seed, -1))
    where state in ('queued', 'running');
create table leftovers (
    id integer primary key, kind text not null, owner text not null, job_id text not null default '',
    root text not null, path text not null, bytes integer not null default 0, queue text not null default '',
    doomed integer not null default 0, at text not null);
create index leftovers_by_file on leftovers (root, path);
create index takes_by_file on takes (root, path);
create index assets_by_file on assets (root, path);
create trigger takes_leave_files before delete on scenes begin
    insert into leftovers (kind, owner, job_id, root, path, bytes, queue, at)
    select 'take', t.id, t.job_id, t.root, t.path, t.bytes, q.name, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    from takes t join queues q on q.id = old.queue_id where t.scene_id = old.id
    and not exists (select 1 from leftovers l where l.root = t.root and l.path = t.path); end;
create trigger films_leave_files before delete on exports when old.path is not null begin
    insert into leftovers (kind, owner, root, path, bytes, queue, at)
    select 'film', old.id, old.root, old.path, coalesce(json_extract(old.facts, '$.bytes'), 0), q.name,
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now') from queues q where q.id = old.queue_id
    and not exists (select 1 from leftovers l where l.root = old.root and l.path = old.path); end;
alter table jobs add column run_id text;
alter table jobs add column failures integer not null default 0;
alter table jobs add column not_before text;
alter table jobs add column by_hand integer not null default 0;
alter table takes add column note text;
alter table takes add column fingerprint text not null default '';
alter table characters add column portrait text;
create table runs (
    id text primary key, queue_id text not null references queues (id) on delete cascade, state text not null,
    options text not null default '{}', facts text not null default '{}', started text not null, ended text);
create index runs_by_queue on runs (queue_id);
create table hooks (
    id text primary key, kind text not null, name text not null default '', url text not null,
    target text not null default '', secret text not null default '', local integer not null default 0,
    lang text not null default 'en', events text not null, created text not null);
create table deliveries (
    id text primary key, hook_id text, run_id text, event text not null, url text not null default '',
    body text not null, attempts integer not null default 0, next_at text not null,
    state text not null default 'waiting', error text, created text not null, ended text);
create index jobs_by_run on jobs (run_id, state);
create index events_by_job on events (job_id);
create index events_by_kind on events (kind);
create index deliveries_by_time on deliveries (state, next_at);
create table presets (
    id text primary key, name text not null, task_type text not null, body text not null, created text not null,
    unique (task_type, name));
create table project_files (
    project_id text not null references projects (id) on delete cascade, folder text not null, name text not null,
    sha256 text not null, created text not null, primary key (project_id, folder, name)) without rowid;
create table edits (
    id text primary key, queue_id text not null references queues (id) on delete cascade, what text not null,
    before text not null, undone integer not null default 0, created text not null);
create index edits_by_queue on edits (queue_id);
"""


_SPINE = """
create table projects (
    id text primary key, slug text not null unique, name text not null,
    defaults text not null default '{}', created text not null);
create table queues (
    id text primary key, project_id text not null references projects (id), code text not null, name text not null,
    position integer not null, frame text, music text, policy text not null default '{}',
    paused integer not null default 0, inbox integer not null default 0, created text not null,
    unique (project_id, code));
create table scenes (
    id text primary key, queue_id text not null references queues (id), position integer not null,
    task_type text not null, body text not null, state text not null default 'draft', error text, note text,
    version integer not null default 1, created text not null, updated text not null);
create index scenes_by_queue on scenes (queue_id, position);
create table lines (
    id text primary key, scene_id text not null references scenes (id) on delete cascade, position integer not null,
    character text not null default '', text text not null, voice text not null default '',
    direction text not null default '', language text);
create index lines_by_scene on lines (scene_id, position);
create table needs (
    scene_id text not null references scenes (id) on delete cascade, on_id text not null,
    primary key (scene_id, on_id)) without rowid;
create index needs_by_source on needs (on_id);
create table jobs (
    id text primary key, scene_id text not null references scenes (id) on delete cascade, line_id text,
    layer text not null, engine text not null, lane text not null, state text not null default 'queued',
    attempt integer not null default 0, crashes integer not null default 0, rank integer not null default 0,
    error text, degraded_reason text, kept text not null default '{}', created text not null, started text,
    finished text);
create index jobs_by_lane on jobs (state, lane, rank);
create index jobs_by_scene on jobs (scene_id, layer, line_id);
create unique index one_live_job on jobs (scene_id, layer, coalesce(line_id, ''))
    where state in ('queued', 'running');
create table takes (
    id text primary key, scene_id text not null references scenes (id) on delete cascade, line_id text,
    layer text not null, job_id text not null unique, number integer not null, kind text not null,
    root text not null, path text not null, engine text not null, profile text not null, seed integer not null,
    width integer not null, height integer not null, fps real not null, num_frames integer not null,
    duration real not null, bytes integer not null, facts text not null, settings text not null,
    created text not null, draft integer not null default 0, selected integer not null default 0,
    chosen integer not null default 0, locked integer not null default 0, private integer not null default 0,
    rating integer not null default 0, trashed text, degraded_reason text);
create index takes_by_scene on takes (scene_id, layer, line_id);
create table assets (
    sha256 text primary key, kind text not null, root text not null, path text not null, name text not null,
    size integer not null, mtime real not null, width integer not null default 0, height integer not null default 0,
    fps real not null default 0, duration real not null default 0, provenance text not null default '{}',
    created text not null);
create table characters (
    id text primary key, project_id text not null references projects (id), slug text not null, name text not null,
    voice text not null default '', look text not null default '', created text not null,
    unique (project_id, slug));
create table voices (
    id text primary key, name text not null unique, engine text not null, settings text not null default '{}',
    created text not null);
create table exports (
    id text primary key, queue_id text not null references queues (id) on delete cascade, kind text not null,
    state text not null, progress real not null default 0, root text, path text, error text,
    facts text not null default '{}', created text not null, finished text);
create table events (
    id integer primary key, at text not null, kind text not null, queue_id text, scene_id text, job_id text,
    facts text not null default '{}');
create index events_by_scene on events (scene_id);
create table timings (
    id integer primary key, at text not null, engine text not null, task text not null, profile text not null,
    width integer not null, height integer not null, num_frames integer not null, seconds real not null);
create index timings_by_task on timings (engine, task);
create table answers (
    key text primary key, status integer not null, body text not null, at text not null) without rowid;
"""
