# Thin targets over the scripts and the CLI.
.PHONY: demo test setup

## Set up this machine, build a small real node image through kustomize, print its catalogue.
demo:
	@scripts/demo.sh

## Set up this machine and run every test.
test:
	@scripts/test.sh

## Only install what is needed.
setup:
	@scripts/setup.sh
