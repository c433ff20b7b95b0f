# One command each to try it, to test it and to check it. Needs make and Python 3.11 or newer.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/ready
MANIFESTS := .venv/manifests
CODE := $(wildcard app.py preference_center workers dev tests bench chaos fuzz simulation clients/python)
# Workers of pytest-xdist, and more options: make test N=4 ARGS="tests/core -x"
N ?= auto
# A file's tests share what they start; tests/order.py says which files go first. Bytecode is
# kept whatever the environment says: many tests start processes, which would all compile again.
SHARED_OUT = -n $(N) --dist loadfile --no-loadscope-reorder
ARGS ?=

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort \
	  | while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

.PHONY: run
run: $(READY) ## Start everything, with a demo to click through; Ctrl-C stops it
	@exec $(BIN)/python -m dev.run

.PHONY: test
test: $(READY) $(MANIFESTS) ## Run the tests against real PostgreSQL and Valkey/Redis (ARGS=... to choose)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(SHARED_OUT) -m "not slow and not browser" $(ARGS)

.PHONY: test-browser
test-browser: $(READY) ## Run the tests in real browsers (Debian: chromium-headless-shell firefox-esr)
	@$(BIN)/python -m pytest $(SHARED_OUT) -m browser tests/browser $(ARGS)

.PHONY: test-faults
test-faults: $(READY) ## Run what kills processes, and other tests that take long (Debian: faketime)
	@$(BIN)/python -m pytest $(SHARED_OUT) -m slow $(ARGS)

# So many examples of each operation: make test-contract CONTRACT_EXAMPLES=500
CONTRACT_EXAMPLES ?= 5

.PHONY: test-contract
test-contract: $(READY) ## Ask every operation of the API what its description allows and forbids
	@CONTRACT_EXAMPLES=$(CONTRACT_EXAMPLES) $(BIN)/python -m pytest -n 0 tests/web/api/test_contract.py $(ARGS)

.PHONY: drill
drill: $(READY) ## Run the restore drill of docs/backup.md, and show how long each step took
	@$(BIN)/python -m pytest -n 0 -s tests/faults/test_restore_drill.py $(ARGS)

.PHONY: test-answers
test-answers: $(READY) ## Make every value of vendors' answers odd in turn, and push ten thousand in a row
	@TEST_ANSWERS=30 TEST_ROW=10000 $(BIN)/python -m pytest $(SHARED_OUT) tests/integrations \
		-k "OddAnswers or in_a_row" $(ARGS)

.PHONY: test-pgbouncer
test-pgbouncer: $(READY) ## Run the tests of the core, and chaos, through PgBouncer (Debian: pgbouncer)
	@command -v pgbouncer >/dev/null || test -x /usr/sbin/pgbouncer \
	  || { echo 'pgbouncer is missing: apt-get install pgbouncer' >&2; exit 1; }
	@TEST_PGBOUNCER=1 $(BIN)/python -m pytest $(SHARED_OUT) -m "not slow and not own_session" \
		tests/*/{api,console,test_api.py,test_console.py} \
		tests/infra/{db,keys/test_key_fingerprints.py,test_outbox.py} \
		tests/ledger/{test_*.py,store,feed/test_{api,feed,replica}.py} \
		tests/decisions/test_denying_digests.py tests/destinations/{push,scan,erase,ingest,store} \
		tests/contacts/{test_*.py,notices} tests/cookies/test_browser_consents.py \
		tests/rights/erasure/test_{personal_data,rules}.py tests/recipients/pages/test_unsubscribe.py \
		tests/monitoring/test_{probes,rights_health}.py tests/workers $(ARGS)
	@$(BIN)/python -m chaos --pgbouncer --minutes 1 --rate 100 --seed $(SEED)

.PHONY: test-rollout
test-rollout: $(READY) ## Restart and upgrade web processes behind nginx, under clicks (Debian: nginx-light)
	@TEST_ROLLOUT=1 $(BIN)/python -m pytest -n 0 tests/rollout $(ARGS)

.PHONY: test-restricted
test-restricted: $(READY) ## Run a part of the tests with a database role and a Redis user of few rights
	@TEST_RESTRICTED=1 $(BIN)/python -m pytest $(SHARED_OUT) -m "not slow and not owner" \
		tests/*/{cli,test_cli.py} tests/web/console/test_cli.py \
		tests/ledger/{test_*.py,store/test_*_addresses.py,spool} tests/destinations/{push,scan,erase,ingest} \
		tests/lists/imports tests/rights/{test_*.py,access_file,erasure,requests} \
		tests/life tests/workers $(ARGS)

.PHONY: test-clients
test-clients: $(READY) ## Run the tests of the clients, each installed into an empty environment
	@$(BIN)/python -m dev.maintenance.client_tools
	@TEST_CLIENTS=1 $(BIN)/python -m pytest -n 0 tests/clients clients $(ARGS)

.PHONY: test-wheel
test-wheel: $(READY) ## Build wheel and sdist, and run the demo from an empty environment
	@TEST_WHEEL=1 $(BIN)/python -m pytest -n 0 tests/dev/test_wheel.py $(ARGS)

.PHONY: image
image: $(READY) ## Build the image with buildah on Debian's packages, or on BASE_IMAGE (as root)
	@$(BIN)/python -m dev.maintenance.image

.PHONY: test-image
test-image: image ## Start every process of the image in front of real servers
	@TEST_IMAGE=1 $(BIN)/python -m pytest -n 0 tests/image $(ARGS)

.PHONY: test-real
test-real: $(READY) ## Sync with GNU Mailman, Tryton, moto's SES and S3, dbt: all from .data/real
	@$(BIN)/python -m dev.maintenance.real_tools
	@TEST_REAL=1 $(BIN)/python -m pytest -n 0 tests/real \
		tests/ledger/feed/test_parquet_files.py::test_dbt_itself_builds_the_project $(ARGS)

.PHONY: real-ghost
real-ghost: $(READY) ## Install Ghost into .data/real for make test-real (Node.js 20, a compiler, minutes)
	@$(BIN)/python -m dev.maintenance.real_tools ghost

# Minutes of faults, and what draws them: make chaos MINUTES=2 SEED=7
MINUTES ?= 10
SEED ?= 1

.PHONY: chaos
chaos: $(READY) ## Kill, freeze, cut off and fail over everything under load; the audit must pass
	@$(BIN)/python -m chaos --minutes $(MINUTES) --seed $(SEED) $(ARGS)

.PHONY: chaos-planted
chaos-planted: $(READY) ## See that chaos finds bugs planted on purpose (two minutes each)
	@$(BIN)/python -m chaos.planting $(ARGS)

# Seconds for all targets together: make fuzz SECONDS=600, or ARGS="mail webhook" for some
SECONDS ?= 60

.PHONY: fuzz
fuzz: $(READY) ## Get atheris (35 MB; Linux) and feed all entry points what strangers might send
	@$(BIN)/uv sync --quiet --locked --inexact --group fuzz
	@$(BIN)/python -m fuzz --seconds $(SECONDS) $(ARGS)

.PHONY: audit
audit: $(READY) ## Ask the indexes of Python and npm for known vulnerabilities of what is locked
	@$(BIN)/uv run --quiet --locked --isolated --only-group audit python -m dev.maintenance.audit

.PHONY: sbom
sbom: $(READY) ## Write what is installed to run it as CycloneDX, to .data/sbom.json
	@mkdir -p .data
	@$(BIN)/uv export --quiet --locked --no-dev --format cyclonedx1.5 \
	  --preview-features sbom-export --output-file .data/sbom.json
	@echo 'Written to .data/sbom.json'

.PHONY: check
check: $(READY) check-lock ## Check format, lint, types and lock files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(CODE)

.PHONY: format
format: $(READY) ## Format the code and fix what the linter can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(READY) ## Measure the hot paths against their limits
	@$(BIN)/python -m bench

.PHONY: bench-smoke
bench-smoke: $(READY) ## See that everything that measures works, in a tiny round of each
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m bench --smoke $(ARGS)

.PHONY: bench-long-list
bench-long-list: $(READY) ## One list of ARGS="--rows 30000000" through nginx, with PostgreSQL frozen for a minute
	@$(BIN)/python -m bench.long_list $(ARGS)

.PHONY: bench-growth
bench-growth: $(READY) ## Measure a decision with 20 million suppressions (30 minutes, 30 GB of disk)
	@$(BIN)/python -m bench.growth $(ARGS)

.PHONY: bench-scrub
bench-scrub: $(READY) ## Measure scrubbing ten million rows (10 minutes, 4 GB of disk)
	@$(BIN)/python -m bench.scrub $(ARGS)

.PHONY: test-spark
test-spark: $(READY) ## Get PySpark (500 MB; needs Java) and test scrubbing on it
	@$(BIN)/uv sync --quiet --locked --inexact --extra spark
	@$(BIN)/python -m pytest -n 0 tests/lists/scrub/test_spark.py $(ARGS)

# make simulate SEED=1 RUNS=1000 ARGS="--hours 72 --people 200"
SEED ?= 1
RUNS ?= 20

.PHONY: simulate
simulate: $(READY) ## Days of faults in seconds, held against an oracle (SEED=... RUNS=...)
	@$(BIN)/python -m simulation --seed $(SEED) --runs $(RUNS) $(ARGS)

.PHONY: simulate-short
simulate-short: $(READY) ## The same for about a minute
	@$(BIN)/python -m simulation --runs 8 --hours 48 --people 100

.PHONY: planted
planted: $(READY) ## See that the simulation finds bugs planted on purpose (ARGS=name for one)
	@$(BIN)/python -m simulation.planting $(ARGS)

# make mutate TARGETS="decisions plan" ARGS="--every 5"
TARGETS ?= decisions

.PHONY: mutate
mutate: $(READY) ## Plant small mistakes one at a time and see that a test fails (docs/evidence/mutation.md)
	@$(BIN)/python -m dev.maintenance.mutate $(TARGETS) $(ARGS)

.PHONY: house
house: $(READY) ## Count files and lines of the code, and follow four requests through it
	@$(BIN)/python -m dev.maintenance.house --trace

.PHONY: screenshots
screenshots: $(READY) ## Take the pictures of docs/pages.md and docs/console.md again (needs Chromium)
	@$(BIN)/python -m dev.maintenance.screenshots
	@$(BIN)/python -m dev.maintenance.screenshots_of_console

# The lock files that pip reads are exports of uv.lock, so that nobody needs uv to install.
EXPORT = $(BIN)/uv export --quiet --locked --no-header --no-annotate --no-emit-project

# The image has every extra but the demo's servers and Spark, which has 500 MB.
IMAGE = --no-dev --all-extras --no-extra demo --no-extra spark

.PHONY: lock
lock: $(READY) ## Lock the dependencies of pyproject.toml again, as little changed as possible
	@$(BIN)/uv lock
	@$(EXPORT) --no-dev --output-file requirements.lock
	@$(EXPORT) $(IMAGE) --output-file requirements-image.lock
	@$(EXPORT) --only-group build --output-file requirements-build.lock
	@$(EXPORT) --only-group manifests --output-file requirements-manifests.lock
	@$(EXPORT) --output-file requirements-dev.lock

.PHONY: check-lock
check-lock: $(READY)
	@$(EXPORT) --no-dev | diff -q - requirements.lock >/dev/null \
	  && $(EXPORT) $(IMAGE) | diff -q - requirements-image.lock >/dev/null \
	  && $(EXPORT) --only-group build | diff -q - requirements-build.lock >/dev/null \
	  && $(EXPORT) --only-group manifests | diff -q - requirements-manifests.lock >/dev/null \
	  && $(EXPORT) | diff -q - requirements-dev.lock >/dev/null \
	  || { echo 'The lock files do not agree with pyproject.toml: make lock' >&2; exit 1; }

# English stands in code and templates. Where a text is new or changed, its translations are
# empty after this, and a test fails until somebody has written them.
TRANSLATIONS = preference_center/web/translations

.PHONY: translations
translations: $(READY) ## Bring the .po files up to date with code and templates
	@mkdir -p .data
	@$(BIN)/pybabel -q extract --mapping-file $(TRANSLATIONS)/mapping.toml -k lazy_gettext --no-wrap \
	  --add-location=file --sort-by-file --output-file .data/messages.pot preference_center templates
	@for language in $(notdir $(wildcard $(TRANSLATIONS)/??)); do \
	  $(BIN)/pybabel -q update --init-missing --no-fuzzy-matching --ignore-obsolete --no-wrap \
	    --ignore-pot-creation-date --input-file .data/messages.pot \
	    --output-dir $(TRANSLATIONS) --locale $$language; \
	done
	@$(BIN)/pybabel -q extract --mapping-file $(TRANSLATIONS)/console.toml -k lazy_gettext --no-wrap \
	  --add-location=file --sort-by-file --output-file .data/console.pot preference_center templates
	@$(BIN)/pybabel -q update --domain console --init-missing --no-fuzzy-matching --ignore-obsolete \
	  --no-wrap --ignore-pot-creation-date --input-file .data/console.pot \
	  --output-dir $(TRANSLATIONS) --locale it

.PHONY: clean
clean: ## Delete .venv and caches; data of `make run` stays
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-data
clean-data: $(READY) ## Delete the data of `make run`
	@$(BIN)/python -m dev.engines forget

# Done once, and again when the lock changes. Takes the interpreter of PYTHON if that is set. Counts
# in the shell, since mawk, which is Debian's awk, reads a pipe in blocks: for minutes nothing came.
$(READY): requirements-dev.lock
	@if ! $(BIN)/python -c '' 2>/dev/null; then \
	  python=$$(sh dev/maintenance/find-python.sh); \
	  echo "Making .venv with $$python"; \
	  "$$python" -m venv --clear .venv \
	    || { echo 'On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }; \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@total=$$(grep -c '==' $<); \
	  echo "Installing $$total packages of requirements-dev.lock into .venv, once: it takes some minutes"; \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $< \
	  | { n=0; while IFS= read -r line; do case $$line in \
	      'Collecting '*) n=$$((n + 1)); [ $$((n % 20)) -ne 0 ] || echo "  found $$n of $$total" ;; \
	      'Installing collected '*) echo '  unpacking all of them' ;; esac; done; }
	@touch $@

# The schemas of Kubernetes have 108 MB, which only tests of deploy/kubernetes need.
$(MANIFESTS): requirements-manifests.lock $(READY)
	@echo 'Installing the schemas of Kubernetes into .venv, once'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
