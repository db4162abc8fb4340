"""The draft voice: languages, what can be said at all, times that fit the sound, one loudness, one child process."""

import re
import subprocess
import time

import numpy as np
import pyloudnorm
import pytest

from studio.domain import Line
from studio.errors import EngineError, Refused
from studio.media import spoken
from studio.pipelines.draft import espeak, speech
from studio.pipelines.speech.language import detect_language, speakable

SENTENCES = {
    "en": "The lamp has been dark for eleven years, and tonight it burns.",
    "pt": "A lâmpada ficou apagada por onze anos, e hoje ela queima.",
    "zh": "灯塔熄灭了十一年，今天晚上它又亮了。",
}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((text, language) for language, text in SENTENCES.items()),
        ("Vem comigo", "pt"),
        ("Olá!", "pt"),
        ("O mar chama", "pt"),
        ("A café on the corner is open", "en"),
        ("Run!", "en"),
        ("她说 hello 然后走了", "zh"),
        ("The sign says 海", "en"),
        ("?!", "en"),
    ],
)
def test_language_is_read_from_the_text(text, language):
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Run 🏃‍♀️ now!!!", "Run now!"),
        ("“Quoted” — and «cited»", "Quoted , and cited"),
        ("<img onerror=x> ${HOME}", "img onerror x $ HOME"),
        ("don’t", "don't"),
        ("？！。…", ""),
        ("👩‍👩‍👧 😀", ""),
    ],
)
def test_only_what_can_be_said_is_left(text, spoken):
    assert speakable(text) == spoken


@pytest.mark.parametrize("language", SENTENCES)
def test_words_and_phonemes_lie_inside_the_sound(language):
    samples, rate, facts = speech.speak(Line(text=SENTENCES[language]), {}, seed=1)
    seconds = len(samples) / rate
    assert facts["language"] == language
    assert samples.dtype == np.float32
    assert 2.0 < seconds < 8.0
    starts = [start for start, _, _ in facts["words"]]
    assert starts == sorted(starts)
    assert len(facts["words"]) >= 8
    assert all(0 <= start <= end <= seconds for start, end, _ in facts["words"])
    bare = re.sub(r"[ ,.，。]", "", SENTENCES[language])
    assert "".join(text for _, _, text in facts["words"]) == bare
    moments = [at for at, _ in facts["visemes"]]
    assert moments == sorted(moments)
    assert moments[-1] <= seconds


@pytest.mark.parametrize("text", ["Yes.", SENTENCES["en"]])
@pytest.mark.parametrize("voice", speech.VOICES)
def test_every_line_is_as_loud_as_the_others(voice, text):
    samples, rate, _ = speech.speak(Line(text=text, language="en"), speech.VOICES[voice], seed=2)
    assert np.abs(samples).max() <= 0.9
    loudness = pyloudnorm.Meter(rate).integrated_loudness(np.tile(samples, 4).astype(float))
    assert loudness == pytest.approx(spoken.LOUDNESS, abs=1.0)


@pytest.mark.parametrize("variant", ["f2", "f5"])
def test_a_breath_sounds_the_same_at_any_time_of_day(variant):
    """eSpeak seeds the noise of these voices with the second it is asked in."""

    def said():
        utterance = espeak.synthesise(
            SENTENCES["en"], "en", variant=variant, pitch=50, pitch_range=50, words_per_minute=170
        )  # fmt: skip
        return utterance.samples.tobytes()

    first, second = said(), int(time.time())
    while int(time.time()) == second:
        assert said() == first
    assert said() == first


def test_the_same_seed_reads_the_same_and_another_does_not():
    line = Line(text=SENTENCES["en"])
    first, _, _ = speech.speak(line, {}, seed=7)
    again, _, _ = speech.speak(line, {}, seed=7)
    other, _, _ = speech.speak(line, {}, seed=8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_number_is_one_word():
    _, _, facts = speech.speak(Line(text="Room 1234 is locked"), {}, seed=0)
    assert [text for _, _, text in facts["words"]] == ["Room", "1234", "is", "locked"]


def test_direction_changes_the_reading():
    plain, rate, _ = speech.speak(Line(text=SENTENCES["en"]), {}, seed=0)
    slow, _, _ = speech.speak(Line(text=SENTENCES["en"], direction="very slowly"), {}, seed=0)
    assert len(slow) > 1.1 * len(plain)


@pytest.mark.parametrize("text", ["?!…", "😀", "—", "\u200b"])
def test_nothing_to_say_is_refused(text):
    with pytest.raises(Refused) as refused:
        speech.speak(Line.model_construct(text=text, direction="", language=None), {}, seed=0)
    assert refused.value.code == "speech.nothing_to_say"


def test_two_thousand_letters_are_spoken():
    samples, rate, facts = speech.speak(Line(text="lamp " * 400), {}, seed=0)
    assert len(samples) / rate > 100
    assert len(facts["words"]) == 400


def test_a_voice_is_found_by_name_and_a_character_keeps_its_own():
    assert speech.voice_settings("man-2", "Inês") == dict(speech.VOICES["man-2"])
    assert speech.voice_settings("", "Inês") == speech.default_voice("Inês")
    assert speech.voice_settings("of another engine", "Inês") == speech.default_voice("Inês")
    women = [speech.VOICES[name] for name in speech.WOMEN]
    assert speech.default_voice("Inês") in women
    assert speech.default_voice("妈妈") in women
    assert speech.default_voice("the boy") == dict(speech.VOICES["child-1"])
    assert speech.default_voice("Tomás") in [speech.VOICES[name] for name in speech.MEN]


def test_a_crash_or_a_missing_voice_is_an_error_with_its_reason(tmp_path, monkeypatch):
    with pytest.raises(EngineError) as failed:
        speech.speak(Line(text="Hello"), {"variant": "../nobody"}, seed=0)
    assert failed.value.code == "speech.failed"
    assert "nobody" in failed.value.params["reason"]
    crashing = tmp_path / "child.py"
    crashing.write_text("import os; os.abort()")
    monkeypatch.setattr(espeak, "CHILD", crashing)
    with pytest.raises(EngineError) as failed:
        speech.speak(Line(text="Hello"), {}, seed=0)
    assert failed.value.code == "speech.failed"


def test_a_hanging_child_is_given_up_and_gone(tmp_path, monkeypatch):
    hanging = tmp_path / "child.py"
    hanging.write_text("import sys; sys.stdin.read(); sys.stdout.close(); import threading; threading.Event().wait()")
    monkeypatch.setattr(espeak, "CHILD", hanging)
    monkeypatch.setattr(espeak, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(EngineError) as failed:
        speech.speak(Line(text="Hello"), {}, seed=0)
    assert failed.value.params["reason"] == "TimeoutExpired"


def test_the_library_stays_out_of_this_process():
    speech.speak(Line(text="Hello"), {}, seed=0)
    answer = subprocess.run(
        [
            espeak.sys.executable,
            "-c",
            "import sys; from studio.domain import Line; from studio.pipelines.draft import speech; "
            "speech.speak(Line(text='Hello'), {}, 0); assert 'espeakng_loader' not in sys.modules; "
            "assert 'libespeak' not in open('/proc/self/maps').read() if sys.platform == 'linux' else True",
        ],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr


def test_one_child_speaks_many_lines_and_what_was_said_before_is_not_heard():
    how = {"variant": "f2", "pitch": 50, "pitch_range": 50, "words_per_minute": 170}
    with espeak.conversation() as say:
        alone = say("The lamp is lit.", "en", **how)
    first = espeak.synthesise("Boa noite, minha mãe.", "pt", **how)
    with espeak._resident as child:
        before = child.pid
    again = espeak.synthesise("The lamp is lit.", "en", **how)
    assert len(first.samples) != len(again.samples)
    assert np.array_equal(alone.samples, again.samples) and alone.phonemes == again.phonemes
    if espeak.os.name != "nt":  # there a library cannot be told to forget
        with espeak._resident as child:
            assert child.pid == before


def test_a_child_that_ended_is_followed_by_another():
    espeak.synthesise("One.", "en", variant="", pitch=50, pitch_range=50, words_per_minute=170)
    with espeak._resident as child:
        child.kill()
        child.wait()
    assert len(espeak.synthesise("Two.", "en", variant="", pitch=50, pitch_range=50, words_per_minute=170).samples)
