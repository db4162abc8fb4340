"""Text -> scenes and back. Knows the episode file and the words of the domain; no store, no file on disk."""
