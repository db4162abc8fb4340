"""Who a label or the name of a file speaks of, as producers write them. Knows no scene and no picture."""

import re
import unicodedata

from studio.story.translation import speaker_in

# what portraits are called besides their name
_CALLED = """
portrait portraits retrato retratos ref refs reference referencia referência face faces rosto head img image images
imagem imagens picture pic foto photo photograph avatar avatars char character characters personagem personagens
figurante figurantes final new novo nova copy copia cópia close closeup frame start end grid still shot generated ia ai
upscaled small large hd full front frontal o a os as the de da do e com x 头像 肖像 人物 角色 图片 照片
"""
_PLAIN = frozenset(_CALLED.split())
_NUMBERED = re.compile(r"(?:[a-z]{0,2}|ep|cena|scene|shot|take|fig|img)\d+[a-z]?|[0-9a-f]{8,}", re.IGNORECASE)
_BEFORE_DASH = re.compile(r"^(?P<name>[^\W\d_][^|·—–:\d]{0,39}?)\s*(?:[—–:]|\s-\s)")
_LETTERS = re.compile(r"[^\W\d_]")
MOST_NUMBERS = 3  # "Imagem 25 de fev. de 2026, 00_51_49" is nobody
MOST_WORDS = 3


def named_in_label(label: str) -> str:
    """`C01 · Valen — 'Foi mal.'`, `Maya — close-up`, `c03_maya_02`: Valen, Maya, Maya. Empty: nobody."""
    if name := speaker_in(label):
        return name
    if (found := _BEFORE_DASH.search(label)) and len(found["name"].split()) <= MOST_WORDS:
        return "" if found["name"].lower() in _PLAIN else found["name"].strip()
    return _of_words(label) if re.fullmatch(r"[\w\-. ]+", label) and re.search(r"[_\d]", label) else ""


def named_in_file(name: str) -> str:
    """`Inês, retrato.png`, `maya_portrait_v2.jpg`, `小林.png`: Inês, Maya, 小林. Empty: nobody."""
    leaf = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    stem = leaf.rpartition(".")[0] or leaf
    return _of_words(re.sub(r"\([^)]*\)", " ", stem))


def _of_words(text: str) -> str:
    tokens = [token for token in re.split(r"[\s_,.;\-]+", text) if token]
    if sum(token.isdigit() for token in tokens) >= MOST_NUMBERS:
        return ""
    words = [token for token in tokens if _LETTERS.search(token) and not _NUMBERED.fullmatch(token)]
    words = [word for word in words if word.lower() not in _PLAIN]
    if not words or len(words) > MOST_WORDS:
        return ""
    return " ".join(word.capitalize() if word.islower() else word for word in words)
