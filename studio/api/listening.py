"""/api/transcripts, and what was heard in a take: thin routes over service.listening."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from studio.api.answers import local, studio_of
from studio.domain import Language

router = APIRouter(tags=["voices"])


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ref: str = Field(min_length=1, max_length=4096, description="asset:<sha256>, scene:<id>, a URL or a path")
    language: Language | None = Field(None, description="empty: guessed from the first words")


@router.post("/transcripts")
def transcribe(request: Request, body: Asked) -> dict[str, Any]:
    """What is said in a recording, with the time of every word. Takes about as long as the model needs to hear it."""
    return studio_of(request).listening.transcribe(body.ref, body.language, trusted=local(request))


@router.get("/takes/{take_id}/transcript")
def transcript(request: Request, take_id: str) -> dict[str, Any]:
    """What was heard in a take, and the words that were to be said and were not."""
    return studio_of(request).listening.of_take(take_id)
