#!/usr/bin/env bash
# Runs every check and every test, and ends with the line `N passed, N failed, N skipped`.
# Arguments go to jest, for example: scripts/test.sh --selectProjects unit
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --tests
npm run --silent build:native
npx tsc --noEmit
npx biome check --reporter=summary

report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
# Suites wait for tools and machines more than they compute.
npx jest --maxWorkers=3 --json --outputFile="$report" --testLocationInResults "$@" >/dev/null || status=$?
node -e '
  const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  // A suite that could not even start has no failed test of its own.
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  console.log(`${report.numPassedTests} passed, ${failed} failed, ${report.numPendingTests + report.numTodoTests} skipped`);
' "$report"
exit "$status"
