#!/usr/bin/env bash
# psql against a running gateway (PGHOST, PGPORT … in the environment).
passed=0
failed=0
check() { # name, expected, command…
  local name=$1 expected=$2 actual
  shift 2
  actual=$("$@" 2>&1)
  if [ "$actual" = "$expected" ]; then passed=$((passed + 1)); echo "ok $name"; else
    failed=$((failed + 1)); echo "not ok $name: got <$actual> instead of <$expected>"
  fi
}
q() { psql -X -A -t -v VERBOSITY=sqlstate "$@"; }
check 'selects' '1' q -c 'SELECT 1'
check 'travels in time' 'open|400' q -c 'SELECT status, count(*) FROM silver.orders VERSION AS OF 0 GROUP BY 1'
check 'counts without deleted rows' '1133' q -c 'SELECT count(*) FROM silver.orders'
check 'copies csv' $'1,x\n2,' q -c "COPY (SELECT 1, 'x' UNION ALL SELECT 2, NULL ORDER BY 1) TO STDOUT (FORMAT csv)"
check 'copies text with escapes' 'a\tb' q -c "COPY (SELECT E'a\tb') TO STDOUT"
file=$(mktemp)
printf 'a,b\n1,"x, y"\n2,\n' >"$file"
check 'copies csv in' $'CREATE TABLE\nCOPY 2\n1|x, y\n2|' q -c 'CREATE TEMP TABLE c (a int, b text)' -c "\\copy c FROM '$file' (FORMAT csv, HEADER)" -c 'SELECT * FROM c ORDER BY a'
printf 'oops,x\n' >"$file"
check 'tells the line of a bad row' $'CREATE TABLE\nERROR:  invalid input syntax for type integer: "oops"\nCONTEXT:  COPY c, line 1, column a: "oops"' psql -X -A -t -c 'CREATE TEMP TABLE c (a int, b text)' -c "\\copy c FROM '$file' (FORMAT csv)"
printf '%s\n' 'CREATE TEMP TABLE c (a int, b text);' 'COPY c FROM STDIN;' $'7\tq\\tr' '\.' 'SELECT a, length(b) FROM c;' >"$file"
check 'copies text from standard input' $'CREATE TABLE\nCOPY 1\n7|3' q -f "$file"
rm "$file"
check 'tells the code of an error' 'ERROR:  22012' q -c 'SELECT 1/0'
check 'describes a query' $'a|integer\nb|text' bash -c "echo \"SELECT 1 AS a, 'x'::text AS b \\\\gdesc\" | psql -X -A -t"
check 'lists the tables of a layer' $'silver|customers|table|lakegate\nsilver|orders|table|lakegate' q -c '\dt silver.*'
check 'runs a file in one transaction' $'BEGIN\n2\nCOMMIT' q -c 'BEGIN' -c 'SELECT 1+1' -c 'COMMIT'
check 'fetches by cursor' '1133' bash -c "psql -X -A -t -v FETCH_COUNT=100 -c 'SELECT order_id FROM silver.orders' | wc -l"
check 'speaks TLS' 't' bash -c "PGSSLMODE=require psql -X -A -t -c 'SELECT true'"
check 'refuses a wrong password' '2' bash -c "PGPASSWORD=wrong psql -X -c 'SELECT 1' >/dev/null 2>&1; echo \$?"
as() { # user, password, statement
  PGUSER=$1 PGPASSWORD=$2 q -c "$3"
}
check 'makes a second user' $'CREATE ROLE\nGRANT' q -c "CREATE ROLE clara LOGIN PASSWORD 'clara-password'" -c 'GRANT USAGE ON SCHEMA silver TO clara'
check 'lets the second user in by its password' 'clara|clara' as clara clara-password 'SELECT current_user, session_user'
check 'does not let it in by another' '2' bash -c "PGUSER=clara PGPASSWORD=wrong psql -X -c 'SELECT 1' >/dev/null 2>&1; echo \$?"
check 'refuses what was not granted' 'ERROR:  42501' as clara clara-password 'SELECT count(*) FROM silver.orders'
check 'grants columns' 'GRANT' q -c 'GRANT SELECT (order_id, status) ON silver.orders TO clara'
check 'lets granted columns be read' '1133' as clara clara-password 'SELECT count(order_id) FROM silver.orders'
check 'refuses the other columns' 'ERROR:  permission denied for table orders' env PGUSER=clara PGPASSWORD=clara-password psql -X -A -t -c 'SELECT * FROM silver.orders'
check 'refuses to drop what others own' 'ERROR:  must be owner of table orders' env PGUSER=clara PGPASSWORD=clara-password psql -X -A -t -c 'DROP TABLE silver.orders'
check 'drops the second user' $'DROP OWNED\nDROP ROLE' q -c 'DROP OWNED BY clara' -c 'DROP ROLE clara'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
