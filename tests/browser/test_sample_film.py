"""The bundled sample, from REST to a film that Chromium plays: as long as its scenes in the cut, less dissolves."""

from typing import Any

import pytest

DISSOLVE = 0.5  # seconds shared by two neighbours
PLAYS = """async url => {
  const video = document.createElement("video");
  video.muted = true; video.src = url; document.body.append(video);
  await video.play();
  await new Promise(done => setTimeout(done, 1200));
  const {totalVideoFrames} = video.getVideoPlaybackQuality();
  return {frames: totalVideoFrames, width: video.videoWidth, height: video.videoHeight, seconds: video.duration,
          error: video.error && video.error.message};
}"""


@pytest.mark.slow
def test_the_sample_becomes_a_film_that_plays(site: Any, open_page: Any) -> None:
    queue = site.call("POST", "/queues/sample")["id"]
    site.call("PATCH", f"/queues/{queue}", {"frame": {"width": 320, "height": 180, "fps": 24}})
    site.call("POST", f"/queues/{queue}/run")
    site.wait(queue, 240)
    cards = site.cards(queue)
    assert [card["state"] for card in cards] == ["done"] * len(cards), [card["error"] for card in cards]

    export = site.call("POST", f"/queues/{queue}/exports", {})
    while export["state"] in ("queued", "running"):
        export = site.call("GET", f"/exports/{export['id']}")
    assert export["state"] == "done", export["error"]

    shown = [card for card in cards if card["in_cut"]]
    scenes = [site.call("GET", f"/scenes/{card['id']}")["scene"] for card in shown]
    dissolves = sum(scene["transition"] == "dissolve" for scene in scenes[:-1])
    wanted = sum(card["take"]["duration"] for card in shown) - dissolves * DISSOLVE
    played = open_page().evaluate(PLAYS, f"/api/exports/{export['id']}/file")
    assert played["error"] is None
    assert (played["width"], played["height"]) == (320, 180)
    assert played["frames"] > 5
    assert played["seconds"] == pytest.approx(wanted, abs=0.05)
