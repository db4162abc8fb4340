"""Recordings become samples: what is read, what is written, what is measured, and what each bad one is told."""

import io
from pathlib import Path

import soundfile
import voice_samples
from starlette.testclient import TestClient


def upload(client: TestClient, path: Path) -> str:
    answer = client.post("/assets", files={"file": (path.name, path.read_bytes())})
    assert answer.status_code in (200, 201), answer.text
    return f"asset:{answer.json()['sha256']}"


def test_a_recording_becomes_a_voice(client: TestClient, tmp_path: Path) -> None:
    path = voice_samples.save(tmp_path / "in" / "Inês.wav", voice_samples.said(12.0, "woman-1"))
    looked = client.post("/voices/look", json={"ref": upload(client, path), "start": 1.0, "end": 11.0}).json()
    assert looked.get("checks") == [], looked
    assert looked["sample"]["name"] == "Inês.wav" and 8.0 < looked["sample"]["seconds"] < 10.3

    fields = {"name": "Inês", "sample": looked["sample"]["sha256"], "consent": "the speaker"}
    made = client.post("/voices", json=fields)
    assert made.status_code == 201, made.text
    profile = made.json()["profile"]
    assert abs(profile["pitch_hz"] - looked["profile"]["pitch_hz"]) < 2 and len(profile["spectrum"]) == 48
    written = client.get(f"/voices/{made.json()['id']}/sample")
    assert soundfile.info(io.BytesIO(written.content)).channels == 1
