#!/usr/bin/env bash
# Clippy with warnings denied, over the dependencies as `cargo build` built them: `cargo clippy`
# would check all of DataFusion once more in a mode of its own. Extra arguments go to cargo.
set -euo pipefail
export RUSTC_WORKSPACE_WRAPPER=clippy-driver
export CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
exec cargo build --locked --all-targets --config 'profile.dev.opt-level=0' "$@"
