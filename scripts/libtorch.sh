#!/usr/bin/env bash
# Puts libtorch 2.13.0 for the CPU under the cache and prints its path.
# Does nothing when it is there already. A user's own LIBTORCH or LIBTORCH_USE_PYTORCH wins (see the Makefile).
set -euo pipefail
version=2.13.0
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}
home=$cache/libtorch-$version-cpu
if [ -f "$home/build-version" ]; then
  printf '%s\n' "$home"
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "error: no pinned libtorch for $(uname -sm); set LIBTORCH to a libtorch $version or LIBTORCH_USE_PYTORCH=1" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$cache"
work=$(mktemp -d "$cache/libtorch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetching libtorch $version for the CPU (530 MB, once) into $home" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
  --python-version 3.11 --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --require-hashes --requirement "$here/libtorch.txt" --dest "$work/wheels" >&2
python3 - "$work" <<'PY'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
out = work / "libtorch"
take = {
    "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1",
}
for wheel in sorted((work / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            base = name.rsplit("/", 1)[-1]
            if name.startswith("torch/include/") and not name.endswith("/"):
                target = out / name.removeprefix("torch/")
            elif name in take or base in ("libcudart.so.13", "libcupti.so.13"):
                target = out / "lib" / base
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with z.open(name) as src, open(target, "wb") as dst:
                while chunk := src.read(1 << 20):
                    dst.write(chunk)
need = ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"]
missing = [n for n in need if not (out / "lib" / n).exists()]
if missing:
    sys.exit(f"error: the wheels lack {', '.join(missing)}")
# tch links `torch`; on the CPU that is libtorch_cpu alone.
(out / "lib" / "libtorch.so").write_text("INPUT(libtorch_cpu.so)\n")
PY
echo "$version" > "$work/libtorch/build-version"
rm -rf "$home"
mv "$work/libtorch" "$home"
printf '%s\n' "$home"
