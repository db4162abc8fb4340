"""The verbs of a desk that speak of models: `HereModels` in this process, `ThereModels` over REST."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from studio.service import Studio

View = dict[str, Any]


class ModelDesk(Protocol):
    def models(self) -> View: ...
    def model(self, model: str) -> View: ...
    def fetch_model(self, model: str, accept: bool) -> View: ...
    def cancel_model(self, model: str) -> None: ...
    def check_model(self, model: str) -> View: ...
    def remove_model(self, model: str) -> View: ...
    def bring_models(self, folder: Path, model: str) -> View: ...
    def needs(self, queue_id: str) -> View: ...
    def fetch_needs(self, queue_id: str, accept: bool, run: bool) -> View: ...


class HereModels:
    _studio: "Studio"

    def models(self) -> View:
        return self._studio.models.list()

    def model(self, model: str) -> View:
        return self._studio.models.get(model)

    def fetch_model(self, model: str, accept: bool) -> View:
        return self._studio.models.fetch(model, accept_licence=accept)

    def cancel_model(self, model: str) -> None:
        self._studio.models.cancel(model)

    def check_model(self, model: str) -> View:
        return self._studio.models.verify(model)

    def remove_model(self, model: str) -> View:
        return self._studio.models.remove(model)

    def bring_models(self, folder: Path, model: str) -> View:
        return self._studio.models.bring(str(folder), model, trusted=True)

    def needs(self, queue_id: str) -> View:
        return self._studio.models.needs(queue_id)

    def fetch_needs(self, queue_id: str, accept: bool, run: bool) -> View:
        return self._studio.models.fetch_needs(queue_id, accept_licences=accept, run=run)


class ThereModels:
    _ask: Callable[..., Any]

    def models(self) -> View:
        found: View = self._ask("GET", "/catalogue")
        return found

    def model(self, model: str) -> View:
        found: View = self._ask("GET", f"/catalogue/{model}")
        return found

    def fetch_model(self, model: str, accept: bool) -> View:
        found: View = self._ask("POST", f"/catalogue/{model}/get", json={"accept_licence": accept})
        return found

    def cancel_model(self, model: str) -> None:
        self._ask("POST", f"/catalogue/{model}/cancel")

    def check_model(self, model: str) -> View:
        found: View = self._ask("POST", f"/catalogue/{model}/verify")
        return found

    def remove_model(self, model: str) -> View:
        found: View = self._ask("DELETE", f"/catalogue/{model}")
        return found

    def bring_models(self, folder: Path, model: str) -> View:
        found: View = self._ask("POST", "/catalogue/import", json={"folder": str(folder), "model": model})
        return found

    def needs(self, queue_id: str) -> View:
        found: View = self._ask("GET", f"/catalogue/queues/{queue_id}")
        return found

    def fetch_needs(self, queue_id: str, accept: bool, run: bool) -> View:
        wanted = {"accept_licences": accept, "run": run}
        found: View = self._ask("POST", f"/catalogue/queues/{queue_id}", json=wanted)
        return found
