"""The Avatar tab: a portrait, what it says, who renders it. One host; assets/js/avatar.js draws it from REST."""

from studio.service import Studio
from studio.tabs.kit.host import host

TITLE = "nav.avatar"
ICON = "scan-face"


def build(studio: Studio) -> None:
    host("avatar", elem_id="avatar")
