# gomilter: see README.md for the two commands that matter, demo and test.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 20s
export CGO_ENABLED = 0

# The race detector needs cgo; nothing that is shipped does.
RACE = CGO_ENABLED=1 $(GO) test -race

# Of install, uninstall, deb and rpm; see packaging/.
OUT  ?= out
DATE := $(shell git log -1 --format=%cs 2>/dev/null)
export OUT PREFIX DESTDIR PURGE ARCHS

BUILD = $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.PHONY: install uninstall deb rpm generated demo build test test-unit race fuzz bench bench-server soak peers cover docs fmt vet portable

demo: build            ## build everything and watch real messages go through a real milter socket
	bin/gomilter demo

build:                 ## bin/gomilter, static
	$(BUILD) -o bin/gomilter ./cmd/gomilter

test: vet peers        ## everything: unit, race, fuzz seeds, layers, command line, real Sendmail and Postfix
	$(GO) test -shuffle=on . ./internal/wire ./message ./dkim ./filter/attachments ./filter/html # what skips under the race detector: allocations, large input
	$(RACE) -shuffle=on -tags peers -timeout 15m ./...

test-unit: vet         ## the same without real mail servers
	$(GO) test -shuffle=on ./...

race:                  ## unit tests under the race detector
	$(RACE) -shuffle=on ./...

fuzz:                  ## each fuzz test for $(FUZZTIME)
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

bench: bench-server    ## our filter beside libmilter, in one run with ratios; then the benchmarks of the packages
	$(GO) build -o bin/bench-compare ./bench/compare
	cc -O2 -Wall -Wextra -o bin/bench-libmilter bench/libmilter/filter.c -lmilter -pthread
	bin/bench-compare libmilter=bin/bench-libmilter ours=bin/bench-server
	bin/bench-compare -workloads dkim,auth opendkim=bench/opendkim/run.sh ours=bin/bench-server # opendkim does the same work for both
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-server:          ## bin/bench-server, the filter that benchmarks load
	$(GO) build -trimpath -o bin/bench-server ./bench/bench-server

soak: build            ## a million messages through gomilter serve, a new configuration every minute
	$(GO) build -o bin/soak ./bench/soak
	bin/soak -gomilter bin/gomilter

peers:                 ## real mail servers and foreign filters for the tests, unpacked beside the system's own
	internal/peertest/install.sh

cover:                 ## coverage by package
	$(GO) test -cover ./...

docs:                  ## regenerate what is generated
	$(GO) generate ./...

fmt:
	gofmt -l -w .

vet:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'not formatted: run make fmt'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags peers ./...

portable:              ## builds and vets where Linux's extras are missing
	@for os in freebsd openbsd darwin; do echo $$os; GOOS=$$os $(GO) build ./... && GOOS=$$os $(GO) vet -tags peers ./... || exit 1; done

generated:             ## out/: the program, its manual and completions as it tells them itself
	@mkdir -p $(OUT)
	$(BUILD) -o $(OUT)/gomilter ./cmd/gomilter
	$(OUT)/gomilter man --date "$(DATE)" | gzip -9n >$(OUT)/gomilter.8.gz
	$(OUT)/gomilter man --date "$(DATE)" gomilter.toml | gzip -9n >$(OUT)/gomilter.toml.5.gz
	$(OUT)/gomilter completion bash >$(OUT)/gomilter.bash
	$(OUT)/gomilter completion zsh >$(OUT)/_gomilter
	$(OUT)/gomilter completion fish >$(OUT)/gomilter.fish
	gzip -9nc CHANGELOG.md >$(OUT)/changelog.gz

install: generated     ## below PREFIX (/usr/local): program, unit, manual, completions; user and folders
	packaging/install.sh install

uninstall:             ## takes them away; configuration and state with PURGE=1 only
	packaging/install.sh uninstall

deb rpm: generated     ## out/*.deb and out/*.rpm, for ARCHS (amd64 arm64)
	packaging/package.sh $@
