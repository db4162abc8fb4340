"""pip's talk, condensed to one moving line (on a terminal) or one line per download (in a log). Knows no packages."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time


class Progress:
    """One line that says what pip is doing and since when."""

    def __init__(self, title: str) -> None:
        self.title, self.doing, self.packages = title, "", 0
        self.moving = sys.stdout.isatty()
        self.began = time.monotonic()
        self.over = threading.Event()
        self.lock = threading.Lock()  # over `doing` and the terminal line
        self.ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        if self.moving:
            self.ticker.start()  # a download of a gigabyte must not look dead
        else:
            print(f"  installing {self.title}", flush=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.over.set()
        if self.moving:
            self.ticker.join()
        end = "done" if kind is None else "stopped"
        self._write(f"  {self.title}: {end} in {time.monotonic() - self.began:.0f} s", last=True)

    def heard(self, line: str) -> bool:
        """True if the line is only progress and worth no memory."""
        if found := re.match(r"Progress (\d+) of (\d+)", line):
            done, total = int(found[1]), int(found[2])
            with self.lock:
                self.doing = re.sub(r" · .*", "", self.doing) + (f" · {done / total:.0%}" if total else "")
            return True
        if found := re.match(r"Collecting ([\w.\-]+)", line):
            self.packages += 1
            self._say(f"looking for {found[1]}", aloud=False)
        elif found := re.match(r"(?:Downloading|Using cached) (\S+)(?: \(([\d.]+) (\w+)\))?", line):
            name = found[1].rpartition("/")[2].split("-")[0]
            size = f" ({found[2]} {found[3]})" if found[2] else ""
            self._say(f"fetching {name}{size}", aloud=found[3] in ("MB", "GB"))
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self._say(f"unpacking {len(found[1].split(', '))} packages", aloud=True)
        else:
            return line.startswith(("Requirement already satisfied", "Looking in ", "WARNING: Location"))
        return False

    def _say(self, doing: str, aloud: bool) -> None:
        with self.lock:
            self.doing = doing
        if aloud and not self.moving:
            print("    " + doing, flush=True)

    def _tick(self) -> None:
        while not self.over.wait(0.5):
            count = f" · {self.packages} packages" if self.packages else ""
            doing = f"{self.doing}{count} · " if self.doing or count else ""
            self._write(f"  {self.title}: {doing}{time.monotonic() - self.began:.0f} s")

    def _write(self, text: str, last: bool = False) -> None:
        with self.lock:
            if self.moving:
                width = shutil.get_terminal_size().columns - 1
                sys.stdout.write("\r" + text[:width].ljust(width) + ("\n" if last else ""))
                sys.stdout.flush()
            elif last:
                print(text, flush=True)
