"""Carries the command line's requests into the app of a test, without a socket."""

import httpx2
from starlette.testclient import TestClient


class Through(httpx2.BaseTransport):
    def __init__(self, client: TestClient) -> None:
        self.client = client

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.client.request(
            request.method, str(request.url), content=request.read(), headers=list(request.headers.items())
        )
        return httpx2.Response(answer.status_code, content=answer.content)
