"""Speech from somebody else's computer, against fake servers on this one that speak their protocols and misbehave."""

import base64
import io
import json
import math
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.domain import Line, SceneAdapter
from studio.errors import Cancelled, Conflict, EngineError, Refused, StudioError
from studio.media import sound
from studio.pipelines.base import Inputs, Machine, Made, Plan, Run, Speaker
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.speech.cosyvoice import CosyVoice
from studio.pipelines.speech.elevenlabs import ElevenLabs, words_of
from studio.pipelines.speech.openai_speech import OpenAISpeech, SpeechServer
from studio.pipelines.speech.remote import Remote

KEY = "sk-a-secret-that-nobody-may-read"
MACHINE = Machine(2, 8.0)
TEXT = "The lamp is lit."


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * math.pi * 220 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def pcm(rate: int = 24_000, seconds: float = 0.5) -> bytes:
    return (tone(rate, seconds) * 32767).astype("<i2").tobytes()


def wav(rate: int, seconds: float = 0.5) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm(rate, seconds))
    return content.getvalue()


# ------------------------------------------------------------------------------------------------ a server
@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, bytes]:
        """Fields and files of a form, of either kind."""
        if self.headers["content-type"].startswith("application/x-www-form-urlencoded"):
            from urllib.parse import parse_qsl

            return {name: value.encode() for name, value in parse_qsl(self.body.decode())}
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser(policy=default).parsebytes(head + self.body).iter_parts()
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)  # type: ignore[misc]
            for part in parts
        }


Answer = tuple[int, dict[str, str], bytes]
CUT: Answer = (0, {}, b"")  # the connection ends without an answer


@dataclass
class Server:
    """Answers in order, the last one again and again."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    by_path: dict[str, Answer] = field(default_factory=dict)
    hears: Callable[[], None] = lambda: None

    def next(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        self.hears()
        if known := self.by_path.get(asked.path.partition("?")[0]):
            return known
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def paths(self) -> list[str]:
        return [asked.path.partition("?")[0] for asked in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, content = known.next(
                Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{listener.server_port}")
    threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield known
    listener.shutdown()
    listener.server_close()


# ------------------------------------------------------------------------------------------------ a run
@dataclass
class Desk:
    """One engine whose service is the fake one, and what its runs left."""

    folder: Path
    engine: Any
    kept: dict[str, Any] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    cancelled: bool = False

    def run(self, text: str = TEXT, speaker: Speaker = Speaker(), direction: str = "", **options: Any) -> Made:  # noqa: B008
        line = Line(character="Inês", text=text, direction=direction, language="en").model_dump()
        scene = SceneAdapter.validate_python({"task_type": "speech", "lines": [line]})

        def commit(key: str, value: Any) -> None:
            self.kept[key] = json.loads(json.dumps(value))

        run = Run(
            7, Inputs(speaker=speaker), Plan(), self.folder / "take", self.folder / "small",
            scratch=self.folder / "scratch", kept=self.kept, commit=commit, cancelled=lambda: self.cancelled,
        )  # fmt: skip
        return self.engine.run(scene, self.engine.Options(**options), run)

    def forget(self) -> None:
        """A sentence that was not written down, as after a crash."""
        for path in (self.folder / "cache" / "speech").glob("*.wav"):
            path.unlink()


@pytest.fixture
def desk_of(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Remote]], Desk]:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    for name in ("ELEVENLABS_API_KEY", "OPENAI_API_KEY", "SPEECH_SERVER_KEY"):
        monkeypatch.setenv(f"LANTERNA_{name}", KEY)

    def desk(cls: type[Remote]) -> Desk:
        monkeypatch.setenv(f"LANTERNA_{cls.address.upper()}", server.url)
        found = Desk(tmp_path, None)
        found.engine = cls(wait=found.waited.append)
        return found

    return desk


@pytest.fixture
def sample(tmp_path: Path) -> Speaker:
    path = tmp_path / "sample.wav"
    sound.save(path, np.stack([tone(48_000, 4.0)] * 2, axis=1))
    return Speaker("Mina", sample=path, transcript="Once upon a time.", print="p")


def spoken(content: bytes, **more: str) -> Answer:
    return 200, more, content


def eleven(text: str = TEXT) -> bytes:
    letters = list(text)
    return json.dumps({
        "audio_base64": base64.b64encode(pcm(24_000, 0.1 * len(letters))).decode(),
        "alignment": {
            "characters": letters,
            "character_start_times_seconds": [0.1 * at for at in range(len(letters))],
            "character_end_times_seconds": [0.1 * (at + 1) for at in range(len(letters))],
        },
    }).encode()  # fmt: skip


SERVICES: dict[type[Remote], tuple[dict[str, Any], bytes]] = {
    CosyVoice: ({"voice": "Anna"}, pcm()), ElevenLabs: ({}, eleven()), OpenAISpeech: ({}, pcm()),
    SpeechServer: ({}, wav(22_050)),
}  # fmt: skip
PAID = [cls for cls in SERVICES if cls.costs_money]
FREE = [cls for cls in SERVICES if not cls.costs_money]
every = pytest.mark.parametrize("cls", SERVICES, ids=lambda cls: cls.id)
paid = pytest.mark.parametrize("cls", PAID, ids=lambda cls: cls.id)
free = pytest.mark.parametrize("cls", FREE, ids=lambda cls: cls.id)


# ------------------------------------------------------------------------------------------------ all of them
@every
def test_a_line_becomes_one_file_and_each_sentence_is_asked_once(
    cls: type[Remote], desk_of: Any, server: Server
) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [spoken(content)]
    made = desk.run("The lamp is lit. The sea is calm.", **options)
    assert len(server.asked) == 2 and made.facts["spoken"] == 2
    assert made.facts["characters"] == len("The lamp is lit.") + len("The sea is calm.")
    assert len(sound.load48(made.path)) > 0.8 * 48_000
    assert desk.run("The lamp is lit. The sea is rough.", **options).facts["characters"] == len("The sea is rough.")
    assert len(server.asked) == 3


@every
def test_without_key_or_address_it_says_what_to_set(cls: type[Remote], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (cls.key, cls.address):
        monkeypatch.delenv(f"LANTERNA_{name.upper()}", raising=False)
    found = cls().availability(MACHINE)
    missing = cls.key if cls.usual else cls.address
    assert (found.state, found.params["setting"]) == ("unfit", missing)
    assert found.reason == ("remote.no_key" if cls.usual else "remote.no_address")


@every
def test_with_key_and_address_it_is_ready(cls: type[Remote], desk_of: Any) -> None:
    assert desk_of(cls).engine.availability(MACHINE).state == "ready"


@every
def test_busy_is_asked_again_after_the_time_it_wants(cls: type[Remote], desk_of: Any, server: Server) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [(429, {"Retry-After": "3"}, b""), spoken(content)]
    desk.run(**options)
    assert len(server.asked) == 2 and sum(desk.waited) == pytest.approx(3.0, abs=0.2)


@every
def test_busy_for_ever_is_an_error_that_may_pass(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [(429, {"Retry-After": "100000"}, b"")]
    with pytest.raises(EngineError) as busy:
        desk.run(**SERVICES[cls][0])
    assert busy.value.code == "remote.busy" and len(server.asked) == 4
    assert sum(desk.waited) <= 3 * 60.5  # whatever it wishes


@every
def test_a_refusal_is_told_once_and_without_the_key(cls: type[Remote], desk_of: Any, server: Server) -> None:
    said = json.dumps({"detail": {"status": "x", "message": f"the text of {KEY} is too long"}}).encode()
    desk, server.answers = desk_of(cls), [(422, {}, said)]
    with pytest.raises(Refused) as refused:
        desk.run(**SERVICES[cls][0])
    assert (refused.value.code, refused.value.params["status"]) == ("remote.refused", 422)
    assert len(server.asked) == 1 and (KEY not in str(refused.value) or not cls.key)
    assert refused.value.params["reason"].endswith("is too long")


@pytest.mark.parametrize("cls", [cls for cls in SERVICES if cls.key], ids=lambda cls: cls.id)
def test_a_key_that_is_not_taken_names_its_setting(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [(401, {}, f'{{"error": "{KEY}"}}'.encode())]
    with pytest.raises(Refused) as refused:
        desk.run(**SERVICES[cls][0])
    assert (refused.value.code, refused.value.params["setting"]) == ("remote.key", cls.key)
    assert KEY not in str(refused.value)


@every
@pytest.mark.parametrize(
    ("headers", "content"),
    [({"Content-Type": "text/html"}, b"<html>"), ({"Content-Type": "application/json"}, b"{}"), ({}, b"")],
)
def test_an_answer_that_is_no_sound_is_no_take(
    cls: type[Remote], headers: dict[str, str], content: bytes, desk_of: Any, server: Server
) -> None:
    desk, server.answers = desk_of(cls), [(200, headers, content)]
    with pytest.raises(EngineError) as error:
        desk.run(**SERVICES[cls][0])
    assert error.value.code == "remote.not_sound" and not desk.kept.get("take")


@every
def test_nobody_there_is_tried_again_and_then_told(cls: type[Remote], desk_of: Any, monkeypatch: Any) -> None:
    desk = desk_of(cls)
    monkeypatch.setenv(f"LANTERNA_{cls.address.upper()}", "http://127.0.0.1:1")
    with pytest.raises(EngineError) as error:
        desk.run(**SERVICES[cls][0])
    assert (error.value.code, error.value.params["host"]) == ("remote.unreachable", "127.0.0.1")
    assert desk.waited and not any(desk.kept.values())  # nothing was sent: it may be tried at any time


@every
def test_a_cancel_ends_the_waiting(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [(429, {}, b"")]
    desk.engine = cls(wait=lambda seconds: setattr(desk, "cancelled", True))
    with pytest.raises(Cancelled):
        desk.run(**SERVICES[cls][0])
    assert len(server.asked) == 1


@every
def test_a_cancel_is_heard_while_the_service_thinks(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [spoken(SERVICES[cls][1])]
    thinking, answered = threading.Event(), []

    def hears() -> None:
        desk.cancelled = True
        if not thinking.wait(5):
            answered.append(True)

    server.hears = hears
    with pytest.raises(Cancelled):
        desk.run(**SERVICES[cls][0])
    assert not answered
    thinking.set()


@every
def test_an_answer_without_an_end_is_cut_off(
    cls: type[Remote], desk_of: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.pipelines.speech.remote.MAX_BYTES", 1000)
    desk, server.answers = desk_of(cls), [spoken(SERVICES[cls][1])]
    with pytest.raises(StudioError) as error:
        desk.run(**SERVICES[cls][0])
    assert error.value.code == ("remote.in_doubt" if cls.costs_money else "fetch.size") and len(server.asked) == 1


def test_private_addresses_are_only_those_that_the_user_set(desk_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_of(OpenAISpeech)
    monkeypatch.delenv("LANTERNA_OPENAI_URL")
    monkeypatch.setattr(OpenAISpeech, "usual", "http://127.0.0.1:9")
    with pytest.raises(Refused) as refused:
        desk.run()
    assert refused.value.code == "fetch.private"


# ------------------------------------------------------------------------------------------------ what costs nothing
@free
@pytest.mark.parametrize("trouble", [CUT, (503, {}, b""), (500, {}, b"Internal Server Error")])
def test_what_costs_nothing_is_asked_again(cls: type[Remote], trouble: Answer, desk_of: Any, server: Server) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [trouble, trouble, spoken(content)]
    desk.run(**options)
    assert len(server.asked) == 3 and not desk.kept


@free
def test_a_broken_server_is_named(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [(500, {}, b"")]
    with pytest.raises(EngineError) as error:
        desk.run(**SERVICES[cls][0])
    assert error.value.code == "remote.broken" and error.value.params["status"] == 500


# ------------------------------------------------------------------------------------------------ what is paid for
@paid
@pytest.mark.parametrize("trouble", [CUT, (500, {}, b""), (502, {"Retry-After": "1"}, b"")])
def test_a_lost_answer_is_never_paid_again_by_itself(
    cls: type[Remote], trouble: Answer, desk_of: Any, server: Server
) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [trouble, spoken(content)]
    for _ in range(3):  # the attempts of one job
        with pytest.raises(Conflict) as doubt:
            desk.run(**options)
        assert doubt.value.code == "remote.in_doubt" and doubt.value.params["text"] == TEXT
    assert len(server.asked) == 1
    desk.kept.clear()  # the user runs the line anew: another job
    desk.run(**options)
    assert len(server.asked) == 2


@paid
def test_an_order_is_written_down_before_it_is_sent(cls: type[Remote], desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(cls), [spoken(SERVICES[cls][1])]
    at_sending: list[dict[str, Any]] = []
    server.hears = lambda: at_sending.append(dict(desk.kept))
    desk.run(**SERVICES[cls][0])
    assert list(at_sending[0].values()) == ["sent"]
    assert KEY not in json.dumps(desk.kept)


@paid
def test_a_crash_after_the_answer_pays_once(cls: type[Remote], desk_of: Any, server: Server) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [spoken(content)]
    first = sound.load48(desk.run(**options).path)
    desk.forget()
    again = desk.run(**options)
    assert len(server.asked) == 1 and np.array_equal(sound.load48(again.path), first)


@paid
def test_busy_before_a_crash_leaves_no_doubt(cls: type[Remote], desk_of: Any, server: Server) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [(429, {}, b""), spoken(content)]
    desk.engine = cls(wait=lambda seconds: setattr(desk, "cancelled", True))  # stands for the crash
    with pytest.raises(Cancelled):
        desk.run(**options)
    desk.cancelled = False
    desk.run(**options)
    assert len(server.asked) == 2


@paid
def test_a_refused_order_may_be_sent_again(cls: type[Remote], desk_of: Any, server: Server) -> None:
    options, content = SERVICES[cls]
    desk, server.answers = desk_of(cls), [(402, {}, b""), spoken(content)]
    with pytest.raises(Refused):
        desk.run(**options)
    desk.run(**options)
    assert len(server.asked) == 2


# ------------------------------------------------------------------------------------------------ CosyVoice
def test_cosyvoice_takes_the_way_that_fits_the_voice(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk, server.answers = desk_of(CosyVoice), [spoken(pcm())]
    desk.run(speaker=sample)
    desk.run("And on.", speaker=Speaker("Mina", sample=sample.sample, print="q"))
    desk.run("Softly now.", speaker=sample, direction="whispering")
    desk.run("No sample.", voice="Anna")
    assert server.paths() == [
        "/inference_zero_shot", "/inference_cross_lingual", "/inference_instruct2", "/inference_sft",
    ]  # fmt: skip
    zero, cross, told, plain = (asked.form for asked in server.asked)
    assert (zero["tts_text"], zero["prompt_text"]) == (TEXT.encode(), b"Once upon a time.")
    assert told["instruct_text"] == b"whispering<|endofprompt|>" and cross.keys() == {"tts_text", "prompt_wav"}
    assert plain == {"tts_text": b"No sample.", "spk_id": b"Anna"}
    with wave.open(io.BytesIO(zero["prompt_wav"])) as file:
        assert file.getnchannels() == 1 and file.getnframes() == 4 * file.getframerate()


def test_cosyvoice_3_is_told_who_it_is(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk, server.answers = desk_of(CosyVoice), [spoken(pcm())]
    desk.run(speaker=sample, version="3")
    desk.run("Softly now.", speaker=sample, direction="whispering", version="3")
    desk.run("And on.", speaker=Speaker("Mina", sample=sample.sample, print="q"), version="3")
    zero, told, cross = (asked.form for asked in server.asked)
    assert zero["prompt_text"] == b"You are a helpful assistant.<|endofprompt|>Once upon a time."
    assert told["instruct_text"] == b"You are a helpful assistant. whispering<|endofprompt|>"
    assert cross["tts_text"] == b"You are a helpful assistant.<|endofprompt|>And on."


def test_cosyvoice_1_gives_another_rate(desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(CosyVoice), [spoken(pcm(22_050, 1.0))]
    made = desk.run(voice="Anna", version="1")
    assert len(sound.load48(made.path)) / 48_000 == pytest.approx(1.0, abs=0.03)


def test_cosyvoice_without_any_voice_asks_for_one(desk_of: Any, server: Server) -> None:
    with pytest.raises(Refused) as refused:
        desk_of(CosyVoice).run()
    assert (refused.value.code, refused.value.params["option"]) == ("remote.no_voice", "voice") and not server.asked


# ------------------------------------------------------------------------------------------------ OpenAI's protocol
def test_openai_is_asked_with_voice_direction_and_key(desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(OpenAISpeech), [spoken(pcm())]
    desk.run(speaker=Speaker("Mina", preset="nova", print="p"), direction="whispering")
    assert server.asked[0].path == "/v1/audio/speech"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].json == {
        "model": "gpt-4o-mini-tts", "input": TEXT, "voice": "nova", "response_format": "pcm",
        "instructions": "whispering",
    }  # fmt: skip
    desk.run("Again.", direction="whispering", model="tts-1-hd", voice="onyx")
    assert "instructions" not in server.asked[1].json and server.asked[1].json["voice"] == "onyx"


def test_a_server_of_ones_own_may_want_no_key_and_have_any_rate(
    desk_of: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, server.answers = desk_of(SpeechServer), [spoken(wav(16_000, 1.0))]
    monkeypatch.delenv("LANTERNA_SPEECH_SERVER_KEY")
    monkeypatch.setenv("LANTERNA_SPEECH_SERVER_URL", f"{server.url}/v1")  # as many write it
    made = desk.run(model="kokoro", voice="af_bella")
    assert "authorization" not in server.asked[0].headers and server.asked[0].path == "/v1/audio/speech"
    assert len(sound.load48(made.path)) / 48_000 == pytest.approx(1.0, abs=0.1)
    assert (server.asked[0].json["model"], server.asked[0].json["voice"]) == ("kokoro", "af_bella")


def test_a_wav_that_was_streamed_does_not_know_its_length(desk_of: Any, server: Server) -> None:
    content = bytearray(wav(24_000, 1.0))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    desk, server.answers = desk_of(SpeechServer), [spoken(bytes(content))]
    assert len(sound.load48(desk.run().path)) / 48_000 == pytest.approx(1.0, abs=0.1)


# ------------------------------------------------------------------------------------------------ ElevenLabs
def test_elevenlabs_says_when_each_word_is_said(desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(ElevenLabs), [spoken(eleven(), **{"character-cost": "16"})]
    made = desk.run()
    assert [word for _, _, word in made.facts["words"]] == ["The", "lamp", "is", "lit."]
    assert made.facts["words"][1][:2] == pytest.approx([0.4, 0.8], abs=0.05)
    assert (made.facts["credits"], made.facts["characters"]) == (16, 16)
    asked = server.asked[0]
    assert asked.headers["xi-api-key"] == KEY and asked.path.endswith("with-timestamps?output_format=pcm_24000")
    assert asked.json["model_id"] == "eleven_multilingual_v2" and "language_code" not in asked.json


def test_elevenlabs_models_that_act_and_know_languages_are_told(desk_of: Any, server: Server) -> None:
    desk, server.answers = desk_of(ElevenLabs), [spoken(eleven())]
    desk.run(direction="whispering", model="eleven_v3", voice_id="abcDEF123")
    assert server.asked[0].json["text"] == f"[whispering] {TEXT}" and server.asked[0].json["language_code"] == "en"
    assert server.asked[0].path.startswith("/v1/text-to-speech/abcDEF123/")


def test_letters_become_words() -> None:
    def words(text: str) -> list[str]:
        return [
            word
            for _, _, word in words_of([*text], [*map(float, range(len(text)))], [1.0 + at for at in range(len(text))])
        ]

    assert words("It's lit, now!") == ["It's", "lit,", "now!"]
    assert words("灯亮了。OK") == ["灯", "亮", "了。", "OK"]
    assert words("") == []


def at_eleven(server: Server, voices: list[dict[str, str]], added: Answer | None = None) -> None:
    """The account's voices, a way to add one, and any of them speaks."""
    server.by_path = {
        "/v2/voices": spoken(json.dumps({"voices": voices, "has_more": False}).encode()),
        "/v1/voices/add": added or spoken(b'{"voice_id": "new1", "requires_verification": false}'),
    }
    server.answers = [spoken(eleven())]


def test_a_clone_is_made_once(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk = desk_of(ElevenLabs)
    at_eleven(server, [])
    desk.run(speaker=sample)
    desk.run("And on.", speaker=sample)
    assert server.paths() == [
        "/v2/voices", "/v1/voices/add", "/v1/text-to-speech/new1/with-timestamps",
        "/v1/text-to-speech/new1/with-timestamps",
    ]  # fmt: skip
    name = server.asked[1].form["name"].decode()
    assert name.startswith("Mina lanterna-") and server.asked[1].form["files"][:4] == b"RIFF"
    assert server.asked[0].path.partition("search=")[2].startswith(name.split()[-1])


def test_a_clone_whose_answer_was_lost_is_found_again(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk = desk_of(ElevenLabs)
    at_eleven(server, [], CUT)
    with pytest.raises(EngineError):
        desk.run(speaker=sample)
    name = server.asked[-1].form["name"].decode()
    at_eleven(server, [{"voice_id": "other", "name": "Mina"}, {"voice_id": "made", "name": name}])
    desk.run(speaker=sample)
    assert server.paths().count("/v1/voices/add") == 1
    assert server.asked[-1].path.startswith("/v1/text-to-speech/made/")


def test_a_clone_that_was_removed_there_is_made_anew(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk = desk_of(ElevenLabs)
    at_eleven(server, [])
    desk.run(speaker=sample)
    server.answers = [(404, {}, b'{"detail": {"status": "voice_not_found"}}'), spoken(eleven())]
    desk.run("And on.", speaker=sample)
    assert server.paths().count("/v1/voices/add") == 2


def test_a_clone_that_must_be_proved_is_told(desk_of: Any, server: Server, sample: Speaker) -> None:
    desk = desk_of(ElevenLabs)
    at_eleven(server, [], spoken(b'{"voice_id": "new1", "requires_verification": true}'))
    with pytest.raises(Refused) as refused:
        desk.run(speaker=sample)
    assert refused.value.code == "remote.unverified" and refused.value.params["voice"] == "Mina"


def test_nothing_of_a_key_is_written_down(desk_of: Any, server: Server, tmp_path: Path, sample: Speaker) -> None:
    desk = desk_of(ElevenLabs)
    at_eleven(server, [])
    made = desk.run(speaker=sample)
    assert KEY not in json.dumps(dict(made.facts))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


# ------------------------------------------------------------------------------------------------ in a studio
def test_a_studio_pays_once_says_its_doubt_and_orders_anew_when_told(build: Any, server: Server) -> None:
    studio = build(elevenlabs_api_key=KEY, elevenlabs_url=server.url)
    queue = studio.queues.create("Pier")["id"]
    studio.queues.update(queue, {"allow_paid": True})
    task = {"task_type": "speech", "engine": "elevenlabs"}
    scene = studio.scenes.add(queue, {**task, "lines": [{"character": "Inês", "text": TEXT}]})["id"]
    server.answers = [CUT, spoken(eleven(), **{"character-cost": "16"})]
    studio.runs.run(queue)
    studio.drain()
    card = studio.queues.get(queue)["scenes"][0]
    assert (card["state"], card["error"]["code"]) == ("failed", "remote.in_doubt") and len(server.asked) == 1
    studio.scenes.run(scene)
    studio.drain()
    card = studio.queues.get(queue)["scenes"][0]
    assert card["state"] == "done" and len(server.asked) == 2
    facts = studio.takes.get(card["take"]["id"])["facts"]
    assert (facts["credits"], facts["characters"], facts["service"]) == (16, len(TEXT), "ElevenLabs")
    for path in Path(studio.settings.root).rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
