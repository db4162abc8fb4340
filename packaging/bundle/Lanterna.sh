#!/bin/sh
# Starts Lanterna with the Python of this folder. Double click, or in a terminal: ./Lanterna.sh demo
# The folder needs no Python on the computer: it carries one, or fetches one into itself with bin/uv.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
unset PYTHONHOME PYTHONPATH
export UV_PYTHON_INSTALL_DIR="$here/python"

python=$here/python/bin/python3
if [ ! -x "$python" ]; then
  python=$("$here/bin/uv" python find --managed-python 3.11 2>/dev/null) || {
    echo "Fetching Python (once)."
    "$here/bin/uv" python install --no-bin 3.11 && python=$("$here/bin/uv" python find --managed-python 3.11) || {
      echo "Python could not be fetched. Check the connection (and HTTPS_PROXY), then start Lanterna again." >&2
      [ -t 0 ] && { printf 'Press Enter to close this window. '; read -r _; }
      exit 1
    }
  }
fi

if [ $# -gt 0 ]; then
  exec "$python" "$here/app/launch.py" "$@"
fi
[ -e "$here/.venv/lanterna.json" ] || "$python" "$here/app/launch.py" install
"$python" "$here/app/launch.py" --or-show --window
code=$?
[ $code -ne 0 ] && [ $code -ne 130 ] && [ -t 0 ] && { printf 'Press Enter to close this window. '; read -r _; }
exit $code
