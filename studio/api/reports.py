"""/api/runs, /api/queues/{id}/runs: what the passes of a queue made; thin routes over service.reports."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from studio.api.answers import language, studio_of

router = APIRouter(tags=["reports"])

# the page has no script and asks for nothing; were a name in it ever markup, it still could not run
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
}


@router.get("/queues/{queue_id}/runs")
def list_runs(request: Request, queue_id: str) -> list[dict[str, Any]]:
    """Newest first: state, times, counts, seconds by engine, loads, crashes, cost."""
    return studio_of(request).reports.list(queue_id)


@router.get("/runs/{run_id}")
def get_run(request: Request, run_id: str) -> dict[str, Any]:
    return studio_of(request).reports.get(run_id)


@router.get("/runs/{run_id}/report")
def get_report(request: Request, run_id: str) -> dict[str, Any]:
    """Scenes with takes, times, loads, failures with their cures, cost, what is left."""
    studio = studio_of(request)
    return studio.reports.report(run_id, language(request, studio))


@router.get("/runs/{run_id}/report.html")
def get_report_page(request: Request, run_id: str) -> HTMLResponse:
    """The same as one page that needs no other file."""
    studio = studio_of(request)
    return HTMLResponse(studio.reports.html(run_id, language(request, studio)), headers=HEADERS)
