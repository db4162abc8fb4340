"""Engines that speak, and what they share: the language of a line, its sentences, what was spoken before."""
