"""Whether the studio of this container answers. Knows its port, and nothing else of it."""

import os
import sys
import urllib.request

ADDRESS = f"http://127.0.0.1:{os.environ.get('LANTERNA_PORT') or 7860}/healthz"

try:
    with urllib.request.urlopen(ADDRESS, timeout=4) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except OSError as error:
    sys.exit(f"{ADDRESS}: {error}")
