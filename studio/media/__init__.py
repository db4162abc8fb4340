"""Files with pictures and sound in them: written, probed, conformed, joined. Knows no scenes, no engines."""
