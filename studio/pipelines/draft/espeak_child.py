"""eSpeak NG as a program of its own: requests in, voices out, until nobody asks. Standard library and the wheel only.

eSpeak NG is GPL-3, Lanterna is MIT: the library is loaded here, in a separate process that `espeak.py` starts by this
file's path, and nowhere else. Nothing of Lanterna is imported, so a crash of the library is an exit status there.

stdin   a JSON object in each line: text, voice ("en-us+f2"), pitch, range (0-99), rate (words per minute), seconds (to
        live)
stdout  for each, one JSON line: rate (Hz), samples, phonemes [[seconds, mnemonic]...], words [[seconds, first,
        length]...] with positions in characters of `text`, clean (the next will sound as if it were the first), or
        error; then `samples` little-endian 16-bit mono samples
"""

import _ctypes
import ctypes
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import espeakng_loader

AUDIO_SYNCHRONOUS = 2
PHONEME_EVENTS, DONT_EXIT = 0x0001, 0x8000
CHARS_UTF8 = 1
EVENT_END, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
RATE, PITCH, RANGE = 1, 3, 4


class EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", EventId),
    ]


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def open_library() -> tuple[Any, int]:
    """The library, ready, and its sampling rate in Hz. Raises OSError when it cannot start."""
    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    folder = os.fsencode(espeakng_loader.get_data_path())
    rate = library.espeak_Initialize(AUDIO_SYNCHRONOUS, 0, folder, PHONEME_EVENTS | DONT_EXIT)
    if rate <= 0:
        raise OSError(f"espeak_Initialize answered {rate}")
    return library, rate


def forget(library: Any) -> bool:
    """Take the library out of this process with all that it remembers: what was said before is heard a little in what
    is said next. False where it stays."""
    library.espeak_Terminate()
    if os.name == "nt":
        return False
    _ctypes.dlclose(library._handle)
    try:
        ctypes.CDLL(library._name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:  # it is gone
        return True
    return False


def speak(library: Any, rate: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The head and the samples that answer a request. Raises OSError."""
    # it seeds its breath noise with the time of day: the same line would sound different a second later
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    pcm = bytearray()
    phonemes: list[tuple[float, str]] = []
    words: list[tuple[float, int, int]] = []

    def receive(wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            pcm.extend(ctypes.string_at(wave, 2 * count))
        at = 0
        while events and events[at].type != EVENT_END:
            event = events[at]
            seconds = event.audio_position / 1000
            if event.type == EVENT_PHONEME:
                phonemes.append((seconds, event.id.string.decode("utf-8", "replace")))
            elif event.type == EVENT_WORD:
                words.append((seconds, event.text_position - 1, event.length))  # eSpeak counts from 1
            at += 1
        return 0

    callback = Callback(receive)  # a name of its own: ctypes does not keep callbacks alive
    library.espeak_SetSynthCallback(callback)
    voice = request["voice"]
    variant = voice.partition("+")[2]
    if variant and variant not in os.listdir(Path(espeakng_loader.get_data_path()) / "voices" / "!v"):
        raise OSError(f"no voice {voice!r}")  # eSpeak itself would take another without a word
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise OSError(f"no voice {voice!r}")
    for parameter, key in ((RATE, "rate"), (PITCH, "pitch"), (RANGE, "range")):
        library.espeak_SetParameter(parameter, int(request[key]), 0)
    text = request["text"].encode("utf-8")
    if library.espeak_Synth(text, len(text) + 1, 0, 0, 0, CHARS_UTF8, None, None) != 0:
        raise OSError("espeak_Synth failed")
    library.espeak_Synchronize()
    head = {"rate": rate, "samples": len(pcm) // 2, "phonemes": phonemes, "words": words}
    return head, bytes(pcm)


def main() -> int:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # never orphaned: whoever asked may be dead by now
        death = threading.Timer(float(request["seconds"]), os._exit, [3])
        death.daemon = True
        death.start()
        try:
            library, rate = open_library()
            head, pcm = speak(library, rate, request)
            head["clean"] = forget(library)
        except OSError as error:
            head, pcm = {"error": str(error)}, b""
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + pcm)
        sys.stdout.buffer.flush()
        death.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(main())
