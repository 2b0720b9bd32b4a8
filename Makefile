# Everything one does with hextide's source. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GOFLAGS_BUILD := -trimpath -ldflags "-X main.version=$(VERSION)"
DATA ?= ../shared/data/sf-taxi-2008-05-18_22.csv.gz

.PHONY: build test install vet lint go-test nightly web-build web-check web-test page-test notebook state-test \
	bench bench-live bench-state bench-kafka proto proto-check demo clean help

build: ## build bin/hextide
	go build $(GOFLAGS_BUILD) -o bin/hextide ./cmd/hextide

# One after another, in this order, whatever -j says: they share the machine. The
# longest comes last, so that the output ends with go test's lines.
test: ## install what is missing and run every test
	$(MAKE) --no-print-directory install
	$(MAKE) --no-print-directory vet
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory proto-check
	$(MAKE) --no-print-directory web-check
	$(MAKE) --no-print-directory web-test
	$(MAKE) --no-print-directory page-test
	$(MAKE) --no-print-directory notebook
	$(MAKE) --no-print-directory state-test
	$(MAKE) --no-print-directory go-test

install: ## install what the tests need, or say what is missing
	@scripts/install.sh

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted by gofmt:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...

lint: ## the project's own rules: sizes, imports, purity, names, comments
	go test -count=1 ./internal/lint

go-test: ## all Go tests, with the race detector, a real Kafka and a real Redis
	go test -timeout 15m ./internal/simulation
	scripts/with-servers.sh go test -race -p 2 -timeout 20m ./...

nightly: ## the long forms of tests: a hundred million places against H3, ten thousand simulated lives
	HEXTIDE_NIGHTLY=1 go test -count=1 -timeout 2h ./geo ./internal/simulation

web-build: install ## build the page into web/dist, which the binary embeds
	cd web && npm run --silent build

web-check: install ## fail where web/dist is not what web/src gives
	cd web && npm run --silent check

web-test: install ## the page's unit tests
	cd web && npm run --silent test

page-test: install build ## the demo's page in headless Chromium; PICTURE=file.png keeps what it shows
	scripts/page-test.sh $(PICTURE)

notebook: install build ## execute the notebook over a snapshot
	scripts/notebook.sh

state-test: install build ## an export of the state, read with DuckDB and pandas
	scripts/state-test.sh

bench: build ## ratios: cells against h3-go, rings and windows, J1 and J3 against reading their input; DATA=FILE
	go test -run '^$$' -bench Ratios ./geo
	go run ./bench windows --data $(DATA)
	go run ./bench backfill --data $(DATA)

bench-state: ## checkpoints and restarts with a large state, and what they cost
	go run ./bench state

bench-kafka: install build ## the same beside a real Kafka, restarts after SIGKILL, and the age of a feed's rows
	scripts/with-servers.sh bash -c 'go run ./bench kafka --brokers "$$HEXTIDE_TEST_KAFKA"'

bench-live: install build ## lookups and freshness under load, then memory, over a real Kafka; DATA=FILE
	scripts/with-servers.sh bash -c 'go run ./bench live --data $(DATA) --brokers "$$HEXTIDE_TEST_KAFKA" && \
		go run ./bench steady --data $(DATA) --brokers "$$HEXTIDE_TEST_KAFKA" --rate 1560 && \
		go run ./bench steady --data $(DATA) --brokers "$$HEXTIDE_TEST_KAFKA"'

proto: ## generate the Go code of proto/
	@scripts/install.sh proto
	scripts/proto.sh

proto-check: ## fail where the Go code of proto/ is not what its source gives
	@scripts/install.sh proto
	scripts/proto.sh --check

demo: build ## run the demo
	bin/hextide demo

clean: ## remove what was built
	rm -rf bin .cache web/node_modules web/.tests

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-12s %s\n", $$1, $$2 }'
