"""studio/tabs/generate.py without a browser: what the desk remembers from one task to the next."""

from studio.tabs.generate import Desk


def test_a_task_never_begun_starts_from_the_one_before() -> None:
    desk = Desk()
    desk.lay({"task_type": "text_to_video", "prompt": "A lamp", "resolution": "540P", "duration": 4, "label": "One"})
    desk.take_up("image_to_video")
    assert desk.scenes["image_to_video"] == {"prompt": "A lamp", "resolution": "540P"}
    desk.take_up("talking_avatar")
    assert desk.scenes["talking_avatar"] == {"prompt": "A lamp"}  # an avatar has no 540P


def test_a_task_once_begun_keeps_what_was_written_for_it() -> None:
    desk = Desk()
    desk.lay({"task_type": "image_to_video", "prompt": "Grass bends"})
    desk.lay({"task_type": "text_to_video", "prompt": "A lamp"})
    desk.take_up("image_to_video")
    assert desk.scenes["image_to_video"]["prompt"] == "Grass bends"
    assert desk.scenes["text_to_video"]["prompt"] == "A lamp"
