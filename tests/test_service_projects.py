"""Projects: names, codes of queues that move between them, and what cannot be moved or deleted."""

import pytest

from studio.errors import Conflict, NotFound, Refused
from studio.service import Studio


def test_a_queue_that_moves_keeps_its_code_or_takes_the_next_free_one(studio: Studio) -> None:
    first, second = studio.queues.create("One"), studio.queues.create("Two")
    assert [first["code"], second["code"]] == ["EP001", "EP002"]
    studio.projects.create("Série")
    studio.projects.take_in(second["id"], "Série")
    assert studio.queues.view(second["id"])["code"] == "EP002"
    studio.projects.take_in(second["id"], "Série")
    assert studio.queues.view(second["id"])["code"] == "EP002", "to where it is already"
    assert studio.queues.create("Three")["code"] == "EP002", "free again in the default project"
    studio.projects.take_in(second["id"], "")
    assert studio.queues.view(second["id"])["code"] == "EP003"
    assert studio.projects.get("serie")["queue_ids"] == []


def test_the_inbox_stays_where_it_is(studio: Studio) -> None:
    studio.projects.create("Série")
    with pytest.raises(Refused) as refused:
        studio.projects.take_in(studio.peers.inbox(), "Série")
    assert refused.value.code == "project.inbox"


def test_names_are_taken_once_and_found_by_slug(studio: Studio) -> None:
    studio.projects.create("A Ilha")
    with pytest.raises(Conflict):
        studio.projects.create("a ilha")
    with pytest.raises(NotFound):
        studio.projects.get("../..")
    assert studio.projects.get("a-ilha")["name"] == "A Ilha"


def test_a_project_with_queues_and_the_one_that_is_always_there_stay(studio: Studio) -> None:
    queue = studio.queues.create("One")["id"]
    studio.projects.create("Série")
    studio.projects.take_in(queue, "Série")
    for name in ("Série", "Default"):
        with pytest.raises(Conflict):
            studio.projects.delete(name)
    studio.queues.delete(queue)
    studio.projects.delete("Série")
    assert [one["name"] for one in studio.projects.list()] == ["Default"]
