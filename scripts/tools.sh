#!/usr/bin/env bash
# Checks that the named tools are there; for each that is not, one sentence says what to install.
# usage: scripts/tools.sh c++ cargo python3 pip
set -euo pipefail
missing=0
need() { # TOOL WORDS, after a test that failed
  echo "error: $1 is missing: $2" >&2
  missing=1
}
for tool in "$@"; do
  case $tool in
    c++)
      [ -n "${CXX:-}" ] || command -v c++ > /dev/null ||
        need "a C++ compiler" "\`apt-get install g++\`" ;;
    cargo)
      command -v cargo > /dev/null ||
        need "cargo" "install the Rust toolchain with rustup, see https://rustup.rs" ;;
    python3)
      command -v python3 > /dev/null || need "python3" "\`apt-get install python3\`" ;;
    pip)
      python3 -m pip --version > /dev/null 2>&1 ||
        need "pip" "\`apt-get install python3-pip\`" ;;
    make) command -v make > /dev/null || need "make" "\`apt-get install make\`" ;;
    *)
      need "$tool" "install it and try again" ;;
  esac
done
[ $missing = 0 ] || exit 2
