"""Runs the blocks of Wan and its relatives over some tokens at a time: less memory, the same latents to the bit.

A stock block holds a dozen copies of all tokens at its peak, most of them between its linear layers. Everything but
self-attention treats each token for itself, so it is done for `tokens` of them at a time. Self-attention sees them all:
what remains is its query, key, value and result. The result's memory takes the block's output, and the block's input is
only read, because a cache may keep it.

The sums are those of diffusers' `WanTransformerBlock`, `WanVACETransformerBlock` and `SkyReelsV2TransformerBlock` with
their stock attention processors (diffusers 0.42, Apache-2.0). Knows neither weights nor plans.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

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
        return _block(block, tokens, hidden_states, encoder_hidden_states, times, rotary_emb, None)

    def times_of(start: int, end: int) -> Any:
        table = block.scale_shift_table.unsqueeze(0) + temb[:, start:end].float()  # (B, n, 6, D)
        return [one.squeeze(2) for one in table.chunk(6, dim=2)]

    return _block(block, tokens, hidden_states, encoder_hidden_states, times_of, rotary_emb, None)


def _skyreels(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, temb: Any, rotary_emb: Any, mask: Any
) -> torch.Tensor:
    """`temb`: (B, 6, D), or (B, 6, N, D) with diffusion forcing. `mask`: of self-attention, or None."""
    if temb.ndim == 3:
        times = _same_for_all(block.scale_shift_table + temb.float())
        return _block(block, tokens, hidden_states, encoder_hidden_states, times, rotary_emb, mask)

    def times_of(start: int, end: int) -> Any:
        table = block.scale_shift_table.unsqueeze(2) + temb[:, :, start:end].float()  # (B, 6, n, D)
        return [one.squeeze(1) for one in table.chunk(6, dim=1)]

    return _block(block, tokens, hidden_states, encoder_hidden_states, times_of, rotary_emb, mask)


def _vace(
    block: Any, tokens: int, hidden_states: Any, encoder_hidden_states: Any, control_hidden_states: Any, temb: Any,
    rotary_emb: Any,
) -> tuple[Any, torch.Tensor]:  # fmt: skip
    if block.proj_in is not None:
        control_hidden_states = block.proj_in(control_hidden_states) + hidden_states
    times = _same_for_all(block.scale_shift_table.to(temb.device) + temb.float())
    control = _block(block, tokens, control_hidden_states, encoder_hidden_states, times, rotary_emb, None)
    return (None if block.proj_out is None else block.proj_out(control)), control


FORWARDS: dict[str, Callable[..., Any]] = {
    "WanTransformerBlock": _wan,
    "WanVACETransformerBlock": _vace,
    "SkyReelsV2TransformerBlock": _skyreels,
}


def _same_for_all(table: torch.Tensor) -> Callable[[int, int], Any]:
    """Shifts, scales and gates that all tokens share, from (B, 6, D)."""
    shared = table.chunk(6, dim=1)
    return lambda start, end: shared


def _block(block: Any, tokens: int, hidden: Any, context: Any, times: Any, rotary: Any, mask: Any) -> torch.Tensor:
    """(B, N, D) -> (B, N, D). `times(start, end)`: shift, scale and gate of attention, then of the feed-forward."""
    attended = _self_attention(block, tokens, hidden, times, rotary, mask)
    cross = _Cross(block.attn2, context)
    for start, end in _spans(hidden, tokens):
        _, _, gate, shift, scale, last_gate = times(start, end)
        own = hidden[:, start:end]
        seen = attended[:, start:end].contiguous()  # of two samples it has gaps, and those are added up another way
        now = (own.float() + _out(block.attn1, seen) * gate).type_as(hidden)
        now = now + cross(block.norm2(now.float()).type_as(hidden))
        fed = block.ffn((block.norm3(now.float()) * (1 + scale) + shift).type_as(hidden))
        attended[:, start:end] = (now.float() + fed.float() * last_gate).type_as(hidden)
    return attended


def _self_attention(block: Any, tokens: int, hidden: Any, times: Any, rotary: Any, mask: Any) -> torch.Tensor:
    """(B, N, D), before its output projection."""
    attention = block.attn1
    query, key, value = (torch.empty_like(hidden, memory_format=torch.contiguous_format) for _ in range(3))
    for start, end in _spans(hidden, tokens):
        shift, scale, *_ = times(start, end)
        normed = (block.norm1(hidden[:, start:end].float()) * (1 + scale) + shift).type_as(hidden)
        if attention.fused_projections:
            q, k, v = attention.to_qkv(normed).chunk(3, dim=-1)
        else:
            q, k, v = attention.to_q(normed), attention.to_k(normed), attention.to_v(normed)
        turned = [freqs[:, start:end] for freqs in rotary]
        query[:, start:end] = _turned(_heads(attention.norm_q(q), attention), *turned).flatten(2)
        key[:, start:end] = _turned(_heads(attention.norm_k(k), attention), *turned).flatten(2)
        value[:, start:end] = v
        del normed, q, k, v  # or those of the last tokens would wait until attention is done
    parallel = attention.processor._parallel_config
    query, key, value = (_heads(one, attention) for one in (query, key, value))
    return _attend(attention, query, key, value, mask, parallel).flatten(2, 3).type_as(query)


class _Cross:
    """Attention of some tokens to the prompt, and to an image where the model has one."""

    def __init__(self, attention: Any, context: torch.Tensor) -> None:
        self.attention = attention
        self.image: tuple[Any, Any] | None = None
        if attention.add_k_proj is not None:
            image, context = context[:, : context.shape[1] - TEXT_TOKENS], context[:, context.shape[1] - TEXT_TOKENS :]
            if attention.fused_projections:
                key, value = attention.to_added_kv(image).chunk(2, dim=-1)
            else:
                key, value = attention.add_k_proj(image), attention.add_v_proj(image)
            self.image = _heads(attention.norm_added_k(key), attention), _heads(value, attention)
        if attention.fused_projections:
            key, value = attention.to_kv(context).chunk(2, dim=-1)
        else:
            key, value = attention.to_k(context), attention.to_v(context)
        self.text = _heads(attention.norm_k(key), attention), _heads(value, attention)

    def __call__(self, normed: torch.Tensor) -> torch.Tensor:
        """(B, n, D) -> (B, n, D)"""
        attention = self.attention
        query = _heads(attention.norm_q(attention.to_q(normed)), attention)
        seen = _attend(attention, query, *self.text, None, None).flatten(2, 3).type_as(query)
        if self.image is not None:
            seen = seen + _attend(attention, query, *self.image, None, None).flatten(2, 3).type_as(query)
        return _out(attention, seen)


# ------------------------------------------------------------------------------------------------ their pieces
def _spans(hidden: torch.Tensor, tokens: int) -> list[tuple[int, int]]:
    count = hidden.shape[1]
    return [(start, min(start + tokens, count)) for start in range(0, count, tokens)]


def _heads(flat: torch.Tensor, attention: Any) -> torch.Tensor:
    """(B, n, D) -> (B, n, heads, D / heads)"""
    return flat.unflatten(2, (attention.heads, -1))


def _turned(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions: (B, n, heads, d) by (1, n, 1, d)."""
    even, odd = states.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    turned = torch.empty_like(states)
    turned[..., 0::2] = even * cos - odd * sin
    turned[..., 1::2] = even * sin + odd * cos
    return turned


def _attend(attention: Any, query: Any, key: Any, value: Any, mask: Any, parallel: Any) -> torch.Tensor:
    """(B, n, heads, d), by the backend that the model was set to."""
    return dispatch_attention_fn(
        query, key, value, attn_mask=mask, dropout_p=0.0, is_causal=False,
        backend=attention.processor._attention_backend, parallel_config=parallel,
    )  # fmt: skip


def _out(attention: Any, states: torch.Tensor) -> torch.Tensor:
    return attention.to_out[1](attention.to_out[0](states))
