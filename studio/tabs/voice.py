"""The Voice tab: voices made, heard, compared, given to characters. One host; assets/js/voice.js draws it from REST."""

from studio.service import Studio
from studio.tabs.kit.host import host

TITLE = "nav.voice"
ICON = "audio-lines"


def build(studio: Studio) -> None:
    host("voice", elem_id="voice")
