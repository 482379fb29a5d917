# `make run` shows gristmill at work on the shipped payload; `make test` checks
# everything, here and in CI. Both set up what they need on a fresh Debian
# machine with rustup, say so, and do nothing needless when run again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run test torture bench loops build install place clean quick dist stages setup languages engines format lint rust-tests skipped deny fuzz

TARGET := $(or $(CARGO_TARGET_DIR),target)
WASM := wasm32-wasip2

# Where `.ci/setup` puts cargo-deny.
export PATH := $(abspath $(TARGET))/tools/deny/bin:$(PATH)

# The stages that ship, by their folder below plugins/.
STAGES := csv-parse effective-usage label-filter unit-conversion

# The modules of tests that `make torture` runs.
TORTURE := crash:: properties:: containment:: sandbox:: hostile:: hostile_inbox:: \
	hostile_parsers:: hostile_payloads:: months:: fuzzing:: owners:: \
	local_server::planted:: poolers:: sessions:: connections::

# What `make run` runs; try `make run PIPELINE=pipelines/ocp-max.toml`.
PIPELINE := pipelines/ocp.toml
PAYLOADS := tests/data/small/payloads/*.tar.gz
OPTIONS := --show-summary

# What `make fuzz` runs; the short run is a part of `make test`.
FUZZ_TARGETS := csv stage_output manifest tarball definition
FUZZ_SECONDS := 60

# `make bench BENCH=--smoke` is over in seconds, and its figures mean nothing.
BENCH :=

# `make deny DENY=required` installs cargo-deny where it is missing, and so does not go without.
DENY :=

# `make test ENGINES=required` fails where a test of the engine `trino` would be skipped, for
# want of Java, Maven or Go.
ENGINES :=

# The names of the tests that were skipped, for the last lines of `make test`.
SKIPPED := $(abspath $(TARGET))/tests-skipped

# `make loops LOOPS=--test` runs each loop once; Criterion's other options go there, too.
LOOPS :=

# `make install PREFIX=~/.local` needs no rights of root; DESTDIR is put before it, as packagers
# want it. What is placed there is what was built, unless told otherwise.
PREFIX := /usr/local
DESTDIR :=
PROGRAM := $(TARGET)/dist/gristmill
COMPONENTS := $(TARGET)/stages

help:          ## Show this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

# A local server that an older gristmill made may have a schema that is too old.
run: build     ## Build, then load the shipped payload and show its daily summary
	@$(if $(DATABASE_URL),,$(TARGET)/quick/gristmill db migrate --set-aside)
	$(TARGET)/quick/gristmill run $(PIPELINE) $(PAYLOADS) $(OPTIONS)

# One at a time: every step has both processors, and the first failure stops.
test: languages engines ## Run every check that CI runs
	@$(MAKE) format
	@$(MAKE) lint
	@$(MAKE) stages
	@$(MAKE) rust-tests
	@$(MAKE) deny
	@$(MAKE) skipped

# In one go: libraries are built once for all that is built together.
bench: setup   ## Measure against Postgres's own COPY; some minutes, on a quiet machine
	cargo build --profile dist --package gristmill --package gristmill-bench --package gristmill-generator
	@$(MAKE) stages
	$(TARGET)/dist/gristmill-bench $(TARGET)/dist/gristmill $(TARGET)/stages $(BENCH)

loops: setup   ## Measure the inner loops with Criterion; a minute, on a quiet machine
	@$(MAKE) stages
	cargo bench --profile dist --package gristmill-bench -- $(LOOPS)

build: setup   ## Build the program, ready soon, and the stage components
	@$(MAKE) quick
	@$(MAKE) stages

install: setup ## Build the program, optimised, and put it, the stages and the pipelines below PREFIX
	@$(MAKE) dist
	@$(MAKE) stages
	@$(MAKE) place

# What was built, without building it: `sudo make place` after `make dist stages`.
place:
	install -D --mode=755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/gristmill
	install -D --mode=644 --target-directory=$(DESTDIR)$(PREFIX)/share/gristmill/stages \
		$(foreach stage,$(subst -,_,$(STAGES)),$(COMPONENTS)/$(stage).wasm)
	install -D --mode=644 --target-directory=$(DESTDIR)$(PREFIX)/share/gristmill/pipelines \
		pipelines/*.toml

# The tests that break things off, at length: `make test` runs them briefly. The
# figures are what they noted, added up; a row that is lost or doubled fails them.
torture: languages engines ## Kill, cut off, crowd and deceive the program for half an hour
	@$(MAKE) stages
	@rm -f $(TARGET)/torture-figures
	GRISTMILL_TORTURE=1 GRISTMILL_TORTURE_FIGURES=$(abspath $(TARGET))/torture-figures \
		GRISTMILL_TEST_ENGINES=$(ENGINES) cargo test --package gristmill --test main -- $(TORTURE)
	@awk '{ count = $$1; $$1 = ""; sums[$$0] += count } \
		END { for (name in sums) print sums[name] name }' \
		$(TARGET)/torture-figures | sort --key 2

clean:         ## Remove what was built
	cargo clean

quick:
	cargo build --profile quick --package gristmill

dist:
	cargo build --profile dist --package gristmill

# A component is copied only when it changed, since its compiled form is cached
# by what it holds and tests look at its age.
stages:
	cargo build --profile stage --target $(WASM) $(STAGES:%=--package gristmill-plugin-%)
	@mkdir -p $(TARGET)/stages
	@for stage in $(subst -,_,$(STAGES)); do \
		built=$(TARGET)/$(WASM)/stage/gristmill_plugin_$$stage.wasm; \
		placed=$(TARGET)/stages/$$stage.wasm; \
		cmp --silent $$built $$placed || { echo "placing $$placed"; cp $$built $$placed; }; \
	done

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets -- --deny warnings

rust-tests:
	@rm -f $(SKIPPED)
	GRISTMILL_TEST_ENGINES=$(ENGINES) GRISTMILL_TEST_SKIPPED=$(SKIPPED) cargo test --workspace

skipped:
	@if [ -s $(SKIPPED) ]; then \
		echo "tests skipped for want of Trino or an S3 server, as the first lines say: $$(sort --unique $(SKIPPED) | wc --lines)"; \
		sort --unique $(SKIPPED); \
	fi

# CI requires cargo-deny, and installs it. It looks at the crates of every platform, of which a
# build has fetched its own alone. Advisories come from the network; where it cannot be reached,
# all else is checked.
deny:
	@if ! cargo deny --version > /dev/null 2>&1; then \
		if [ "$(DENY)" != required ]; then \
			echo "cargo-deny is not installed, so licences, bans, sources and advisories are not checked"; \
			exit 0; \
		fi; \
		./.ci/setup deny; \
	fi; \
	cargo fetch --locked --quiet; \
	cargo deny --offline check bans licenses sources; \
	if timeout 60 cargo deny fetch db > /dev/null 2>&1; then \
		cargo deny check --disable-fetch advisories; \
	else \
		echo "the advisories cannot be fetched, so they are not checked"; \
	fi

# The crates of the fuzzers are locked in tests/fuzz/Cargo.lock, not here.
fuzz:          ## Run each fuzz target for FUZZ_SECONDS; needs nightly and cargo-fuzz
	@for target in $(FUZZ_TARGETS); do \
		found=tests/fuzz/target/found/$$target; \
		mkdir -p $$found; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target $$found tests/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -rss_limit_mb=1024; \
	done

setup:
	@./.ci/setup

engines:
	@ENGINES=$(ENGINES) ./.ci/setup engines

languages:
	@./.ci/setup languages
