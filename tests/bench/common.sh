# What the scripts of this folder begin with; sourced. `start HEXAPLA [OPTION…]` sets `here`, `root`,
# `hexapla`, `data` and `args`; `environment NAME REQUIREMENTS` prints the folder of a scratch
# environment with these Python packages, which is made once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}

start() {
  if [ $# = 0 ]; then
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" >&2
    exit 2
  fi
  hexapla=$(realpath "$1")
  shift
  args=("$@")
  data=${SHARED_DATA:-$root/../shared/data}
  if [ ! -f "$data/MANIFEST.tsv" ]; then
    echo "error: no shared data in $data; set SHARED_DATA" >&2
    exit 2
  fi
}

# environment NAME REQUIREMENTS [ALONE]; ALONE lists packages that are needed without what they need.
environment() {
  local venv=$cache/$1
  if ! cmp -s "$2" "$venv/.ready"; then
    echo "installing $(basename "$2") into $venv (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$2" >&2
    if [ -f "${3:-}" ]; then
      "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$3" >&2
    fi
    cp "$2" "$venv/.ready"
  fi
  echo "$venv"
}
