# Every command a developer runs. Nothing but python3 (3.11 or newer) and make has to be there.
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --all-extras --quiet
DEMO_ARGS ?=
PYTEST_ARGS ?=
# One more than there are cores: tests wait for processes to start and to end.
JOBS := $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 4 ] && echo $$((n + 1)) || echo 4)
BENCH_ARGS ?=
# Byte code is kept wherever this runs: where a machine forbids it, each of the suite's many processes compiles all that
# it imports, which for TensorFlow takes twice as long as all the rest of its start.
export PYTHONDONTWRITEBYTECODE :=
DENO := DENO_NO_UPDATE_CHECK=1 DENO_DIR=.tools/deno $(RUN) deno

.PHONY: help demo test faults lint check fmt bench clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# uv into a place of its own: a virtual environment, or a plain folder where this Python has no venv.
.tools/bin/uv:
	@mkdir -p .tools/bin
	@{ python3 -m venv .tools/venv && .tools/venv/bin/python -m pip --quiet --disable-pip-version-check install uv \
	   && ln -sf ../venv/bin/uv .tools/bin/uv; } \
	 || { python3 -m pip --quiet --disable-pip-version-check install --target .tools/site uv && ln -sf ../site/bin/uv .tools/bin/uv; } \
	 || { echo "Could not get uv: install it (https://docs.astral.sh/uv/) and run make again." >&2; exit 1; }

demo: $(filter .tools/%,$(UV))  ## the main job on embedded defaults; DEMO_ARGS=--exit stops after the last step
	$(UV) run --all-extras hub demo $(DEMO_ARGS)

test: $(filter .tools/%,$(UV))  ## the whole test suite with real servers; installs what it needs
	sh tests/system_packages.sh
	$(RUN) pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

faults: $(filter .tools/%,$(UV))  ## the long ones of the fault matrix: killed, full, cut off, damaged
	sh tests/system_packages.sh
	$(RUN) pytest -n $(JOBS) --dist loadfile -m faults $(PYTEST_ARGS)

lint: $(filter .tools/%,$(UV))  ## format, lint, types, import contracts
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) pyrefly check
	$(RUN) lint-imports
	$(DENO) check --quiet hub/web/static/*.js
	$(DENO) lint --quiet hub/web/static/*.js

check: lint  ## lint and the fast tests: before every commit
	$(RUN) pytest -n $(JOBS) --dist loadfile -m "not slow" -q

fmt: $(filter .tools/%,$(UV))  ## format and fix what can be fixed
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: $(filter .tools/%,$(UV))  ## the hot paths next to other programs, into build/bench; BENCH_ARGS=--quick for a first look
	$(RUN) --group bench python -m bench.transfer $(BENCH_ARGS)
	$(RUN) --group bench python -m bench.catalog $(BENCH_ARGS)
	$(RUN) --group bench python -m bench.serving $(BENCH_ARGS)
	$(RUN) --group bench python -m bench.pages $(BENCH_ARGS)

clean:  ## removes what was built
	rm -rf .venv .tools dist .pytest_cache .ruff_cache .hypothesis
