"""The schema, as a list of functions. One is added per release that changes it; none is ever edited afterwards."""

from sqlite_utils import Database, Migrations

migrations = Migrations("studio")


@migrations()
def m001_spine(db: Database) -> None:
    for statement in _SPINE.split(";\n"):
        if statement.strip():
            db.execute(statement)


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
