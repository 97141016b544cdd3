# For those who expect it: make && make install PREFIX=/usr/local DESTDIR=. Everything else: ./dev help
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
COMPONENTS ?= cli server device server-units device-units trust trust-dev

all: $(BUILD)/build.ninja
	cmake --build $(BUILD) --target fleetseal fleetseal-server fleetseal-signer fleetseal-sealer fleetseal-agent fleetseal-installer fleetseal-trust

$(BUILD)/build.ninja:
	cmake --preset release -B $(BUILD)

install: all
	for component in $(COMPONENTS); do \
	  DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX) --component $$component --strip || exit 1; \
	done

.PHONY: all install
