"""requirements.lock answers requirements.txt on every system and Python of a release, and carries hashes."""

import re

import pytest

from scripts import lock_requirements as locks

WISHES = locks.WISHES.read_text("utf-8")
LOCK = locks.LOCK.read_text("utf-8")


def test_the_lock_answers_every_requirement_everywhere() -> None:
    assert locks.complaints(WISHES, LOCK) == []
    assert len(list(locks.environments())) == 4 * 3 * 2
    assert len(locks.wanted(WISHES)) > 25  # not vacuous


def test_tools_of_a_release_are_pinned_with_hashes() -> None:
    pins = {pin.name: pin for pin in locks.pins(locks.TOOLS.read_text("utf-8"))}
    assert [f"{pin.name}=={pin.version}" for pin in pins.values()] == sorted(locks.TOOLS_OF_A_RELEASE)
    assert all(len(pin.hashes) > 5 for pin in pins.values())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (re.sub(r"gradio==6\.31\.0 .*\n( .*\n)*", "", LOCK, count=1), "gradio==6.31.0 is answered by nothing"),
        (LOCK.replace("gradio==6.31.0", "gradio==6.30.0"), "is answered by 6.30.0"),
        (LOCK.replace("xfuser==0.7.0 ; sys_platform == 'linux'", "xfuser==0.7.0 ; sys_platform == 'x'"), "xfuser"),
        (re.sub(r"(zipp==4\.1\.2) \\\n( .*\n)+", r"\1\n", LOCK), "zipp has no hash"),
        (LOCK.replace("zipp==4.1.2", "zipp>=4.1.2"), "zipp is not pinned to one version"),
        (LOCK + "torch==2.13.0 --hash=sha256:" + "0" * 64 + "\n", "torch comes with torch"),
        (LOCK + "nvidia-cublas==13.1.1.3 --hash=sha256:" + "0" * 64 + "\n", "nvidia-cublas comes with torch"),
        (LOCK + "zipp==4.0.0 --hash=sha256:" + "0" * 64 + "\n", "a package is pinned twice"),
        ("--index-url https://example.org/simple\n" + LOCK, "an address stands in it"),
    ],
    ids=["missing", "older", "marker", "hash", "open", "torch", "cuda", "twice", "address"],
)  # fmt: skip
def test_a_lock_that_does_not_fit_is_named(broken: str, said: str) -> None:
    assert broken != LOCK
    assert any(said in line for line in locks.complaints(WISHES, broken))


def test_a_new_requirement_is_missed() -> None:
    assert any("leftpad" in line for line in locks.complaints(WISHES + "leftpad>=1\n", LOCK))
    assert not locks.complaints(WISHES + 'leftpad>=1; sys_platform == "emscripten"\n', LOCK)
