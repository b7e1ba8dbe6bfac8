# SPDX-License-Identifier: GPL-3.0-or-later
# `make help` lists what can be made.

# A toolchain of rustup need not be on PATH yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
SHELL := /bin/bash
CARGO ?= cargo
# One set of features everywhere, so that nothing is compiled twice.
FEATURES := --all-features
OUT := target/xen-lab

# The lab mounts and chroots: as root, or by sudo with what tells where its cache is.
AS_ROOT := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo env HOME="$$HOME" PATH="$$PATH" \
	$${XDG_CACHE_HOME:+XDG_CACHE_HOME="$$XDG_CACHE_HOME"} \
	$${GRANTWAY_LAB_CACHE:+GRANTWAY_LAB_CACHE="$$GRANTWAY_LAB_CACHE"})

step = @printf '\033[1m==>\033[0m %s\n' "$(1)"

.PHONY: help build demo test clients-test wlcs check lint xen-test xen-soak xen-lab sim-lab xen-shell helper-matrix setup-build setup-lab release bench lab-clean clean

help:
	@echo 'make demo        build, and show two simulated guests (a picture, and the status table)'
	@echo 'make test        everything that runs without Xen: unit, protocol and simulator tests, lints'
	@echo 'make clients-test  Debian'"'"'s Wayland programs as Dom0'"'"'s clients, on the simulator'
	@echo 'make xen-test    every scenario on real Xen, in emulation (first run: downloads Debian and builds a Dom0)'
	@echo 'make xen-soak    in full length, hours: the scenarios that make xen-test shortens'
	@echo 'make xen-lab SCENARIO=FOLDER   one scenario, from anywhere; with KERNEL=6.12 on that kernel'
	@echo 'make sim-lab SCENARIO=FOLDER   the same scenario on the simulator, in seconds'
	@echo 'make xen-shell   a prompt in Dom0 with the compositor running'
	@echo 'make helper-matrix  the kernel module for three of Debian'"'"'s kernels, and for ARM64, with all checks'
	@echo 'make wlcs        the Wayland conformance suite on the compositor (docs/wlcs.md)'
	@echo 'make build       the program alone: target/release/grantway'
	@echo 'make bench       how fast guests are served on the simulator, and what it costs (docs/performance.md)'
	@echo 'make check       formatting and lints alone'
	@echo 'make lab-clean   removes the lab results and the cached Dom0 trees'
	@echo
	@echo 'Each installs what it needs on Debian 12 and 13, as root or by sudo.'

setup-build:
	@packaging/setup/build.sh

setup-lab: setup-build
	@packaging/setup/lab.sh

release: setup-build
	$(call step,building the program (release))
	@$(CARGO) build --release $(FEATURES) --bins

build: release

demo: release
	@target/release/grantway demo

test: setup-build
	$(call step,tests)
	@$(CARGO) test $(FEATURES)
	@$(MAKE) --no-print-directory lint

wlcs: setup-build
	@source packaging/setup/common.sh && install_packages wlcs
	$(call step,building the program and what the suite loads)
	@$(CARGO) build $(FEATURES) --bins --example wlcs_grantway
	$(call step,the Wayland conformance suite)
	@tests/wlcs/run.sh

# The programs that are tried.
CLIENTS := weston foot wl-clipboard wayland-utils gtk-4-examples python3-pyqt6 qt6-wayland grim swayidle wtype fonts-dejavu-core

clients-test: setup-build
	@source packaging/setup/common.sh && install_packages $(CLIENTS)
	$(call step,Wayland programs of Debian)
	@$(CARGO) test $(FEATURES) --test real_clients -- --ignored

# strace counts the system calls.
bench: setup-build
	@source packaging/setup/common.sh && install_packages strace
	$(call step,measuring)
	@$(CARGO) bench $(FEATURES) --bench flip
	@$(CARGO) bench $(FEATURES) --bench input

check: setup-build
	@$(MAKE) --no-print-directory lint

# Formatting and lints, where the toolchain has the tools for them.
lint:
	@if $(CARGO) fmt --version >/dev/null 2>&1; then \
		printf '\033[1m==>\033[0m formatting\n'; $(CARGO) fmt --all --check; \
	else echo 'cargo fmt is not installed: formatting is not checked'; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then \
		printf '\033[1m==>\033[0m lints\n'; $(CARGO) clippy $(FEATURES) --all-targets -- -D warnings; \
	else echo 'cargo clippy is not installed: lints are not checked'; fi

# What the lab runs: the program, the runner, and the guests' program, as make test has compiled them.
lab-build: setup-lab
	$(call step,building the program and the lab)
	@$(CARGO) build $(FEATURES) --bins --examples

# The results belong to the user also where the lab ran by sudo.
lab = $(AS_ROOT) env LAB_KERNEL="$(KERNEL)" target/debug/examples/xen-lab --out $(OUT) $(1); code=$$?; \
	$(if $(AS_ROOT),sudo chown -R "$$(id -u):$$(id -g)" $(OUT);) exit $$code

.PHONY: lab-build
xen-test: lab-build
	@$(call lab,)

xen-soak: lab-build
	@$(call lab,--soak $(SCENARIO))

xen-lab: lab-build
	@if [ -z "$(SCENARIO)" ]; then \
		echo 'usage: make xen-lab SCENARIO=FOLDER; the repository has:'; ls -d tests/lab/scenarios/*/; exit 2; fi
	@$(call lab,$(SCENARIO))

sim-lab: setup-build
	@if [ -z "$(SCENARIO)" ]; then \
		echo 'usage: make sim-lab SCENARIO=FOLDER; the repository has:'; ls -d tests/lab/scenarios/*/; exit 2; fi
	@$(CARGO) build $(FEATURES) --bins --examples
	@target/debug/examples/xen-lab --out target/sim-lab --simulator $(SCENARIO)

xen-shell: lab-build
	@$(call lab,--shell)

helper-matrix:
	@source packaging/setup/common.sh && install_packages debootstrap debian-archive-keyring util-linux
	$(call step,the kernel helper for Debian's kernels)
	@$(AS_ROOT) packaging/dkms/matrix.sh; code=$$?; \
	$(if $(AS_ROOT),sudo chown -R "$$(id -u):$$(id -g)" target/helper-matrix;) exit $$code

lab-clean:
	rm -rf $(OUT)
	$(AS_ROOT) rm -rf "$${GRANTWAY_LAB_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/grantway-lab}"

clean:
	$(CARGO) clean
