# Each target is enough on a fresh Debian machine: it installs what is missing and says so.
#
#   make run        a server with its first user and a key; prints the line to type on another machine
#   make demo       two official clients join and reach each other, in network namespaces (root)
#   make test       all tests, with official clients where namespaces can be made (root)
#   make test-fast  the tests that need neither root nor the official clients
#   make deb        the Debian packages in dist/, built in a clean Debian 13 without network (root)
#   make apt-repo   a signed apt repository of them in dist/apt/
#   make test-appliance  the packages and the playbook on booted Debian machines (root)
#   make test-ubuntu     the same on Ubuntu 24.04 and 26.04, from packages built there (root)
#   make test-vagrant    the Vagrantfile, in a virtual machine (root; not in CI)
#   make lint       ruff and mypy --strict
#   make conformance  the policy engine against captured answers of the hosted service
#   make bench      the project's own figures (ARGS="1000" for another size)
#   make bench-derp the relay beside the official one, which is built first (Go)
#   make docs       the pages and the journal catalog that are written from the code
#   make venv       .venv, with .venv/bin/meshbox
#
# PYTHON=/path/to/python3.12 chooses the interpreter (3.11 or newer). ARGS="-k noise" goes to pytest,
# ARGS="--port 80" to the server of `make run`.

ARGS ?=
RUN := .venv/bin/python

.PHONY: run demo test test-fast test-appliance test-ubuntu test-vagrant deb apt-repo lint conformance bench bench-derp docs venv clean

venv:
	@sh scripts/setup-venv.sh

run: venv
	@$(RUN) -m meshbox.cli.main quickstart $(ARGS)

demo: venv
	@sh scripts/demo.sh

test: venv
	@sh scripts/run-tests.sh $(ARGS)

test-fast: venv
	@$(RUN) -m pytest -m "not world and not root and not slow and not appliance" $(ARGS)

test-appliance: venv
	@sh scripts/run-tests.sh tests/appliance -s $(ARGS)

test-ubuntu: venv
	@for one in noble resolute; do \
		MESHBOX_DISTRIBUTION=$$one sh scripts/run-tests.sh tests/appliance -s $(ARGS) || exit 1; done

test-vagrant: venv
	@MESHBOX_LAPTOP=1 sh scripts/run-tests.sh tests/laptop -s $(ARGS)

deb:
	@sh packaging/build.sh $(ARGS)

apt-repo:
	@sh packaging/apt-repo.sh $(ARGS)

lint: venv
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy --strict meshbox

conformance: venv
	@$(RUN) -m tests.conformance $(ARGS)

bench: venv
	@$(RUN) -m tests.bench $(ARGS)

bench-derp: venv
	@sh scripts/build-derper.sh
	@$(RUN) -m tests.bench.derp

docs: venv
	@$(RUN) -m meshbox.config.reference > docs/config.md.new && mv docs/config.md.new docs/config.md
	@$(RUN) -m meshbox.cli.reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@$(RUN) -m meshbox.cli.man > docs/meshbox.1.new && mv docs/meshbox.1.new docs/meshbox.1
	@$(RUN) -m meshbox.log.reference > docs/events.md.new && mv docs/events.md.new docs/events.md
	@$(RUN) -m meshbox.log.catalog > systemd/meshbox.catalog.new && mv systemd/meshbox.catalog.new systemd/meshbox.catalog

clean:
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
