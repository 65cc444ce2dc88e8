# The only commands anyone types. Each installs what it needs and is missing.
.PHONY: help demo stop psql test bench fuzz torture mutants lint install clean

help:    ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:    ## build everything, start a private server and a worker, run a flow on this repository, show its report
	@scripts/demo.sh

stop:    ## end what `make demo` started
	@scripts/stop.sh

psql:    ## a psql session on the demo's database
	@scripts/psql.sh

test:    ## unit and property tests, tests inside a server, SQL regression, end-to-end tests
	@scripts/test.sh

bench:   ## what the engine and the worker cost, as ratios within one run: a table, JSON and a chart in target/bench
	@scripts/bench.sh

fuzz:    ## hostile input for everything that reads what others wrote, MINUTES=10 long, from SEED=random
	@scripts/fuzz.sh

torture: ## many runs and random kills of everything, MINUTES=30 long, from SEED=random, then the verdict
	@scripts/torture.sh

mutants: ## take out one protection of engine and worker after the other, and see a test fail each time
	@scripts/mutants.sh

lint:    ## formatting and warnings, as errors
	@scripts/lint.sh

install: ## build for release; install extension (for pg_config in PATH, or PG_CONFIG) and worker (PREFIX, default /usr/local)
	@scripts/install.sh

clean:   ## remove what was built and the demo's data; the tools stay
	@scripts/stop.sh
	@rm -rf target .conductor
