"""Lines as text on the film's clock: cues, VTT, and the packets of an MP4's own subtitles. Knows no sound."""

import re
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COLUMNS = 42  # per line, two lines per cue: what broadcasters found readable; a Chinese character takes two columns
BREATH = 10  # columns
CHARACTERS = 16  # of Chinese in a phrase
PHRASE_SECONDS, PAUSE_SECONDS = 6.0, 0.8  # the longest phrase, and the silence that ends one
_STOPS = (".", "!", "?", "…", "。", "！", "？")
_WIDE = re.compile(r"[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’»)]*\s+|[。！？]+[”’」』）]*|$)", re.DOTALL)
_TOKEN = re.compile(  # a word with its spaces, or one wide character with the punctuation that may not begin a line
    r"[\u2e80-\u9fff\uac00-\ud7af][，。！？、；：”’）」』…—]*|[^\s\u2e80-\u9fff\uac00-\ud7af]{1,40}\s*|\s+|."
)


@dataclass(frozen=True, slots=True)
class Cue:
    start: float  # seconds
    end: float
    text: str  # one or two lines
    character: str = ""


def cues_of(text: str, start: float, duration: float, character: str = "", wide: int = COLUMNS) -> list[Cue]:
    """A spoken line as cues of at most two lines of `wide` columns, each shown for its share of the time."""
    chunks = list(_chunks(" ".join(text.split()), wide))
    total = sum(columns(chunk) for chunk in chunks)
    cues, at = [], start
    for chunk in chunks:
        end = at + duration * columns(chunk) / total
        cues.append(Cue(round(at, 3), round(end, 3), two_lines(chunk, wide), character))
        at = end
    return cues


def phrases(words: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """(start, end, text) of words that were heard one by one, together as they are read: one line of COLUMNS, or of
    CHARACTERS where a word is Chinese, no longer than PHRASE_SECONDS, ended by a full stop or a pause."""
    found: list[tuple[float, float, str]] = []
    for start, end, word in words:
        if found:
            begun, last, text = found[-1]
            joined = text + ("" if _WIDE.match(word) and _WIDE.search(text[-1:]) else " ") + word
            wide = 2 * CHARACTERS if _WIDE.search(joined) else COLUMNS
            full = columns(joined) > wide or end - begun > PHRASE_SECONDS
            if not (full or start - last > PAUSE_SECONDS or text.endswith(_STOPS)):
                found[-1] = (begun, end, joined)
                continue
        found.append((start, end, word))
    return found


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _chunks(text: str, wide: int) -> Iterator[str]:
    """Sentences together while they fit in two lines; a longer sentence is broken between words."""
    held = ""
    for sentence in _SENTENCE.findall(text):
        pieces = [sentence] if columns(sentence.strip()) <= 2 * wide else _broken(sentence, 2 * wide - 6)
        for piece in pieces:  # a little less than two lines: words do not fill them exactly
            if held and columns((held + piece).strip()) > 2 * wide - 6:
                yield held.strip()
                held = ""
            held += piece
    if held.strip():
        yield held.strip()


def _broken(text: str, width: int) -> list[str]:
    pieces = [""]
    for token in _TOKEN.findall(text):
        if pieces[-1] and columns((pieces[-1] + token).rstrip()) > width:
            pieces.append("")
        pieces[-1] += token
    return pieces


def two_lines(text: str, wide: int = COLUMNS) -> str:
    """Broken near the middle if it is wider than one line, after a comma or a full stop where one is near."""
    if columns(text) <= wide:
        return text
    tokens = _TOKEN.findall(text)
    splits = [("".join(tokens[:n]).strip(), "".join(tokens[n:]).strip()) for n in range(1, len(tokens))]
    fitting = [(above, below) for above, below in splits if max(columns(above), columns(below)) <= wide]
    if not fitting:
        return "\n".join(piece.strip() for piece in _broken(text, max(wide, columns(text) // 2 + 3)))
    return "\n".join(min(fitting, key=lambda split: _unevenness(*split)))


def _unevenness(above: str, below: str) -> int:
    """In columns; a break where one takes a breath anyway is worth some."""
    return abs(columns(above) - columns(below)) - (BREATH if above[-1:] in ",.;:!?…，。；：！？、" else 0)


def clock(seconds: float) -> str:
    """00:01:02.345"""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def vtt(cues: Sequence[Cue]) -> str:
    """WebVTT with the speaker in a voice tag; markup in the text is text."""
    rows = ["WEBVTT", ""]
    for cue in cues:
        voice = f"<v {_escaped(cue.character)}>" if cue.character else ""
        rows += [f"{clock(cue.start)} --> {clock(cue.end)}", voice + _escaped(cue.text), ""]
    return "\n".join(rows)


def srt(cues: Sequence[Cue]) -> str:
    """SubRip: what editors and video sites read. It knows no speakers."""
    rows = []
    for number, cue in enumerate(cues, start=1):
        times = f"{clock(cue.start)} --> {clock(cue.end)}".replace(".", ",")
        rows += [str(number), times, cue.text, ""]
    return "\n".join(rows)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mov_text(cue: Cue) -> bytes:
    """A 3GPP timed-text sample: its length, then UTF-8. FFmpeg's encoder would read braces as ASS commands."""
    text = cue.text.encode()
    return struct.pack(">H", len(text)) + text


MOV_TEXT_STYLE = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
