"""Which words of a line were not heard when somebody listened to it. Knows two texts, no sound and no model.

A model that listens spells otherwise, writes numbers as digits and one Chinese character for another that sounds
alike: what was heard in a word's place, and is about as long or alike, counts as heard.
"""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from studio.pipelines.speech.language import is_han

TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
DIRECTION = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|（[^（）]*）|【[^【】]*】")  # heard by nobody
ALIKE = 0.5  # of the letters of what was said in what was heard in its place
HAN_ALIKE = 0.6  # of its length: characters that sound alike are written otherwise
LITTLE = 2  # letters of a word that a listener may well drop: a, o, of


def missing_words(said: str, heard: str) -> list[str]:
    """In order, as they stand in `said`; characters that follow each other stand together."""
    spoken, found = _tokens(DIRECTION.sub(" ", said)), [plain for _, plain in _tokens(heard)]
    lost: list[tuple[int, str]] = []
    matcher = SequenceMatcher(None, [plain for _, plain in spoken], found, autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind in ("delete", "replace"):
            lost += _lost(spoken[first:last], found[begin:end], first)
    return _together(lost)


def _tokens(text: str) -> list[tuple[str, str]]:
    """(as it is written, plain): words, and Chinese characters one by one."""
    tokens: list[tuple[str, str]] = []
    for word in TOKEN.findall(unicodedata.normalize("NFC", text)):
        pieces = re.findall(r"[\u3400-\u9fff\uf900-\ufaff]|[^\u3400-\u9fff\uf900-\ufaff]+", word)
        tokens += [(piece, _plain(piece)) for piece in pieces]
    return tokens


def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter)[0] in "LN")


def _lost(spoken: Sequence[tuple[str, str]], found: Sequence[str], first: int) -> list[tuple[int, str]]:
    """Of words that were said where others were heard, or none."""
    wanted, got = "".join(plain for _, plain in spoken), "".join(found)
    numbers = any(letter.isdigit() for letter in wanted) or any(letter.isdigit() for letter in got)
    if got and (numbers or (is_han(wanted[:1]) and len(got) >= HAN_ALIKE * len(wanted)) or _alike(wanted, got)):
        return []
    lost = []
    for number, (word, plain) in enumerate(spoken):
        little = len(plain) <= LITTLE and not is_han(plain[:1]) and len(spoken) == 1
        if not little and not any(_alike(plain, other) for other in found):
            lost.append((first + number, word))
    return lost


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


def _together(lost: Sequence[tuple[int, str]]) -> list[str]:
    runs: list[str] = []
    before = -2
    for number, word in lost:
        if number == before + 1 and is_han(word[:1]) and is_han(runs[-1][-1:]):
            runs[-1] += word
        else:
            runs.append(word)
        before = number
    return runs
