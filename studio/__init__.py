"""Lanterna: a film studio on the user's own machine. docs/architecture.md is the map."""

__version__ = "0.1.0"
