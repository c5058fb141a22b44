# The front door: `make demo` to see it, `make test` to trust it, `make` for the rest.
# Needed: Rust by rustup, a C compiler and make. What more a target wants, it installs or names.

.DEFAULT_GOAL := help
# The order of the prerequisites below is meant.
.NOTPARALLEL:
.PHONY: help demo build test test-deps lint screenshots simulate-faults mutants crash fuzz bench release install

# Tools of the tests first; then rustup's, also for a shell that was open before Rust was installed.
export PATH := $(CURDIR)/target/tools/bin:$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

PREFIX ?= /usr/local
DESTDIR ?=

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r target what; do \
		printf '  make %-16s %s\n' "$$target" "$$what"; done

# Not a release build: that takes several times as long until there is something to see.
demo: ## Build and run daemon and simulated provider on a database that is thrown away
	cargo run --locked -- demo

build: ## Build for development
	cargo build --locked

# The tests come last, so that their summary is the last that is printed.
test: test-deps lint ## Install what the tests need, check everything, run all tests
	cargo test --locked --doc
	TRANSITIONS=1000000 $(simulate-faults)
	cargo test --locked --lib --bins --tests

test-deps: ## Install what the tests need, and say what and why
	scripts/test-deps

lint: ## Check format, lints, dependencies, scripts and systemd units
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- --deny warnings
	cargo deny --locked --log-level error check licenses bans sources
	shellcheck scripts/* .ci/run
	scripts/check-unit

screenshots: test-deps ## Take pictures of the dashboard into docs/screenshots
	SCREENSHOTS=docs/screenshots cargo test --locked --test dashboard screenshots

# Optimised: a million transitions then take a minute.
simulate-faults = cargo test --locked --profile bench --test faults -- --nocapture

simulate-faults: ## Try faults by the million until stopped (SEED=… for one run again)
	SEED='$(SEED)' FIRST_SEED='$(or $(FIRST_SEED),$(shell date +%s))' TRANSITIONS=18446744073709551615 \
		$(simulate-faults) whatever_fails

# The pure code by its own tests and laws, and the way to an acknowledgement by the whole daemon's.
mutants: ## Change merge, signatures and acknowledgement in every way, and see that a test notices (an hour)
	scripts/test-deps mutants
	cargo mutants -f src/domain/observation.rs -f src/domain/liveness.rs -f src/domain/signature.rs \
		-f 'src/db/observations/*.rs' --output target/mutants/merge \
		-C=--locked -C=--lib -C=--test=merge -C=--test=faults -C=--test=verify
	cargo mutants -f src/actors/webhook_ingestor.rs -f src/actors/webhook_key.rs -f src/db/deliveries.rs \
		--output target/mutants/acknowledge --timeout 120 \
		-C=--locked -C=--lib -C=--test=daemon -- -- webhooks:: ingestor:: retention:: deliveries::

crash: ## Kill the daemon KILLS times under load (300; SEED=… for one run again)
	KILLS='$(or $(KILLS),300)' $(if $(SEED),SEED='$(SEED)') \
		cargo test --locked --test crash killed -- --nocapture

bench: ## Measure, and compare with the goals
	# Both ends of a thousand event streams are in one process.
	ulimit -n 4096; cargo bench --locked --bench daemon

TARGET ?= log_progress
SECONDS ?= 300

# What it finds lies in target/fuzz; what of it leads to new code goes into the corpus. The coverage that
# guides it is of a compiler flag that only nightly has by right, and stable has as well.
fuzz: ## Fuzz TARGET for SECONDS, guided by coverage, and keep what is new (see fuzz/fuzz_targets)
	scripts/test-deps fuzz
	mkdir -p target/fuzz/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $(TARGET) target/fuzz/$(TARGET) fuzz/corpus/$(TARGET) -- \
		-max_total_time=$(SECONDS) -print_final_stats=1
	RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $(TARGET) fuzz/corpus/$(TARGET) target/fuzz/$(TARGET) -- \
		-merge=1 -use_counters=0

# OpenSSL is configured by perl, with modules that a minimal Debian does not have. All but encrypted
# connections to PostgreSQL works without.
release: ## Build the program as it is meant to run (with TLS to PostgreSQL if perl is there)
	cargo build --locked --release $$(perl -MFindBin -MIPC::Cmd -e 'print "--features postgres-tls"' 2>&-)

# Builds nothing, as it may run as root. An edited configuration is kept.
install: ## Install what `make release` built, with its systemd units (DESTDIR, PREFIX)
	install -D -m 755 target/release/jobsyncd '$(DESTDIR)$(PREFIX)/bin/jobsyncd'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/systemd/system' systemd/jobsyncd.service systemd/jobsyncd.socket
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' '$(DESTDIR)$(PREFIX)/lib/systemd/system/jobsyncd.service'
	test -e '$(DESTDIR)/etc/jobsyncd/jobsyncd.yaml' || \
		install -D -m 644 etc/jobsyncd.yaml '$(DESTDIR)/etc/jobsyncd/jobsyncd.yaml'
