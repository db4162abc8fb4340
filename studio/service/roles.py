"""Who is in an episode: scenes that show the same picture or name the same person are one role. Knows no store.

A proposal and nothing more: whoever produces the episode confirms it, renames it, or leaves it alone.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from studio.domain import Input, Line, ReferenceToVideo, SceneBase, TalkingAvatar, slug
from studio.service.views import View
from studio.story.who import named_in_file, named_in_label

MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class Cue:
    """A scene as casting sees it."""

    key: str  # its index in a file, its id in the store
    number: int  # from 1
    scene: SceneBase
    reads: Mapping[str, str]  # by field, the key of the scene that stands there

    @property
    def said_by(self) -> str:
        """Who speaks in it, where all is said by one; else by what its label says."""
        names = {slug(line.character): line.character for line in self.scene.lines if line.character}
        return next(iter(names.values())) if len(names) == 1 else "" if names else named_in_label(self.scene.label)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a file: copies of one picture have one `group`. `face`: there is one clear face in it."""

    group: Hashable
    name: str = ""
    face: bool | None = None
    thumb: str = ""


@dataclass
class Role:
    """One person of the episode, as proposed."""

    name: str
    portraits: list[str] = field(default_factory=list)  # refs, as the scenes name them
    groups: set[Hashable] = field(default_factory=set)  # of those pictures
    scenes: dict[int, None] = field(default_factory=dict)  # their numbers, in the order in which they came up
    lines: list[tuple[str, int]] = field(default_factory=list)  # (key of the scene, number of the line)
    voices: "Counter[str]" = field(default_factory=Counter)
    known: bool = False

    @property
    def voice(self) -> str:
        return self.voices.most_common(1)[0][0] if self.voices else ""

    def seen_in(self, cue: Cue, portrait: str = "") -> None:
        self.scenes[cue.number] = None
        if portrait and portrait not in self.portraits:
            self.portraits.append(portrait)

    def view(self, key: str, pictures: Mapping[str, Picture]) -> View:
        thumbs = [pictures[ref].thumb for ref in self.portraits if ref in pictures]
        return {
            "key": key, "name": self.name, "voice": self.voice, "known": self.known, "scenes": sorted(self.scenes),
            "lines": len(self.lines), "portrait": self.portraits[0] if self.portraits else None,
            "thumb": next((thumb for thumb in thumbs if thumb), ""), "files": len(self.portraits),
            "pictures": len(self.groups),
        }  # fmt: skip


def pictures_in(cues: Iterable[Cue]) -> tuple[list[str], list[str]]:
    """The files that may be portraits: those of avatars, and references, in which a face must be found."""
    own, others = dict[str, None](), dict[str, None]()
    for cue in cues:
        if isinstance(cue.scene, TalkingAvatar):
            own |= {item.ref: None for item in _files(cue) if item.field == "input_image"}
        elif isinstance(cue.scene, ReferenceToVideo):
            others |= {item.ref: None for item in _files(cue)}
    return list(own), [ref for ref in others if ref not in own]


def _files(cue: Cue) -> Iterator[Input]:
    return (item for item in cue.scene.inputs() if item.kind == "image" and not item.ref.startswith(("{{", "scene:")))


def roles_of(cues: Sequence[Cue], pictures: Mapping[str, Picture], known: Mapping[str, tuple[str, str]]) -> list[Role]:
    """In the order in which they come up. `known`: by slug (name, voice) of the characters that are there already."""
    cast = _Cast(cues, pictures, known)
    for cue in cues:
        if isinstance(cue.scene, TalkingAvatar):
            cast.avatar(cue)
    for cue in cues:
        if isinstance(cue.scene, ReferenceToVideo):
            cast.references(cue)
    for cue in cues:
        for number, line in enumerate(cue.scene.lines):
            cast.line(cue, number, line)
    return sorted(cast.roles, key=lambda role: min(role.scenes))


class _Cast:
    def __init__(
        self, cues: Sequence[Cue], pictures: Mapping[str, Picture], known: Mapping[str, tuple[str, str]]
    ) -> None:
        self.roles: list[Role] = []
        self._cues = {cue.key: cue for cue in cues}
        self._pictures, self._known = pictures, known
        self._named: dict[str, Role] = {}
        self._shown: dict[Hashable, Role] = {}  # by picture
        self._by_scene: dict[str, Role] = {}  # avatars
        self._names = self._votes()

    def _votes(self) -> dict[Hashable, str]:
        """By picture, the name that most of its scenes give it."""
        votes: dict[Hashable, Counter[str]] = {}
        for cue in self._cues.values():
            if isinstance(cue.scene, TalkingAvatar) and (ref := self._portrait(cue)) and cue.said_by:
                votes.setdefault(self._group(ref), Counter())[cue.said_by] += 1
        return {group: names.most_common(1)[0][0] for group, names in votes.items()}

    def _group(self, ref: str) -> Hashable:
        return self._pictures[ref].group if ref in self._pictures else ref

    def _name(self, ref: str) -> str:
        """Of the file, as its owner called it."""
        return self._pictures[ref].name if ref in self._pictures else ref

    def _portrait(self, cue: Cue) -> str:
        """The file it shows; "" where that is another scene."""
        return next((item.ref for item in _files(cue) if item.field == "input_image"), "")

    def avatar(self, cue: Cue) -> None:
        """Whose face speaks here. One that goes on with another scene is whoever its label says, else who was there."""
        if ref := self._portrait(cue):
            role = self._of_picture(ref)
        elif cue.said_by:
            role = self._of_name(cue.said_by)
        else:
            before = self._by_scene.get(cue.reads.get("input_image", ""))
            if before is None:
                return
            role, ref = before, ""
        role.seen_in(cue, ref)
        self._by_scene[cue.key] = role

    def references(self, cue: Cue) -> None:
        """Who is seen in a scene by its references: faces that speak elsewhere, and other clear ones."""
        for item in _files(cue):
            picture = self._pictures.get(item.ref)
            if self._group(item.ref) in self._shown or (picture and picture.face):
                self._of_picture(item.ref).seen_in(cue, item.ref)

    def line(self, cue: Cue, number: int, line: Line) -> None:
        role = self._of_name(line.character) if line.character else self._by_scene.get(cue.key) or self._of_name("")
        role.seen_in(cue)
        role.lines.append((cue.key, number))
        if line.voice:
            role.voices[line.voice] += 1

    def _of_picture(self, ref: str) -> Role:
        group = self._group(ref)
        if group not in self._shown:
            name = self._names.get(group) or named_in_file(self._name(ref))
            self._shown[group] = self._of_name(name) if name else self._new("")
            self._shown[group].groups.add(group)
        return self._shown[group]

    def _of_name(self, name: str) -> Role:
        key = slug(name)
        if key not in self._named:
            self._named[key] = self._new(name)
        return self._named[key]

    def _new(self, name: str) -> Role:
        role = Role(name[:MAX_NAME])
        if (known := self._known.get(slug(name))) and name:
            role.name, role.known = known[0], True
            role.voices.update([known[1]] if known[1] else [])
        self.roles.append(role)
        return role


# ------------------------------------------------------------------------------------------------ and confirmed
@dataclass(frozen=True, slots=True)
class Part:
    """What was confirmed of a role."""

    name: str
    voice: str = ""


def spoken(cues: Sequence[Cue], parts: Sequence[tuple[Role, Part]]) -> dict[str, list[Line]]:
    """By key of the scene, its lines with the names that were confirmed; only where something changes."""
    scenes = {cue.key: cue.scene for cue in cues}
    found: dict[str, list[Line]] = {}
    for role, part in parts:
        for key, number in role.lines:
            lines = found.setdefault(key, list(scenes[key].lines))
            own = lines[number].voice
            if part.voice and own != part.voice:
                own = ""  # the character's counts now
            lines[number] = lines[number].model_copy(update={"character": part.name, "voice": own})
    return {key: lines for key, lines in found.items() if lines != scenes[key].lines}
