"""What words ask of camera and world, in three languages, and what they must not be mistaken for."""

import pytest

from studio.pipelines.draft.prompt import MOVES, PLACES, SIZES, TIMES, action_text, anywhere, read_prompt, seed_of


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Wide shot: a lighthouse at dusk, push in", ("wide", "push_in", "sunset", None, "sea")),
        ("Plano médio: chuva na cidade à noite, câmera na mão", ("medium", "handheld", "night", "rain", "city")),
        ("夜晚的森林，下雪，全景，向左摇", ("wide", "pan_left", "night", "snow", "forest")),
        ("Close-up by the campfire in the desert, static", ("close", "static", None, "embers", "desert")),
        ("Detalhe extremo, o farol ao amanhecer, a câmera se aproxima", ("extreme", "push_in", "dawn", None, "sea")),
        ("宇宙中的飞船，特写，推近", ("close", "push_in", None, None, "space")),
    ],
)
def test_words_are_read_in_three_languages(prompt, expected):
    read = read_prompt(prompt, 0)
    assert (read.size, read.move, read.time, read.weather, read.environment) == expected


@pytest.mark.parametrize(
    ("prompt", "field", "wrong"),
    [
        ("A valley between mountains", "environment", "city"),  # no alley
        ("She remembers him", "weather", "embers"),
        ("He wore a brain scanner", "weather", "rain"),
        ("A pancake on a plate, wide", "move", "pan_right"),
        ("He seasons the soup", "environment", "sea"),
        ("Gardena", "environment", "interior"),
    ],
)
def test_a_word_inside_a_word_means_nothing(prompt, field, wrong):
    assert all(getattr(read_prompt(prompt, seed), field) != wrong for seed in range(8)) or wrong == "pan_right"
    if wrong == "pan_right":
        assert len({read_prompt(prompt, seed).move for seed in range(12)}) > 1  # the camera was left free


def test_the_earliest_mention_wins():
    assert read_prompt("A wide view of the sea, then a close-up in the forest", 0).size == "wide"
    assert read_prompt("Forest, far from the city", 0).environment == "forest"


def test_people_are_counted():
    people = [read_prompt(p, 0).people for p in ("an empty street", "a girl", "dois amigos", "三个人站着")]
    assert people == [0, 1, 2, 3]
    assert read_prompt("two women", 0).women == 2


def test_a_free_camera_depends_on_prompt_and_seed_only():
    assert read_prompt("A hill", 4) == read_prompt("A hill", 4)
    assert len({read_prompt("A hill", seed).move for seed in range(12)}) > 1


def test_a_style_always_plays_in_the_same_place():
    assert anywhere("episode 1") == anywhere("episode 1")
    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("Wide shot: Mara saw the lamp turn. Slow push in, 35 mm.", "Mara saw the lamp turn."),
        ("[PAN_LEFT_CUT] The harbour wakes", "The harbour wakes"),
        ("O farol ao amanhecer, plano geral. A menina espera.", "O farol ao amanhecer. A menina espera."),
        ("夜晚的城市，中景，跟拍。她抬头。", "夜晚的城市。她抬头。"),
        ("Close-up", "Close-up"),  # nothing else to show
    ],
)
def test_the_card_shows_what_happens_not_how_it_is_filmed(prompt, shown):
    assert action_text(prompt) == shown


def test_every_table_names_what_can_be_drawn():
    from studio.pipelines.draft import camera, places, weather
    from studio.pipelines.draft.cards import WORDS
    from studio.pipelines.draft.look import GRADES
    from studio.pipelines.draft.palette import PALETTES
    from studio.pipelines.draft.prompt import WEATHERS

    assert set(PLACES) == set(places.PLACES)
    assert set(MOVES) <= set(camera._MOVES)
    assert {*TIMES, None} == set(GRADES) == set(PALETTES)
    assert set(WEATHERS) == {"rain", "fog", *weather.FLAKES}
    for words in WORDS.values():
        assert set(words) == {"scene", *SIZES, *camera._MOVES}
