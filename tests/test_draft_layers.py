"""Layers before a camera: parallax, occlusion that leaves no trace, colours of BT.709."""

import numpy as np

from studio.media.yuv import bgr_from_i420, i420_from_bgr, i420_planes
from studio.pipelines.draft import layers
from studio.pipelines.draft.camera import CameraPath, camera_path, glide
from studio.pipelines.draft.layers import Layer, Pose, Shot
from studio.pipelines.draft.prompt import read_prompt

SIZE = (320, 192)


def still(frames=1, **moved):
    zeros = {name: np.zeros(frames) for name in ("x", "y", "dolly", "roll")}
    return CameraPath(**(zeros | {name: np.full(frames, value) for name, value in moved.items()}))


def wall(tone=(90, 120, 200)):
    return Layer(np.full((240, 400, 3), tone, np.uint8), 160, 96, 240, 9.0, graded=0.0)


def square(x, depth, **more):
    image = np.full((40, 40, 4), 255, np.uint8)
    return Layer(image, x, 96, 40, depth, graded=0.0, **more)


def middle(frame):
    """Where the white square stands: its mean column."""
    luma = i420_planes(frame)[0]
    return float(np.nonzero(luma > 200)[1].mean())


def test_bt709_there_and_back():
    colours = np.array([[[20, 30, 200], [200, 60, 20], [40, 180, 60], [250, 250, 250], [0, 0, 0]]], np.uint8)
    image = np.repeat(np.repeat(colours, 8, axis=0), 8, axis=1)
    assert np.abs(bgr_from_i420(i420_from_bgr(image))[4, 4::8].astype(int) - colours[0].astype(int)).max() <= 4


def test_near_layers_pass_faster_than_far_ones():
    def travelled(depth):
        shots = [Shot([wall(), square(160, depth)], SIZE, 24, still(x=x)) for x in (0.0, 0.1)]
        before, after = (middle(shot.frame(0)) for shot in shots)
        return before - after

    assert travelled(1.0) > 2.5 * travelled(3.0) > 0


def test_a_dolly_enlarges_the_near_layer_more():
    def area(depth, dolly):
        luma = i420_planes(Shot([wall(), square(160, depth)], SIZE, 24, still(dolly=dolly)).frame(0))[0]
        return int((luma > 200).sum())

    assert area(1.0, 0.2) / area(1.0, 0) > 1.4 > 1.2 > area(4.0, 0.2) / area(4.0, 0) > 1.0


def test_a_pose_moves_fades_and_turns():
    moved = Shot([wall(), square(160, 1.0, motion=lambda seconds: Pose(dx=0.25))], SIZE, 24, still()).frame(0)
    assert abs(middle(moved) - (160 + 0.25 * 192)) < 1.5
    gone = Shot([wall(), square(160, 1.0, motion=lambda seconds: Pose(opacity=0))], SIZE, 24, still()).frame(0)
    assert (i420_planes(gone)[0] > 200).sum() == 0


def test_skipping_what_is_hidden_changes_no_pixel(monkeypatch):
    """Chunks, solid rows and floors only save work, also while the camera rolls."""
    from studio.pipelines.draft.diorama import diorama

    prompt = "Wide: a village at night, handheld"
    path = camera_path("handheld", 12, 12, np.random.default_rng(1))
    directions = read_prompt(prompt, 1)

    def frame():
        return Shot(diorama(prompt, directions, SIZE, 1, "s")[0], SIZE, 12, path).frame(7)

    quick = frame()
    monkeypatch.setattr(layers, "CHUNKS", 1)
    monkeypatch.setattr(layers, "AHEAD", 10_000)
    monkeypatch.setattr(layers.Canvas, "solid_row", lambda self, layer, matrix: self.size[1])
    assert np.abs(quick.astype(int) - frame().astype(int)).max() <= 2  # rounding of the blend


def test_the_farthest_layer_fills_the_frame_during_the_whole_move():
    path = camera_path("pan_right", 24, 24, np.random.default_rng(0), 1.4)
    tight = Layer(np.full((192, 320, 3), 128, np.uint8), 160, 96, 192, 1.2, graded=0.0)
    shot = Shot([tight], SIZE, 24, path)
    columns = shot.prints[0].planes.shape[1]
    edges = [shot.prints[0].matrix(SIZE, path.at(i), Pose()) @ [[0, columns], [0, 0], [1, 1]] for i in range(24)]
    assert max(e[0, 0] for e in edges) <= 0 and min(e[0, 1] for e in edges) >= 320


def test_the_dolly_glides():
    way = glide(np.linspace(0, 1, 101))
    speed = np.diff(way)
    assert way[0] == 0 and abs(way[-1] - 1) < 1e-9 and (speed > 0).all()
    assert speed[0] < 0.1 * speed[50] and np.ptp(speed[30:70]) < 1e-9
