# Everything one does with this repository. `make demo` is the place to begin.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BIN = .venv/bin
# What official Realm SDKs need of Daphne, and nothing else minds: see docs/servers.md.
SDK_OPTIONS = --ping-interval 86400 --ping-timeout 86400 --websocket-max-message-size 67108864 --websocket-max-frame-size 67108864

.PHONY: demo test chromium soak bench lint types clean

# The demo, from nothing to a running server: PORT=8001 make demo, DATABASE_URL=postgresql://… make demo
demo: .venv/installed-demo
	@$(BIN)/python -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("$(HOST)", $(PORT)))' 2>/dev/null \
		|| { echo "Port $(PORT) of $(HOST) is taken. Choose another one: PORT=8001 make demo"; exit 1; }
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py seed
	@echo
	@echo "    The demo:  http://$(HOST):$(PORT)/"
	@echo "    The admin: http://$(HOST):$(PORT)/admin/ (admin, password demo)"
	@echo "    Clients:   nora and noah of team North, sol of team South (password demo)"
	@echo "    Ctrl-C ends it."
	@echo
	@$(BIN)/python -m daphne -b $(HOST) -p $(PORT) $(SDK_OPTIONS) demo_project.asgi:application

# Every test but the long ones, on two cores. One file: make test ARGS="tests/test_layers.py -x"
test: .venv/installed-test chromium
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# The browser that tests of pages need. Installed where that can be done without asking for a password.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi; \
		if [ "$$as_root" != no ] && command -v apt-get >/dev/null; then \
			$$as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -qq -y chromium; \
		else \
			echo "Chromium is not on PATH, and make cannot install it here: tests of pages will not run. Install it with your system's package manager."; \
		fi; }

# Long randomised runs, for hours if you like: they print the seed of what fails.
soak: .venv/installed-test
	$(BIN)/python -m pytest -m soak $(ARGS)

# The benchmarks, each figure against a named baseline. One: make bench ARGS="latency --database postgresql"
bench: .venv/installed-test
	$(BIN)/python -m benchmarks $(ARGS)

# Style, formatting and types.
lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy realm_sync
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory types; else echo "The browser SDK's types are not checked: make types needs npm."; fi

# Types of the browser SDK: checks them with TypeScript, which npm puts into var/types, and writes realm.d.ts.
types:
	$(PYTHON) -m tests.types.declarations

# What tests, builds and the demo (its database too) left behind. The virtual environment stays.
clean:
	rm -rf var build dist staticfiles *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# A virtual environment with one set of dependencies: demo, test or dev. Made again when pyproject.toml changes.
.venv/installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@
