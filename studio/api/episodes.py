"""/api/queues/import and its family: thin routes over service.episodes."""

from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from studio.api.answers import language, local, studio_of, worded, worded_files
from studio.api.uploads import sent, wishes_in

router = APIRouter(tags=["episodes"])

PATH = Query("", max_length=4096, description="a storyboard or a folder on this machine, below the studio's folders")


@router.post("/queues/check")
async def check_episode(request: Request, path: str = PATH, make_do: bool = False) -> dict[str, Any]:
    """What an episode file or a package holds and what is wrong with it; nothing is written. Body: the file, raw or
    multipart (with `relinked`, `{ref: asset}`); or `path`, a storyboard or a folder below the studio's folders:
    `{files: [{file, path, report | error}]}`, whose body may be `{relinked}`."""
    studio, lang = studio_of(request), language(request, studio_of(request))
    if path:
        wishes = await wishes_in(request)
        found = await run_in_threadpool(
            studio.episodes.check_path, path, trusted=local(request), make_do=make_do, relinked=wishes.relinked
        )
        return worded_files(studio, found, lang)
    async with sent(request, studio) as one:
        if one.package:
            return worded(studio, await run_in_threadpool(studio.packages.check, one.package), lang)
        found = await run_in_threadpool(
            studio.episodes.check, one.text, make_do=make_do, relinked=one.wishes.relinked, beside=one.wishes.beside
        )
    return worded(studio, found, lang)


@router.post("/queues/import", status_code=201)
async def import_episode(
    request: Request, name: str = Query("", max_length=200), only_valid: bool = False, path: str = PATH,
    make_do: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """A new queue from an episode file or a package. 422 with a report when a scene of a file is not valid and
    `only_valid` is false. `path`: a queue for every storyboard, `{files: [{file, queue, report} | {file, error}]}`.
    With the file, or as the body beside `path`: `relinked`, and `cast`, who was confirmed of the check's `casting`."""
    studio, lang = studio_of(request), language(request, studio_of(request))
    if path:
        wishes = await wishes_in(request)
        taken = await run_in_threadpool(
            studio.episodes.import_path, path, name=name, only_valid=only_valid, trusted=local(request),
            make_do=make_do, relinked=wishes.relinked, cast=wishes.cast,
        )  # fmt: skip
        return worded_files(studio, taken, lang)
    async with sent(request, studio) as one:

        def imported() -> dict[str, Any]:
            if one.package:
                found = studio.packages.bring(one.package, name)
            else:
                found = studio.episodes.import_file(
                    one.text, name=name, only_valid=only_valid, fallback_name=one.name, make_do=make_do,
                    relinked=one.wishes.relinked, cast=one.wishes.cast, beside=one.wishes.beside,
                )  # fmt: skip
            return {**found, "report": worded(studio, found["report"], lang)}

        return await run_in_threadpool(imported)


@router.post("/queues/sample", status_code=201)
def import_sample(request: Request) -> dict[str, Any]:
    """The bundled sample episode as a new queue."""
    return studio_of(request).episodes.import_sample()


@router.get("/queues/{queue_id}/episode")
def get_episode(request: Request, queue_id: str) -> dict[str, Any]:
    return studio_of(request).episodes.export(queue_id)
