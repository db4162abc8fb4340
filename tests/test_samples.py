"""The sample episode and the template: valid, complete, within the file; and the pictures and music they name."""

import json
import re
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import pyloudnorm
import pytest

from studio.domain import SceneAdapter, TaskType, lay_lines
from studio.media import sound
from studio.media.faces import find_face
from studio.pipelines.draft import speech
from studio.pipelines.draft.landmarks import find_landmarks
from studio.pipelines.speech.language import detect_language
from studio.story import episode

SAMPLES = Path(__file__).parent.parent / "assets" / "samples"
EPISODE = SAMPLES / "episode.json"
PORTRAITS = ("ines", "tomas", "lin")


def template() -> str:
    return re.search(r"```json\n(.+?)```", (SAMPLES / "template.md").read_text("utf-8"), re.DOTALL)[1]


SOURCES = {"episode": EPISODE.read_text("utf-8"), "template": template()}


@pytest.mark.parametrize("name", SOURCES)
def test_every_scene_is_valid_and_every_task_is_there(name):
    content = json.loads(SOURCES[name])
    references = re.compile(r"\{\{.+?\}\}")
    for scene in content["scenes"]:
        plain = json.loads(references.sub("somewhere", json.dumps({**content["defaults"], **scene})))
        known = SceneAdapter.validate_python({"task_type": scene["task_type"], **scene}).model_fields_set
        assert known >= set(scene)
        allowed = type(SceneAdapter.validate_python(scene)).model_fields
        SceneAdapter.validate_python({key: value for key, value in plain.items() if key in allowed})
    assert {scene["task_type"] for scene in content["scenes"]} == set(get_args(TaskType))


@pytest.mark.parametrize("name", SOURCES)
def test_it_is_read_without_a_problem_and_its_files_are_there(name):
    read = episode.parse(SOURCES[name])
    assert [entry.problems for entry in read.entries] == [()] * len(read.entries)
    files = [item.ref for entry in read.entries for item in entry.scene.inputs() if not item.ref.startswith("{{")]
    for ref in [*files, read.head.music.ref]:
        assert not Path(ref).is_absolute()
        assert (SAMPLES / ref).is_file(), ref
    cast = {member.name: member.voice for member in read.head.cast}
    spoken = [line for entry in read.entries for line in entry.scene.lines]
    assert {line.character for line in spoken} <= set(cast)
    assert set(cast.values()) <= set(speech.VOICES)


def test_the_template_explains_every_field():
    text = (SAMPLES / "template.md").read_text("utf-8")
    fields = {*episode.Head.model_fields, "scenes"}
    for task in get_args(TaskType):
        fields |= set(episode.SCENE_CLASSES[task].model_fields)
    fields |= set(episode.SCENE_CLASSES["speech"].model_fields["lines"].annotation.__args__[0].model_fields) - {"id"}
    assert {name for name in fields if f"`{name}`" not in text} == set()


def test_the_film_speaks_three_languages_and_lasts_about_a_minute():
    read = episode.parse(SOURCES["episode"])
    voices = {member.name: member.voice for member in read.head.cast}
    seconds, languages = 0.0, set()
    for entry in read.entries:
        durations = []
        for line in entry.scene.lines:
            assert line.language == detect_language(line.text)
            languages.add(line.language)
            settings = speech.voice_settings(voices[line.character], line.character)
            samples, rate, _ = speech.speak(line, settings, entry.scene.seed)
            durations.append(len(samples) / rate)
        if entry.scene.in_cut:
            seconds += lay_lines(durations, getattr(entry.scene, "duration", None))[1]
    assert languages == {"en", "pt", "zh"}
    assert 55 < seconds < 75


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_portrait_can_speak(name):
    image = cv2.imread(str(SAMPLES / f"{name}.png"))
    assert image.shape == (1104, 832, 3)
    marks = find_landmarks(image)
    assert marks.mode == "lips"
    assert len(marks.eyes) == 2
    assert marks.confidence > 0.8
    edge = np.concatenate(
        [image[:20].reshape(-1, 3), image[:500, :10].reshape(-1, 3), image[:500, -10:].reshape(-1, 3)]
    )
    assert np.ptp(edge, axis=0).max() <= 2  # a plain background, for every engine that cuts out


def test_the_music_is_pleasant_by_its_numbers():
    with av.open(str(SAMPLES / "music.m4a")) as source:
        assert source.streams.audio[0].channels == 2
    assert (SAMPLES / "music.m4a").stat().st_size < 1_000_000
    samples = sound.load48(SAMPLES / "music.m4a")
    seconds = len(samples) / sound.RATE
    assert 60 <= seconds <= 76
    assert np.abs(samples).max() < 0.95
    assert pyloudnorm.Meter(sound.RATE).integrated_loudness(samples.astype(float)) == pytest.approx(-20, abs=1)
    levels = [20 * np.log10(samples[int(s * sound.RATE) : int((s + 3) * sound.RATE)].std()) for s in range(2, 66, 3)]
    assert min(levels) > -32  # no hole in it
    assert max(levels) - min(levels) < 12
    assert np.corrcoef(samples.T)[0, 1] < 0.95  # two sides, not one twice


@pytest.mark.parametrize("name", ["cape_dusk", "cape_dawn", "cape_night", "lamp_room"])
def test_a_place_has_no_face(name):
    image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
    assert image.shape == (720, 1280, 3)
    assert find_face(image) is None  # two windows of a tower look like eyes
