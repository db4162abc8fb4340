"""The door for episodes in a real Chromium: three files are missing, are found in a folder, and everything comes in."""

import json
from pathlib import Path
from typing import Any

import pytest
import skyreels_episode
from playwright.sync_api import expect

LOST = (skyreels_episode.PORTRAITS["Inês"], skyreels_episode.recording(2, 1), skyreels_episode.recording(7, 2))


@pytest.fixture(scope="module")
def episode(site: Any) -> Path:
    """Below the outputs, where everybody may read: the episode without three files, which lie in another folder."""
    home = Path(site.root) / "outputs"
    file = skyreels_episode.write(home / "episode", without=LOST)
    whole = skyreels_episode.write(home / "whole")
    for number, name in enumerate(LOST):
        (home / f"old disk/{number}").mkdir(parents=True)
        (whole.parent / name).rename(home / f"old disk/{number}" / Path(name).name)
    return file


def look(page: Any, path: Path) -> Any:
    page.locator("#l-sidebar").get_by_label("Import an episode").click()
    page.locator("#import-path").fill(str(path))
    page.locator("#import-look").click()
    dialog = page.locator("dialog.l-import")
    expect(dialog.locator("#import-go")).to_be_visible(timeout=60_000)
    return dialog


def test_three_missing_files_are_found_and_59_scenes_come_in(open_page: Any, episode: Path, shot: Any) -> None:
    page = open_page()
    dialog = look(page, episode)
    expect(dialog.locator(".l-missing-row")).to_have_count(3)
    expect(dialog.locator("#import-go")).to_contain_text("that are complete")
    page.locator("#import-relink-folder").click()
    page.locator("#folder-path").fill(str(episode.parent.parent))
    page.locator("#folder-path").press("Enter")
    page.locator(".l-folder-row", has_text="old disk").click()
    expect(page.locator("#folder-path")).to_have_value(str(episode.parent.parent / "old disk"))
    page.locator("#folder-pick").click()
    expect(dialog.locator("#import-go")).to_have_text("Import all 59", timeout=60_000)
    expect(dialog.locator(".l-missing-row .l-chip-ok")).to_have_count(3)
    page.locator("#import-tab-cast").click()
    names = dialog.locator(".l-cast-who input")
    expect(names).to_have_count(4)
    assert sorted(names.nth(n).input_value() for n in range(4)) == sorted(skyreels_episode.PORTRAITS)
    page.locator("#import-tab-scenes").click()
    expect(dialog.locator(".l-report-row")).to_have_count(59)
    shot(page, "import_1600")
    dialog.locator("#import-go").click()
    expect(page.locator(".l-toast-ok")).to_contain_text("59 scenes imported", timeout=60_000)
    expect(page.locator(".l-queue[aria-current]")).to_contain_text("59")


def test_a_dropped_folder_brings_its_media(open_page: Any, site: Any, tmp_path: Path) -> None:
    """Only the browser holds these files: what the storyboard names is uploaded, the rest is not."""
    folder = tmp_path / "pier"
    (folder / "asset" / "character").mkdir(parents=True)
    segment = {"prompt_text": "((Maya)) walks", "duration_seconds": 4, "asset": {"characters": [{"name": "Maya"}]}}
    board = {"segments": [{"segment_index": 1, **segment}], "metadata": {}}
    (folder / "storyboard_pier.json").write_text(json.dumps(board))
    picture = (Path(site.root) / "outputs" / "whole" / skyreels_episode.SETS[0]).read_bytes()
    (folder / "asset" / "character" / "Maya.png").write_bytes(picture)
    (folder / "notes.txt").write_text("nobody needs this")
    page = open_page()
    sent: list[str] = []
    page.on("request", lambda request: request.url.endswith("/api/assets") and sent.append(request.url)
            or "/api/assets?" in request.url and sent.append(request.url))  # fmt: skip
    page.locator("#l-sidebar").get_by_label("Import an episode").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#import-folder").click()
    chooser.value.set_files(folder)
    dialog = page.locator("dialog.l-import")
    expect(dialog.locator("#import-go")).to_have_text("Import the scene", timeout=60_000)
    expect(dialog.locator(".l-chip-dialect")).to_have_text("CineFlow")
    assert len(sent) == 1
    dialog.locator("#import-go").click()
    expect(page.locator(".l-toast-ok")).to_contain_text("1 scene imported", timeout=60_000)


def test_on_a_phone_it_is_one_column(open_page: Any, episode: Path, shot: Any) -> None:
    page = open_page(390, 844, "pt")
    page.locator(".l-sec-tools .l-ib").first.click()
    page.locator("#import-path").fill(str(episode))
    page.locator("#import-look").click()
    dialog = page.locator("dialog.l-import")
    expect(dialog.locator(".l-missing-row")).to_have_count(3, timeout=60_000)
    page.locator("#import-tab-scenes").click()
    assert dialog.evaluate("(d) => d.querySelector('.l-dialog-body').scrollWidth <= d.clientWidth")
    foot = dialog.locator(".l-dialog-foot").bounding_box()
    assert foot["y"] + foot["height"] <= 844
    shot(page, "import_390")
