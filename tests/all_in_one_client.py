"""A client of All-in-one, written from its documentation alone: it knows paths and fields, and nothing of Lanterna."""

import base64
import time
from collections.abc import Callable
from typing import Any

OPEN = {"queued", "running", "processing", "fallback"}  # the code's states and the README's


class DigitalHuman:
    def __init__(self, http: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        """`http`: anything with `get` and `post` as httpx has them."""
        self.http, self.sleep = http, sleep
        self.seen: list[dict[str, Any]] = []  # what polling was answered

    def clone(self, recording: bytes, name: str = "me.wav") -> dict[str, Any]:
        return self._good(self.http.post("/api/voice/clone", files={"audio_file": (name, recording, "audio/wav")}))

    def start(self, voice_id: str, portrait: str | bytes, script: str, **more: Any) -> dict[str, Any]:
        """`portrait`: an address, or the bytes of a PNG, which their page sends as a data URI."""
        if isinstance(portrait, bytes):
            portrait = "data:image/png;base64," + base64.b64encode(portrait).decode()
        body = {"voice_id": voice_id, "avatar_url": portrait, "script_mode": "manual", "script_input": script, **more}
        return self._good(self.http.post("/api/jobs", json=body))

    def wait(self, job_id: str, looks: int = 600) -> dict[str, Any]:
        """Poll as their page does, every half second."""
        for _ in range(looks):
            job = self._good(self.http.get(f"/api/jobs/{job_id}"))
            self.seen.append(job)
            if job["status"] not in OPEN:
                return job
            self.sleep(0.5)
        raise AssertionError(f"still {job['status']}: {job}")

    def video(self, job_id: str) -> bytes:
        """As the README says it."""
        answer = self.http.get(f"/api/jobs/{job_id}/result")
        assert answer.status_code == 200 and answer.headers["content-type"] == "video/mp4", answer.text[:200]
        return bytes(answer.content)

    def video_as_the_page_does(self, job_id: str) -> bytes:
        """First where it is, then the file."""
        asked = self.http.get(f"/api/jobs/{job_id}/result", headers={"Content-Type": "application/json"})
        found = self._good(asked)
        assert found["status"] == "ready" and found["filename"].endswith(".mp4")
        answer = self.http.get(found["url"])
        assert answer.status_code == 200, answer.text[:200]
        return bytes(answer.content)

    @staticmethod
    def _good(answer: Any) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text[:500]
        found: dict[str, Any] = answer.json()
        return found
