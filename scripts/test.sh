#!/usr/bin/env bash
# Runs every check and every test, and ends with the line `N passed, N failed, N skipped`.
# Arguments go to jest, for example: scripts/test.sh test/e2e/stages/rootfs
#
# The unit tests run first: their findings appear within minutes, before anything is built.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --tests
npm run --silent build:native
npx --no-install tsc --noEmit
npx --no-install biome check --reporter=summary

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
status=0

# run_jest LANE ARGUMENTS...: suites wait for tools and machines more than they compute.
run_jest() {
  local lane=$1
  shift
  npx --no-install jest --maxWorkers=4 --json --outputFile="$reports/$lane.json" --testLocationInResults "$@" >/dev/null || status=$?
}

if [ $# -gt 0 ]; then
  run_jest chosen "$@"
else
  run_jest unit --selectProjects unit
  [ "$status" != 0 ] || run_jest end-to-end --selectProjects e2e bun native
fi
node -e '
  const { readdirSync, readFileSync } = require("node:fs");
  let [passed, failed, skipped] = [0, 0, 0];
  for (const name of readdirSync(process.argv[1])) {
    const report = JSON.parse(readFileSync(`${process.argv[1]}/${name}`, "utf8"));
    passed += report.numPassedTests;
    // A suite that could not even start has no failed test of its own.
    failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
    skipped += report.numPendingTests + report.numTodoTests;
  }
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
' "$reports"
exit "$status"
