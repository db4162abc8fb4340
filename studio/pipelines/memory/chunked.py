"""Runs the blocks of Wan and its relatives over some tokens at a time: less memory, the same latents to the bit.

A stock block holds a dozen copies of all tokens at its peak, most of them between its linear layers. Everything but
self-attention treats each token for itself, so it is done for `tokens` of them at a time. Self-attention sees them all:
what remains is its query, key, value and result. The result's memory takes the block's output, and the block's input is
only read, because a cache may keep it.

The sums are those of diffusers' `WanTransformerBlock`, `WanVACETransformerBlock` and `SkyReelsV2TransformerBlock` with
their stock attention processors (diffusers 0.42, Apache-2.0), and of our own `FrameWanTransformerBlock` and
`WanAudioTransformerBlock`. Knows neither weights nor plans.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn

from studio.pipelines.memory import innermost

TEXT_TOKENS = 512  # of a prompt; what stands before them in the context are an image's


def can(module: torch.nn.Module) -> bool:
    """Has it blocks that can be chunked?"""
    return any(type(part).__name__ in FORWARDS for part in module.modules())


def install(module: torch.nn.Module, tokens: int) -> Callable[[], None]:
    """Every block of the module handles `tokens` at a time. Returns how to undo it."""
    undo = [
        innermost.wrap(part, partial(_bound, FORWARDS[type(part).__name__], part, tokens))
        for part in module.modules()
        if type(part).__name__ in FORWARDS
    ]

    def uninstall() -> None:
        for one in undo:
            one()

    return uninstall


def _bound(chunked: Callable[..., Any], block: Any, tokens: int, forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward` is what it replaces."""
    return lambda *args, **named: chunked(block, tokens, *args, **named)


# ------------------------------------------------------------------------------------------------ the blocks
def _wan(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, temb: Any, rotary_emb: Any
) -> torch.Tensor:
    """`temb`: (B, 6, D), or (B, N, 6, D) where each token has its own time (Wan 2.2 TI2V)."""
    if temb.ndim == 3:
        times = _same_for_all(block.scale_shift_table + temb.float())
        return _block(block, Chunks(tokens), hidden_states, encoder_hidden_states, times, rotary_emb, None)

    def times_of(start: int, end: int) -> Any:
        table = block.scale_shift_table.unsqueeze(0) + temb[:, start:end].float()  # (B, n, 6, D)
        return [one.squeeze(2) for one in table.chunk(6, dim=2)]

    return _block(block, Chunks(tokens), hidden_states, encoder_hidden_states, times_of, rotary_emb, None)


def _skyreels(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, temb: Any, rotary_emb: Any, mask: Any
) -> torch.Tensor:
    """`temb`: (B, 6, D), or (B, 6, N, D) with diffusion forcing. `mask`: of self-attention, or None."""
    if temb.ndim == 3:
        times = _same_for_all(block.scale_shift_table + temb.float())
        return _block(block, Chunks(tokens), hidden_states, encoder_hidden_states, times, rotary_emb, mask)

    def times_of(start: int, end: int) -> Any:
        table = block.scale_shift_table.unsqueeze(2) + temb[:, :, start:end].float()  # (B, 6, n, D)
        return [one.squeeze(1) for one in table.chunk(6, dim=1)]

    return _block(block, Chunks(tokens), hidden_states, encoder_hidden_states, times_of, rotary_emb, mask)


def _vace(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, control_hidden_states: Any, temb: Any,
    rotary_emb: Any,
) -> tuple[Any, torch.Tensor]:  # fmt: skip
    if block.proj_in is not None:
        control_hidden_states = block.proj_in(control_hidden_states) + hidden_states
    times = _same_for_all(block.scale_shift_table.to(temb.device) + temb.float())
    control = _block(block, Chunks(tokens), control_hidden_states, encoder_hidden_states, times, rotary_emb, None)
    return (None if block.proj_out is None else block.proj_out(control)), control


def _frame_wan(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, temb: Any, rotary_emb: Any
) -> torch.Tensor:
    """`temb`: (B, F, 6, D): tokens of a frame share their modulation, so no chunk goes beyond one."""
    frame_tokens = hidden_states.shape[1] // temb.shape[1]
    table = block.scale_shift_table.unsqueeze(0) + temb.float()

    def times_of(start: int, end: int) -> Any:
        return table[:, start // frame_tokens].chunk(6, dim=1)  # (B, 1, D) each

    chunks = Chunks(tokens, frame_tokens)
    return _block(block, chunks, hidden_states, encoder_hidden_states, times_of, rotary_emb, None)


def _audio_wan(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, temb: Any, rotary_emb: Any, hearing: Any
) -> torch.Tensor:
    times = _same_for_all(block.scale_shift_table + temb.float())
    chunks = Chunks(tokens)
    return _block(block, chunks, hidden_states, encoder_hidden_states, times, rotary_emb, None, _Sound(block, hearing))


FORWARDS: dict[str, Callable[..., Any]] = {
    "WanTransformerBlock": _wan,
    "WanVACETransformerBlock": _vace,
    "SkyReelsV2TransformerBlock": _skyreels,
    "FrameWanTransformerBlock": _frame_wan,
    "WanAudioTransformerBlock": _audio_wan,
}


def _same_for_all(table: torch.Tensor) -> Callable[[int, int], Any]:
    """Shifts, scales and gates that all tokens share, from (B, 6, D)."""
    shared = table.chunk(6, dim=1)
    return lambda start, end: shared


class Chunks(NamedTuple):
    """How tokens are cut: `tokens` at a time, and never beyond one of the pieces of `within` that they consist of."""

    tokens: int
    within: int = 0  # 0: they are one piece

    def spans(self, hidden: torch.Tensor) -> list[tuple[int, int]]:
        count = hidden.shape[1]
        piece = self.within or count
        return [
            (start, min(start + self.tokens, begin + piece))
            for begin in range(0, count, piece)
            for start in range(begin, begin + piece, self.tokens)
        ]


def _block(
    block: Any, chunks: Chunks, hidden: Any, context: Any, times: Any, rotary: Any, mask: Any,
    sound: "_Sound | None" = None,
) -> torch.Tensor:  # fmt: skip
    """(B, N, D) -> (B, N, D). `times(start, end)`: shift, scale and gate of attention, then of the feed-forward."""
    attended = _self_attention(block, chunks, hidden, times, rotary, mask, sound)
    cross = _Cross(block.attn2, context, sound.hearing.image_tokens if sound else None)
    for start, end in chunks.spans(hidden):
        _, _, gate, shift, scale, last_gate = times(start, end)
        own = hidden[:, start:end]
        seen = attended[:, start:end].contiguous()  # of two samples it has gaps, and those are added up another way
        now = (own.float() + _out(block.attn1, seen) * gate).type_as(hidden)
        now = now + cross(block.norm2(now.float()).type_as(hidden))
        if sound is not None:
            now = now + sound(block.norm_x(now.float()).type_as(hidden), start, end)
        fed = block.ffn((block.norm3(now.float()) * (1 + scale) + shift).type_as(hidden))
        attended[:, start:end] = (now.float() + fed.float() * last_gate).type_as(hidden)
    return attended


def _self_attention(
    block: Any, chunks: Chunks, hidden: Any, times: Any, rotary: Any, mask: Any, sound: "_Sound | None"
) -> torch.Tensor:
    """(B, N, D), before its output projection."""
    attention = block.attn1
    query, key, value = (torch.empty_like(hidden, memory_format=torch.contiguous_format) for _ in range(3))
    for start, end in chunks.spans(hidden):
        shift, scale, *_ = times(start, end)
        normed = (block.norm1(hidden[:, start:end].float()) * (1 + scale) + shift).type_as(hidden)
        if attention.fused_projections:
            q, k, v = attention.to_qkv(normed).chunk(3, dim=-1)
        else:
            q, k, v = attention.to_q(normed), attention.to_k(normed), attention.to_v(normed)
        places = [table[:, start:end] for table in rotary]
        query[:, start:end] = turned(heads_of(attention.norm_q(q), attention), *places).flatten(2)
        key[:, start:end] = turned(heads_of(attention.norm_k(k), attention), *places).flatten(2)
        value[:, start:end] = v
        del normed, q, k, v  # or those of the last tokens would wait until attention is done
    parallel = attention.processor._parallel_config
    query, key, value = (heads_of(one, attention) for one in (query, key, value))
    if sound is not None:
        sound.look(query, key)
    return _attend(attention, query, key, value, mask, parallel).flatten(2, 3).type_as(query)


class _Cross:
    """Attention of some tokens to the prompt, and to an image where the model has one."""

    def __init__(self, attention: Any, context: torch.Tensor, image_tokens: int | None = None) -> None:
        """`image_tokens`: of the context, before those of the text; None: all but TEXT_TOKENS, as diffusers has it."""
        self.attention = attention
        self.image: tuple[Any, Any] | None = None
        if attention.add_k_proj is not None and image_tokens != 0:
            first = context.shape[1] - TEXT_TOKENS if image_tokens is None else image_tokens
            image, context = context[:, :first], context[:, first:]
            if attention.fused_projections:
                key, value = attention.to_added_kv(image).chunk(2, dim=-1)
            else:
                key, value = attention.add_k_proj(image), attention.add_v_proj(image)
            self.image = heads_of(attention.norm_added_k(key), attention), heads_of(value, attention)
        if attention.fused_projections:
            key, value = attention.to_kv(context).chunk(2, dim=-1)
        else:
            key, value = attention.to_k(context), attention.to_v(context)
        self.text = heads_of(attention.norm_k(key), attention), heads_of(value, attention)

    def __call__(self, normed: torch.Tensor) -> torch.Tensor:
        """(B, n, D) -> (B, n, D)"""
        attention = self.attention
        query = heads_of(attention.norm_q(attention.to_q(normed)), attention)
        seen = _attend(attention, query, *self.text, None, None).flatten(2, 3).type_as(query)
        if self.image is not None:
            seen = seen + _attend(attention, query, *self.image, None, None).flatten(2, 3).type_as(query)
        return _out(attention, seen)


class _Sound:
    """Attention of some tokens to what is heard, and with two speakers, to whom they belong."""

    def __init__(self, block: Any, hearing: Any) -> None:
        self.block, self.hearing = block, hearing
        self.key, self.value = block.audio_attn2.keys(hearing)
        self.labels: torch.Tensor | None = None

    def look(self, query: torch.Tensor, key: torch.Tensor) -> None:
        """`query`, `key`: of self-attention, (B, N, heads, d)."""
        if self.hearing.regions is not None:
            queries = (part.contiguous() for part in query.split(self.block.label_tokens(query, self.hearing), dim=1))
            self.labels = self.block.labels(queries, key[:, : self.hearing.frame_tokens], self.hearing)

    def __call__(self, normed: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """(B, n, D) -> (B, n, D)"""
        labels = None if self.labels is None else self.labels[:, start:end]
        frame, first = self.hearing.frame_tokens, self.hearing.first
        heard: torch.Tensor = self.block.audio_attn2(normed, self.key, self.value, frame, first + start, labels)
        return heard


# ------------------------------------------------------------------------------------------------ their pieces
def heads_of(flat: torch.Tensor, attention: Any) -> torch.Tensor:
    """(B, n, D) -> (B, n, heads, D / heads)"""
    return flat.unflatten(2, (attention.heads, -1))


def turned(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions: (B, n, heads, d) by (1, n, 1, d)."""
    even, odd = states.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    rotated = torch.empty_like(states)
    rotated[..., 0::2] = even * cos - odd * sin
    rotated[..., 1::2] = even * sin + odd * cos
    return rotated


def _attend(attention: Any, query: Any, key: Any, value: Any, mask: Any, parallel: Any) -> torch.Tensor:
    """(B, n, heads, d), by the backend that the model was set to."""
    return dispatch_attention_fn(
        query, key, value, attn_mask=mask, dropout_p=0.0, is_causal=False,
        backend=attention.processor._attention_backend, parallel_config=parallel,
    )  # fmt: skip


def _out(attention: Any, states: torch.Tensor) -> torch.Tensor:
    return attention.to_out[1](attention.to_out[0](states))
