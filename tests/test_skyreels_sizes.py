"""The sizes of SkyReels-V3 and InfiniteTalk."""

import pytest

from studio.pipelines.skyreels_v3.sizes import SIZES, nearest


@pytest.mark.parametrize(
    ("table", "resolution", "picture", "size"),
    [
        ("r2v_v2v", "720P", (1080, 1920), (720, 1280)),
        ("r2v_v2v", "480P", (1080, 1920), (480, 848)),  # 480 x 854 of the table
        ("r2v_v2v", "540P", (1080, 1920), (544, 960)),
        ("r2v_v2v", "720P", (1920, 1080), (1280, 720)),
        ("r2v_v2v", "480P", (999, 1001), (640, 640)),
        ("r2v_v2v", "720P", (600, 800), (832, 1104)),
        ("r2v_v2v", "480P", (1, 100), (384, 1040)),  # a ribbon takes the widest
        ("avatar", "480P", (1080, 1920), (480, 832)),
        ("avatar", "720P", (1080, 1920), (720, 1280)),
        ("avatar", "720P", (1920, 1080), (1280, 720)),
        ("avatar", "480P", (1920, 1080), (832, 480)),
        ("avatar", "480P", (100, 1), (1280, 320)),
    ],
)
def test_a_picture_takes_the_size_of_the_nearest_ratio(table, resolution, picture, size):
    assert nearest(table, resolution, *picture) == size


@pytest.mark.parametrize("table", SIZES)
def test_every_size_fills_cells_of_the_network(table):
    for resolution, sizes in SIZES[table].items():
        for ratio, (height, width) in sizes.items():
            assert height / width == pytest.approx(ratio, abs=0.02)
            tall, wide = nearest(table, resolution, round(ratio * 1000), 1000)
            assert tall % 16 == wide % 16 == 0 and 0 <= height - tall < 16 and 0 <= width - wide < 16
            if table == "avatar":
                assert (tall, wide) == (height, width)  # as it was trained


def test_avatars_have_no_540p():
    assert set(SIZES["avatar"]) == {"480P", "720P"} and set(SIZES["r2v_v2v"]) == {"480P", "540P", "720P"}
