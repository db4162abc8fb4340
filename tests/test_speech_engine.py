"""What every engine of speech does alike: sentences kept, readings, loudness, pace, cancel, what is heard meanwhile."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

from studio.domain import Line, Speech
from studio.errors import Cancelled, EngineError
from studio.pipelines.base import Inputs, Made, Plan, Run, Speaker, Speaks
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.speech import kept
from studio.pipelines.speech.engine import Sound, SpeechEngine, Words
from studio.pipelines.speech.kept import Kept

RATE = 22_050
TEXT = "The lamp is lit. Somebody climbed the tower. Nobody saw who it was."


class Hummer(SpeechEngine):
    """Hums each word for a tenth of a second, as high as the seed says."""

    id = "hummer"
    speaks = Speaks(words=True)
    rate = RATE

    def __init__(self) -> None:
        self.asked: list[Words] = []
        self.weights = "one"
        self.loud = 0.05

    def revision(self) -> str:
        return self.weights

    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        self.asked.append(words)
        pitch = 200 + words.seed % 400
        for word in words.text.split():
            tone = self.loud * np.sin(2 * np.pi * pitch * np.arange(RATE // 10) / RATE)
            yield Sound(tone.astype(np.float32), ((0.0, 0.1, word),))


@dataclass
class Told:
    """What was heard and done while a line was spoken."""

    made: Made
    samples: np.ndarray  # of the file
    heard: list[np.ndarray] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)


Speak = Callable[..., Told]


@pytest.fixture
def engine() -> Hummer:
    return Hummer()


@pytest.fixture
def speak(engine: Hummer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speak:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))

    def spoken(text: str = TEXT, cancel: Callable[[], bool] = lambda: False, **more: Any) -> Told:
        speaker = Speaker("Inês", **{name: more.pop(name) for name in ("reading", "said", "print") if name in more})
        line = Line(text=text, direction=more.pop("direction", ""))
        told = Told(Made(Path()), np.zeros(0))
        run = Run(
            1, Inputs(speaker=speaker), Plan(), tmp_path / "take", tmp_path / "small", cancelled=cancel,
            report=lambda done, total, preview: told.steps.append((done, total)),
            sound=lambda samples, rate: told.heard.append(samples),
        )  # fmt: skip
        told.made = engine.run(Speech(lines=[line]), engine.Options(**more), run)
        told.samples, rate = soundfile.read(told.made.path, dtype="float32")
        assert rate == RATE
        return told

    return spoken


def test_changing_one_word_speaks_one_sentence(engine: Hummer, speak: Speak):
    first = speak()
    assert len(engine.asked) == 3 and first.made.facts["spoken"] == 3
    whole = first.samples
    second = speak(TEXT.replace("climbed", "left"))
    assert [words.text for words in engine.asked[3:]] == ["Somebody left the tower."]
    assert second.made.facts["spoken"] == 1 and second.made.facts["sentences"] == 3
    assert speak().made.facts["spoken"] == 0
    assert np.array_equal(speak().samples, whole)
    assert len(engine.asked) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"reading": 1}, {"print": "another voice"}, {"direction": "whispering"}, {"said": (("lamp", "lantern"),)},
    ],
    ids=["another take", "another sample", "another direction", "another pronunciation"],
)  # fmt: skip
def test_what_is_heard_otherwise_is_spoken_anew(engine: Hummer, speak: Speak, change: dict[str, Any]):
    first = speak().samples
    speak(**change)
    again = 1 if "said" in change else 3
    assert len(engine.asked) == 3 + again
    speak(**change)
    assert len(engine.asked) == 3 + again
    assert np.array_equal(speak().samples, first)


def test_another_take_is_another_reading_and_other_weights_are_too(engine: Hummer, speak: Speak):
    first = speak().samples
    second = speak(reading=1).samples
    assert not np.array_equal(first, second)
    engine.weights = "other"
    speak()
    assert len(engine.asked) == 9


def test_a_sentence_that_is_said_twice_is_not_said_twice_the_same(engine: Hummer, speak: Speak):
    speak("No! No! No!")
    assert len({words.seed for words in engine.asked}) == 3
    speak("Never. No!")
    assert len(engine.asked) == 4  # the first "No!" was kept


def test_directions_inside_a_line_are_told_to_the_engine(engine: Hummer, speak: Speak):
    speak("[softly] Come here. Now (laughs) go.", direction="tired")
    assert [(words.text, words.direction) for words in engine.asked] == [
        ("Come here.", "tired, softly"), ("Now go.", "tired, laughs")
    ]  # fmt: skip


@pytest.mark.parametrize("loud", [0.02, 0.9])
def test_every_line_is_as_loud_at_the_engines_own_rate(engine: Hummer, speak: Speak, loud: float):
    engine.loud = loud
    measured = pyloudnorm.Meter(RATE).integrated_loudness(speak().samples.astype(np.float64))
    assert measured == pytest.approx(-18.0, abs=0.5)


def test_words_have_their_times_and_pauses_theirs(speak: Speak):
    facts = speak("One two [pause 1] three.").made.facts
    assert facts["words"] == [
        [0.0, pytest.approx(0.1, abs=0.01), "One"], [0.1, pytest.approx(0.2, abs=0.01), "two"],
        [pytest.approx(1.2, abs=0.02), pytest.approx(1.3, abs=0.02), "three."],
    ]  # fmt: skip


def test_pace_is_made_of_what_was_kept_and_leaves_pauses_alone(engine: Hummer, speak: Speak):
    plain = speak("One two three [pause 1] four five six")
    fast = speak("One two three [pause 1] four five six", speed=2.0)
    assert len(engine.asked) == 2
    assert len(plain.samples) / RATE == pytest.approx(1.6, abs=0.05)
    assert len(fast.samples) / RATE == pytest.approx(1.3, abs=0.05)
    assert [word[0] for word in fast.made.facts["words"][3:5]] == pytest.approx([1.15, 1.2], abs=0.02)
    spectrum = [np.argmax(np.abs(np.fft.rfft(one.samples[: RATE // 10], RATE))) for one in (plain, fast)]
    assert spectrum[0] == pytest.approx(spectrum[1], rel=0.03)  # the same pitch


@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_all_of_a_line_is_heard_while_it_is_made_kept_or_not(engine: Hummer, speak: Speak, speed: float):
    first = speak("One two. Three four [pause 1] five.", speed=speed)
    again = speak("One two. Three four [pause 1] five.", speed=speed)
    for told in (first, again):
        assert len(np.concatenate(told.heard)) == pytest.approx(len(told.samples), abs=RATE / 100)
        assert told.steps == [(1, 3), (2, 3), (3, 3)]
    pieces = [len(piece) for piece in first.heard if len(piece)]
    assert (pieces[0] == RATE // 10) == (speed == 1.0)  # the first word, before the sentence is done


def test_a_pause_is_heard_even_where_the_sentence_was_kept(speak: Speak):
    speak("One. Two.")
    heard = np.concatenate(speak("One. [pause 2] Two.").heard)
    assert len(heard) / RATE == pytest.approx(2.2, abs=0.05)


def test_cancelled_between_two_pieces_of_a_sentence(engine: Hummer, speak: Speak):
    looked: list[int] = []

    def third_time() -> bool:
        looked.append(1)
        return len(looked) > 3

    with pytest.raises(Cancelled):
        speak(cancel=third_time)
    assert len(engine.asked) == 1
    assert speak().made.facts["spoken"] == 3  # half a sentence is not kept


HALF = np.repeat([0.5, np.nan], 1000).astype(np.float32)  # what a network leaves that overflowed


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), HALF, np.zeros(0)], ids=["zeros", "nan", "nothing"])
def test_silence_is_an_error_that_is_not_kept(engine: Hummer, speak: Speak, monkeypatch, samples: np.ndarray):
    with monkeypatch.context() as patch:
        patch.setattr(engine, "say", lambda words, options, run: [Sound(samples)])
        with pytest.raises(EngineError, match=r"speech\.silent"):
            speak()
    assert speak().made.facts["spoken"] == 3


# ------------------------------------------------------------------------------------------------ what is kept
TONE = np.sin(np.arange(1000) / 10).astype(np.float32)


def test_a_sentence_is_kept_with_its_words_in_any_language(tmp_path: Path):
    store = Kept(tmp_path)
    assert store.read({"text": "灯"}) is None
    store.write({"text": "灯"}, TONE, ((0.0, 0.5, "灯"), (0.5, 1.0, "ã \"'")), RATE)
    samples, words = store.read({"text": "灯"})  # type: ignore[misc]
    assert np.array_equal(samples, TONE)
    assert words == ((0.0, 0.5, "灯"), (0.5, 1.0, "ã \"'"))
    assert store.read({"text": "other"}) is None
    assert Kept(None).read({"text": "灯"}) is None


def test_what_was_used_longest_ago_goes_first_and_no_more_than_the_bound_stays(tmp_path: Path):
    store = Kept(tmp_path, bound=20_000)
    for number in range(8):
        store.write({"n": number}, TONE, (), RATE)
        for file in tmp_path.iterdir():  # time goes by
            stat = file.stat()
            os.utime(file, (stat.st_atime - 10, stat.st_mtime - 10))
        store.read({"n": 0})
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 20_000
    assert [number for number in range(8) if store.read({"n": number})] == [0, 5, 6, 7]


def test_damaged_or_half_is_as_not_there(tmp_path: Path):
    store = Kept(tmp_path)
    store.write({"n": 1}, TONE, (), RATE)
    (file,) = tmp_path.iterdir()
    for content in (b"", file.read_bytes()[:30], b"RIFF" + bytes(100)):
        file.write_bytes(content)
        assert store.read({"n": 1}) is None
    store.write({"n": 1}, TONE, (), RATE)
    assert store.read({"n": 1}) is not None


def test_a_full_disk_fails_no_line(engine: Hummer, speak: Speak, monkeypatch, tmp_path: Path):
    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept.os, "replace", full)
        Kept(tmp_path / "x").write({"n": 1}, TONE, (), RATE)
    assert list((tmp_path / "x").iterdir()) == []
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert speak().made.facts["spoken"] == 3


def test_two_workers_may_speak_the_same_sentence_at_once(tmp_path: Path, monkeypatch):
    errors: list[BaseException] = []
    written: list[str] = []
    replace_file = os.replace
    monkeypatch.setattr(kept.os, "replace", lambda part, path: written.append(str(part)) or replace_file(part, path))

    def work() -> None:
        store = Kept(tmp_path, bound=9_000)
        try:
            for _ in range(40):
                for number in range(3):
                    store.write({"n": number}, TONE * number, (), RATE)
                    found = store.read({"n": number})
                    assert found is None or np.array_equal(found[0], TONE * number)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    assert len(set(written)) == len(written) == 240  # nobody writes into what somebody else is writing
    assert not list(tmp_path.glob("*.part"))


def test_knobs_of_the_voice_count_where_the_scene_says_nothing(engine: Hummer, speak: Speak, tmp_path: Path):
    seen: list[Any] = []
    engine.say = lambda words, options, run: [seen.append(options.speed) or Sound(TONE)]  # type: ignore[method-assign]
    run = Run(1, Inputs(speaker=replace(Speaker("a"), settings={"speed": 1.5})), Plan(), tmp_path / "t", tmp_path / "p")
    engine.run(Speech(lines=[Line(text="One.")]), engine.Options(), run)
    engine.run(Speech(lines=[Line(text="Two.")]), engine.Options(speed=1.2), run)
    assert seen == [1.5, 1.2]
