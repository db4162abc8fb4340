"""What a release bundle is made of: source, tools, a Python, an archive. scripts/bundle.py puts them together."""
