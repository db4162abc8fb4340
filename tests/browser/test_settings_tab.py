"""The Settings tab in a real Chromium: every section, a model from licence to download, keys that never come back; the
plan beside Render, and a scene that is stopped early. What hangs on machine or network is answered by the test.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

GB = 10**9
SECTIONS = ("models", "memory", "engines", "paths", "keys", "language", "about")
RAW_KEY = re.compile(
    r"\b(?:settings|models|needs|memory|engines|paths|keys|language|about|set|plan|live|form|common)\.[a-z_]+(?:\.\w+)*\b"
)
SHOT = {"task_type": "text_to_video", "resolution": "720P", "label": "Lamp", "prompt": "Dusk", "duration": 3}


def part(name: str, repo: str, size: int, state: str) -> dict[str, Any]:
    return {"name": name, "repo": repo, "revision": "a" * 40, "bytes": size, "state": state, "path": None}


def model(engine_id: str, state: str, parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A model of the catalogue as GET /api/catalogue tells it."""
    size = sum(one["bytes"] for one in parts)
    here = sum(one["bytes"] for one in parts if one["state"] == "here")
    return {
        "id": engine_id, "title": engine_id.upper(), "tasks": ["text_to_video"], "licence": "Lantern licence",
        "licence_url": "https://example.org/licence", "accepted": False, "gated": False, "languages": ["en"],
        "bytes": size, "missing_bytes": size - here, "parts": parts, "state": state, "download": None, "check": None,
        "fit": {"ok": True, "profile": "hybrid", "peak_bytes": 11 * GB, "reason": None}, "presets": [], **more,
    }  # fmt: skip


def answer(page: Any, path: str, said: Callable[[Any], Any]) -> list[Any]:
    """Calls of /api<path> get what `said(request)` gives; the list of (method, body) that were asked."""
    asked: list[Any] = []

    def handle(route: Any) -> None:
        asked.append((route.request.method, json.loads(route.request.post_data or "null")))
        found = said(route.request)
        route.fulfill(status=200, content_type="application/json", body=json.dumps(found))

    page.route(re.compile(rf"/api{path}(?:\?.*)?$"), handle)
    return asked


def catalogue(*models: Mapping[str, Any], offline: bool = False) -> dict[str, Any]:
    return {"models": list(models), "free_bytes": 400 * GB, "folder": "/models", "offline": offline}


def opened(page: Any, section: str) -> Any:
    page.evaluate("section => { location.hash = `#settings/${section}`; }", section)
    body = page.locator(f".l-settings-body[data-section={section}]")
    body.wait_for()
    expect(body.locator(".l-set-waiting")).to_have_count(0, timeout=30_000)
    return body


def test_every_section_has_an_address_and_its_words(open_page: Any, shot: Any) -> None:
    for lang, width, height in (("en", 1600, 1000), ("pt", 1366, 768), ("zh", 390, 844)):
        page = open_page(width=width, height=height, lang=lang)
        opened(page, "memory")
        page.reload()
        expect(page.locator(".l-settings-body[data-section=memory]")).to_be_visible(timeout=30_000)
        for section in SECTIONS:
            body = opened(page, section)
            assert not RAW_KEY.findall(body.inner_text().replace("settings.toml", "")), (lang, section)
            wide = page.locator(".l-settings-page").evaluate("node => node.scrollWidth - node.clientWidth")
            assert wide <= 0, f"{section} is wider than {width} px"
            shot(page, f"settings_{section}_{width}")
        if width > 760:
            expect(page.locator("#settings-about")).to_have_attribute("aria-current", "page")
        page.locator("#l-nav button[data-tab-id=queues]").first.click()
        assert "settings" not in page.evaluate("location.hash"), "the address is the tab's, not the page's"


def test_a_model_is_got_once_its_licence_is_accepted(open_page: Any, shot: Any) -> None:
    page = open_page()
    encoder = part("text_encoder", "wan/one", 11 * GB, "here")
    one = model("one", "ready", [encoder, part("transformer", "wan/one", 3 * GB, "here")], accepted=True)
    lacking = [encoder, part("transformer", "wan/two", 28 * GB, "missing")]
    now = {"two": model("two", "partial", lacking)}
    answer(page, "/catalogue", lambda _: catalogue(one, now["two"]))
    answer(page, "/catalogue/files", lambda _: {"checkpoints": [], "loras": []})
    moving = {"id": "d", "state": "running", "done": 7 * GB, "total": 28 * GB, "bytes_per_second": 41_200_000,
              "eta": 510.0, "error": None}  # fmt: skip

    def get(_: Any) -> Any:
        now["two"] = model("two", "downloading", lacking, accepted=True, download=moving)
        return now["two"]

    got = answer(page, "/catalogue/two/get", get)
    body = opened(page, "models")
    card = body.locator('.l-model[data-id="two"]')
    card.get_by_role("button", name="Get 28.0 GB").click()
    dialog = page.locator("dialog.l-get")
    expect(dialog.locator("#models-accept")).to_be_disabled()
    dialog.locator("#licence-agree").check()
    dialog.locator("#models-accept").click()
    expect(card).to_have_attribute("data-state", "downloading")
    expect(card).to_contain_text("7.0 GB of 28.0 GB · 41.2 MB/s")
    assert got == [("POST", {"accept_licence": True})]
    shot(page, "settings_download")

    broken = {"message": "The connection broke.", "hint": "Resume.", "code": "x", "params": {}}
    begun = [encoder, part("transformer", "wan/two", 28 * GB, "partial")]
    now["two"] = model("two", "partial", begun, accepted=True, download={**moving, "state": "failed", "error": broken})
    expect(card.get_by_role("alert")).to_contain_text("The connection broke.")
    expect(card.get_by_role("button", name="Resume")).to_be_visible()

    body.locator('.l-model[data-id="one"]').get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete…").click()
    expect(page.locator("dialog[open]")).to_contain_text("This frees 3.0 GB")
    expect(page.locator("dialog[open]")).to_contain_text("also read by TWO")


def test_models_stay_in_their_place_and_only_what_was_begun_is_resumed(open_page: Any) -> None:
    page = open_page()
    shared = part("text_encoder", "wan/five", 11 * GB, "missing")
    first = model("one", "missing", [shared, part("transformer", "wan/one", 3 * GB, "missing")])
    now = [first, model("two", "missing", [shared, part("transformer", "wan/two", 28 * GB, "missing")])]
    answer(page, "/catalogue", lambda _: catalogue(*now))
    body = opened(page, "models")
    moving = {
        "id": "d",
        "state": "running",
        "done": GB,
        "total": 39 * GB,
        "bytes_per_second": GB,
        "eta": 9,
        "error": None,
    }
    begun = {**shared, "state": "partial"}
    now[:] = [
        model("one", "partial", [begun, first["parts"][1]]),
        model("two", "downloading", [begun, part("transformer", "wan/two", 28 * GB, "missing")], download=moving),
    ]
    expect(body.locator('.l-model[data-id="two"]')).to_have_attribute("data-state", "downloading")
    expect(body.locator('.l-model[data-id="one"] .l-model-go')).to_contain_text("Get")
    assert body.locator(".l-model").evaluate_all("cards => cards.map((card) => card.dataset.id)") == ["one", "two"]


def test_weights_in_8_bits_are_tested_with_the_consent_of_the_inbox(open_page: Any, site: Any) -> None:
    page = open_page()
    queue_id = site.episode("Strict", [SHOT])
    refused = {"code": "memory.no_consent", "params": {}}
    row = {
        "profile": "stream8",
        "ok": False,
        "peak_bytes": None,
        "seconds": None,
        "scenes_that_fit": 0,
        "reason": refused,
    }
    answer(page, "/memory/queues/[^/]*", lambda _: {"profiles": [row]})
    body = opened(page, "memory")
    body.locator("#memory-queue").select_option(queue_id)
    body.locator('tr[data-profile="stream8"] button').click()
    page.locator("dialog[open]").get_by_role("button", name="Allow in the inbox").click()
    page.locator(".l-scene").first.wait_for()
    inbox = next(queue for queue in site.call("GET", "/queues") if queue["inbox"])
    assert inbox["allow_8bit"] and not site.call("GET", f"/queues/{queue_id}")["queue"]["allow_8bit"]


def test_offline_and_out_of_reach_are_said(open_page: Any) -> None:
    page = open_page()
    answer(
        page,
        "/catalogue",
        lambda _: catalogue(model("one", "missing", [part("unet", "a/b", GB, "missing")]), offline=True),
    )
    body = opened(page, "models")
    expect(body).to_contain_text("Offline: nothing is downloaded.")
    expect(body.get_by_role("button", name="Get 1.0 GB")).to_be_disabled()
    page.route("**/api/memory", lambda route: route.abort())
    expect(opened(page, "memory").get_by_role("alert")).to_contain_text("does not answer")


def test_a_key_goes_in_and_never_comes_out(open_page: Any, site: Any) -> None:
    page = open_page()
    body = opened(page, "keys")
    row = body.locator('.l-set-row[data-name="fal_key"]')
    row.locator("input").fill("fal-very-secret")
    row.get_by_role("button", name="Save").click()
    expect(row.locator("input")).to_have_attribute("placeholder", "set")
    assert "fal-very-secret" not in page.content()
    said = {one["name"]: one["value"] for one in site.call("GET", "/preferences")["settings"]}
    assert said["fal_key"] == "set" and not row.locator("input").input_value()
    row.get_by_role("button", name="Forget fal.ai").click()
    page.locator("dialog[open]").get_by_role("button", name="Forget it").click()
    expect(row.locator("input")).to_have_attribute("placeholder", "not set")


def test_a_media_folder_counts_at_once(open_page: Any, site: Any, tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    page = open_page()
    body = opened(page, "paths")
    body.locator("#media-root").fill(str(folder))
    body.locator("#media-root-add").click()
    expect(body.locator(".l-root")).to_contain_text(str(folder))
    assert str(folder) in [place["path"] for place in site.call("GET", "/folders")["places"]]


def test_the_plan_stands_beside_render_and_offers_what_fits(open_page: Any, shot: Any) -> None:
    page = open_page()
    profiles = [{"profile": "hybrid", "ok": True, "peak_bytes": 22 * GB, "step_seconds": 15.2, "reason": None}]
    plan = {"profile": "hybrid", "peak_bytes": 22 * GB, "ram_bytes": 31 * GB, "pinned_bytes": 0, "step_seconds": 15.2,
            "resident_blocks": 22, "blocks": 40, "guess": True}  # fmt: skip
    refused = {"code": "memory.nothing_fits", "params": {}, "message": "720P does not fit.", "hint": "Choose 480P."}

    def said(request: Any) -> Any:
        fits = json.loads(request.post_data)["scene"]["resolution"] == "480P"
        smaller = {"width": 848, "height": 480, "num_frames": 81, "resolution": "480P", "seconds": 5.0}
        return {"plan": plan if fits else None, "refused": None if fits else refused,
                "next_best": None if fits else smaller, "profiles": profiles}  # fmt: skip

    answer(page, "/memory/plan", said)
    page.locator("#l-nav button[data-tab-id=generate]").first.click()
    line = page.locator("#generate-actions .l-plan")
    expect(line).to_contain_text("720P does not fit.", timeout=30_000)
    shot(page, "plan_refused")
    line.get_by_role("button", name="Use 480P").click()
    expect(line).to_contain_text("hybrid · 31.0 GB of memory · 22 of 40 blocks stay · about 15 s a step (guess)")
    line.get_by_role("button").click()
    panel = page.get_by_role("dialog", name="How it fits into memory")
    expect(panel.get_by_role("row")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_what_a_queue_needs_is_offered_before_its_run(open_page: Any, site: Any) -> None:
    queue_id = site.episode("Needs a model", [SHOT])
    page = open_page()
    lacking = {"id": "one", "title": "Wan One", "bytes": 14 * GB, "licence": "Lantern licence", "accepted": False,
               "licence_url": "https://example.org/licence", "gated": False}  # fmt: skip
    needs = {"models": [lacking], "bytes": 14 * GB, "seconds": 5400, "free_bytes": 400 * GB}
    asked = answer(page, f"/catalogue/queues/{queue_id}", lambda _: needs)
    answer(page, "/catalogue", lambda _: catalogue(model("one", "missing", [part("unet", "a/b", GB, "missing")])))
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    page.locator(".l-scene").first.wait_for()
    page.get_by_role("button", name="Check").click()
    page.locator("#needs-open").click()
    dialog = page.locator("dialog.l-get")
    expect(dialog).to_contain_text("about 1 h 30 min")
    expect(dialog.locator("#needs-go")).to_be_disabled()
    dialog.locator("#needs-run").check()
    dialog.locator("#licence-agree").check()
    dialog.locator("#needs-go").click()
    page.locator('.l-model[data-id="one"]').wait_for()
    assert asked[-1] == ("POST", {"accept_licences": True, "run": True})


def test_a_running_scene_can_be_kept_early_or_cancelled(open_page: Any, site: Any, shot: Any) -> None:
    queue_id = site.episode("Half way", [SHOT])
    scene = site.cards(queue_id)[0]["id"]
    page = open_page()
    progress = {"done": 19, "total": 30, "layer": "picture", "eta": 46.0, "phase": "steps", "step_seconds": 4.2,
                "stops_early": True, "preview": False}  # fmt: skip

    def running(route: Any) -> None:
        found = route.fetch().json()
        found["scenes"] = [{**card, "state": "running"} for card in found["scenes"]]
        found["progress"] = {scene: progress}
        found["now"]["running"] = [{**progress, "scene_id": scene, "queue_id": queue_id, "queue": "", "title": "Lamp",
                                    "number": 1, "of": 1, "engine": "one", "seconds": 80.0}]  # fmt: skip
        route.fulfill(json=found)

    page.route(re.compile(rf"/api/queues/{queue_id}(?:\?.*)?$"), running)
    enough = answer(page, f"/scenes/{scene}/enough", lambda _: {})
    cancelled = answer(page, f"/scenes/{scene}/cancel", lambda _: {})
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    expect(page.locator("#l-stage .l-chip")).to_contain_text("step 19 / 30 · 4.2 s a step · 0:46 left")
    shot(page, "live")
    bar = page.locator("#l-stage .l-live-bar")
    bar.get_by_role("button", name="Cancel").click()
    bar.get_by_role("button", name="Stop early and keep").click()
    expect(bar.get_by_role("button", name="Finishing …")).to_be_disabled()
    assert [method for method, _ in enough] == ["POST"] == [method for method, _ in cancelled]
    page.unroute_all(behavior="ignoreErrors")  # the page may be asking just now
