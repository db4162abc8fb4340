"""Whisper: words and their times in a recording, as a model of the catalogue and as the tool `transcribe`."""

import pytest

from studio.errors import Refused
from studio.service import Studio

WHISPER = "whisper-base"


# ------------------------------------------------------------------------------------------------ the catalogue
def test_a_model_that_makes_no_scene_is_in_the_catalogue_and_not_among_the_engines(studio: Studio) -> None:
    model = next(one for one in studio.models.list()["models"] if one["id"] == WHISPER)
    assert (model["tasks"], model["serves"], model["fit"], model["state"]) == ([], "listening", None, "missing")
    assert model == studio.models.get(WHISPER)
    assert WHISPER not in {engine["id"] for engine in studio.engines.list()}
    assert sorted(engine["rank"] for engine in studio.engines.list()) == list(range(len(studio.engines.list())))


def test_no_scene_can_ask_for_it(studio: Studio) -> None:
    queue = studio.queues.create("Q")["id"]
    with pytest.raises(Refused) as refused:
        studio.engines.pick("speech", WHISPER, studio._store.queues.get(queue).policy)
    assert refused.value.code == "engine.wrong_task"
