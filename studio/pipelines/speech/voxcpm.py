"""VoxCPM2: clones in thirty languages at 48 kHz, Portuguese and Chinese among them, by its authors' own package.

One file of its weights is published as a pickle, which the studio does not fetch: the user does, and the package reads
it as weights only, in its own process. Code and weights: Apache-2.0.
"""

from typing import Any

from pydantic import Field

from studio.domain import JSON
from studio.pipelines.base import Availability, Limits, Machine, Speaks
from studio.pipelines.parts import Part, Shelf
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.own_python import OwnPython, Package
from studio.pipelines.speech.weights import weighing

REPO = "openbmb/VoxCPM2"
CODEC = ("audiovae.safetensors", "audiovae.pth")  # the package takes the first that is there


class VoxCPM2(OwnPython):
    id = "voxcpm2"
    licence = "Apache-2.0"
    package = Package("voxcpm", "voxcpm", "==2.0.3", "voxcpm_python")
    script = "speak_voxcpm.py"
    parts = (Part("model", REPO, 4_550_000_000, folder="", files=("config.json", "model.safetensors", "*.json")),)
    footprint = weighing(4_930_000_000, 2_000_000_000)
    limits = Limits(languages=("en", "pt", "zh"))
    speaks = Speaks(accents=("en", "pt", "zh-CN"), clones=True, needs_sample=True, sample=(3.0, 30.0))
    rate = 48_000

    class Options(OwnPython.Options):
        cfg_value: float = Field(2.0, ge=1.0, le=5.0, description="how closely it keeps to words and sample")
        steps: int = Field(10, ge=4, le=50, description="of the diffusion; more is slower")

    def availability(self, machine: Machine) -> Availability:
        found = super().availability(machine)
        folder = Shelf.here().find(self.parts[0])
        if found.state != "ready" or folder is None or any((folder / name).is_file() for name in CODEC):
            return found
        command = f'hf download {REPO} {CODEC[1]} --cache-dir "{Shelf.here().cache}"'
        if not Shelf.here().ours(folder):
            command = f'hf download {REPO} {CODEC[1]} --local-dir "{folder}"'
        return Availability("unfit", "speech.no_codec", {"engine": self.id, "file": CODEC[1], "command": command})

    def request(self, words: Words, options: Any) -> dict[str, JSON]:
        return {"cfg_value": options.cfg_value, "steps": options.steps}
