"""The Share dialog in a real Chromium: a name first, ways on and off, links that are shown once, people, sessions; what
an editor is not offered. The tunnel's program and its server are tests/stub_tunnel.py."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

TESTS = Path(__file__).resolve().parents[1]
SERVE = """
import sys; from pathlib import Path
from studio.app import serve; from studio.reach import tunnel; from studio.settings import Settings
root, port, stub_port, tests = sys.argv[1:]
stub = [sys.executable, Path(tests) / "stub_tunnel.py", "--as", "http://{name}.gradio.live:{port}"]
tunnel.gradios_program = lambda: stub
serve(Settings(root=Path(root), port=int(port), share_server=f"127.0.0.1:{stub_port}", open_browser=False), print)
"""
PASSWORD = "three plain words"
HOSTILE = '<img src=x onerror="globalThis.__pwned=1">${globalThis.__pwned=2}'
ADDRESS = re.compile(r"^http://\w+\.gradio\.live:\d+/?$")
LINK = re.compile(r"^http://\w+\.gradio\.live:\d+/invite/[\w-]{20,}$")
LOOKS = [(1600, "zh"), (1366, "en"), (390, "pt")]


@pytest.fixture(scope="module")
def more_flags() -> list[str]:
    return ["--host-resolver-rules=MAP *.gradio.live 127.0.0.1"]


@pytest.fixture(scope="module")
def serve() -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return [SERVE, str(probe.getsockname()[1]), str(TESTS)]


@pytest.fixture(scope="module")
def owner(site: Any, chromium: Any) -> Iterator[Any]:
    """A context in which the owner stays signed in, whatever is switched on."""
    context = chromium.new_context(viewport={"width": 1366, "height": 800}, locale="en-US")
    context.add_init_script("localStorage.lanterna_lang ??= 'en'; localStorage.lanterna_welcome ??= '1'")
    yield context
    context.close()


def open_share(page: Any, section: str = "ways") -> Any:
    page.locator("#share").click()
    page.locator(f"#share-tab-{section}").click()
    return page.locator(".l-share-dialog")


@pytest.fixture
def page(site: Any, owner: Any) -> Iterator[Any]:
    """The studio as the owner sees it at the computer itself."""
    page, wrong = owner.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(site.url)
    page.locator("#l-sidebar .l-sidebar").wait_for(timeout=30_000)
    yield page
    page.close()
    assert not wrong, wrong


def invited(page: Any, role: str) -> str:
    """A link for somebody, made in the dialog that is open."""
    page.locator("#share-tab-invite").click()
    page.locator("#invite-role").select_option(role)
    page.locator("#invite-note").fill(HOSTILE)
    page.locator("#invite-make").click()
    link = page.locator(".l-share-made input")
    expect(link).to_have_value(LINK)
    return str(link.input_value())


# the tests of this module follow one another: at home, opened, others in, closed
@pytest.mark.parametrize(("width", "lang"), LOOKS)
def test_before_anything_is_opened_a_name_is_asked_for(
    open_page: Callable[..., Any], shot: Callable[[Any, str], None], width: int, lang: str
) -> None:
    page = open_page(width, 844 if width < 500 else 900, lang)
    expect(page.locator("#who")).to_be_hidden()
    dialog = open_share(page)
    expect(dialog.locator(".l-share-owner")).to_be_visible()
    page.locator("#way-share").click()
    expect(page.locator("#way-share")).not_to_be_checked()
    expect(page.locator("#owner-name")).to_be_focused()
    shot(page, f"share_first_{width}_{lang}")
    page.locator("#owner-name").fill("Mina")
    page.locator("#owner-password").fill("short")
    page.keyboard.press("Enter")
    expect(dialog.locator(".l-share-owner .l-bad")).to_contain_text("8")
    box = dialog.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    page.locator("#share-tab-invite").click()
    expect(page.locator("#invite-make")).to_be_hidden()  # a link would have no address


def test_the_first_way_is_opened_with_the_name(page: Any, shot: Callable[[Any, str], None]) -> None:
    dialog = open_share(page)
    page.locator("#way-share").click()
    page.locator("#owner-name").fill("Mina")
    page.locator("#owner-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    way = dialog.locator(".l-share-way[data-way=share][data-state=on]")
    expect(way.locator("input[readonly]")).to_have_value(ADDRESS)
    expect(way.locator("img")).to_be_visible()  # the code for a phone
    expect(page.locator("#way-share")).to_be_checked()
    expect(dialog.locator(".l-share-owner")).to_be_hidden()
    shot(page, "share_on_1366")
    page.keyboard.press("Escape")
    expect(page.locator("#share")).to_have_attribute("data-on", "")
    expect(page.locator("#share")).to_contain_text("Shared")
    expect(page.locator(".l-share-count")).to_have_text("1")
    expect(page.locator("#who")).to_contain_text("Mina")
    expect(page.locator(".l-status-net")).to_contain_text("others can reach")


def test_an_editor_is_offered_nothing_that_is_the_owners(
    page: Any, chromium: Any, shot: Callable[[Any, str], None]
) -> None:
    open_share(page)
    link = invited(page, "editor")
    expect(page.locator("#share-panel-invite .l-share-list")).to_contain_text(HOSTILE)
    assert not page.evaluate("globalThis.__pwned")
    context = chromium.new_context(viewport={"width": 1366, "height": 800}, locale="en-US")
    context.add_init_script("localStorage.lanterna_lang ??= 'en'; localStorage.lanterna_welcome ??= '1'")
    guest = context.new_page()
    guest.goto(link)
    guest.locator("input[name=user]").fill("Bo <b>")
    guest.locator("input[name=password]").fill(PASSWORD)
    guest.locator("form button").click()
    guest.locator("#l-sidebar .l-sidebar").wait_for(timeout=30_000)
    expect(guest.locator("#who")).to_contain_text("Bo <b>")
    expect(guest.locator("#share")).to_be_hidden()
    expect(guest.locator('#l-nav button[data-tab-id="settings"]')).to_be_hidden()
    guest.keyboard.press("Control+k")
    guest.keyboard.type("settings")
    expect(guest.locator(".l-palette-none, .l-palette-row").first).not_to_contain_text("Settings")
    guest.keyboard.press("Escape")
    guest.evaluate("import('/ui/js/settings.js').then((module) => module.openSettings('keys'))")
    expect(guest.locator(".l-toast-bad")).to_contain_text("Only an owner")
    shot(guest, "share_editor_1366")

    guest.locator("#who").click()
    guest.get_by_role("menuitem", name="Change my password").click()
    guest.locator("#password-old").fill("not this one")
    guest.locator("#password-new").fill("four quite plain words")
    guest.locator("#password-save").click()
    expect(guest.locator("dialog .l-bad")).to_contain_text("present password is wrong")
    guest.locator("#password-old").fill(PASSWORD)
    guest.keyboard.press("Enter")
    expect(guest.locator("#l-toasts")).to_contain_text("password is changed")
    expect(guest.locator("dialog")).to_have_count(0)

    # the owner ends the session: out at once
    page.locator("#share-tab-sessions").click()
    row = page.locator("#share-panel-sessions .l-share-row", has_text="Bo <b>")
    expect(row).to_contain_text("Public link")
    shot(page, "share_sessions_1366")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    guest.wait_for_url("**/sign-in**")
    context.close()


def test_people_change_and_links_are_withdrawn(page: Any, shot: Callable[[Any, str], None]) -> None:
    open_share(page, "people")
    person = page.locator(".l-person", has_text="Bo <b>")
    person.locator("select").select_option("reviewer")
    expect(page.locator("#l-toasts")).to_contain_text("Changed: Bo <b>")
    expect(person.locator("select")).to_have_value("reviewer")
    mine = page.locator(".l-person", has_text="Mina")
    mine.locator("select").select_option("editor")
    expect(page.locator("#l-toasts")).to_contain_text("last owner")
    expect(mine.locator("select")).to_have_value("owner")
    page.keyboard.press("Shift+Tab")
    page.locator("#share-tab-people").focus()
    page.keyboard.press("ArrowUp")  # to the invitations
    expect(page.locator("#share-tab-invite")).to_be_focused()
    row = page.locator("#share-panel-invite .l-share-row").first
    row.get_by_role("button", name="Revoke").click()
    page.locator("dialog").last.get_by_role("button", name="Revoke").click()
    expect(row).to_have_attribute("data-state", "revoked")
    shot(page, "share_invitations_1366")
    row.get_by_role("button").click()
    expect(page.locator("#share-panel-invite .l-share-row")).to_have_count(0)
    page.locator("#share-tab-audit").click()
    expect(page.locator(".l-audit li").first).to_be_visible()
    expect(page.locator(".l-audit")).to_contain_text("Bo <b>")
    shot(page, "share_audit_1366")


def test_off_is_one_click(page: Any, site: Any, shot: Callable[[Any, str], None]) -> None:
    open_share(page)
    page.locator("#way-share").click()
    expect(page.locator(".l-share-way[data-way=share]")).to_have_attribute("data-state", "off")
    page.keyboard.press("Escape")
    expect(page.locator("#share")).not_to_have_attribute("data-on", "")
    expect(page.locator("#share")).to_have_text("Share")
    expect(page.locator(".l-status-net")).to_contain_text("stays on this machine")
    assert site.call("GET", "/me")["at_home"]
