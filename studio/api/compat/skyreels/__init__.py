"""The web API of SkyReels' studio, at its own paths: /nqueues, /queue, /generate, /status, /video, /projects …

Translations only: their names and states on the outside, our service inside. Their paths to files are made up here
(`result/<task>/<take>.mp4`, `asset:<sha256>`), so that no path of a caller ever reaches the disk.
"""

from fastapi import APIRouter

from studio.api.compat.skyreels import files, named_queues, projects, single

router = APIRouter(tags=["SkyReels"])
for part in (named_queues, single, files, projects):
    router.include_router(part.router)
