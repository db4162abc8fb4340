#!/bin/sh
# Sets Lanterna up and opens it: ./install.sh [flags of `launch.py install`; docs/install.md explains them]
# Finds a Python, or fetches one; everything else is in launch.py. Run it again whenever something stopped it.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
unset PYTHONHOME PYTHONPATH
wanted=3.11 # what is fetched where there is none
page=https://www.python.org/downloads/

# what a double click does not find by itself
PATH=$PATH:$HOME/.local/bin
[ "$(uname)" = Darwin ] && PATH=$PATH:/opt/homebrew/bin:/usr/local/bin
export PATH

pythons=$here/.uv/python
[ -f "$here/bundle.json" ] && pythons=$here/../python
export UV_PYTHON_INSTALL_DIR="$pythons" UV_PYTHON_INSTALL_BIN=0

# 3.11 to 3.13, 64 bit, with all that an environment needs
good() {
  [ -n "$1" ] && "$1" -c 'import sys, ensurepip, venv
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and sys.maxsize > 2**32))' >/dev/null 2>&1
}

find_python() {
  for python in "$here/../python/bin/python3" "$pythons/cpython-$wanted"*/bin/python3 \
    python3.13 python3.12 python3.11 python3 python; do
    case $python in
    */*) [ -x "$python" ] || continue ;;
    *) python=$(command -v "$python") || continue ;;
    esac
    # macOS's own is too old, and without Xcode's tools it opens a window
    [ "$python" = /usr/bin/python3 ] && [ "$(uname)" = Darwin ] && continue
    good "$python" && return 0
  done
  return 1
}

find_uv() {
  for uv in "$here/../bin/uv" "$here/.uv/uv"; do
    [ -x "$uv" ] && return 0
  done
  uv=$(command -v uv)
}

fetch_uv() {
  source=https://astral.sh/uv/install.sh
  echo "Fetching uv, the program that fetches Python, into $here/.uv: $source"
  mkdir -p "$here/.uv" || return 1
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --output "$here/.uv/install.sh" "$source" || return 1
  elif command -v wget >/dev/null; then
    wget --quiet --output-document="$here/.uv/install.sh" "$source" || return 1
  else
    echo "There is neither curl nor wget here." >&2
    return 1
  fi
  # unmanaged: it lies in our folder and changes nothing else of the computer's
  UV_UNMANAGED_INSTALL="$here/.uv" sh "$here/.uv/install.sh" && find_uv
}

if ! find_python; then
  echo "There is no Python 3.11 to 3.13 (64 bit, with venv) here."
  if find_uv || fetch_uv; then
    echo "Fetching Python $wanted into $pythons with $uv."
    "$uv" python install "$wanted"
  fi
  if ! find_python; then
    echo "Python could not be fetched." >&2
    echo "  -> Check the connection (and HTTPS_PROXY), or install Python 3.11 to 3.13 from $page, then run this again." >&2
    exit 1
  fi
fi
exec "$python" "$here/launch.py" install --start "$@"
