# `make help` lists the targets. Each does its own set-up: it looks for the tools, says what to
# install when one is missing, and fetches libtorch for the CPU once into ~/.cache/hexapla.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint docs reference check-hf check-readers check-s3 check-scorer \
	check-export check-tokenizers check-metrics check-fuse check-memory check-tensorboard bench-train bench-ingest \
	bench-measure bench-dedup bench-pack conformance clean

# The variables that every cargo command here runs under; two steps, so that a failure stops make.
ENV := env=$$(scripts/env.sh); eval "$$env"

# The binary that users run and benchmarks time: our own crate optimised too, over the same build of
# the dependencies.
BUILD := CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo build --locked

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

setup: ## check the tools and fetch libtorch, nothing else
	@scripts/tools.sh c++ cargo
	$(ENV)
	echo "ready; in a shell: eval \"\$$(scripts/env.sh)\""

build: ## build the command line
	@$(ENV)
	$(BUILD)

demo: ## the whole way on real data: raw multilingual files in, a fine-tuned model and report.html out
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	scripts/demo.sh "$$CARGO_TARGET_DIR/debug/hexapla" target/demo

test: ## every test, in the one profile
	@$(ENV)
	cargo test --locked

lint: ## formatting and clippy
	@$(ENV)
	cargo fmt --check
	scripts/clippy.sh

docs: ## the API's documentation, and docs/reference from the code
	@$(ENV)
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	UPDATE_EXPECT=1 cargo test --locked --test it reference::

check-hf: ## transformers opens a checkpoint: no missing weight, equal logits
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-hf.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-tensorboard: ## the real tensorboard package reads a run's events: every scalar of every step
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-tensorboard.sh "$$CARGO_TARGET_DIR/debug/hexapla"

bench-ingest: ## ingest timed against DuckDB, Polars, warcio and others (needs ../shared/data, 30 min)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/ingest.sh "$$CARGO_TARGET_DIR/debug/hexapla"

bench-measure: ## measures against the peers that define them: agreement and times (needs ../shared/data)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/measure.sh "$$CARGO_TARGET_DIR/debug/hexapla"

bench-dedup: ## duplicates against datatrove and rensa, their truth, 5 GB in 1 GB (needs ../shared/data, 1 h)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/dedup.sh "$$CARGO_TARGET_DIR/debug/hexapla"

bench-pack: ## tokenizers, packs and reading them against tokenizers, datasets and MosaicML (needs ../shared/data, 1 h)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/pack.sh "$$CARGO_TARGET_DIR/debug/hexapla"
	tests/bench/feed.sh "$$CARGO_TARGET_DIR/debug/hexapla"

bench-train: ## training steps against transformers, ranks, waiting, checkpoints (3 GB of packages once, 1 h)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/train.sh "$$CARGO_TARGET_DIR/debug/hexapla"

conformance: ## what bench-measure finds, written to docs/reference/conformance.md
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/measure.sh "$$CARGO_TARGET_DIR/debug/hexapla" --write

check-s3: ## ingest from and into a real S3 server, SQL over it, two writers at once
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-s3.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-export: ## every export format, read back by the engine that it is for
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-export.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-tokenizers: ## SentencePiece's models as its own package reads them, ours as transformers does
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-tokenizers.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-metrics: ## BLEU, chrF, TER, F1, ROUGE and others against the peers that define them (needs ../shared/data)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	scripts/check-metrics.sh "$$CARGO_TARGET_DIR/debug/hexapla" ../shared/data

check-fuse: ## fused weights against mergekit's
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	scripts/check-fuse.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-readers: ## DuckDB, Polars and datasets read every table and agree with the manifests
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-readers.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-memory: ## every node under its memory limit in a cgroup, a full disk, a kill (needs ../shared/data, 1 h)
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	$(BUILD)
	tests/bench/memory.sh "$$CARGO_TARGET_DIR/debug/hexapla"

check-scorer: ## a scorer in Python as a query: its rows, its failures, and going on after a kill
	@scripts/tools.sh c++ cargo python3 pip
	$(ENV)
	cargo build --locked
	scripts/check-scorer.sh "$$CARGO_TARGET_DIR/debug/hexapla"

clean: ## remove what the demo wrote; the cache of builds and libtorch stays
	@rm -rf target/demo
