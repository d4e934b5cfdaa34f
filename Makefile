# Needs Python 3.11 or newer and make; everything else goes into the private .venv, as uv.lock pins it.
.PHONY: venv demo test test-all check format bench screenshots secrets clean
PYTEST = .venv/bin/python -m pytest
WORKERS ?= 2

venv: .venv/.stamp

.venv/.stamp: pyproject.toml uv.lock .ci/venv
	@sh .ci/venv

# exec: a signal that make passes on reaches the demo itself, not a shell in between.
demo: venv
	@exec .venv/bin/yuanshe demo

test: venv
	@exec $(PYTEST) -n $(WORKERS) $(ARGS)

test-all: venv
	sh .ci/everything
	YUANSHE_TEST_ALL=1 $(PYTEST) -n $(WORKERS) $(ARGS)
	if docker info >/dev/null 2>&1; then YUANSHE_TEST_ALL=1 YUANSHE_TEST_DATABASE=container $(PYTEST) -n $(WORKERS) $(ARGS); \
	else echo "Docker does not answer: the suite did not run on a PostgreSQL in a container."; fi

check: venv
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/basedpyright
	.venv/bin/lint-imports

format: venv
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: venv
	@exec .venv/bin/python -m tests.bench $(ARGS)

# The pages as pictures, into docs/images; needs Debian's chromium.
screenshots: venv
	@exec $(PYTEST) tests/web/screenshots.py $(ARGS)

# The passwords of docker-compose.yml, as files.
secrets:
	@sh .docker/secrets

clean:
	rm -rf .venv dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
