# SoundFlow: every command of the project. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
REPLICAS ?= 1
WORKERS  ?= 5
MODEL    ?= cascade
STREAMS  ?= 500
CORPUS   ?= data/corpus
MODELS   ?= cascade small
PROTOS := $(wildcard protos/soundflow/v1/*.proto)
STUBS  := services/core/generated

# Many processes start here: none is to compile what another has.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install models run demo listen test check format protos protos-check protos-release lock \
        fetch-possible helm-lint helm-server-check helm-schema stack-fetch export rollout rollout-check \
        corpus train-small evaluate held-out compare eval-asr eval-sounds bench-embedded bench-pipeline \
        bench-churn bench-load bench-hour bench-hours bench-batch bench-gpu bench-faults up ps down screenshot clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/^ *# via/p' requirements.lock >$(VENV)/uv.txt
	$(PIP) --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) --require-hashes -r requirements.lock # where an index is set for pip alone
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

install: $(VENV)/installed ## make .venv with everything that running and testing needs

models: install ## fetch the default models into the user's cache, once
	@$(BIN)/soundflow models fetch cascade

run: $(if $(filter cascade,$(MODEL)),models,install) ## start the platform on 127.0.0.1, print the console's address; MODEL=small
	@$(BIN)/soundflow serve --model $(MODEL)

demo: models ## play a real call through the running services at real speed
	@$(BIN)/python -m bench.demo

stack-fetch: install ## fetch Kafka, Triton and what else `make up` starts, once, into the user's cache
	@$(BIN)/python -m stack fetch

up: $(if $(filter cascade,$(MODEL)),models) stack-fetch ## start the whole platform as production has it; REPLICAS=2 MODEL=null
	@$(BIN)/python -m stack up --replicas $(REPLICAS) --model $(MODEL)

rollout: ## have the platform that is up change over to CHECKPOINT=FOLDER while calls go on
	@$(BIN)/python -m stack.rollout $(CHECKPOINT)

rollout-check: models stack-fetch ## roll out under eight calls on a whole platform: nothing lost, nothing twice; 4 minutes
	@$(BIN)/pytest tests/cluster/rollout_check.py

ps: ## show every part of it: state, health, ports
	@$(BIN)/python -m stack ps

down: ## end all of it
	@$(BIN)/python -m stack down

# Bytecode of all that tests import, once: each of their processes would make it for itself.
$(VENV)/compiled: $(VENV)/installed
	-@$(BIN)/pytest --collect-only --quiet >/dev/null 2>&1
	@touch $@

fetch-possible: install
	@$(BIN)/python -m stack fetch --where-possible

test: install ## run every test that this machine can run, WORKERS=5 at a time
	@$(MAKE) --no-print-directory --jobs=3 models fetch-possible $(VENV)/compiled
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --durations=20

check: install protos-check ## format, lint, types, protobuf, models, chart: all that needs no test run
	$(BIN)/ruff format --diff .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf breaking --against protos/released.binpb
	$(BIN)/python -m training.export --check
	$(BIN)/python -m helm.check

helm-lint: install ## check the chart, its alert rules and the Dockerfiles, offline
	$(BIN)/python -m helm.check

helm-server-check: install ## have a real Kubernetes API server check the chart; builds it once, with Go
	@$(BIN)/python -m helm.server

helm-schema: install ## write what the services' settings are into the chart's schema
	@$(BIN)/python -m helm.settings

export: install ## write the Triton repository's configurations from what the models declare
	@$(BIN)/python -m training.export

format: install ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The generated modules import each other from the top; here they live inside a package.
define generate_stubs
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=$(1) --pyi_out=$(1) \
		--grpc_python_out=$(1) $(PROTOS)
	sed -i 's/^from soundflow\.v1 import/from services.core.generated.soundflow.v1 import/' \
		$(1)/soundflow/v1/*.py $(1)/soundflow/v1/*.pyi
endef

protos: install ## regenerate the protobuf code
	$(call generate_stubs,$(STUBS))

protos-check: install
	@rm -rf build/stubs && mkdir -p build/stubs
	@$(call generate_stubs,build/stubs)
	@diff -r -x __pycache__ -x __init__.py build/stubs/soundflow $(STUBS)/soundflow \
		|| { echo "the protobuf code is stale: run 'make protos' and commit"; exit 1; }

protos-release: install ## make today's protobufs the version that later ones must not break
	$(BIN)/buf build -o protos/released.binpb

compile = uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version

lock: ## resolve the dependencies anew
	$(compile) 3.11 --extra cluster --extra train --extra dev pyproject.toml -o requirements.lock
	$(compile) 3.11 --extra unified pyproject.toml stack/triton/requirements.in \
		-o stack/triton/requirements.lock
	$(compile) 3.11 --constraint requirements.lock docker/build.in -o docker/build.lock
	$(compile) 3.11 --constraint requirements.lock --extra cluster pyproject.toml \
		-o docker/services.lock
	$(compile) 3.11 --constraint requirements.lock --extra cluster --extra train pyproject.toml \
		-o docker/training.lock
	$(compile) 3.12 --constraint stack/triton/requirements.lock --extra unified pyproject.toml \
		docker/triton.in -o docker/triton.lock

eval-asr: models ## word errors and delays of live transcription, against the same model offline
	@$(BIN)/python -m bench.eval_asr

eval-sounds: models ## recall and false alarms of proactive help on recorded sounds
	@$(BIN)/python -m bench.eval_sounds

corpus: models ## build a corpus of training streams from recorded sounds and speech; STREAMS=500 CORPUS=data/corpus
	@test -e data/material.csv || $(BIN)/python -m bench.corpus_material
	@$(BIN)/python -m training.corpus build $(CORPUS) --streams $(STREAMS) \
		--material data/material.csv $(addprefix --material ,$(wildcard data/sentences.csv))
	@$(BIN)/python -m training.corpus check $(CORPUS)
	@$(BIN)/python -m training.corpus page $(CORPUS)

train-small: models ## make the small model of models/small anew, from recordings and sentences; goes on where it was left
	@test -e data/material.csv || $(BIN)/python -m bench.corpus_material
	@test -e data/sentences.csv || $(BIN)/python -m training.sentences --write 6000 --threads 2 --to data/sentences.csv
	@$(BIN)/python -m training.small data/small --material data/material.csv --material data/sentences.csv

evaluate: $(if $(filter cascade,$(MODEL)),models) ## what a model does, as one JSON and one page; MODEL=cascade OPTIONS="--to … --corpus …"
	@$(BIN)/python -m training.evaluate $(MODEL) $(OPTIONS)

held-out: models ## recordings that no model has learnt from, in data/held-out
	@test -e data/material.csv || $(BIN)/python -m bench.corpus_material
	@test -e data/held-out || $(BIN)/python -m bench.held_out

compare: held-out ## several models on the held-out set, as one JSON and one page; MODELS="cascade small" OPTIONS="--trained-on CORPUS"
	@$(BIN)/python -m training.compare $(MODELS) --held-out data/held-out --to data/compare $(OPTIONS)

bench-embedded: models ## eight live sessions for five minutes, then as many as keep the promise
	@$(BIN)/python -m bench.embedded

bench-pipeline: stack-fetch ## what the platform costs without a model, at 100 sessions and at most; OPTIONS=--help
	@$(BIN)/python -m bench.pipeline $(OPTIONS)

bench-churn: stack-fetch ## whether anything grows over 10,000 calls; OPTIONS=--help
	@$(BIN)/python -m bench.churn $(OPTIONS)

bench-load: install ## load a checkpoint of 3B shapes, random weights; 8 GB of disk for a while
	@$(BIN)/python -m bench.load_3b

bench-hour: models ## what a chunk costs at the end of an hour
	@$(BIN)/python -m bench.hour

bench-hours: install ## what a chunk costs the unified model over eight hours, drawn beside the published way
	@$(BIN)/python -m bench.hours

bench-batch: install ## 64 small sessions of the unified model in one forward, against one at a time
	@$(BIN)/python -m bench.engine_batch

bench-gpu: install ## how many live sessions of the 3B model a GPU holds (without one: a small model); OPTIONS=--help
	@$(BIN)/python -m bench.gpu $(OPTIONS)

bench-faults: models stack-fetch ## kill each part in the middle of calls, and see what callers notice
	@$(BIN)/python -m bench.faults --model $(MODEL)

screenshot: models ## draw docs/console.png: the console in a real browser, playing the demo call
	@$(BIN)/python -m bench.console_screenshot

clean: ## remove what was built, not what was fetched
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
