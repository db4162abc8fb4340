"""Scenes for the tests of the runner, and where they stand."""

from typing import Any

from studio.service import Studio

SHOT = {"task_type": "text_to_video", "prompt": "a shot", "duration": 0.25}


def add(studio: Studio, queue: str, prompt: str = "a shot", *said: str, **fields: Any) -> str:
    lines = [{"text": text} for text in said]
    return str(studio.scenes.add(queue, {**SHOT, "prompt": prompt, "lines": lines, **fields})["id"])


def states(studio: Studio, queue: str) -> list[str]:
    return [str(card["state"]) for card in studio.queues.get(queue)["scenes"]]
