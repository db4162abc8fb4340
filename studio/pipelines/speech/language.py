"""Which language a line is written in, and a text made fit to be spoken. Knows no voice and no sound."""

import re
import unicodedata
from typing import Literal

Language = Literal["en", "pt", "zh"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# words that one of the two languages uses all the time and the other does not have
PORTUGUESE_WORDS = _words(
    "o os um uma uns umas de da das dos em na nas nos ao aos pelo pela que quem onde quando como porque pois "
    "e ou mas mais muito muita bem aqui ali lá já não sim nunca sempre ainda também só se eu tu ele ela nós eles "
    "elas você vocês meu minha seu sua nosso nossa este esta isso isto esse essa aquele aquela com sem para pra "
    "por até foi era é está estou são ser ter tem tinha vai vamos vou quero pode posso fazer obrigado obrigada "
    "olá oi bom boa dia noite tarde mãe pai avó avô luz mar casa tudo nada agora depois antes vem venha vamos comigo "
    "contigo olha escuta espera fica sei sabe disse chama corre menino menina homem mulher filho filha amigo"
)
ENGLISH_WORDS = _words(
    "the a an of in on at to from by with without for and or but not no yes is are was were be been am have has had "
    "do does did will would can could should i you he she it we they me him her us them my your his its our their "
    "this that these those what who where when why how there here if then than so very just never always still "
    "hello please thank thanks good night morning light sea house all nothing now after before"
)
PORTUGUESE_LETTERS = re.compile(r"[ãõçáéíóúâêôàü]", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+")

NOT_SPOKEN = str.maketrans({mark: " " for mark in '<>{}[]|\\^~`*_#"“”„«»「」『』《》/='})
SPOKEN_AS = (("’", "'"), ("‘", "'"), ("…", "..."), ("—", ", "), ("–", ", "))


def is_han(letter: str) -> bool:
    """A Chinese character."""
    return "\u3400" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff" or "\U00020000" <= letter <= "\U0003ffff"


def detect_language(text: str, usual: Language = "en") -> Language:
    """The language of a line, by its letters and its small words; the usual one where nothing tells."""
    han = sum(is_han(letter) for letter in text)
    words = [word.lower() for word in WORD.findall(text)]
    if 3 * han >= sum(len(word) for word in words if not is_han(word[0])) and han:  # one character is one syllable
        return "zh"
    english = sum(word in ENGLISH_WORDS for word in words)
    portuguese: float = sum(word in PORTUGUESE_WORDS for word in words)
    portuguese += 0.8 * sum(bool(PORTUGUESE_LETTERS.search(word)) for word in words)
    if portuguese == english:
        return usual
    return "pt" if portuguese > english else "en"


def speakable(text: str) -> str:
    """What a voice can say of a text: no emoji, no mark-up, no rows of punctuation. Empty when nothing is left."""
    for mark, words in SPOKEN_AS:
        text = text.replace(mark, words)
    kept = []
    for letter in unicodedata.normalize("NFC", text).translate(NOT_SPOKEN):
        category = unicodedata.category(letter)
        if category == "Cf" or "\ufe00" <= letter <= "\ufe0f":
            continue  # joiners inside emoji: nothing at all, not even a space
        spoken = category[0] in "LNPZ" or category in ("Mn", "Mc", "Sc", "Sm")
        kept.append(letter if spoken else " ")
    plain = re.sub(r"\s+", " ", "".join(kept)).strip()
    plain = re.sub(r"([!?,;:，。！？、；：])(?:\s*[!?.,;:，。！？、；：])+", r"\1", plain)
    plain = re.sub(r"^[,;:，、；：]+\s*", "", plain)  # the dash before somebody's words
    return plain if any(unicodedata.category(letter)[0] in "LN" for letter in plain) else ""
