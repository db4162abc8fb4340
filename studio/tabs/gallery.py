"""The Gallery tab: every take that was made. One host; assets/js/gallery.js draws the grid from REST."""

from studio.service import Studio
from studio.tabs.kit.host import host

TITLE = "nav.gallery"
ICON = "layout-grid"


def build(studio: Studio) -> None:
    host("gallery", elem_id="gallery")
