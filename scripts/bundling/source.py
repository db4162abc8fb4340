"""The program as a commit has it. Reads git's objects, so what lies changed in the work tree has no part in it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .members import PLAIN, PROGRAM, Member

LEFT_OUT = {  # of the top folder: what only those need who work on Lanterna
    "tests", "scripts", "packaging", "outputs", "pyproject.toml", "requirements-dev.txt", "CONTRIBUTING.md",
    "Dockerfile", "compose.yaml", "pinokio.js",
}  # fmt: skip
DOTTED = {".env.example"}  # of the files that begin with a dot, the only one that users need


@dataclass(frozen=True)
class Commit:
    repository: Path
    name: str  # 40 hex digits
    made_at: int  # Unix seconds

    @classmethod
    def of(cls, repository: Path, revision: str = "HEAD") -> "Commit":
        name, seconds = git(repository, "show", "-s", "--format=%H %ct", revision).decode().split()
        return cls(repository, name, int(seconds))

    def files(self) -> dict[str, Member]:
        """Every file by its path, with its content."""
        listed = git(self.repository, "ls-tree", "-rz", self.name).decode().split("\0")
        rows = [re.fullmatch(r"(\d+) blob ([0-9a-f]+)\t(.+)", line) for line in listed]
        found = [(row[1], row[2], row[3]) for row in rows if row]
        contents = blobs(self.repository, [name for _, name, _ in found])
        return {
            path: Member(path, content, PROGRAM if mode == "100755" else PLAIN)
            for (mode, _, path), content in zip(found, contents, strict=True)
        }


def git(repository: Path, *arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], input=given, capture_output=True, check=True
    ).stdout


def blobs(repository: Path, names: list[str]) -> list[bytes]:
    answer = git(repository, "cat-file", "--batch", given="\n".join(names).encode() + b"\n")
    found, at = [], 0
    for _ in names:
        head, at = answer[at : answer.index(b"\n", at)], answer.index(b"\n", at) + 1
        size = int(head.split()[2])
        found.append(answer[at : at + size])
        at += size + 1
    return found


def program(files: dict[str, Member]) -> list[Member]:
    """What users get of them."""
    return [member for path, member in files.items() if is_users(path)]


def is_users(path: str) -> bool:
    top = path.split("/")[0]
    return top not in LEFT_OUT and (not top.startswith(".") or top in DOTTED)


def version(files: dict[str, Member]) -> str:
    found = re.search(rb'__version__ = "(.+)"', files["studio/__init__.py"].content)
    assert found, "studio/__init__.py names no version"
    return found[1].decode()
