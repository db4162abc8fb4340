"""Draw the icons of the program, assets/app/, from assets/logo.svg: for the installed page, the desktop, the Dock.

`python scripts/draw_app_icons.py [FOLDER]`. Chromium renders the lamp at each size, Pillow packs those of Windows and
Apple.
"""

import io
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
LOGO = ROOT / "assets" / "logo.svg"
TARGET = ROOT / "assets" / "app"
FLAGS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
# what a kind of icon needs: how much of its width the plate has, how round the plate is, how wide the lamp stands on it
TILE = (1.0, 0.225, 0.74)
SMALL = (1.0, 0.20, 0.92)  # where every pixel counts
FULL = (1.0, 0.0, 0.72)  # the system cuts the corners itself
MASKABLE = (1.0, 0.0, 0.60)  # and may cut away all but the middle four fifths
DOCK = (824 / 1024, 0.225, 0.74)  # Apple's grid leaves air for the shadow
PICTURES = {
    "lanterna-192.png": (192, TILE),
    "lanterna-256.png": (256, TILE),
    "lanterna-512.png": (512, TILE),
    "lanterna-maskable-512.png": (512, MASKABLE),
    "apple-touch-icon.png": (180, FULL),
}
WINDOWS_SIZES = (16, 20, 24, 32, 40, 48, 64, 128, 256)
APPLE_SIZES = (16, 32, 64, 128, 256, 512, 1024)
SMALL_UP_TO = 32  # pixels

Kind = tuple[float, float, float]


def drawing(kind: Kind) -> str:
    """The icon as SVG, 100 units wide."""
    plate, round_, lamp = kind
    logo = re.sub(r"^<svg[^>]*>|</svg>\s*$", "", LOGO.read_text(encoding="utf-8").strip())
    side, air = 100 * plate, 50 * (1 - plate)
    scale = side * lamp / 24
    across, down = 50 - 12 * scale, 50 - 12.35 * scale  # the logo is drawn a little low in its box
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><defs>'
        '<linearGradient id="plate" x2="0" y2="1"><stop stop-color="#1d2128"/><stop offset="1" stop-color="#0a0b0e"/>'
        '</linearGradient><radialGradient id="glow"><stop stop-color="#e8a855" stop-opacity=".34"/>'
        '<stop offset="1" stop-color="#e8a855" stop-opacity="0"/></radialGradient></defs>'
        f'<rect x="{air}" y="{air}" width="{side}" height="{side}" rx="{side * round_}" fill="url(#plate)"/>'
        f'<g transform="translate({across} {down}) scale({scale})"><circle cx="12" cy="5.6" r="6.4" fill="url(#glow)"/>'
        f"{logo}</g></svg>"
    )


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page()

        def picture(size: int, kind: Kind) -> Image.Image:
            page.set_viewport_size({"width": size, "height": size})
            page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{drawing(kind)}")
            return Image.open(io.BytesIO(page.screenshot(omit_background=True))).convert("RGBA")

        for name, (size, kind) in PICTURES.items():
            shown = picture(size, kind)
            (shown if kind is TILE else shown.convert("RGB")).save(folder / name, optimize=True)
        pack(folder / "lanterna.ico", WINDOWS_SIZES, lambda size: picture(size, SMALL if size <= SMALL_UP_TO else TILE))
        pack(folder / "lanterna.icns", APPLE_SIZES, lambda size: picture(size, SMALL if size <= SMALL_UP_TO else DOCK))
        browser.close()


def pack(file: Path, sizes: tuple[int, ...], picture: Callable[[int], Image.Image]) -> None:
    """Every size drawn for itself: a large one made small is a smudge."""
    *smaller, largest = map(picture, sizes)
    largest.save(file, sizes=[(size, size) for size in sizes], append_images=smaller)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
