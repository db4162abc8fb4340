"""Wan's transformer with a noise level for every latent frame: SkyReels-V3 goes on with a clip. For workers only.

Frames that are given have timestep 0. The modulation has one row for each frame, not for each token as diffusers' own
network has it: 5 MB instead of 27 GB at 720P with 40 latent frames. Knows no sampler, no file and no plan.
"""

from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock
from diffusers.utils import apply_lora_scale
from torch import nn

ROTARY_LENGTH = 2048  # places in time that the published network knows: context frames begin at 1024


class FrameRotary(WanRotaryPosEmbed):
    """Positions of tokens, whose frames need not follow one another."""

    def forward(
        self, hidden_states: torch.Tensor, frame_index: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (1, F * h/2 * w/2, 1, head) of latents (B, C, F, h, w). `frame_index`: (F,) places in time;
        None: 0, 1, 2 …"""
        _, _, frames, height, width = hidden_states.shape
        grid = frames // self.patch_size[0], height // self.patch_size[1], width // self.patch_size[2]
        if frame_index is None:
            frame_index = torch.arange(grid[0])
        frame_index = frame_index.to(self.freqs_cos.device)
        return self._spread(self.freqs_cos, frame_index, grid), self._spread(self.freqs_sin, frame_index, grid)

    def _spread(self, table: torch.Tensor, frame_index: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
        frames, rows, columns = grid
        in_time, in_rows, in_columns = table.split([self.t_dim, self.h_dim, self.w_dim], dim=1)
        parts = [
            in_time[frame_index].view(frames, 1, 1, -1),
            in_rows[:rows].view(1, rows, 1, -1),
            in_columns[:columns].view(1, 1, columns, -1),
        ]
        spread = torch.cat([part.expand(frames, rows, columns, -1) for part in parts], dim=-1)  # (F, rows, columns, d)
        return spread.reshape(1, frames * rows * columns, 1, -1)


class FrameWanTransformerBlock(WanTransformerBlock):
    """Wan's block; tokens of a frame share their modulation."""

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, temb: torch.Tensor, rotary_emb: Any
    ) -> torch.Tensor:
        """(B, N, C) -> (B, N, C). `temb`: (B, F, 6, C) of as many frames as these tokens belong to."""
        table = (self.scale_shift_table.unsqueeze(0) + temb.float()).unsqueeze(3)  # (B, F, 6, 1, C)
        shift, scale, gate, last_shift, last_scale, last_gate = table.unbind(2)  # (B, F, 1, C) each
        frames = temb.shape[1]

        normed = _by_frame(self.norm1(hidden_states.float()), frames) * (1 + scale) + shift
        normed = normed.flatten(1, 2).type_as(hidden_states)
        hidden_states = _gated(hidden_states, self.attn1(normed, None, None, rotary_emb), gate)

        normed = self.norm2(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.attn2(normed, encoder_hidden_states, None, None)

        normed = _by_frame(self.norm3(hidden_states.float()), frames) * (1 + last_scale) + last_shift
        normed = normed.flatten(1, 2).type_as(hidden_states)
        return _gated(hidden_states, self.ffn(normed).float(), last_gate)


def _by_frame(tokens: torch.Tensor, frames: int) -> torch.Tensor:
    """(B, N, C) -> (B, F, N / F, C)"""
    return tokens.unflatten(1, (frames, -1))


def _gated(hidden_states: torch.Tensor, change: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    frames = gate.shape[1]
    added = _by_frame(hidden_states.float(), frames) + _by_frame(change, frames) * gate
    return added.flatten(1, 2).type_as(hidden_states)


class FrameWanTransformer3DModel(WanTransformer3DModel):
    """WanTransformer3DModel whose timestep is (B, F); the same weights under the same names.

    Several GPUs may share a clip by its inherited `_cp_plan` where its latent frames can be divided among them: frames
    and their timesteps are split alike. The published lengths are all multiples of 8."""

    _supports_gradient_checkpointing = False
    _no_split_modules = ["FrameWanTransformerBlock"]
    _repeated_blocks = ["FrameWanTransformerBlock"]

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = ROTARY_LENGTH,
        pos_embed_seq_len: int | None = None,
    ) -> None:
        super().__init__(  # by name: diffusers takes what has none for a default, which a copy need not keep
            patch_size=patch_size, num_attention_heads=num_attention_heads, attention_head_dim=attention_head_dim,
            in_channels=in_channels, out_channels=out_channels, text_dim=text_dim, freq_dim=freq_dim, ffn_dim=ffn_dim,
            num_layers=0, cross_attn_norm=cross_attn_norm, qk_norm=qk_norm, eps=eps, image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim, rope_max_seq_len=rope_max_seq_len, pos_embed_seq_len=pos_embed_seq_len,
        )  # fmt: skip
        self.register_to_config(num_layers=num_layers)  # none above: its blocks are not ours
        dim = num_attention_heads * attention_head_dim
        self.rope = FrameRotary(attention_head_dim, patch_size, rope_max_seq_len)
        self.blocks = nn.ModuleList(
            FrameWanTransformerBlock(
                dim, ffn_dim, num_attention_heads, qk_norm, cross_attn_norm, eps, added_kv_proj_dim
            )
            for _ in range(num_layers)
        )

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        frame_index: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        encoder_hidden_states_image: torch.Tensor | None = None,
    ) -> Any:
        """Velocity of all frames, (B, C, F, h, w) like `hidden_states`.

        `timestep`: (B, F) in 0..1000, 0 for frames that are given. `frame_index`: (F,) place of each frame in time,
        below the configuration's `rope_max_seq_len`; None: 0, 1, 2 … Text: (B, L, text_dim)."""
        grid = grid_of(hidden_states, self.config.patch_size)
        rotary = self.rope(hidden_states, frame_index)
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()  # (B, N, C)

        samples, frames = timestep.shape  # with several GPUs: frames of this one
        temb, projected, context, image = self.condition_embedder(
            timestep.flatten(), encoder_hidden_states, encoder_hidden_states_image
        )
        projected = projected.view(samples, frames, 6, -1)
        if image is not None:
            context = torch.cat([image, context], dim=1)
        for block in self.blocks:
            tokens = block(tokens, context, projected, rotary)

        table = self.scale_shift_table.unsqueeze(0) + temb.view(samples, frames, 1, -1)  # (B, F, 2, C)
        shift, scale = table.unsqueeze(3).unbind(2)
        tokens = (_by_frame(self.norm_out(tokens.float()), frames) * (1 + scale) + shift).flatten(1, 2).type_as(tokens)
        sample = unpatched(self.proj_out(tokens), grid, self.config.patch_size)
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)


def grid_of(latents: torch.Tensor, patch: tuple[int, int, int]) -> tuple[int, int, int]:
    frames, rows, columns = (size // side for size, side in zip(latents.shape[2:], patch, strict=True))
    return frames, rows, columns


def unpatched(tokens: torch.Tensor, grid: tuple[int, int, int], patch: tuple[int, int, int]) -> torch.Tensor:
    """(B, F * rows * columns, patch * C) -> (B, C, F, h, w)"""
    apart = tokens.unflatten(1, grid).unflatten(-1, (*patch, -1))  # (B, F, rows, columns, pt, ph, pw, C)
    return apart.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


TransformerBlockRegistry.register(  # so that caches can skip them
    FrameWanTransformerBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),
)
