"""The report of a run: as facts, and as a page that no name can break out of."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from test_service_runs import BAD, FINE, queue_of

from studio.service import LANGUAGES, Studio

NASTY = '<img src=x onerror="alert(1)">${alert(2)}</title><script>alert(3)</script>'


@pytest.fixture
def run_id(studio: Studio) -> str:
    """A run of three scenes: one spoken and drawn, one that failed, one with a name that means harm."""
    queue = queue_of(studio, FINE, BAD)
    studio.scenes.edit(studio.queues.get(queue)["scenes"][0]["id"], {"lines": [{"text": "hello"}]})
    studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": FINE, "label": NASTY})
    studio.queues.update(queue, {"name": NASTY})
    studio.runs.run(queue)
    studio.drain()
    return str(studio.reports.list(queue)[0]["id"])


def test_a_report_says_what_was_made_and_what_failed(studio: Studio, run_id: str, client: TestClient) -> None:
    report = client.get(f"/runs/{run_id}/report?lang=en").json()
    first, second, third = report["scenes"]
    assert [scene["state"] for scene in report["scenes"]] == ["done", "failed", "done"]
    assert [take["layer"] for take in first["takes"]] == ["voice", "picture"]
    assert first["engines"] == ["instant"] and first["seconds"] >= 0 and first["waited"] >= 0
    (failure,) = report["failures"]
    assert failure["number"] == 2 and failure["error"]["message"] and failure["error"]["hint"]
    assert [scene["number"] for scene in report["left"]] == [2]
    assert report["run"]["counts"] == {"scenes": 3, "done": 2, "failed": 1, "cancelled": 0, "left": 0}
    assert (report["run"]["takes"], report["run"]["loads"]) == (3, 1)
    film = first["takes"][1]["duration"] + third["takes"][0]["duration"]
    assert report["totals"]["film"] == pytest.approx(film)


def test_failures_are_in_the_readers_language(studio: Studio, run_id: str) -> None:
    said = {studio.reports.report(run_id, lang)["failures"][0]["error"]["hint"] for lang in LANGUAGES}
    assert len(said) == 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_speaks_and_lets_no_name_become_markup(
    studio: Studio, run_id: str, client: TestClient, lang: str
) -> None:
    answer = client.get(f"/runs/{run_id}/report.html?lang={lang}")
    page = answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "script" not in answer.headers["content-security-policy"].replace("default-src 'none'", "")
    assert "<script" not in page and "<img src=x" not in page and page.count("</title>") == 1
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;${alert(2)}" in page
    assert not re.search(r"(?:src|href)=\"(?!data:image/jpeg;base64,)", page)  # it needs no other file
    assert studio.words.text("report.failures", lang) in page
    assert "report." not in re.sub(r"<style>.*?</style>", "", page)  # every word is there


def test_a_poster_that_is_there_is_in_the_page(studio: Studio, run_id: str) -> None:
    assert studio.reports.html(run_id).count("data:image/jpeg;base64,") == 2


def test_a_run_that_goes_on_has_a_report_already(studio: Studio) -> None:
    queue = queue_of(studio, FINE)
    studio.runs.run(queue)
    run = studio.reports.list(queue)[0]
    report = studio.reports.report(run["id"])
    assert report["scenes"][0]["state"] == "queued" and report["run"]["ended"] is None
    assert "<table>" in studio.reports.html(run["id"], "en")


def test_what_an_engine_cost_is_added_up(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    import instant_engine

    plain = instant_engine.Instant.run

    def paid(self: Any, scene: Any, options: Any, run: Any) -> Any:
        made = plain(self, scene, options, run)
        return type(made)(made.path, {**made.facts, "cost": 0.25})

    monkeypatch.setattr(instant_engine.Instant, "run", paid)
    queue = queue_of(studio, FINE, FINE)
    studio.runs.run(queue)
    studio.drain()
    run = studio.reports.list(queue)[0]
    assert run["cost"] == 0.5 and run["engines"]["instant"]["cost"] == 0.5
    assert "0.50" in studio.reports.html(run["id"], "en")


def test_an_old_report_reads_as_it_did(studio: Studio) -> None:
    queue = queue_of(studio, BAD)
    studio.runs.run(queue)
    studio.drain()
    old = studio.reports.list(queue)[0]["id"]
    scene = studio.queues.get(queue)["scenes"][0]["id"]
    studio.scenes.edit(scene, {"prompt": FINE})
    studio.runs.run(queue)
    studio.drain()
    assert studio.reports.report(old)["scenes"][0]["state"] == "failed"
    assert studio.reports.report(studio.reports.list(queue)[0]["id"])["scenes"][0]["state"] == "done"
