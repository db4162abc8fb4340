import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.media.subtitles import COLUMNS, Cue, clock, columns, cues_of, mov_text, srt, two_lines, vtt

LONG = (
    "When the lamp goes out, the whole harbour holds its breath. Nobody says it aloud, but everyone counts the seconds "
    "until it comes back! And tonight, for the first time in forty years, it does not come back at all."
)
CHINESE = (
    "灯灭的时候，整个港口都屏住了呼吸。没有人说出口，但每个人都在数着秒，等待它重新亮起。"
    "今晚，四十年来第一次，它没有再亮。"
)


def test_a_short_line_is_one_cue():
    assert cues_of("Hello  there.", 1.0, 2.0, "Mira") == [Cue(1.0, 3.0, "Hello there.", "Mira")]


@pytest.mark.parametrize("text", [LONG, CHINESE, "x" * 300, "no full stop " * 30])
def test_long_lines_become_readable_cues(text):
    cues = cues_of(text, 10.0, 12.0)
    assert len(cues) > 1 and cues[0].start == 10.0 and cues[-1].end == 22.0
    assert all(a.end == b.start for a, b in zip(cues, cues[1:], strict=False))
    for cue in cues:
        rows = cue.text.split("\n")
        assert len(rows) <= 2 and all(columns(row) <= COLUMNS + 3 for row in rows)
    assert "".join("".join(cue.text.split()) for cue in cues) == "".join(text.split())


def test_a_chinese_row_never_begins_with_punctuation():
    for cue in cues_of(CHINESE, 0, 10):
        assert not any(row.startswith(("，", "。")) for row in cue.text.split("\n"))


@given(st.text(min_size=1, max_size=300), st.floats(0.1, 60))
def test_no_text_is_lost_whatever_it_is(text, seconds):
    cues = cues_of(text, 0.0, seconds)
    assert "".join("".join(cue.text.split()) for cue in cues) == "".join(text.split())


def test_clock():
    assert clock(3723.0456) == "01:02:03.046" and clock(59.9996) == "00:01:00.000"


def test_markup_is_text():
    written = vtt([Cue(0, 1, "<img onerror=x> & --> {b}", "<Mira>")])
    assert written.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n")
    assert (
        "<img" not in written and "&lt;img onerror=x&gt; &amp; --&gt; {b}" in written and "<v &lt;Mira&gt;>" in written
    )
    assert written.count("-->") == 1


def test_a_timed_text_sample_is_its_length_and_its_bytes():
    assert mov_text(Cue(0, 1, "ção {x}")) == b"\x00\x09" + "ção {x}".encode()


def test_two_lines_are_about_as_long_and_break_where_one_breathes():
    assert two_lines("O mar não esquece quem lhe deu luz.", 24) == "O mar não esquece\nquem lhe deu luz."
    assert two_lines("我看见你们的灯了。谢谢你们！", 26) == "我看见你们的灯了。\n谢谢你们！"


def test_srt_counts_and_names_nobody():
    assert srt([Cue(1.0, 2.5, "Olá", "Ana")]) == "1\n00:00:01,000 --> 00:00:02,500\nOlá\n"
