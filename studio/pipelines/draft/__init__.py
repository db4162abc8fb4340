"""The engine that needs no GPU, no weights and no network: it draws a film that shows what the real one will be."""
