#!/bin/sh
# Starts Lanterna with the Python of this folder. Double click, or in a terminal: ./Lanterna.sh demo
# The folder needs no Python on the computer: it carries one, or fetches one into itself with bin/uv.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
unset PYTHONHOME PYTHONPATH
export UV_PYTHON_INSTALL_DIR="$here/python"
# macOS asked once, for this file; it would ask again for every program and library in the folder
[ "$(uname)" = Darwin ] && xattr -dr com.apple.quarantine "$here" 2>/dev/null

find_python() {
  python=$here/python/bin/python3
  [ -x "$python" ] || python=$("$here/bin/uv" python find --managed-python 3.11 2>/dev/null)
}

fetch_python() {
  echo "Fetching Python (once)."
  "$here/bin/uv" python install --no-bin 3.11 && find_python && return
  echo "Python could not be fetched. Check the connection (and HTTPS_PROXY), then start Lanterna again." >&2
  return 1
}

set_up_and_open() {
  [ -e "$here/.venv/lanterna.json" ] || "$python" "$here/app/launch.py" install || return
  "$python" "$here/app/launch.py" --or-show --window
}

if [ $# -gt 0 ]; then
  find_python || fetch_python || exit
  exec "$python" "$here/app/launch.py" "$@"
fi
{ find_python || fetch_python; } && set_up_and_open
code=$?
if [ $code -ne 0 ] && [ $code -ne 130 ] && [ -t 0 ]; then
  printf 'Press Enter to close this window. '
  read -r _
fi
exit $code
