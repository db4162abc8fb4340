"""How fast things are on this machine: `launch.py bench <name>`."""
