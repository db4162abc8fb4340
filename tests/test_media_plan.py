"""The film's clock: arithmetic that the cut and the timeline share."""

import pytest

from studio.media.plan import Edge, Wanted, film_frames, heard, lay_out


def shape(places):
    return [(place.first, place.num_frames, place.start) for place in places]


def test_hard_cuts_stand_one_after_the_other():
    places = lay_out([Wanted(2.0), Wanted(1.0)], 24)
    assert shape(places) == [(0, 48, 0), (0, 24, 48)] and film_frames(places) == 72


def test_trims_take_frames_from_both_ends():
    places = lay_out([Wanted(2.0, 0.5, 0.25), Wanted(1.0)], 24)
    assert shape(places) == [(12, 30, 0), (0, 24, 30)]


def test_a_clip_that_is_trimmed_away_keeps_a_frame():
    assert shape(lay_out([Wanted(1.0, 5.0, 5.0)], 24)) == [(23, 1, 0)]


def test_a_dissolve_is_shared_and_a_fade_is_not():
    places = lay_out([Wanted(2, transition="dissolve"), Wanted(2, transition="fade"), Wanted(2)], 24)
    assert shape(places) == [(0, 48, 0), (0, 48, 36), (0, 48, 84)]
    assert (places[0].leave, places[1].arrive) == (Edge("dissolve", 12), Edge("dissolve", 12))
    assert (places[1].leave, places[2].arrive, places[2].leave) == (Edge("fade", 12), Edge("fade", 12), Edge())


def test_the_last_clip_may_fade_but_not_dissolve():
    fade, dissolve = (lay_out([Wanted(2, transition=kind)], 24)[0].leave for kind in ("fade", "dissolve"))
    assert fade == Edge("fade", 12) and dissolve == Edge()


def test_transitions_fit_short_clips():
    places = lay_out([Wanted(2, transition="dissolve"), Wanted(0.375, transition="dip"), Wanted(2)], 24)
    assert places[0].leave.frames == 3 and places[1].leave == Edge("dip", 3) and places[2].arrive == Edge("dip", 6)


@pytest.mark.parametrize(
    ("start", "seconds", "wanted"),
    [
        (1.0, 0.5, (0.5, 0.0, 0.5, False)),  # it moves with the trim
        (0.25, 0.75, (0.0, 0.25, 0.5, False)),  # its beginning is cut
        (1.5, 1.0, (1.0, 0.0, 0.25, True)),  # its end is cut
        (0.0, 0.5, None),
        (1.75, 1.0, None),
    ],
)
def test_trims_move_what_is_heard(start, seconds, wanted):
    place = lay_out([Wanted(2.0, 0.5, 0.25)], 24)[0]
    found = heard(place, start, seconds, 24, all_of_it=False)
    assert wanted == (found and (found.start, found.skip, found.seconds, found.cut_off))


def test_a_last_word_may_end_over_the_next_shot():
    place = lay_out([Wanted(2.0)], 24)[0]
    assert heard(place, 1.5, 1.0, 24).seconds == 1.0 and heard(place, 1.5, 1.0, 24, all_of_it=False).seconds == 0.5
