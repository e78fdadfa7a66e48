#!/usr/bin/env bash
# The gateway on a bucket of a real S3 server (versitygw, whose objects are files of a folder): the
# stores' contract, faults on the way, the suites of writes, and delta-rs beside it.
# Usage: s3.sh folder-for-everything python-with-deltalake-and-psycopg
set -u
cd "$(dirname "$0")/../.."
work=$1
python=$2
server=
gateway=
finish() {
  [ -n "$gateway" ] && kill "$gateway" 2>/dev/null
  [ -n "$server" ] && kill "$server" 2>/dev/null
}
trap finish EXIT

GOBIN="$work/bin" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 >"$work/install.log" 2>&1 ||
  { tail -n 20 "$work/install.log"; echo "0 passed, 1 failed"; exit 1; }
export AWS_ACCESS_KEY_ID=lakegate AWS_SECRET_ACCESS_KEY=lakegate-secret
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
mkdir -p "$work/objects/lakegate-test"
ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
  "$work/bin/versitygw" --port "127.0.0.1:$port" posix "$work/objects" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do grep -q "listening on" "$work/server.log" && break; sleep 0.1; done
export LAKEGATE_S3_ENDPOINT="http://127.0.0.1:$port"

passed=0
failed=0
LAKEGATE_TEST_S3_ENDPOINT=$LAKEGATE_S3_ENDPOINT LAKEGATE_TEST_S3_FOLDER="$work/objects" \
  npx vitest run --reporter=json --outputFile="$work/vitest.json" --testTimeout=120000 \
  test/storage/object-store.test.ts test/storage/s3-faults.test.ts test/storage/data-file.test.ts \
  test/planner/{writes,row-changes,groups,concurrent-writes,optimize,vacuum,restore}.test.ts \
  >"$work/vitest.log" 2>&1
read -r passed failed < <(node -e '
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
  const broken = testResults.filter((s) => s.status === "failed" && s.assertionResults.every((a) => a.status !== "failed"))
  for (const suite of testResults) for (const test of suite.assertionResults) {
    if (test.status === "failed") console.error(`not ok on S3: ${test.fullName}: ${String(test.failureMessages[0]).slice(0, 500)}`)
  }
  for (const suite of broken) console.error(`not ok on S3: ${suite.name}: ${String(suite.message).slice(0, 500)}`)
  console.log(numPassedTests, numFailedTests + broken.length)' "$work/vitest.json" 2>"$work/failures.log" || echo 0 1)
cat "$work/failures.log"

LAKEGATE_LAKE=s3://lakegate-test/shared LAKEGATE_PORT=0 LAKEGATE_HTTP_PORT=0 LAKEGATE_PASSWORD= \
  LAKEGATE_CACHE_DIR="$work/cache" node dist/server/bootstrap.cjs >"$work/gateway.log" 2>&1 &
gateway=$!
for _ in $(seq 100); do grep -q serving "$work/gateway.log" && break; sleep 0.1; done
PGPORT=$(sed -n 's/.* on 127\.0\.0\.1:\([0-9]*\),.*/\1/p' "$work/gateway.log")
PGHOST=127.0.0.1 PGPORT=$PGPORT PGUSER=lakegate PGDATABASE=lake LAKEGATE_LAKE=s3://lakegate-test/shared \
  "$python" test/clients/s3_delta_rs.py >"$work/delta-rs.log" 2>&1
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/delta-rs.log" | tail -n 1)
if [ -z "$line" ]; then
  failed=$((failed + 1)); echo "not ok delta-rs on S3 did not finish"; tail -n 20 "$work/delta-rs.log" "$work/gateway.log"
else
  grep '^not ok' "$work/delta-rs.log"
  passed=$((passed + $(echo "$line" | cut -d' ' -f1)))
  failed=$((failed + $(echo "$line" | cut -d' ' -f3)))
fi
echo "$passed passed, $failed failed"
