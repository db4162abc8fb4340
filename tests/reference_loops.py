"""The sampling loops of SkyReels-V3 and InfiniteTalk, plain and slow, for comparison with the product.

Written from the published facts of the loops alone, before and apart from `studio/pipelines/skyreels_v3`, of which it
knows nothing. Everything heavy is a function of the caller, who also decides how noise is drawn.

Pixels are in -1..1, a frame is (3, H, W), a video a list of frames. Latents are (1, 16, f, h, w) and normalised; the
VAE's stride is 4 in time and 8 in space. Time runs from 1000 (noise) to 0 (clean): x(t) = (1 - t/1000) * data +
t/1000 * noise, and the network predicts the velocity noise - data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

WINDOW = 81  # frames that an avatar's network sees at once
WINDOW_LATENTS = 21
CHANNELS = 16
FPS_AVATAR = 25


@dataclass
class Models:
    """What the caller gives. `noise(purpose, index, shape)`: purposes are "video" (index 0), "key" (index 0),
    "window" (index k) and "renoise" (index (k, i): i = 0 before the first step, i + 1 after step i)."""

    network: Callable[..., Tensor]  # (x, t, **conditions) -> velocity; x and t as each loop says
    vae_encode: Callable[[Tensor], Tensor]  # (1, 3, F, H, W) -> (1, 16, f, h, w)
    vae_decode: Callable[[Tensor], Tensor]  # and back
    clip: Callable[[Tensor], Any]  # (3, H, W) -> embedding
    noise: Callable[[str, Any, tuple[int, ...]], Tensor]


# --- sizes and pictures ----------------------------------------------------------------------------------------------


def nearest_size(table: dict[str, list[int]], height: int, width: int) -> tuple[int, int]:
    """The table's size whose ratio (its key, height / width) is nearest."""
    best = min(table, key=lambda ratio: abs(float(ratio) - height / width))
    return table[best][0], table[best][1]


def size_of_video(table: dict[str, list[int]], height: int, width: int) -> tuple[int, int]:
    """For the tables of reference_to_video and the extensions: floored to multiples of 16."""
    tall, wide = nearest_size(table, height, width)
    return tall // 16 * 16, wide // 16 * 16


def letterboxed(image: Any, height: int, width: int) -> Tensor:
    """A PIL image fitted into the size (Lanczos), centred on white: a frame."""
    from PIL import Image

    scale = min(height / image.height, width / image.width)
    fitted = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    page = Image.new("RGB", (width, height), (255, 255, 255))
    page.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return torch.from_numpy(np.array(page)).permute(2, 0, 1).float() / 127.5 - 1


def batch(frames: list[Tensor]) -> Tensor:
    """(1, 3, F, H, W) of a list of frames."""
    return torch.stack(frames, dim=1)[None]


def unbatch(pixels: Tensor) -> list[Tensor]:
    return [pixels[0, :, i] for i in range(pixels.shape[2])]


def latents_of(frames: int) -> int:
    assert frames % 4 == 1
    return (frames - 1) // 4 + 1


def space(height: int, width: int) -> tuple[int, int]:
    return height // 8, width // 8


# --- time ------------------------------------------------------------------------------------------------------------


def unipc(shift: float, steps: int) -> Any:
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    scheduler.set_timesteps(steps)
    return scheduler


def euler_times(shift: float, steps: int) -> list[float]:
    """t_0 .. t_steps: `steps` times evenly from 1000 to 1, then 0; each warped."""
    even = [1000 - 999 * i / max(steps - 1, 1) for i in range(steps)] + [0]
    return [1000 * (shift * (t / 1000) / (1 + (shift - 1) * (t / 1000))) for t in even]


def noised(clean: Tensor, t: float, noise: Tensor) -> Tensor:
    return (1 - t / 1000) * clean + t / 1000 * noise


# --- reference_to_video ----------------------------------------------------------------------------------------------


def frames_of_video(seconds: int) -> int:
    """Of reference_to_video and shot_switching_extension."""
    return 24 * seconds + 1


def reference_to_video(
    models: Models, references: list[Any], sizes: dict[str, list[int]], seconds: int, text: Any, steps: int = 8
) -> list[Tensor]:
    """`references`: 1 to 4 PIL images. network(x (1, 16, f + 4, h, w), t (1,), text=)."""
    height, width = size_of_video(sizes, references[0].height, references[0].width)
    slots = [models.vae_encode(batch([letterboxed(image, height, width)])) for image in references]
    while len(slots) < 4:
        slots.append(torch.zeros_like(slots[0]))
    shape = (1, CHANNELS, latents_of(frames_of_video(seconds)), *space(height, width))
    x = models.noise("video", 0, shape)
    scheduler = unipc(5.0, steps)
    for t in scheduler.timesteps:
        v = models.network(torch.cat([x, *slots], dim=2), t[None], text=text)
        v = v[:, :, : shape[2]]
        x = scheduler.step(v, t, x).prev_sample
    return unbatch(models.vae_decode(x))


# --- single_shot_extension -------------------------------------------------------------------------------------------

PREFIX_FRAMES = 25
PREFIX_LATENTS = 7


def rolls(seconds: int) -> list[int]:
    """New latent frames of each roll."""
    parts = [5] * (seconds // 5) + ([seconds % 5] if seconds % 5 else [])
    pad = 0
    result = []
    for part in parts:
        new = 6 * part
        rest = (new + PREFIX_LATENTS) % 8
        if rest > pad:
            pad += 8 - rest
            new += 8 - rest
        else:
            pad -= rest
            new -= rest
        result.append(new)
    return result


def roll_frames(new: int) -> int:
    """New frames of a roll of so many new latent frames."""
    return 4 * (new + PREFIX_LATENTS) - 3 - PREFIX_FRAMES


def single_shot_extension(models: Models, clip: list[Tensor], seconds: int, text: Any, steps: int = 8) -> list[Tensor]:
    """The new frames only. `clip`: frames at 24 a second, already in the size that is rendered, 25 or more.

    network(x (1, 16, 7 + L, h, w), t (1, 7 + L), text=)."""
    height, width = clip[0].shape[1:]
    prefix = clip[-PREFIX_FRAMES:]
    result: list[Tensor] = []
    for new in rolls(seconds):
        given = models.vae_encode(batch(prefix))
        assert given.shape[2] == PREFIX_LATENTS
        x = models.noise("video", 0, (1, CHANNELS, new, *space(height, width)))  # the same seed starts each roll
        scheduler = unipc(8.0, steps)
        for t in scheduler.timesteps:
            times = torch.tensor([[0.0] * PREFIX_LATENTS + [float(t)] * new])
            v = models.network(torch.cat([given, x], dim=2), times, text=text)
            x = scheduler.step(v[:, :, -new:], t, x).prev_sample
        decoded = unbatch(models.vae_decode(torch.cat([given, x], dim=2)))
        prefix = decoded[-PREFIX_FRAMES:]
        result += decoded[PREFIX_FRAMES:]
    return result[: 24 * seconds]


# --- shot_switching_extension ----------------------------------------------------------------------------------------

CONTEXT_FRAMES = {2: 9, 3: 17, 4: 25, 5: 33}  # by seconds


def shot_switching_extension(
    models: Models, clip: list[Tensor], seconds: int, text: Any, steps: int = 8
) -> list[Tensor]:
    """network(x (1, 16, f + c, h, w), t (1, f + c), text=, frame_index (f + c,)).

    Its prediction may cover the context."""
    height, width = clip[0].shape[1:]
    context = models.vae_encode(batch(clip[-CONTEXT_FRAMES[seconds] :]))
    given, made = context.shape[2], latents_of(frames_of_video(seconds))
    frame_index = torch.tensor(list(range(made)) + [1024 + i for i in range(given)])
    x = models.noise("video", 0, (1, CHANNELS, made, *space(height, width)))
    scheduler = unipc(8.0, steps)
    for t in scheduler.timesteps:
        times = torch.tensor([[float(t)] * made + [0.0] * given])
        v = models.network(torch.cat([x, context], dim=2), times, text=text, frame_index=frame_index)
        x = scheduler.step(v[:, :, :made], t, x).prev_sample
    return unbatch(models.vae_decode(x))


# --- what both avatars share -----------------------------------------------------------------------------------------


@dataclass
class Window:
    """One pass through the network. `order`: the embedding as it is at this pass, as frame numbers of the original."""

    start: int
    order: list[int]
    keep: list[int]  # of the 81 decoded frames

    def heard(self) -> list[list[int]]:
        """81 lists of 5: frame numbers of the original embedding, around each frame, clamped to the ends."""
        last = len(self.order) - 1
        around = [[self.start + i + d for d in (-2, -1, 0, 1, 2)] for i in range(WINDOW)]
        return [[self.order[min(max(frame, 0), last)] for frame in five] for five in around]

    def audio(self, embedding: Tensor) -> Tensor:
        """(speakers, N, 12, C) -> (speakers, 81, 5, 12, C)."""
        return torch.stack([torch.stack([embedding[:, frame] for frame in five], 1) for five in self.heard()], 1)


def condition(models: Models, pictures: dict[int, Tensor]) -> Tensor:
    """(1, 20, 21, h, w): mask and latents of a video of zeros but for the frames that are given."""
    zero = torch.zeros_like(next(iter(pictures.values())))
    video = [pictures.get(i, zero) for i in range(WINDOW)]
    mask = [1.0 if i in pictures else 0.0 for i in range(WINDOW)]
    mask = [mask[0]] * 4 + mask[1:]
    height, width = space(*zero.shape[1:])
    grouped = torch.tensor([mask[i : i + 4] for i in range(0, len(mask), 4)]).T  # (4, 21)
    drawn = grouped[None, :, :, None, None].expand(1, 4, WINDOW_LATENTS, height, width)
    return torch.cat([drawn, models.vae_encode(batch(video))], dim=1)


def colour_matched(frames: list[Tensor], reference: Tensor, strength: float = 1.0) -> list[Tensor]:
    """Each frame with the mean and the spread that the reference has in each channel of CIE Lab."""
    goal = lab(reference)
    result = []
    for frame in frames:
        ours = lab(frame)
        matched = torch.empty_like(ours)
        for c in range(3):
            mean, std = ours[c].mean(), ours[c].std(correction=0)
            ratio = goal[c].std(correction=0) / max(float(std), 1e-6)
            matched[c] = (ours[c] - mean) * ratio + goal[c].mean()
        result.append((1 - strength) * frame + strength * rgb(matched))
    return result


XYZ_OF_RGB = torch.tensor(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
    dtype=torch.float64,
)
WHITE = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64)[:, None, None]  # D65


def lab(frame: Tensor) -> Tensor:
    """(3, H, W) sRGB in -1..1 to CIE Lab, float64."""
    colour = (frame.double().clamp(-1, 1) + 1) / 2
    linear = torch.where(colour > 0.04045, ((colour + 0.055) / 1.055) ** 2.4, colour / 12.92)
    xyz = torch.einsum("ij,jhw->ihw", XYZ_OF_RGB, linear) / WHITE
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def rgb(colour: Tensor) -> Tensor:
    """And back; what no screen can show is clipped. float32."""
    middle = (colour[0] + 16) / 116
    f = torch.stack([middle + colour[1] / 500, middle, (middle - colour[2] / 200).clamp(min=0)])
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * WHITE
    linear = torch.einsum("ij,jhw->ihw", torch.linalg.inv(XYZ_OF_RGB), xyz)
    bright = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return (torch.where(linear > 0.0031308, bright, 12.92 * linear).clamp(0, 1) * 2 - 1).float()


# --- talking_avatar (A2V-19B) ----------------------------------------------------------------------------------------

MOTION, DROP, STRIDE = 5, 12, 64
MOST_FRAMES = 5000
KEYS_REPEATED = 5
WINDOW_PROMPT = "a person is talking"


@dataclass
class AvatarPlan:
    frames: int  # N', of the result
    extended: int  # V
    key_pass: Window
    key_frames: list[int]  # of the key pass, one per window
    windows: list[Window]

    @property
    def passes(self) -> int:
        return 1 + len(self.windows)


def avatar_plan(audio_frames: int) -> AvatarPlan:
    frames = min(MOST_FRAMES, audio_frames)
    order = list(range(frames))
    if frames < WINDOW:
        return AvatarPlan(frames, WINDOW, Window(0, order, order), [], [])
    extended = frames
    while (extended - WINDOW) % STRIDE != 0:
        extended += 1
    missing = extended - frames
    order = order + list(reversed(order[len(order) - missing :]))

    key_numbers = [0]
    number = 80
    while number < extended - 1:
        key_numbers.append(number)
        number += STRIDE
    key_numbers.append(extended - 1)
    key_frames = [round(number * 80 / (extended - 1)) for number in key_numbers][1:]

    windows = []
    start = 0
    while start + WINDOW <= extended:
        decoded = list(range(WINDOW))
        if start + WINDOW < extended:
            decoded = decoded[:-DROP]
        if start > 0:
            decoded = decoded[MOTION:]
        windows.append(Window(start, order, decoded))
        start += STRIDE
    return AvatarPlan(frames, extended, Window(0, order, list(range(WINDOW))), key_frames, windows)


def talking_avatar(
    models: Models,
    image: Tensor,
    embedding: Tensor,
    text: Any,
    window_text: Any,
    *,
    steps: int = 4,
    shift: float = 11.0,
    no_text: Any = None,
    text_guidance: float = 1.0,
    audio_guidance: float = 1.0,
) -> list[Tensor]:
    """`image`: a frame in the size that is rendered. `embedding`: (speakers, N, 12, C).

    network(x (1, 16, 21, h, w), t (1,), condition (1, 20, 21, h, w), text=, picture=clip's, audio (speakers, 81, 5,
    12, C))."""
    plan = avatar_plan(embedding.shape[1])
    shape = (1, CHANNELS, WINDOW_LATENTS, *space(*image.shape[1:]))
    times = euler_times(shift, steps)

    def velocity(x: Tensor, t: float, words: Any, window: Window, given: Tensor, picture: Any) -> Tensor:
        call = partial(called, models, x, t, given, picture, None)
        return guided(call, words, no_text, window.audio(embedding), text_guidance, audio_guidance)

    # the key pass
    x = models.noise("key", 0, shape)
    given = condition(models, {0: image})
    for i in range(steps):
        v = velocity(x, times[i], text, plan.key_pass, given, models.clip(image))
        x = x - v * (times[i] - times[i + 1]) / 1000
    drawn = colour_matched(unbatch(models.vae_decode(x)), image)
    if not plan.windows:
        return [drawn[i] for i in plan.key_pass.keep]
    keys = [drawn[i] for i in plan.key_frames]

    kept: list[Tensor] = []
    for k, window in enumerate(plan.windows):
        before = [image] if k == 0 else kept[-MOTION:]
        pictures = {i: frame for i, frame in enumerate(before)}
        for i in range(WINDOW - KEYS_REPEATED, WINDOW):
            pictures[i] = keys[min(k, len(keys) - 1)]
        given = condition(models, pictures)
        picture = models.clip(before[0])
        motion = given[:, 4:, :2]  # latents of the 5 frames
        x = models.noise("window", k, shape).clone()
        if k > 0:
            x[:, :, :2] = noised(motion, times[0], models.noise("renoise", (k, 0), tuple(motion.shape)))
        for i in range(steps):
            v = velocity(x, times[i], window_text, window, given, picture)
            x = x - v * (times[i] - times[i + 1]) / 1000
            if k > 0:
                noise = models.noise("renoise", (k, i + 1), tuple(motion.shape))
                x[:, :, :2] = noised(motion, times[i + 1], noise)
        drawn = colour_matched(unbatch(models.vae_decode(x)), image)
        kept += [drawn[i] for i in window.keep]
    return kept[: plan.frames]


def called(
    models: Models, x: Tensor, t: float, given: Tensor, picture: Any, masks: Tensor | None, text: Any, audio: Tensor
) -> Tensor:
    """One call of an avatar's network."""
    more = {} if masks is None or audio.shape[0] == 1 else {"speaker_masks": masks}
    now = torch.tensor([t], dtype=torch.float32)
    return models.network(x, now, condition=given, text=text, picture=picture, audio=audio, **more)


def guided(
    call: Callable[[Any, Tensor], Tensor], text: Any, no_text: Any, audio: Tensor, of_text: float, of_audio: float
) -> Tensor:
    """One, two or three calls of the network. Without audio is zeros, for one speaker."""
    silence = torch.zeros_like(audio[:1])
    v = call(text, audio)
    if of_text == 1 and of_audio == 1:
        return v
    if of_text == 1:
        v_noaudio = call(text, silence)
        return v_noaudio + of_audio * (v - v_noaudio)
    v_notext = call(no_text, audio)
    if of_audio == 1:
        return v_notext + of_text * (v - v_notext)
    v_null = call(no_text, silence)
    return v_null + of_text * (v - v_notext) + of_audio * (v_notext - v_null)


# --- InfiniteTalk, MultiTalk -----------------------------------------------------------------------------------------

TALK_MOTION = 9
TALK_STRIDE = 72
TALK_MOST_FRAMES = 1000


@dataclass
class TalkPlan:
    frames: int  # of the result
    windows: list[Window]


def talk_plan(audio_frames: int, embedded: int | None = None) -> TalkPlan:
    """`embedded`: frames of the embedding, where short audio was padded; more than 80."""
    frames = min(TALK_MOST_FRAMES, audio_frames)
    embedded = max(audio_frames, WINDOW) if embedded is None else embedded
    assert embedded >= WINDOW, "pad shorter audio"
    windows = []
    start = 0
    while True:
        order = list(range(embedded))
        end = start + WINDOW
        last = end >= frames
        if end >= embedded:
            missing = end - embedded + 3
            order = order + list(reversed(order[len(order) - missing :]))
        windows.append(Window(start, order, list(range(WINDOW))[TALK_MOTION if start > 0 else 0 :]))
        if last:
            return TalkPlan(frames, windows)
        start += TALK_STRIDE


def infinite_talk(
    models: Models,
    source: list[Tensor],
    embedding: Tensor,
    text: Any,
    no_text: Any,
    *,
    frames: int | None = None,
    steps: int = 40,
    shift: float = 7.0,
    text_guidance: float = 5.0,
    audio_guidance: float = 4.0,
    colour: float = 1.0,
    speaker_masks: Tensor | None = None,
) -> list[Tensor]:
    """`source`: the one picture, or a video at 25 frames a second, in the size that is rendered. `embedding`:
    (speakers, N, 12, C), N of 81 or more; `frames`: of the audio, if it was shorter.

    network as in `talking_avatar`, with speaker_masks where two people are heard."""
    plan = talk_plan(frames or embedding.shape[1], embedding.shape[1])
    shape = (1, CHANNELS, WINDOW_LATENTS, *space(*source[0].shape[1:]))
    times = euler_times(shift, steps)
    kept: list[Tensor] = []
    for k, window in enumerate(plan.windows):
        seen = source[0] if len(source) == 1 else source[min(window.start, len(source) - 1)]
        given = condition(models, {0: seen})
        picture = models.clip(seen)
        motion = models.vae_encode(batch([seen] if k == 0 else kept[-TALK_MOTION:]))
        m = motion.shape[2]  # 1, later 3
        audio = window.audio(embedding)
        x = models.noise("window", k, shape).clone()
        if k > 0:
            x[:, :, :m] = noised(motion, times[0], models.noise("renoise", (k, 0), tuple(motion.shape)))
        for i in range(steps):
            x[:, :, :m] = motion
            call = partial(called, models, x, times[i], given, picture, speaker_masks)
            v = guided(call, text, no_text, audio, text_guidance, audio_guidance)
            x = x - v * (times[i] - times[i + 1]) / 1000
            if k > 0:
                noise = models.noise("renoise", (k, i + 1), tuple(motion.shape))
                x[:, :, :m] = noised(motion, times[i + 1], noise)
        x[:, :, :m] = motion
        drawn = colour_matched(unbatch(models.vae_decode(x)), source[0], colour)
        kept += [drawn[i] for i in window.keep]
    return kept[: plan.frames]


# --- audio and people ------------------------------------------------------------------------------------------------


def avatar_audio_frames(samples: int, rate: int = 16000) -> int:
    """Frames of talking_avatar's embedding: the seconds times 25, rounded up."""
    return -(-samples * FPS_AVATAR // rate)


def talk_audio_frames(samples: int, rate: int = 16000) -> int:
    """Of InfiniteTalk's: rounded down."""
    return samples * FPS_AVATAR // rate


def tracks_together(first: list[float], second: list[float]) -> tuple[list[float], list[float]]:
    """Both from the beginning, the shorter one with silence after it."""
    longest = max(len(first), len(second))
    return first + [0.0] * (longest - len(first)), second + [0.0] * (longest - len(second))


def tracks_in_turn(first: list[float], second: list[float]) -> tuple[list[float], list[float]]:
    """The second begins where the first ends; each is silent while the other speaks."""
    return first + [0.0] * len(second), [0.0] * len(first) + second


def soundtrack(first: list[float], second: list[float]) -> list[float]:
    return [a + b for a, b in zip(first, second, strict=True)]


def speaker_masks(height: int, width: int, boxes: list[list[float]] | None = None) -> Tensor:
    """(3, H, W): the first speaker, the second, the background. `boxes`: left, top, right, bottom in 0..1; without,
    the left and the right half, smaller by 5 % of themselves on each side."""
    if boxes is None:
        boxes = [[0.025, 0.05, 0.475, 0.95], [0.525, 0.05, 0.975, 0.95]]
    masks = torch.zeros(3, height, width)
    for person, (left, top, right, bottom) in enumerate(boxes):
        masks[person, round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
    masks[2] = 1 - masks[:2].amax(dim=0)
    return masks
