#!/usr/bin/env bash
# pgbench with a script that reads, in each of its query modes, against a running gateway.
passed=0
failed=0
pgbench=$(command -v pgbench || ls -d /usr/lib/postgresql/*/bin/pgbench | tail -n 1)
script=$(mktemp)
printf '%s\n' '\set id random(1, 1100)' 'SELECT order_id, status, amount FROM silver.orders WHERE order_id = :id;' 'SELECT status, count(*) FROM silver.orders GROUP BY 1;' >"$script"
for mode in simple extended prepared; do
  out=$("$pgbench" -n -f "$script" -c 4 -t 10 -M $mode 2>&1)
  if grep -q 'processed: 40/40' <<<"$out" && grep -q 'failed transactions: 0' <<<"$out"; then
    passed=$((passed + 1)); echo "ok $mode: $(grep tps <<<"$out")"
  else
    failed=$((failed + 1)); echo "not ok $mode: $out"
  fi
done
rm "$script"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
