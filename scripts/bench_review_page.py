"""How soon the review page can be used on a slow line: first paint, controls that answer, first frame of the film.

    python scripts/bench_review_page.py http://127.0.0.1:7860/review/01M7…

Chromium's own throttling makes the line; each visit begins with an empty cache. Medians of `--visits`.
"""

import argparse
import shutil
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

LINES = {  # bytes per second down and up, seconds of delay there and back
    "3G, poor": (50_000, 20_000, 0.400),
    "3G": (200_000, 93_750, 0.150),
    "4G, busy": (562_500, 187_500, 0.085),
    "DSL": (1_250_000, 250_000, 0.030),
}
LONGEST_MS = 180_000  # of a film on the poorest line
READY = """() => new Promise((done) => {
  const paint = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  const look = () => (paint() ? done(paint()) : setTimeout(look, 5));
  look();
})"""
WATCH = """
addEventListener("DOMContentLoaded", () => (window.readyAt = performance.now()));
addEventListener("DOMContentLoaded", () => {
  const video = document.querySelector("video");
  const shown = () => (window.shownAt ??= performance.now());
  if (video.readyState >= 2) shown(); else video.addEventListener("loadeddata", shown);
});
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="of a review page that this computer may open")
    parser.add_argument("--visits", type=int, default=5)
    wish = parser.parse_args()
    print(f"{'line':<10} {'document':>9} {'first paint':>12} {'controls':>9} {'first frame':>12}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        for line, speed in LINES.items():
            seen = [visit(browser, wish.url, speed) for _ in range(wish.visits)]
            size, paint, controls, frame = (median(values) for values in zip(*seen, strict=True))
            print(f"{line:<10} {size / 1024:>6.1f} KB {paint:>9.0f} ms {controls:>6.0f} ms {frame:>9.0f} ms")
        browser.close()


def visit(browser: Any, url: str, speed: tuple[int, int, float]) -> tuple[float, float, float, float]:
    """(bytes of the document, then milliseconds since the address was entered)."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    down, up, delay = speed
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": delay * 1000, "downloadThroughput": down, "uploadThroughput": up},
    )
    answer = page.goto(url, wait_until="domcontentloaded")
    size = answer.request.sizes()["responseBodySize"]
    page.wait_for_function("() => window.shownAt", timeout=LONGEST_MS)
    paint = page.evaluate(READY)
    controls, frame = page.evaluate("() => [window.readyAt, window.shownAt]")
    context.close()
    return size, paint, controls, frame


if __name__ == "__main__":
    main()
