"""The page's own files (assets/), as the browser gets them. Knows nothing of what is in them."""

import os

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class Bundled(StaticFiles):
    """Every file is asked for again and answered 304 while it is unchanged.

    Without this a browser guesses how long a script may be kept, and after an update runs old modules beside new ones.
    """

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["cache-control"] = "no-cache"
        return answer
