#!/usr/bin/env bash
# Prints the variables that cargo needs here, after making true what they say:
#
#   eval "$(scripts/env.sh)"
#
# CARGO_TARGET_DIR lies outside the checkout, so that clones share one build of the dependencies.
# LIBTORCH is fetched once, unless LIBTORCH or LIBTORCH_USE_PYTORCH is set already.
# OMP_WAIT_POLICY keeps libtorch's idle threads from spinning where tests share the cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}
"$here/tools.sh" c++ cargo
printf 'export CARGO_TARGET_DIR=%q\n' "${CARGO_TARGET_DIR:-$cache/target}"
printf 'export OMP_WAIT_POLICY=%q\n' "${OMP_WAIT_POLICY:-PASSIVE}"
if [ -z "${LIBTORCH:-}" ] && [ -z "${LIBTORCH_USE_PYTORCH:-}" ]; then
  if ! ls "$cache"/libtorch-*-cpu/build-version > /dev/null 2>&1; then
    "$here/tools.sh" python3 pip
  fi
  libtorch=$("$here/libtorch.sh")
  printf 'export LIBTORCH=%q\n' "$libtorch"
fi
