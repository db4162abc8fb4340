import subprocess
import sys
from pathlib import Path

import pytest
from media_tools import BLUE, RED, W, centre, clip, decoded, near, wav

from studio import tools
from studio.errors import Cancelled, NotFound, Refused
from studio.tools import TOOLS, ToolRun


@pytest.mark.parametrize("name", TOOLS)
def test_every_line_of_the_table_leads_to_a_function_with_words(name):
    assert tools.load(name).__doc__


def test_an_unknown_tool():
    with pytest.raises(NotFound) as caught:
        tools.load("hammer")
    assert caught.value.code == "tool.unknown"


def test_the_table_costs_the_app_nothing():
    code = "import sys, studio.tools; print([m for m in ('av', 'cv2', 'numpy', 'scipy', 'PIL') if m in sys.modules])"
    root = Path(tools.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stopped_tool_says_so():
    with pytest.raises(Cancelled):
        ToolRun(cancelled=lambda: True).step(1, 2)


def test_probe(tmp_path):
    facts = tools.load("probe")({"path": str(clip(tmp_path / "a.mp4"))}, ToolRun())
    assert facts["kind"] == "video" and facts["width"] == W and facts["num_frames"] == 24
    with pytest.raises(Refused):
        (tmp_path / "b.mp4").write_text("no film at all")
        tools.load("probe")({"path": str(tmp_path / "b.mp4")}, ToolRun())


def test_frame_and_posters(tmp_path):
    path = clip(tmp_path / "a.mp4")
    made = tools.load("frame")({"path": str(path), "which": "last", "out": str(tmp_path / "f.png")}, ToolRun())
    assert made == {"path": str(tmp_path / "f.png"), "width": W, "height": 96}
    made = tools.load("posters")({"path": str(path), "out": str(tmp_path / "p" / "a")}, ToolRun())
    assert all(Path(each).exists() for each in made["paths"]) and len(made["paths"]) == 2


def test_cut(tmp_path):
    size, seen = (160, 128), []
    arguments = {
        "frame": {"width": 160, "height": 128, "fps": 24},
        "clips": [
            {"path": str(clip(tmp_path / "a.mp4", RED, 48, 24.0, size)), "transition": "dissolve", "title": "One"},
            {"path": str(clip(tmp_path / "b.mp4", BLUE, 48, 24.0, size)), "transition": "cut", "title": "Two"},
        ],
        "lines": [
            {"path": str(wav(tmp_path / "v.wav")), "clip": 1, "start": 0.25, "duration": 1.0,
             "character": "Mira", "text": "Olá"},
        ],
        "music": {"path": str(wav(tmp_path / "m.wav", 3.0, 110)), "level": -30.0},
        "out": str(tmp_path / "out" / "film.mp4"),
        "comment": {"title": "Film"},
        "cache": str(tmp_path / "cache"),
    }  # fmt: skip
    run = ToolRun(report=lambda done, total, note: seen.append(note))
    made = tools.load("cut")(arguments, run)
    assert set(made) == {
        "path", "frames", "duration", "encoded", "conformed", "lufs", "true_peak", "vtt", "srt", "chapters",
    }  # fmt: skip
    assert (made["frames"], made["encoded"], made["duration"]) == (84, 12, 3.5)
    assert [each["title"] for each in made["chapters"]] == ["One", "Two"]
    assert "00:00:01.750 --> 00:00:02.750\n<v Mira>Olá" in Path(made["vtt"]).read_text()
    frames = decoded(Path(made["path"]))
    assert near(centre(frames[0]), RED) and near(centre(frames[-1]), BLUE) and {"sound", "join"} <= set(seen)


def test_cut_with_no_words_and_no_music(tmp_path):
    made = tools.load("cut")(
        {
            "frame": {"width": 160, "height": 128, "fps": 24},
            "clips": [{"path": str(clip(tmp_path / "a.mp4", RED, 24, 24.0, (160, 128)))}],
            "lines": [], "music": None, "out": str(tmp_path / "f.mp4"), "comment": {}, "cache": str(tmp_path / "c"),
        },
        ToolRun(),
    )  # fmt: skip
    assert made["frames"] == 24 and made["lufs"] is None
