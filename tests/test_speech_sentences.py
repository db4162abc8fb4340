"""Sentences of a line in three languages, what is not spoken of it, its pauses, words that are said otherwise."""

import pytest

from studio.domain import Line
from studio.errors import Refused
from studio.pipelines.draft import speech
from studio.pipelines.speech.sentences import (
    BETWEEN,
    LONGEST,
    MOST_PAUSE,
    language_of,
    passages_of,
    pronounced,
    sentences_of,
    spoken_text,
)
from studio.service.spoken import fitted


def texts(text: str, **more: object) -> list[str]:
    return [sentence.text for sentence in sentences_of(Line(text=text, **more))]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "Dr. Silva paid 3.5 million to Mr. J. R. Costa of St. John's. He left at 5 p.m. and smiled. No. I won't!",
            ["Dr. Silva paid 3.5 million to Mr. J. R. Costa of St. John's.", "He left at 5 p.m. and smiled.", "No.",
             "I won't!"],
        ),
        (
            "“Run!” she cried. Well… maybe not. Wait... What?",
            ["Run! she cried.", "Well... maybe not.", "Wait...", "What?"],
        ),
        ("See No. 5. The U.S. Navy came.", ["See No. 5.", "The U.S. Navy came."]),
        ("It cost $3.50, or 1,000 in all! Really?!", ["It cost $3.50, or 1,000 in all!", "Really?"]),
        (
            "O Sr. João mora na Av. Brasil, nº. 10. A Dra. Ana disse: “Não!” e saiu. Custa R$ 3,50… ou mais.",
            ["O Sr. João mora na Av. Brasil, nº. 10.", "A Dra. Ana disse: Não! e saiu.", "Custa R$ 3,50... ou mais."],
        ),
        ("— Vem cá! — disse ela.\n— Já vou.", ["Vem cá!", "disse ela.", "Já vou."]),
        (
            "“你去哪儿？”他问。我……我不知道。价格是3.5元！好",
            ["你去哪儿？ 他问。", "我......我不知道。", "价格是3.5元！", "好"],
        ),
        ("One line\nand another\n\nand a third", ["One line", "and another", "and a third"]),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end(text, sentences):
    assert texts(text) == sentences


@pytest.mark.parametrize(
    ("text", "sentences", "directions"),
    [
        ("[whispering (softly)] Come here. Now.", ["Come here.", "Now."], ["whispering (softly)", ""]),
        ("(Wait. What?) Hello. There (laughs) you are.", ["Hello.", "There you are."], ["Wait. What?", "laughs"]),
        ("（小声）快走。【大喊】站住！", ["快走。", "站住！"], ["小声", "大喊"]),
        ("Now (a (b) c) go", ["Now go"], ["b"]),
        ("[sigh]", [], []),
        ("(a) 😀 [b] …", [], []),
    ],
)
def test_directions_are_told_and_never_spoken(text, sentences, directions):
    found = sentences_of(Line(text=text))
    assert [sentence.text for sentence in found] == sentences
    assert [sentence.direction for sentence in found] == directions


def test_nothing_to_say_is_the_same_to_everybody_who_asks():
    for text, silent in {
        "[sigh]": True, "(laughs) 😀": True, "[pause 3]": True, "【叹气】": True, "(sighs) Oh": False, "3": False
    }.items():  # fmt: skip
        line = Line(text=text)
        assert (not sentences_of(line), not passages_of(line), not spoken_text(text), not fitted(text, "en")) == (
            silent,
        ) * 4
        if silent:
            with pytest.raises(Refused, match="nothing_to_say"):
                speech.speak(line, {}, seed=0)


def test_the_language_is_that_of_what_is_spoken():
    assert language_of(Line(text="[sussurrando bem baixinho] Come here now")) == "en"
    assert language_of(Line(text="（她小声地说）Vem comigo")) == "pt"
    assert language_of(Line(text="Come here", language="pt")) == "pt"


def test_pauses_are_as_long_as_they_say():
    found = sentences_of(Line(text="[pause 2] One. Two [pause 0.8] three. [pausa: 1,5s][pause] Four!【停顿 3秒】"))
    assert [(sentence.text, sentence.pause) for sentence in found] == [
        ("One.", BETWEEN), ("Two", 0.8), ("three.", pytest.approx(2.1)), ("Four!", 0.0)
    ]  # fmt: skip
    assert sentences_of(Line(text="One [pause 99] two"))[0].pause == MOST_PAUSE
    assert passages_of(Line(text="One. Two [pause 1] (nods) [pause 1] three")) == [("One. Two", 2.0), ("three", 0.0)]


def test_a_long_sentence_is_cut_at_its_commas_and_no_word_is_lost():
    text = ", ".join(["the lamp that burns on the old tower costs 1,000 a year"] * 20) + "."
    pieces = texts(text)
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert " ".join(pieces) == text
    assert all(piece.endswith((",", ".")) for piece in pieces)
    assert [len(piece) for piece in texts("灯" * 200)] == [80, 80, 40]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Inês foi. INÊS voltou, Inêsita não.", "ee-nesh foi. ee-nesh voltou, Inêsita não."),
        ("Ine\u0302s", "ee-nesh"),  # the accent beside its letter
        ("在Tokyo的人", "在东京的人"),
        ("我在北京。", "我在bei jing。"),
        ("AI and ai, not rain. I.", "A I and A I, not rain. eye."),
        ("C++ is C", "see plus \\1 is C"),
        ("New York is new.", "Nova Iorque is novo."),
    ],
)
def test_words_are_said_as_the_project_says_them(text, spoken):
    said = [("I", "eye"), ("Inês", "ee-nesh"), ("Tokyo", "东京"), ("北京", "bei jing"), ("AI", "A I"),
            ("C++", "see plus \\1"), ("New", "novo"), ("New York", "Nova Iorque")]  # fmt: skip
    assert pronounced(text, said) == spoken
    assert pronounced(text, []) == text


def test_the_draft_voice_says_words_as_it_is_told_and_keeps_pauses():
    plain, rate, _ = speech.speak(Line(text="The lamp is lit."), {}, seed=1)
    told, _, facts = speech.speak(Line(text="(softly) The lamp is lit."), {}, seed=1, said=[("lit", "burning tonight")])
    assert [word for _, _, word in facts["words"]] == ["The", "lamp", "is", "burning", "tonight"]
    assert len(told) > 1.15 * len(plain)
    paused, _, facts = speech.speak(Line(text="The lamp [pause 2] is lit."), {}, seed=1)
    (_, lamp, _), (then, _, _) = facts["words"][1:3]
    assert 1.9 < then - lamp < 2.4
    assert len(paused) / rate == pytest.approx(len(plain) / rate + 2, abs=0.5)
    assert [at for at, _ in facts["visemes"]] == sorted(at for at, _ in facts["visemes"])
    assert fitted("The lamp [pause 2] is lit.", "en") == pytest.approx(fitted("The lamp is lit.", "en") + 2, abs=0.1)
