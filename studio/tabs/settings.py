"""The Settings tab: models, memory, engines, paths, keys, language, about. One host; assets/js/settings.js draws it
from REST."""

from studio.service import Studio
from studio.tabs.kit.host import host

TITLE = "nav.settings"
ICON = "settings-2"


def build(studio: Studio) -> None:
    host("settings", elem_id="settings")
