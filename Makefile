# Everything sets itself up; see CONTRIBUTING.md.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/opentrail/target
BIN = $(CARGO_TARGET_DIR)/debug/opentrail

.PHONY: help demo test unit conformance check lint deny codegen bench build

help: ## Show the recipes
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## Build the server
	cargo build --bin opentrail

demo: build ## Record real AWS CLI calls, look them up, deliver, prove and tamper
	@OPENTRAIL_BIN=$(BIN) scripts/demo

test: unit conformance ## Run every test

unit: ## Run the Rust tests
	cargo test --workspace --no-fail-fast

conformance: build ## Run the tests with stock clients against the real server
	@OPENTRAIL_BIN=$(BIN) scripts/conformance

check: lint codegen ## Formatting, lints, generated files
lint: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

deny: ## Licences, bans and sources of dependencies
	cargo deny --all-features check bans licenses sources

codegen: ## Check that generated files are current
	cargo xtask codegen --check

bench: ## Run the benches
	scripts/bench
