"""`launch.py update` of a bundle: where releases come from, what an archive may hold, changing places and back."""

import errno
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_lanterna import environment, program, rows, set_up, state

from installer import Outside, Place, SetUpError, archive, release, update
from installer.unfinished import Unfinished

NOTE = {"platform": "linux-x64", "commit": "0a1b2c3", "releases": ""}
MIGRATES = "alter table scenes add column note text\ndelete from scenes where id > 100"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("installer.unfinished.sync", lambda: None)  # of the whole machine's disks


@pytest.fixture
def here(tmp_path: Path) -> Place:
    """A bundle of 0.1.0 that was unpacked and used."""
    root = tmp_path / "Lanterna" / "app"
    program(root, "0.1.0", **{"bundle.json": json.dumps(NOTE | {"version": "0.1.0"}), "studio__gone": "old"})
    return set_up(root)


def zipped(folder: Path, version: str = "0.2.0", platform: str = "linux-x64", **files: str) -> Path:
    """A release: Lanterna/app/… as scripts/bundle.py makes it, with its .sha256."""
    source = folder / f"source-{version}"
    note = json.dumps(NOTE | {"version": version, "platform": platform})
    program(source, version, **{
        "bundle.json": note, "requirements.txt": "torch==2.0\n", "studio__new": "new\n", "fresh__deep__y": "y",
        "outputs__.gitkeep": "", "migrates": MIGRATES, **files,
    })  # fmt: skip
    target = folder / f"Lanterna-{version}-{platform}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                made.write(path, f"Lanterna/app/{path.relative_to(source).as_posix()}")
        made.writestr("Lanterna/Lanterna.sh", "#!/bin/sh\n")
    signed(target)
    return target


def signed(target: Path) -> None:
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n")


def run(place: Place, *arguments: str, outside: Outside | None = None) -> int:
    return update.main([*map(str, arguments)], place, outside or Outside())


# ------------------------------------------------------------------------------------------------ it works
def test_a_release_takes_the_place_of_the_program_and_keeps_the_rest(here, tmp_path, capsys):
    (here.root / ".env").write_text("LANTERNA_PORT=7999\n")
    (here.root / "mine.txt").write_text("mine")
    file, before = zipped(tmp_path), state(here)
    assert run(here, "--from", str(file), "--yes") == 0
    after = state(here)
    assert here.version == "0.2.0" and (here.root / "fresh" / "deep" / "y").exists()
    assert not (here.root / "studio" / "gone").exists(), "what a folder of the program has no more is gone"
    assert (here.root / "mine.txt").read_text() == "mine" and (here.root / ".env").exists()
    assert after["user"] == before["user"] and after["installed"]["gpu"] == "cpu" and not after["update"]
    assert after["packages"] == "torch==2.0\n" and len(after["rows"][0][1]) == 100
    assert not (here.root / "outputs").exists() and file.exists()
    said = capsys.readouterr().out
    assert "Lanterna 0.1.0 (0a1b2c3) -> 0.2.0 (0a1b2c3)" in said and "- This is 0.2.0." in said


def test_files_that_run_still_run(here, tmp_path):
    file = zipped(tmp_path, **{"install.sh": "#!/bin/sh\n"})
    with zipfile.ZipFile(file) as made:
        infos = [(info, made.read(info)) for info in made.infolist()]
    with zipfile.ZipFile(file, "w") as made:
        for info, content in infos:
            if info.filename.endswith("install.sh"):
                info.external_attr = 0o100755 << 16
            made.writestr(info, content)
    signed(file)
    assert run(here, "--from", str(file), "--yes") == 0
    assert os.access(here.root / "install.sh", os.X_OK) or os.name == "nt"


# ------------------------------------------------------------------------------------------------ what may come in
Spoil = Callable[[zipfile.ZipFile], None]


def member(name: str, mode: int = 0o100644, content: bytes = b"x") -> Spoil:
    def add(made: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("plain")
        info.filename, info.external_attr, info.compress_type = name, mode << 16, zipfile.ZIP_DEFLATED
        made.writestr(info, content)

    return add


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (member("Lanterna/app/../../evil"), "leads out"), (member("../evil"), "leads out"),
        (member("/etc/evil"), "leads out"), (member("Lanterna\\..\\evil"), "leads out"),
        (member("C:/evil"), "leads out"), (member("Lanterna/app/link", 0o120777, b"/etc/passwd"), "no file"),
        (member("Lanterna/app/pipe", 0o010644), "no file"), (member("Lanterna/app/LAUNCH.py"), "twice"),
        (member("Lanterna/app/bomb", content=b"\0" * 20_000_000), "without measure"),
        (member("Other/x"), "no release"),
    ],
)  # fmt: skip
def test_an_archive_that_means_harm_is_refused(here, tmp_path, spoil, told):
    file, before = zipped(tmp_path), state(here)
    with zipfile.ZipFile(file, "a") as made:
        spoil(made)
    signed(file)
    with pytest.raises(SetUpError, match=told) as refused:
        run(here, "--from", str(file), "--yes")
    assert refused.value.cure and state(here) == before
    assert not (tmp_path / "evil").exists() and not (tmp_path / "Lanterna" / "evil").exists()


def test_an_archive_with_another_hash_is_refused(here, tmp_path):
    file, before = zipped(tmp_path), state(here)
    with zipfile.ZipFile(file, "a") as made:
        made.writestr("Lanterna/app/studio/added.py", "evil = 1")
    with pytest.raises(SetUpError, match="not what was published"):
        run(here, "--from", str(file), "--yes")
    assert state(here) == before


@pytest.mark.parametrize("spoil", ["cut", "text", "bits", "nothing"])
def test_an_archive_that_is_damaged_is_refused(here, tmp_path, spoil):
    file, before = zipped(tmp_path), state(here)
    file.with_name(file.name + ".sha256").unlink()
    content = file.read_bytes()
    middle = content.index(b"PK\3\4", 3000)
    spoilt = {"cut": content[:-400], "text": b"not a zip", "bits": content[: middle + 60] + b"\xff" * 9 +
              content[middle + 69 :], "nothing": b""}  # fmt: skip
    file.write_bytes(spoilt[spoil])
    if spoil == "nothing":
        file.unlink()
    with pytest.raises(SetUpError) as refused:
        run(here, "--from", str(file), "--yes")
    assert refused.value.cure and state(here) == before


def test_a_release_for_another_computer_or_of_another_kind_is_refused(here, tmp_path):
    before = state(here)
    with pytest.raises(SetUpError, match="is for windows-x64; here is linux-x64"):
        run(here, "--from", str(zipped(tmp_path, platform="windows-x64")), "--yes")
    plain = zipped(tmp_path, "0.3.0", **{"bundle.json": "{}"})
    with pytest.raises(SetUpError, match="This is plain source, and what is here is a bundle"):
        run(here, "--from", str(plain), "--yes")
    assert state(here) == before


@pytest.mark.parametrize("name", ["LANTERNA_DATA_DIR", "LANTERNA_OUTPUT_DIR", "LANTERNA_MEDIA_ROOTS", "HF_HOME"])
def test_the_users_folders_inside_the_program_stop_it(here, tmp_path, monkeypatch, name):
    (here.root / "studio" / "mine").mkdir()
    monkeypatch.setenv(name, str(here.root / "studio" / "mine"))
    with pytest.raises(SetUpError, match="lies inside the program"):
        run(here, "--from", str(zipped(tmp_path)), "--yes")
    assert (here.root / "studio" / "mine").is_dir() and here.version == "0.1.0"


# ------------------------------------------------------------------------------------------------ where it comes from
class Shop(http.server.BaseHTTPRequestHandler):
    """Serves what `pages` holds; a file whose name is in `short` breaks off."""

    pages: dict[str, bytes] = {}
    short: set[str] = set()
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.pages.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: 1000 if self.path in self.short else None])

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def shop(tmp_path: Path, here: Place) -> Iterator[str]:
    """Its address; bundle.json of `here` names it, and it has 0.2.0."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    (here.root / "bundle.json").write_text(json.dumps(NOTE | {"version": "0.1.0", "releases": address + "/latest"}))
    file = zipped(tmp_path)
    names = [f"Lanterna-0.2.0-{system}.zip" for system in ("linux-x64", "windows-x64")]
    assets = [{"name": name, "browser_download_url": f"{address}/{name}"} for name in names]
    Shop.pages = {
        "/latest": json.dumps({"tag_name": "v0.2.0", "assets": assets}).encode(), f"/{file.name}": file.read_bytes(),
        f"/{file.name}.sha256": file.with_name(file.name + ".sha256").read_bytes(),
    }  # fmt: skip
    Shop.short, Shop.asked = set(), []
    yield address
    server.shutdown()
    server.server_close()


def test_the_newest_release_is_found_and_fetched(here, shop, capsys):
    assert run(here, "--check") == 0
    assert "0.1.0 -> 0.2.0" in capsys.readouterr().out and Shop.asked == ["/latest"], "a look fetches no release"
    assert run(here, "--yes") == 0 and here.version == "0.2.0"
    asked = len(Shop.asked)
    bundle = here.root / "bundle.json"
    bundle.write_text(json.dumps(json.loads(bundle.read_text()) | {"releases": shop + "/latest"}))
    assert run(here, "--yes") == 0 and len(Shop.asked) == asked + 1
    assert "is the newest" in capsys.readouterr().out


def test_an_address_can_be_named(here, shop):
    assert run(here, "--from", f"{shop}/Lanterna-0.2.0-linux-x64.zip", "--yes") == 0 and here.version == "0.2.0"


ZIP = "/Lanterna-0.2.0-linux-x64.zip"


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ({"/latest": None}, "answers 404"), ({"/latest": b"<html>"}, "does not say what the newest"),
        ({"/latest": b'{"tag_name": "v9", "assets": []}'}, "has no file that ends with -linux-x64.zip"),
        ({ZIP: None}, "answers 404"), ({ZIP + ".sha256": None}, "answers 404"),
        ({ZIP + ".sha256": b"hello"}, "holds no SHA-256"), ({ZIP: b"another file"}, "not what was published"),
        ({ZIP: b"PK" * 4000}, "broke after"),
    ],
)  # fmt: skip
def test_a_shop_that_is_wrong_changes_nothing(here, shop, pages, told):
    before = state(here)
    Shop.short = {ZIP} if told == "broke after" else set()
    Shop.pages = {name: page for name, page in (Shop.pages | pages).items() if page is not None}
    with pytest.raises(SetUpError, match=told) as refused:
        run(here, "--yes")
    assert refused.value.cure and state(here) == before


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://example.org/Lanterna.zip", "only https"), ("file:///etc/passwd", "only https"),
        ("https://127.0.0.1:9/Lanterna.zip", "could not be reached"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_safe_or_not_there_changes_nothing(here, address, told):
    before = state(here)
    with pytest.raises(SetUpError, match=told) as refused:
        run(here, "--from", address, "--yes")
    assert refused.value.cure and state(here) == before


def test_without_an_address_it_asks_for_a_file(here):
    with pytest.raises(SetUpError, match="does not know where its releases are") as refused:
        run(here, "--yes")
    assert "--from FILE" in refused.value.cure


def test_versions_are_compared_as_numbers():
    assert release.numbers("0.10.0") > release.numbers("v0.9.12") and release.numbers("1.0") < release.numbers("1.0.1")


# ------------------------------------------------------------------------------------------------ it fails
@pytest.mark.parametrize("verb", ["packages", "migrate", "check", "check full"])
def test_a_release_that_does_not_work_is_undone(here, tmp_path, verb):
    before = state(here)
    with pytest.raises(SetUpError, match="disk is full" if "full" in verb else f"{verb} is broken") as failed:
        run(here, "--from", str(zipped(tmp_path, breaks=verb)), "--yes")
    assert "Everything is as it was: Lanterna 0.1.0 (0a1b2c3)." in str(failed.value) and state(here) == before


def test_a_migration_that_fails_is_undone(here, tmp_path):
    before = state(here)
    with pytest.raises(SetUpError, match="no such table: nowhere"):
        run(here, "--from", str(zipped(tmp_path, migrates="insert into nowhere values (1)")), "--yes")
    assert state(here) == before


def test_a_full_disk_while_unpacking_changes_nothing(here, tmp_path, monkeypatch):
    file, before = zipped(tmp_path), state(here)

    def full(*_: Any) -> None:
        (Unfinished(here).folder / "new").mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "unpack", full)
    with pytest.raises(SetUpError, match="disk is full"):
        run(here, "--from", str(file), "--yes")
    assert state(here) == before


class Killed(BaseException): ...


def dies_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The given rename, of all that are made from here on, does not happen any more."""
    count = 0

    def dies(*paths: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise Killed
        replace(*paths)

    replace = os.replace
    monkeypatch.setattr(os, "replace", dies)


def begun(place: Place, file: Path) -> Unfinished:
    """An update that is about to change the program."""
    with archive.opened(file) as opened:
        found = archive.contents(opened)
        one = Unfinished(place)
        archive.unpack(opened, found, one.folder / "new")
    names = release.names_in(one.folder / "new")
    fresh = [name for name in names if not (place.root / name).exists()]
    data = place.user / "data"
    one.facts.update(kind="archive", names=names, fresh=fresh, data=str(data), database=str(data / "studio.db"))
    one.prepare(place)
    one.begin("code")
    return one


def test_wherever_changing_places_is_cut_off_it_can_be_undone_also_when_that_is_cut_off(here, tmp_path):
    file, before, number = zipped(tmp_path), state(here), 0
    while True:
        number += 1
        one = begun(here, file)
        with pytest.MonkeyPatch.context() as patch:
            dies_at(patch, number)
            try:
                release.apply(here, Outside(), one)
                break
            except Killed:
                pass
        assert (here.root / "launch.py").exists(), "it can always be started"
        for again in range(1, 4):  # undoing is cut off too, three times at another place
            with pytest.MonkeyPatch.context() as patch:
                dies_at(patch, again)
                try:
                    update.undo(here, Outside(), Unfinished.found(here) or one)
                    break
                except Killed:
                    pass
        else:
            update.undo(here, Outside(), Unfinished.found(here) or one)
        assert state(here) == before, f"cut off at rename {number}"
    assert number > 12 and here.version == "0.2.0"
    update.undo(here, Outside(), one)
    assert state(here) == before


KILLED = """
import os, sys
sys.path[0] = sys.argv[1]
from pathlib import Path
from installer import Outside, Place, update
replace = os.replace
def dies(old, new):
    replace(old, new)
    if str(old).endswith(os.sep + "installer"):
        os._exit(9)
os.replace = dies
update.main(["--from", sys.argv[2], "--yes"], Place.at(Path(sys.argv[1])), Outside())
"""


def test_killed_while_there_is_no_installer_the_next_start_undoes_it(here, tmp_path):
    file, before = zipped(tmp_path), state(here)
    place = environment() | {"LANTERNA_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", KILLED, str(here.root), str(file)], env=place, capture_output=True)
    assert done.returncode == 9, done.stderr
    assert not (here.root / "installer").exists() and (here.root / "fresh").exists()
    said = subprocess.run(
        [sys.executable, "launch.py", "hello"], cwd=here.root, env=place, capture_output=True, text=True, timeout=60
    )
    assert "was cut off" in said.stdout and "studio 0.1.0 hello" in said.stdout, said
    assert state(here) == before and rows(here.user / "data" / "studio.db")
