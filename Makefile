# `make` lists what there is. Works with GNU make 3.81 (macOS) and newer.

GO           := go
GO_WANTED    := $(shell sed -n 's/^go //p' go.mod)
VERSION      := $(shell git describe --tags --dirty 2>/dev/null || echo dev)
COMMIT       := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LINT_VERSION := v2.15.0
LINT         := build/bin/golangci-lint-$(LINT_VERSION)
POSTGRES     := $(GO) run ./internal/storetest/withpostgres --

# To narrow a run: make test PKG=./internal/api ARGS='-run Accept -v'
PKG      ?= ./...
ARGS     ?=
FUZZTIME ?= 30s
RUNS     ?= 1
FORM     ?= short

# The document whose examples are run; in CI it lies beside the checkout.
DOCUMENT ?= ../shared/seed/user-invitations.md
PYTHON   ?= python3
SDK_PYTHON     := build/sdk/python/installed
SDK_TYPESCRIPT := build/sdk/typescript/installed

.DEFAULT_GOAL := help
.PHONY: help go generate verify build run sdk sdk-test examples contract-lint contract-diff contract-tag contract-test schemathesis mock gateway-test gateway-check pgbouncer-test test test-race test-faults test-browser bench bench-scale bench-profile bench-delivery fuzz lint fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

go:
	@command -v $(GO) >/dev/null || { echo "Go is not installed: get $(GO_WANTED) or newer from https://go.dev/dl/" >&2; exit 1; }
	@said=$$($(GO) list -m 2>&1) || { echo "$$said"; echo "Go $(GO_WANTED) or newer is needed: https://go.dev/dl/"; exit 1; } >&2

generate: go ## make the code in gen/ anew from openapi.yaml
	@echo "Generating gen/ from openapi.yaml"
	@$(GO) generate ./gen/...

verify: generate ## check that generated code, go.mod and formatting are up to date
	@echo "Comparing gen/ with what is committed"
	@git --no-pager diff --exit-code --stat -- gen || { echo "gen/ was out of date: commit what make generate made" >&2; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- gen) && test -z "$$new" || { echo "not committed in gen/: $$new" >&2; exit 1; }
	@echo "Checking go.mod and go.sum"
	@$(GO) mod tidy -diff || { echo "run: go mod tidy" >&2; exit 1; }
	@echo "Checking the formatting"
	@bad=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) && test -z "$$bad" || { echo "run gofmt -w on: $$bad" >&2; exit 1; }

build: go ## build the server: build/invited
	@echo "Building build/invited $(VERSION) (the first time takes some minutes)"
	@$(GO) build -trimpath -ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o build/invited ./cmd/invited

run: build ## build the server and start it with a demo directory
	@./build/invited serve --demo

test: go ## run all tests, with a PostgreSQL of their own
	@echo "Testing $(PKG) (the first time takes some minutes)"
	@$(POSTGRES) $(GO) test -shuffle=on -timeout 10m $(ARGS) $(PKG)

test-race: go ## the same with the race detector, which needs a C compiler
	@echo "Testing $(PKG) with the race detector (takes several times as long)"
	@$(POSTGRES) $(GO) test -race -shuffle=on -timeout 20m $(ARGS) $(PKG)

test-faults: go ## run only the tests that break things, RUNS times (1), and print what was lost
	@echo "Killing processes, cutting connections, stopping databases, $(RUNS) times over (takes about 4 minutes each)"
	@mkdir -p build && rm -f build/faults.txt
	@$(POSTGRES) env INVITED_TEST_FAULT_TABLE="$(CURDIR)/build/faults.txt" \
		$(GO) test -run '^TestFault' -count $(RUNS) -timeout 60m $(ARGS) ./cmd/invited; code=$$?; \
	echo; cat build/faults.txt; exit $$code

test-browser: go ## read and try the API reference in headless Chromium
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { echo "Chromium is not installed: get it from your package manager, such as apt-get install chromium" >&2; exit 1; }
	@echo "Looking at /docs in a browser"
	@$(POSTGRES) $(GO) test -tags browser -run InABrowser $(ARGS) ./cmd/invited

sdk: generate ## build the Go client, the Python wheel and the npm package from openapi.yaml: gen/client, build/sdk
	@$(GO) build ./gen/client
	@PYTHON="$(PYTHON)" internal/tools/sdk/python/build.sh
	@internal/tools/sdk/typescript/build.sh

sdk-test: build $(SDK_PYTHON) $(SDK_TYPESCRIPT) ## install the SDKs as their users do, and go from create to accept with each
	@$(POSTGRES) sh -c 'GO="$(GO)" internal/tools/sdk/test.sh "$$INVITED_TEST_POSTGRES_URL"'

examples: $(DOCUMENT) build $(SDK_PYTHON) $(SDK_TYPESCRIPT) ## run the 33 examples of DOCUMENT on each database
	@$(POSTGRES) sh -c '$(GO) run ./internal/tools/sdk/examples -postgres "$$INVITED_TEST_POSTGRES_URL" -document "$(DOCUMENT)"'

$(DOCUMENT):
	@echo "$@ is not there: name the document with the examples, as in: make examples DOCUMENT=user-invitations.md" >&2; exit 1

# The SDKs as their users install them.
$(SDK_PYTHON): openapi.yaml $(wildcard internal/tools/sdk/python/*)
	@PYTHON="$(PYTHON)" internal/tools/sdk/python/build.sh consumer
	@touch $@

$(SDK_TYPESCRIPT): openapi.yaml internal/tools/sdk/typescript/.npmrc $(wildcard internal/tools/sdk/typescript/*) $(wildcard internal/tools/sdk/typescript/test/*)
	@internal/tools/sdk/typescript/build.sh consumer
	@touch $@

contract-lint: ## lint openapi.yaml; a warning fails too
	@internal/tools/contract/lint.sh

contract-diff: go ## compare openapi.yaml with the last one that was tagged, and print what changed
	@GO="$(GO)" internal/tools/contract/diff.sh

contract-tag: go ## make openapi.yaml, under its new version, the contract that later ones are compared with
	@GO="$(GO)" internal/tools/contract/tag.sh

contract-test: go ## test that comparison, the examples of the mock, and the import into Kong
	@GO="$(GO)" internal/tools/contract/test.sh

schemathesis: build ## fuzz the server against openapi.yaml, FORM=short (2 minutes) or full (15)
	@$(POSTGRES) env GO="$(GO)" PYTHON="$(PYTHON)" internal/tools/contract/schemathesis/run.sh $(FORM)

mock: ## serve the examples of openapi.yaml on 127.0.0.1:4010, for front ends
	@internal/tools/contract/mock.sh

gateway-test: go ## run nginx and Caddy before two replicas, FORM=short (a minute) or full (6)
	@echo "Running nginx and Caddy with what deploy/gateway/ has for them, in the $(FORM) form"
	@$(POSTGRES) $(GO) test -tags gateway -run '^TestGateway' -count=1 -timeout 30m $(if $(filter full,$(FORM)),-gateway.rounds 20) $(ARGS) ./cmd/invited

pgbouncer-test: go ## run two replicas with PgBouncer before the database, in each of its modes
	@echo "Running two replicas with PgBouncer before the database"
	@$(POSTGRES) $(GO) test -tags pgbouncer -run '^TestPgBouncer' -count=1 $(ARGS) ./cmd/invited

gateway-check: go ## hold what deploy/gateway/ has for the other gateways to their definitions and to the contract
	@cd deploy/gateway/check && $(GO) vet . && $(GO) mod tidy -diff && $(GO) test -count=1 $(ARGS) .

bench: build ## measure the server beside a hand-written floor, on each database: build/bench.json (12 minutes)
	@echo "Measuring build/invited; to narrow it: make bench ARGS='-engine postgres -workload retrieve,list -clients 16'"
	@$(POSTGRES) $(GO) run ./internal/tools/bench $(ARGS)

bench-scale: build ## measure reads, start, memory and a sweep at 10,000, 100,000 and 1,000,000 invitations: build/bench-scale.json
	@$(POSTGRES) $(GO) run ./internal/tools/bench scale -rows 10000,100000,1000000 -runs 3 -out build/bench-scale.json $(ARGS)

bench-profile: go ## where the server's time and memory go, for each kind of request: build/profile
	@$(GO) build -tags profile -trimpath -o build/invited-profile ./cmd/invited
	@$(POSTGRES) $(GO) run ./internal/tools/bench -profile build/profile -binary build/invited-profile -clients 16 -seconds 5 $(ARGS)

bench-delivery: go ## measure how fast 5,000 queued invitations are mailed, and the API meanwhile
	@echo "Mailing 5,000 invitations on each database (takes about 2 minutes)"
	@$(POSTGRES) $(GO) test -run '^$$' -bench BenchmarkDelivery -benchtime 1x -timeout 20m $(ARGS) ./cmd/invited

fuzz: go ## run each fuzz target for FUZZTIME (30s)
	@echo "Looking for fuzz targets in $(PKG)"
	@found=$$($(GO) test -list '^Fuzz' $(PKG)) || { echo "$$found"; exit 1; }; \
	echo "$$found" | awk '/^Fuzz/ { names = names " " $$1 } /^ok/ { n = split(names, a, " "); for (i = 1; i <= n; i++) print $$2, a[i]; names = "" }' | \
	while read -r package target; do \
		echo "Fuzzing $$package $$target for $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s "$$package" </dev/null || exit 1; \
	done

lint: go $(LINT) ## run golangci-lint
	@echo "Linting (the first time takes a minute or two)"
	@$(LINT) run $(ARGS) $(PKG)

fmt: go $(LINT) ## format the code as lint wants it
	@$(LINT) fmt

# Under its version, so that a new pin is a new file.
$(LINT):
	@echo "Building golangci-lint $(LINT_VERSION) into build/bin, once: takes about 80 s"
	@GOFLAGS= GOBIN="$(CURDIR)/build/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv build/bin/golangci-lint $(LINT)

clean: ## remove build/ (data/ is yours, and stays)
	rm -rf build
