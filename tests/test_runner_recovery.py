"""studio/runner/recovery.py: what a sweep removes, and above all what it leaves alone."""

from pathlib import Path

from studio.domain import new_id
from studio.runner.recovery import sweep


def test_a_sweep_removes_only_unfinished_files_that_carry_an_id_of_ours(tmp_path: Path) -> None:
    ours, alive, strange = new_id(), new_id(), new_id()
    gone = [f"03-lamp_t1_7.{ours}.mp4.part", f"film.mp4.{ours}.part", f"03-lamp.{ours}.soundtrack.wav.part"]
    stay = [
        f"03-lamp_t1_7.{alive}.mp4.part", f"03-lamp_t1_7.{strange}.mp4.part", f"03-lamp_t1_7.{ours}.mp4",
        "holiday.mp4.part", f"{ours}.part.mp4", "notes.json", f"talk.{ours[:-1]}.part",
    ]  # fmt: skip
    folder = tmp_path / "outputs" / "EP001"
    folder.mkdir(parents=True)
    for name in gone + stay:
        (folder / name).write_bytes(b"x")
    assert sweep([tmp_path / "outputs", tmp_path / "absent"], {ours, alive}.__contains__, {alive}) == len(gone)
    assert sorted(path.name for path in folder.iterdir()) == sorted(stay)
