"""VibeVoice, Dia, CSM and SpeechT5 with the real classes at tiny size: what each is given of a voice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.domain import Line, Speech
from studio.errors import Cancelled, Refused
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Machine, Plan, Run, Speaker
from studio.pipelines.parts import SHELF
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.weights import longest

CLONERS = ("vibevoice-1.5b", "dia-1.6b", "csm-1b")
ALL = (*CLONERS, "speecht5")
FEW = {"vibevoice-1.5b": {"num_diffusion_steps": 1}}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds that are somebody's voice."""
    path = tmp_path_factory.mktemp("sample") / "voice.wav"
    seconds = np.arange(4 * 24_000) / 24_000
    soundfile.write(path, (0.3 * np.sin(2 * np.pi * 180 * seconds)).astype(np.float32), 24_000)
    return path


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tiny_shelf: Path) -> Iterator[Any]:
    """loaded(id) -> the engine with its tiny weights."""
    monkeypatch.setenv(SHELF, str(tiny_shelf))
    monkeypatch.delenv("LANTERNA_CACHE", raising=False)
    made = []

    def one(engine_id: str) -> Any:
        made.append(engine_class(engine_id)())
        made[-1].load(Plan())
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def speaker(sample: Path | None, **more: Any) -> Speaker:
    return Speaker(voice="Inês", sample=sample, transcript="the words of it", print="p", **more)


def said(engine: Any, who: Speaker, tmp_path: Path, *, text: str = "Hi.", seed: int = 1, **more: Any) -> np.ndarray:
    """What `say` gives for one sentence."""
    options = engine.Options.model_validate(FEW.get(engine.id, {}))
    run = Run(1, Inputs(speaker=who), Plan(), tmp_path / "a", tmp_path / "a", **more)
    direction = more.pop("direction", "")
    pieces = [sound.samples for sound in engine.say(Words(text, "en", direction, who, seed), options, run)]
    return np.concatenate(pieces)


@pytest.mark.parametrize("engine_id", ALL)
def test_a_line_is_spoken_at_the_engines_own_rate(engine_id: str, loaded: Any, sample: Path, tmp_path: Path) -> None:
    engine = loaded(engine_id)
    who = speaker(sample if engine.speaks.clones else None)
    run = Run(1, Inputs(speaker=who), Plan(), tmp_path / "a", tmp_path / "a")
    options = engine.Options.model_validate(FEW.get(engine_id, {}))
    made = engine.run(Speech(lines=[Line(text="Hi.")]), options, run)
    info = soundfile.info(made.path)
    assert info.samplerate == engine.rate and info.duration > 0.1
    assert made.facts["language"] == "en"
    assert sum(room.ram for room in engine.held().values()) > 100_000
    engine.close()
    assert engine.held() == {}


@pytest.mark.parametrize("engine_id", CLONERS)
def test_the_sample_is_heard_and_the_seed_decides(
    engine_id: str, loaded: Any, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded(engine_id)
    asked: list[Any] = []
    model = engine.modules["model"]
    generate = model.generate

    def noted(**named: Any) -> Any:
        asked.append(named["decoder_input_ids" if engine_id == "dia-1.6b" else "input_values"].clone())
        return generate(**named)

    monkeypatch.setattr(model, "generate", noted)
    first = said(engine, speaker(sample), tmp_path)
    assert np.array_equal(first, said(engine, speaker(sample), tmp_path))
    assert not _same(first, said(engine, speaker(sample), tmp_path, seed=2))
    other = tmp_path / "other.wav"
    soundfile.write(other, (0.3 * np.random.default_rng(1).standard_normal(24_000 * 4)).astype(np.float32), 24_000)
    said(engine, speaker(other), tmp_path)
    heard, again, _, noise = asked
    assert bool((heard == again).all()) and not bool((heard == noise).all())


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, atol=1e-6))


@pytest.mark.parametrize("engine_id", ["dia-1.6b", "csm-1b"])
def test_what_is_said_in_the_sample_is_told(
    engine_id: str, loaded: Any, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word, before the line; without a sample the line stands alone."""
    engine = loaded(engine_id)
    told: list[str] = []
    name = "__call__" if engine_id == "dia-1.6b" else "apply_chat_template"
    plain = getattr(type(engine._processor), name)

    def noted(self: Any, *given: Any, **named: Any) -> Any:
        told.append(str(given[0] if given else named["text"]))
        return plain(self, *given, **named)

    monkeypatch.setattr(type(engine._processor), name, noted)
    said(engine, speaker(sample), tmp_path, text="Now this.")
    said(engine, speaker(None), tmp_path, text="Now this.")
    with_sample, alone = (one for one in told if "Now this." in one)
    assert with_sample.index("the words of it") < with_sample.index("Now this.")
    assert "the words of it" not in alone


def test_dia_laughs_where_the_direction_says_so(loaded: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from studio.pipelines.speech.dia import NOISES, _noise

    assert _noise("she laughs, tired") == " (laughs)" and _noise("laughing") == " (laughs)"
    assert _noise("warm") == "" and "laughs" in NOISES


@pytest.mark.parametrize("engine_id", CLONERS)
def test_a_cancel_is_heard_inside_a_sentence(engine_id: str, loaded: Any, sample: Path, tmp_path: Path) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        said(loaded(engine_id), speaker(sample), tmp_path, text="A longer sentence than that.", cancelled=cancelled)
    assert len(asked) == 4


def test_a_sentence_that_never_ends_is_ended(loaded: Any, sample: Path, tmp_path: Path) -> None:
    engine = loaded("vibevoice-1.5b")  # whose tiny head never says that it is done
    seconds = len(said(engine, speaker(sample), tmp_path, text="Hi.")) / engine.rate
    assert 0 < seconds <= longest("Hi.") + 1


# ------------------------------------------------------------------------------------------------ vectors of SpeechT5
def test_vectors_are_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_shelf: Path) -> None:
    shelf = tmp_path / "models"
    shelf.mkdir()
    (shelf / "folders.json").write_bytes((tiny_shelf / "folders.json").read_bytes())
    monkeypatch.setenv(SHELF, str(shelf))
    cls = engine_class("speecht5")
    found = cls().availability(Machine(8, 32))
    assert (found.state, found.reason) == ("unfit", "speech.no_vectors") and found.params["folder"] == str(
        shelf / "xvectors"
    )
    folder = shelf / "xvectors"
    folder.mkdir()
    for number, name in enumerate(("anna", "ben")):
        np.save(folder / f"{name}.npy", np.random.default_rng(number).standard_normal(512).astype(np.float32))
    np.save(folder / "short.npy", np.zeros(100, np.float32))
    (folder / "text.npy").write_text("no numbers")
    np.save(folder / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cls().availability(Machine(8, 32)).state == "ready"
    assert cls.speaks.presets[:2] == ("anna", "ben")
    engine = cls()
    engine.load(Plan())
    first, second = (said(engine, Speaker(preset=name), tmp_path) for name in ("anna", "ben"))
    assert not _same(first, second)
    assert _same(first, said(engine, Speaker(), tmp_path))  # the first there is
    for name, code in {
        "nobody": "speech.no_such_voice",
        "short": "speech.voice_unreadable",
        "text": "speech.voice_unreadable",
        "objects": "speech.voice_unreadable",
    }.items():
        with pytest.raises(Refused) as refused:
            said(engine, Speaker(preset=name), tmp_path)
        assert refused.value.code == code
    engine.close()
