"""What engines on stock diffusers pipelines share. Workers only, but for engine.py and its options."""
