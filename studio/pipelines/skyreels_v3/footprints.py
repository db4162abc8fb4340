"""What the networks of SkyReels-V3 and InfiniteTalk weigh and what a shape costs: constants, no torch.

Found as those of Wan are: on the meta device, by tests/meta_tracker.py (docs/memory.md). Text encoder, VAE and CLIP are
Wan's. Attention that keeps no map of scores is taken for granted; where a GPU has none, labels of two speakers take at
most `audio_wan.LABEL_BYTES` more.
"""

from dataclasses import replace

from studio.pipelines.memory.footprint import Footprint, Network
from studio.pipelines.wan import FOOTPRINT, LARGE

LATENT_FRAMES = 21  # of a window of an avatar, 81 frames
REFERENCES = 4  # latent frames of references that lie behind the film: Shape.extra_frames

R2V: Network = LARGE  # Wan 2.1 T2V as it is
V2V: Network = replace(  # the same weights; the modulation of each latent frame is 0.25 MB
    LARGE, activation_rest=9_328_640, activation_chunked=5.1, chunk_rest=9_328_640, chunk_few=(4.1, 215_939_072)
)
A2V: Network = replace(  # Wan 2.1 I2V, and in each block attention to the sound
    LARGE, block_bytes=928_427_008, block_bytes_8bit=464_613_376, rest_bytes=686_226_048, activation=11.5,
    activation_rest=25_495_552, activation_chunked=5.1, chunk_rest=25_495_552, chunk_few=(4.1, 226_764_800),
    flops_per_token=28.10e9,
)  # fmt: skip
A2V_OF_TWO: Network = replace(  # every token is asked in every block whose it is, by the first latent frame
    A2V, activation=11.5004, activation_rest=54_052_864, activation_chunked=5.1004, chunk_rest=54_052_864,
    chunk_few=(4.1, 229_500_000), flops_per_token=30.20e9,
    attention_width=LARGE.hidden * LARGE.blocks * (LATENT_FRAMES + 1) // LATENT_FRAMES,
)  # fmt: skip

REFERENCE: Footprint = replace(FOOTPRINT, network=R2V, steps=8, forwards=1)
EXTENSION: Footprint = replace(FOOTPRINT, network=V2V, steps=8, forwards=1)  # both kinds
AVATAR: Footprint = replace(FOOTPRINT, network=A2V, image_encoder_bytes=2_523_064_320, steps=4, forwards=1)
AVATAR_OF_TWO: Footprint = replace(AVATAR, network=A2V_OF_TWO)
