#!/bin/sh
# Starts the studio of a container, or any verb of launch.py. A container is reached over a network, so the studio wants
# a password; a verb listens to nobody.
case "${1:-}" in
  "" | -*)
    if [ -z "${LANTERNA_AUTH:-}" ]; then
      echo "A studio in a container can be reached by others, so it needs a password." >&2
      echo "  -> Set LANTERNA_AUTH=user:password, in the file .env beside compose.yaml or with docker run -e." >&2
      exit 64
    fi
    set -- --listen 0.0.0.0 --no-browser "$@"
    ;;
esac
here=$(dirname "$0")
exec python "$here/app/launch.py" "$@"
