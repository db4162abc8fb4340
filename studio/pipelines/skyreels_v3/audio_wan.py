"""Wan's picture-to-video transformer that hears: SkyReels-V3 A2V, InfiniteTalk and MultiTalk. For workers only.

Each latent frame attends to the sound around it. With two speakers, rotary labels bind each voice to its place in the
picture: they come from how strongly a token looks at each speaker's region of the first frame. That is asked for some
tokens at a time, never as one map of all tokens. Knows no sampler, no file and no plan.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanAttnProcessor, WanTransformerBlock
from diffusers.utils import apply_lora_scale
from torch import nn

from studio.errors import Refused
from studio.pipelines.memory.chunked import heads_of, turned
from studio.pipelines.skyreels_v3.frame_wan import grid_of, unpatched

SPEAKERS = 2  # whose labels the network was trained with
RANGES = ((0.0, 4.0), (20.0, 24.0))  # labels of tokens in the region of each speaker
BACKGROUND = 12.0  # label of all other tokens
LABEL_BYTES = 256 << 20  # of one map of scores, (heads, tokens, tokens of a frame) in 32 bit, while labels are found


class Hearing(NamedTuple):
    """What every block of one forward hears, and how its tokens lie in the clip."""

    audio: torch.Tensor  # (T, speakers * audio tokens, width): of each latent frame
    speakers: int
    regions: torch.Tensor | None  # (3, S) 0 or 1: tokens of a frame where speaker 1, speaker 2, background is
    frame_tokens: int  # S
    image_tokens: int  # of the picture, before those of the text
    first: int = 0  # which token of the clip is the first here: others are with other GPUs
    group: Any = None  # of the processes that share the clip


class AudioProjection(nn.Module):
    """Features of the sound around each frame become tokens of each latent frame."""

    def __init__(
        self, window: int, vae_scale: int, features: int, inner_dim: int, dim: int, tokens: int, norm: bool
    ) -> None:
        """`features`: of one frame of sound: layers * channels."""
        super().__init__()
        self.window, self.vae_scale, self.tokens = window, vae_scale, tokens
        self.proj1 = nn.Linear(window * features, inner_dim)  # the first latent frame is one frame
        self.proj1_vf = nn.Linear((window + vae_scale - 1) * features, inner_dim)  # of the others: their neighbourhood
        self.proj2 = nn.Linear(inner_dim, inner_dim)
        self.proj3 = nn.Linear(inner_dim, tokens * dim)
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(speakers, 4n + 1, window, layers, channels) -> (speakers, n + 1, tokens, dim)"""
        middle = self.window // 2
        first = windows[:, :1].flatten(2)
        groups = windows[:, 1:].unflatten(1, (-1, self.vae_scale))  # (speakers, n, 4, window, layers, channels)
        around = [groups[:, :, 0, : middle + 1], groups[:, :, 1:-1, middle], groups[:, :, -1, middle:]]
        others = torch.cat(around, dim=2).flatten(2)  # (speakers, n, (window + 3) * layers * channels)
        inner = torch.cat([F.relu(self.proj1(first)), F.relu(self.proj1_vf(others))], dim=1)
        tokens = self.proj3(F.relu(self.proj2(inner)))
        return self.norm(tokens.unflatten(-1, (self.tokens, -1)))


class AudioAttention(nn.Module):
    """Tokens of a picture attend to the sound of their own latent frame."""

    def __init__(self, dim: int, audio_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(audio_dim, dim * 2)
        self.proj = nn.Linear(dim, dim)

    def keys(self, hearing: Hearing) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of the sound, (T, audio tokens, heads, d) each."""
        key, value = (heads_of(part, self) for part in self.kv_linear(hearing.audio).chunk(2, dim=-1))
        if hearing.speakers > 1:
            own = key.shape[1] // hearing.speakers
            labels = [(start + end) / 2 for start, end in RANGES for _ in range(own)]
            key = _labelled(key, torch.tensor([labels], device=key.device))
        return key, value

    def forward(
        self, hidden_states: torch.Tensor, key: torch.Tensor, value: torch.Tensor, frame_tokens: int, first: int = 0,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """(B, n, C) -> (B, n, C) for the tokens from `first` on, wherever they begin and end in a frame. `labels`:
        (B, n) with two speakers."""
        samples, count, _ = hidden_states.shape
        query = heads_of(self.q_linear(hidden_states), self)
        if labels is not None:
            query = _labelled(query, labels)
        begin, end = first // frame_tokens, -(-(first + count) // frame_tokens)  # latent frames
        before, after = first - begin * frame_tokens, end * frame_tokens - first - count
        if before or after:  # whole frames: what is added is thrown away again
            query = F.pad(query, (0, 0, 0, 0, before, after))
        query = query.unflatten(1, (end - begin, frame_tokens)).flatten(0, 1)  # (B * frames, S, heads, d)
        key, value = (
            part[begin:end].unsqueeze(0).expand(samples, -1, -1, -1, -1).flatten(0, 1) for part in (key, value)
        )
        heard = F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in (query, key, value))).transpose(1, 2)
        heard = heard.flatten(2).unflatten(0, (samples, -1)).flatten(1, 2)  # (B, frames * S, C)
        return self.proj(heard[:, before : before + count].contiguous())


def _labelled(states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Rotary positions from labels: (B, n, heads, d) by (B, n)."""
    width = states.shape[-1]
    angles = labels.float()[..., None] / 10000 ** (torch.arange(0, width, 2, device=states.device).float() / width)
    cos, sin = (table.repeat_interleave(2, dim=-1).unsqueeze(2) for table in (angles.cos(), angles.sin()))
    return turned(states, cos, sin)


class PictureAndTextProcessor(WanAttnProcessor):
    """Wan's attention to a picture and to words, of which there may be any number: diffusers' own wants 512."""

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, attention_mask: Any = None,
        rotary_emb: Any = None, image_tokens: int = 0,
    ) -> torch.Tensor:  # fmt: skip
        """`encoder_hidden_states`: (B, image_tokens + L, C)"""
        query = heads_of(attn.norm_q(attn.to_q(hidden_states)), attn)
        image, text = encoder_hidden_states.tensor_split([image_tokens], dim=1)
        key, value = attn.to_kv(text).chunk(2, dim=-1) if attn.fused_projections else (attn.to_k(text), attn.to_v(text))
        seen = self._seen(attn, query, attn.norm_k(key), value)
        if image_tokens:
            pair = attn.to_added_kv(image).chunk(2, dim=-1) if attn.fused_projections else None
            key, value = pair or (attn.add_k_proj(image), attn.add_v_proj(image))
            seen = seen + self._seen(attn, query, attn.norm_added_k(key), value)
        return attn.to_out[1](attn.to_out[0](seen))

    def _seen(self, attn: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        found = dispatch_attention_fn(
            query, heads_of(key, attn), heads_of(value, attn), attn_mask=None, dropout_p=0.0, is_causal=False,
            backend=self._attention_backend, parallel_config=None,
        )  # fmt: skip
        return found.flatten(2, 3).type_as(query)


class WanAudioTransformerBlock(WanTransformerBlock):
    """Wan's block with attention to the sound between the prompt and the feed-forward."""

    def __init__(
        self, dim: int, ffn_dim: int, num_heads: int, qk_norm: str | None, cross_attn_norm: bool, eps: float,
        added_kv_proj_dim: int | None, audio_dim: int, norm_audio_query: bool,
    ) -> None:  # fmt: skip
        super().__init__(dim, ffn_dim, num_heads, qk_norm, cross_attn_norm, eps, added_kv_proj_dim)
        self.attn2.set_processor(PictureAndTextProcessor())
        self.audio_attn2 = AudioAttention(dim, audio_dim, num_heads)
        self.norm_x = FP32LayerNorm(dim, eps, elementwise_affine=True) if norm_audio_query else nn.Identity()

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, temb: torch.Tensor, rotary_emb: Any,
        hearing: Hearing,
    ) -> torch.Tensor:  # fmt: skip
        """(B, N, C) -> (B, N, C). `temb`: (B, 6, C)."""
        table = self.scale_shift_table + temb.float()
        shift, scale, gate, last_shift, last_scale, last_gate = table.chunk(6, dim=1)

        normed = (self.norm1(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        labels = None
        if hearing.regions is not None:
            labels = self.labels(*self._looks(normed, rotary_emb, hearing), hearing)
        change = self.attn1(normed, None, None, rotary_emb)
        hidden_states = (hidden_states.float() + change * gate).type_as(hidden_states)

        normed = self.norm2(hidden_states.float()).type_as(hidden_states)
        change = self.attn2(normed, encoder_hidden_states, None, None, image_tokens=hearing.image_tokens)
        hidden_states = hidden_states + change

        normed = self.norm_x(hidden_states.float()).type_as(hidden_states)
        sound = self.audio_attn2.keys(hearing)
        change = self.audio_attn2(normed, *sound, hearing.frame_tokens, hearing.first, labels)
        hidden_states = hidden_states + change

        normed = (self.norm3(hidden_states.float()) * (1 + last_scale) + last_shift).type_as(hidden_states)
        return (hidden_states.float() + self.ffn(normed).float() * last_gate).type_as(hidden_states)

    # ------------------------------------------------------------------------------------------ who is where
    def labels(self, queries: Iterable[torch.Tensor], reference: torch.Tensor, hearing: Hearing) -> torch.Tensor:
        """(B, N) float32: the rotary label of each token. `queries`: those of self-attention, (B, n, heads, d) at a
        time; `reference`: keys of the first frame, (B, S, heads, d)."""
        assert hearing.regions is not None
        reference = reference.contiguous()
        if hearing.group is not None:
            torch.distributed.broadcast(reference, group=hearing.group, group_src=0)
        # attention whose values are the regions: what a token sees of each, and no map is kept
        regions = F.pad(hearing.regions.T.type_as(reference), (0, reference.shape[-1] - len(hearing.regions)))
        key, value = reference.transpose(1, 2), regions.expand(*reference.transpose(1, 2).shape[:2], -1, -1)
        shares = torch.cat(
            [
                F.scaled_dot_product_attention(query.transpose(1, 2), key, value)[..., :3].float().mean(1)
                for query in queries
            ],
            dim=1,
        )  # (B, N, 3)
        shares = shares / hearing.regions.float().sum(1).clamp(min=1)
        low, high = shares.amin(1, keepdim=True), shares.amax(1, keepdim=True)
        if hearing.group is not None:
            torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN, group=hearing.group)
            torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX, group=hearing.group)
        placed = (shares - low) / (high - low + 1e-8)  # (B, N, 3) in 0..1
        options = [placed[..., speaker] * (end - start) + start for speaker, (start, end) in enumerate(RANGES)]
        options.append(torch.full_like(options[0], BACKGROUND))
        return torch.stack(options, dim=-1).gather(-1, shares.argmax(-1, keepdim=True)).squeeze(-1)

    def _looks(
        self, normed: torch.Tensor, rotary_emb: Any, hearing: Hearing
    ) -> tuple[Iterator[torch.Tensor], torch.Tensor]:
        """Queries and reference keys of self-attention, which keeps its own to itself."""
        attention, count = self.attn1, hearing.frame_tokens

        def projected(start: int, end: int, norm: Any, place: int, linear: str) -> torch.Tensor:
            states = normed[:, start:end].contiguous()  # with gaps, they would be added up another way
            fused = attention.fused_projections
            found = attention.to_qkv(states).chunk(3, dim=-1)[place] if fused else getattr(attention, linear)(states)
            return turned(heads_of(norm(found), attention), *(table[:, start:end] for table in rotary_emb))

        step = self.label_tokens(normed, hearing)
        queries = (
            projected(start, start + step, attention.norm_q, 0, "to_q") for start in range(0, normed.shape[1], step)
        )
        return queries, projected(0, count, attention.norm_k, 1, "to_k")

    def label_tokens(self, tokens: torch.Tensor, hearing: Hearing) -> int:
        """How many of them, (B, N, …), may look for their speaker at once."""
        return max(1, LABEL_BYTES // (4 * len(tokens) * self.attn1.heads * hearing.frame_tokens))


class WanAudioTransformer3DModel(WanTransformer3DModel):
    """WanTransformer3DModel that hears; names of its weights as diffusers' converter makes them.

    Several GPUs may share a clip by `_cp_plan`: tokens are split, and each part finds its own place in the sound."""

    _supports_gradient_checkpointing = False
    _no_split_modules = ["WanAudioTransformerBlock"]
    _repeated_blocks = ["WanAudioTransformerBlock"]
    _skip_layerwise_casting_patterns = [*WanTransformer3DModel._skip_layerwise_casting_patterns, "audio_proj"]
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "norm_x"]
    _cp_plan = {
        "rope": {
            0: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            1: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
        },
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 36,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = 1280,
        added_kv_proj_dim: int | None = 5120,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        vae_scale: int = 4,
        audio_window: int = 5,
        audio_layers: int = 12,
        audio_channels: int = 768,
        audio_inner_dim: int = 512,
        audio_dim: int = 768,
        audio_tokens: int = 32,
        norm_audio: bool = True,
        norm_audio_query: bool = True,
    ) -> None:
        super().__init__(  # by name: diffusers takes what has none for a default, which a copy need not keep
            patch_size=patch_size, num_attention_heads=num_attention_heads, attention_head_dim=attention_head_dim,
            in_channels=in_channels, out_channels=out_channels, text_dim=text_dim, freq_dim=freq_dim, ffn_dim=ffn_dim,
            num_layers=0, cross_attn_norm=cross_attn_norm, qk_norm=qk_norm, eps=eps, image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim, rope_max_seq_len=rope_max_seq_len, pos_embed_seq_len=pos_embed_seq_len,
        )  # fmt: skip
        self.register_to_config(num_layers=num_layers)  # none above: its blocks are not ours
        self.blocks = nn.ModuleList(
            WanAudioTransformerBlock(
                num_attention_heads * attention_head_dim, ffn_dim, num_attention_heads, qk_norm, cross_attn_norm, eps,
                added_kv_proj_dim, audio_dim, norm_audio_query,
            )
            for _ in range(num_layers)
        )  # fmt: skip
        self.audio_proj = AudioProjection(
            audio_window, vae_scale, audio_layers * audio_channels, audio_inner_dim, audio_dim, audio_tokens, norm_audio
        )

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        audio_embeds: torch.Tensor | None = None,
        speaker_masks: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Velocity (B, 16, F, h, w) of latents (B, 36, F, h, w): noise, mask and picture.

        `timestep`: (B,). `audio_embeds`: (speakers, 4 * (F - 1) + 1, window, layers, channels), for all samples.
        `speaker_masks`: (3, H, W) of any size, above 0 where speaker 1, speaker 2, background is; needed for two.

        Raises Refused: "avatar.too_many_speakers", "avatar.no_masks"."""
        grid = grid_of(hidden_states, self.config.patch_size)
        rotary = self.rope(hidden_states)
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()  # (B, N, C)
        temb, projected, context, image = self.condition_embedder(
            timestep, encoder_hidden_states, encoder_hidden_states_image
        )
        projected = projected.unflatten(1, (6, -1))
        if image is not None:
            context = torch.cat([image, context], dim=1)
        hearing = self._heard(tokens, audio_embeds, speaker_masks, grid, 0 if image is None else image.shape[1])
        for block in self.blocks:
            tokens = block(tokens, context, projected, rotary, hearing)

        shift, scale = (self.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        tokens = (self.norm_out(tokens.float()) * (1 + scale) + shift).type_as(tokens)
        sample = unpatched(self.proj_out(tokens), grid, self.config.patch_size)
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)

    def _heard(
        self, tokens: torch.Tensor, audio: Any, masks: torch.Tensor | None, grid: tuple[int, int, int], image: int
    ) -> Hearing:
        """`tokens`: all of the clip. `image`: how many the picture has in the context."""
        speakers = len(audio)
        if speakers > SPEAKERS:
            raise Refused("avatar.too_many_speakers", count=speakers, most=SPEAKERS)
        regions = None
        if speakers > 1:
            if masks is None or len(masks) != speakers + 1:
                raise Refused("avatar.no_masks", count=speakers)
            small = F.interpolate(masks[None].float(), size=grid[1:], mode="nearest")[0]
            regions = small.flatten(1).gt(0).to(tokens.device)  # (3, S)
        heard = self.audio_proj(audio.to(tokens.device, tokens.dtype))  # (speakers, T, audio tokens, width)
        heard = heard.transpose(0, 1).flatten(1, 2)
        first, group = self._share(tokens.shape[1])
        return Hearing(heard, speakers, regions, grid[1] * grid[2], image, first, group)

    def _share(self, count: int) -> tuple[int, Any]:
        """The first of the tokens that this process has, and the group of those that share them."""
        shared = self._parallel_config and self._parallel_config.context_parallel_config
        if not shared:
            return 0, None
        group = shared._flattened_mesh.get_group()
        rank, size = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)
        return rank * (count // size) + min(rank, count % size), group


TransformerBlockRegistry.register(  # so that caches can skip them
    WanAudioTransformerBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),
)
