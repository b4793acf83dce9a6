# The short commands. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
# Absolute without $(abspath), which would break at a space in the clone's path.
VENV_BIN := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))/bin
export PATH := $(VENV_BIN):$(PATH)
# First three numbers of the lab's /24, outside the pools that Docker hands out by itself.
export LAB_PREFIX ?= 10.77.30
export LAB_CLOUD_PREFIX ?= 10.77.31
# The vendors' schemas that judge requests and configurations, where they are at hand.
SPECS ?= ../shared/specs
ifneq ($(wildcard $(SPECS)/digitalocean-openapi.json),)
export BOTOPS_DIGITALOCEAN_OPENAPI ?= $(SPECS)/digitalocean-openapi.json
endif
ifneq ($(wildcard $(SPECS)/amazon-cloudwatch-agent-schema.json),)
export BOTOPS_CLOUDWATCH_SCHEMA ?= $(SPECS)/amazon-cloudwatch-agent-schema.json
endif

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: lab lab-pair lab-down lab-status lab-watch
lab: ## The whole product on local hosts, over real SSH: a hardened host with a live bot behind HTTPS
	@$(PYTHON) lab/lab.py up

lab-pair: ## The lab as a pair that fails over by itself: fencing tested, bot behind a floating address
	@$(PYTHON) lab/lab.py up --pair

lab-down: ## Remove the lab and nothing else
	@$(PYTHON) lab/lab.py down

lab-status: ## The table that `make lab` ends with
	@$(PYTHON) lab/lab.py status

lab-watch: ## Watch orders arrive at the lab's exchange (Ctrl-C ends it)
	@$(PYTHON) lab/lab.py watch

.PHONY: compliance
compliance: ## The lab's hosts against what is declared of them, and four judges from outside: build/compliance/report.html
	@$(PYTHON) lab/lab.py compliance

.PHONY: lab-cloud lab-cloud-status lab-cloud-down
lab-cloud: ## Two clouds without an account: emulated APIs, real hosts, a trading bot on a droplet and one on an EC2 instance
	@$(PYTHON) lab/cloud.py up

lab-cloud-status: ## The table that `make lab-cloud` ends with
	@$(PYTHON) lab/cloud.py status

lab-cloud-down: ## destroy.yml on them, and nothing stays
	@$(PYTHON) lab/cloud.py down

.PHONY: venv engine
venv: ## The tests' virtual environment, pinned
	@$(PYTHON) lab/control_node.py requirements-dev.txt

engine:
	@lab/engine.sh

.PHONY: test check lint unit sanity cloud molecule e2e e2e-pair e2e-cloud vm browser core
test: ## Everything that CI runs
	@$(PYTHON) lab/control_node.py requirements-dev.txt
	@"$(VENV_BIN)/python" tests/run.py all

lint: venv ## yamllint, ansible-lint, ruff, shellcheck, actionlint
	@"$(VENV_BIN)/python" tests/run.py lint

unit: venv ## Unit tests
	@"$(VENV_BIN)/python" tests/run.py unit

sanity: venv ## ansible-test sanity and galaxy-importer on the built collection
	@"$(VENV_BIN)/python" tests/run.py sanity

cloud: venv ## Provisioning against the emulated vendor: a fleet from nothing, drift, interruptions, removal
	@"$(VENV_BIN)/python" tests/run.py cloud

molecule: venv engine ## Molecule, every scenario, or one: make molecule SCENARIO=nginx
	@"$(VENV_BIN)/python" tests/run.py molecule $(SCENARIO)

e2e: venv ## The lab from nothing, and all that is asserted of it
	@"$(VENV_BIN)/python" tests/run.py lab

e2e-pair: venv ## The lab as a pair from nothing, and a pulled plug
	@"$(VENV_BIN)/python" tests/run.py lab-pair

e2e-cloud: venv engine ## Emulated clouds with real hosts behind their machines: provisioning, power, removal
	@"$(VENV_BIN)/python" tests/run.py lab-cloud

vm: venv engine ## A QEMU machine for what no container shows: audit trail, kernel settings, reboots (BOTOPS_VM_RELEASE=debian12)
	@"$(VENV_BIN)/python" tests/run.py vm

browser: venv ## The status site in Chromium, phone and desktop, light and dark (apt-get install chromium npm): build/browser
	@"$(VENV_BIN)/python" tests/run.py browser

check: venv ## Linters and unit tests together: what to run before every commit
	@"$(VENV_BIN)/python" tests/run.py check

core: ## Unit tests and the lab with another ansible-core: make core CORE=2.20
	@$(if $(CORE),,$(error Name the release, for example make core CORE=2.20))
	@CORE=$(CORE) $(MAKE) VENV=.venv-core-$(CORE) unit e2e

.PHONY: docs tables
docs: ## An HTML site of all roles and plugins: build/docs/html/index.html
	@$(PYTHON) lab/control_node.py requirements-docs.txt
	@"$(VENV_BIN)/python" docs/reference.py site

tables: venv ## Write the variables' tables of the READMEs anew from the specifications
	@"$(VENV_BIN)/python" docs/reference.py tables

RUNS ?= 8
SEED ?= 1
.PHONY: chaos
chaos: venv engine ## Faults of a pair, judged by the exchange: make chaos RUNS=40 SEED=7 FAULTS=node-kill,bot-hang
	@"$(VENV_BIN)/molecule" converge -s pair
	@"$(VENV_BIN)/python" lab/chaos.py --runs $(RUNS) --seed $(SEED) $(if $(FAULTS),--faults $(FAULTS))

.PHONY: drill
drill: ## The lab's bot hosts are lost and come back from inventory, vault and repository: build/restore-drill.json
	@$(PYTHON) lab/lab.py up
	@$(PYTHON) lab/drill.py

.PHONY: bench bench-inventory bench-backup bench-deploy
bench: bench-inventory ## Benchmarks; each prints its ratios, writes build/bench-*.json and fails when a target is missed

bench-inventory: venv
	@"$(VENV_BIN)/python" bench/inventory.py

bench-backup: venv ## What a backup costs and what it is worth, beside borgmatic, tar and cp (apt-get install restic borgmatic)
	@"$(VENV_BIN)/python" bench/backup.py

bench-deploy: venv engine ## Seconds without an order while a release is exchanged, beside `down; build; up` by hand
	@"$(VENV_BIN)/molecule" converge -s bot_deploy
	@"$(VENV_BIN)/molecule" converge -s bot_compose
	@"$(VENV_BIN)/python" bench/deploy.py
