# make check is exactly what CI runs before the tests; see .ci/run.

CARGO ?= cargo
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo build test check golden screenshots bench fuzz

help: ## Say what can be made.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: ## Show it all running on loopback; Ctrl-C ends it.
	@$(CARGO) build --release --locked -p webrouter
	@exec target/release/webrouter demo

build: ## Build the binary, optimised: target/release/webrouter.
	$(CARGO) build --release --locked -p webrouter

test: ## Install what the tests need where that may be done, and run them all.
	@.ci/needs
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run --workspace --locked --no-fail-fast; \
	else $(CARGO) test --workspace --locked --no-fail-fast; fi

check: ## Formatting, lints, documentation, as CI checks them.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked --quiet

golden: ## Write the golden files again, from what the code says now. Look at the difference before you commit it.
	UPDATE=1 $(CARGO) test --locked -p webrouter --test cli
	UPDATE=1 $(CARGO) test --locked -p webrouter-admin-api -p webrouter-telemetry

screenshots: ## Pictures of the dashboard, at 3 and 10,000 apps: target/screenshots/. Look at them.
	SCREENSHOTS=$(CURDIR)/target/screenshots $(CARGO) test --locked -p webrouter --test browser -- screenshots

bench: ## Side by side with nginx, HAProxy and a raw relay; the method is in bench/README.md.
	$(CARGO) build --release --locked -p webrouter
	$(CARGO) run --release --locked -p webrouter-bench -- all

fuzz: ## Every fuzz target for SECONDS (60) each, on the stable toolchain.
	@fuzz/run -s $(SECONDS)
