# Targets for people. `make` alone lists them.

# Where rustup installs cargo, which is not in PATH of a shell that was opened before.
export PATH := $(PATH):$(HOME)/.cargo/bin

RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUSTUP := apt-get install curl; curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh

.PHONY: help run client cluster test test-long fuzz check guard bench bench-cluster picture build install uninstall toolchain

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18
	@echo '  Programs take arguments: make run ARGS="127.0.0.1 6001"'

run: toolchain  ## build the server and start it: 127.0.0.1:6000, everything in data/chat.db
	cargo run --release --package chatserver -- $(ARGS)

client: toolchain  ## build the terminal client and start it
	cargo run --release --package chatclient -- $(ARGS)

cluster: toolchain  ## start MariaDB, Redis, three nodes and nginx, all private; Ctrl-C stops all (ARGS: a new folder)
	@scripts/test-needs.sh
	cargo build --release --package chatserver --package chatclient
	cargo run --release --package chatserver --example cluster -- $(ARGS)

# The process tests start the programs that lie beside them, so these are built first. `cargo test` comes last: its summary
# ends the output.
test: toolchain  ## install what tests need (MariaDB, Redis, nginx), build all programs, run all tests
	scripts/test-needs.sh
	cargo build --workspace --bins --example cluster
	scripts/install-test.sh $${CARGO_TARGET_DIR:-target}/debug
	cargo test --workspace --doc
	cargo test --workspace --lib --bins --tests --no-fail-fast

test-long: toolchain  ## the same tests with many more seeds, crashes and cuts, longer outages; a minute a fuzz target (an hour at most)
	CHATSERVER_TEST=long $(MAKE) --no-print-directory test
	scripts/fuzz.sh --if-available 60

fuzz: toolchain  ## fuzz what reads bytes from outside, 10 minutes a target (needs nightly, cargo-fuzz; ARGS="60 frames")
	scripts/fuzz.sh $(ARGS)

check: toolchain  ## formatting, lints, known vulnerabilities of dependencies, and what the hot paths cost
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || { \
		echo 'rustfmt or clippy is missing: rustup component add rustfmt clippy' >&2; exit 1; }
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/advisories.sh
	@$(MAKE) --no-print-directory guard

guard: toolchain  ## count the instructions of the hot paths, against bench/guard/figures.txt
	cargo run --quiet --release --package guard -- $(ARGS)

bench: toolchain  ## measure this machine: the standard set of chatbench (20 minutes; ARGS="--seconds 3": shorter)
	cargo build --release --package chatserver --package chatbench
	$${CARGO_TARGET_DIR:-target}/release/chatbench suite $(ARGS)

bench-cluster: toolchain  ## measure two nodes over a private MariaDB and Redis (2 minutes; ARGS="--seconds 3 --dry-run")
	@scripts/test-needs.sh
	cargo build --release --package chatserver --package chatbench
	cargo run --release --package chatbench --example cluster_figures -- $(ARGS)

picture: toolchain  ## draw docs/terminal.svg from a real session of three clients
	cargo build --package chatserver --package chatclient
	cargo run --package chatclient --example terminal_picture -- docs/terminal.svg

build: toolchain  ## build what is installed
	cargo build --release --package chatserver --package chatclient

# Cargo never runs under sudo: what it writes would be root's.
install:  ## put programs, units, pages into PREFIX (/usr/local), configuration into /etc
	@if [ -z "$$SUDO_USER" ]; then \
		$(MAKE) --no-print-directory build; \
	elif [ ! -x $${CARGO_TARGET_DIR:-target}/release/chatserver ] || [ ! -x $${CARGO_TARGET_DIR:-target}/release/chatclient ]; then \
		echo 'Nothing is built yet: `make build` without sudo, then `sudo make install`' >&2; exit 1; \
	fi
	scripts/install.sh install $${CARGO_TARGET_DIR:-target}/release

uninstall:  ## take away what install put, except configuration and data
	scripts/install.sh uninstall $${CARGO_TARGET_DIR:-target}/release

toolchain:
	@command -v cc >/dev/null || { \
		echo 'A C compiler is missing (SQLite is built from source): apt-get install build-essential' >&2; exit 1; }
	@command -v cargo >/dev/null || { \
		echo "Rust is missing: $(RUSTUP)" >&2; exit 1; }
	@found=$$(rustc --version | cut -d' ' -f2); \
	oldest=$$(printf '%s\n' "$(RUST_VERSION)" "$$found" | sort -V | head -n1); \
	[ "$$oldest" = "$(RUST_VERSION)" ] || { \
		echo "Rust $$found is older than the $(RUST_VERSION) that is needed: rustup update stable" >&2; \
		echo "Without rustup: $(RUSTUP)" >&2; exit 1; }
