#!/usr/bin/env bash
# psql against a running gateway (PGHOST, PGPORT … in the environment); another psql than that of the
# PATH is named as argument.
[ $# -gt 0 ] && PATH="$1:$PATH"
echo "# $(psql --version)"
version=$(psql --version | grep -oE '[0-9]+' | head -n 1)
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
say() { printf '%s\n' "$@" | psql -X -A -t -q -v VERBOSITY=default; }
export -f q say
export PGTZ=UTC
table=psql_$version
q -q -c "DROP TABLE IF EXISTS silver.$table" >/dev/null 2>&1

# Types, as literals and by parameters.
values() { # the values of wire-values.json that stand on one line: a file with a SELECT each, and one with the answers
  node -e '
    const fs = require("fs")
    const out = { sql: "", bound: "", expected: "" }
    for (const { type, text, input = text, error, settings } of JSON.parse(fs.readFileSync(process.argv[1], "utf8"))) {
      if (error !== undefined || settings !== undefined || /[\n]/.test(input + text)) continue
      const literal = "E\x27" + input.replaceAll("\\", "\\\\").replaceAll("\x27", "\x27\x27") + "\x27"
      out.sql += `SELECT ${literal}::${type};\n`
      out.bound += `SELECT $1::${type} \\bind \x27${input.replaceAll("\\", "\\\\").replaceAll("\x27", "\x27\x27")}\x27 \\g\n`
      out.expected += text + "\n"
    }
    for (const [name, text] of Object.entries(out)) fs.writeFileSync(`${process.argv[2]}/${name}`, text)' \
    "$(dirname "${BASH_SOURCE[0]}")/wire-values.json" "$1"
}
folder=$(mktemp -d)
values "$folder"
check 'prints every type as PostgreSQL' '' bash -c "psql -X -A -t -q -f '$folder/sql' 2>&1 | diff - '$folder/expected'"
if [ "$version" -ge 16 ]; then
  check 'binds every type as PostgreSQL' '' bash -c "psql -X -A -t -q -f '$folder/bound' 2>&1 | diff - '$folder/expected'"
  check 'binds several values' '3|x' say "SELECT \$1::int + \$2, \$3 \\bind 1 2 x \\g"
fi
if [ "$version" -ge 18 ]; then
  check 'prepares by the protocol' $'3\n4' say "SELECT \$1::int + 2 \\parse plus" '\bind_named plus 1 \g' '\bind_named plus 2 \g' '\close_prepared plus'
  check 'sends a pipeline' $'1\n2' say '\startpipeline' "SELECT 1 \\bind \\sendpipeline" "SELECT 2 \\bind \\sendpipeline" '\endpipeline'
fi
rm -r "$folder"
check 'prepares by SQL' $'3\n4' say 'PREPARE plus (int) AS SELECT $1 + 2;' 'EXECUTE plus (1);' 'EXECUTE plus (2);' 'DEALLOCATE plus;'
check 'quotes its variables' "it's" psql -X -A -t -v "name=it's" -f <(echo "SELECT :'name';")

check 'selects' '1' q -c 'SELECT 1'
check 'travels in time' 'open|400' q -c 'SELECT status, count(*) FROM silver.orders VERSION AS OF 0 GROUP BY 1'
check 'counts without deleted rows' '1133' q -c 'SELECT count(*) FROM silver.orders'
check 'shows nulls as asked' '∅' q -P null=∅ -c 'SELECT NULL::int'
check 'turns a row' 'a|1
b|x' bash -c "psql -X -A -t -x -c \"SELECT 1 AS a, 'x' AS b\""
check 'cross-tabulates' $'k|x|y\na|1|2' bash -c "echo \"SELECT * FROM (VALUES ('a','x',1),('a','y',2)) v(k, c, n) \\\\crosstabview\" | psql -X -A --pset footer=off"
check 'runs what a query gives' $'2\n3' say "SELECT 'SELECT ' || i FROM generate_series(2, 3) i \\gexec"
check 'keeps what a query gives' '7' say 'SELECT 7 AS seven \gset' '\echo :seven'
check 'makes tables and counts rows' $'CREATE TABLE\nINSERT 0 2\nUPDATE 1\nDELETE 1' q -c "CREATE TABLE silver.$table (id int NOT NULL, name text)" -c "INSERT INTO silver.$table VALUES (1, 'a'), (2, 'b')" -c "UPDATE silver.$table SET name = 'c' WHERE id = 2" -c "DELETE FROM silver.$table WHERE id = 1"

check 'copies csv' $'1,x\n2,' q -c "COPY (SELECT 1, 'x' UNION ALL SELECT 2, NULL ORDER BY 1) TO STDOUT (FORMAT csv)"
check 'copies text with escapes' 'a\tb' q -c "COPY (SELECT E'a\tb') TO STDOUT"
check 'copies binary' '5047434f50590aff0d0a00000000000000000000010000000400000007ffff' bash -c "psql -X -c 'COPY (SELECT 7) TO STDOUT (FORMAT binary)' | od -An -v -tx1 | tr -d ' \n'"
file=$(mktemp)
printf 'a,b\n1,"x, y"\n2,\n' >"$file"
check 'copies csv in' $'CREATE TABLE\nCOPY 2\n1|x, y\n2|' q -c 'CREATE TEMP TABLE c (a int, b text)' -c "\\copy c FROM '$file' (FORMAT csv, HEADER)" -c 'SELECT * FROM c ORDER BY a'
check 'copies csv into the lake' $'COPY 2\n3' q -c "\\copy silver.$table FROM '$file' (FORMAT csv, HEADER)" -c "SELECT count(*) FROM silver.$table"
printf 'oops,x\n' >"$file"
check 'tells the line of a bad row' $'CREATE TABLE\nERROR:  invalid input syntax for type integer: "oops"\nCONTEXT:  COPY c, line 1, column a: "oops"' psql -X -A -t -c 'CREATE TEMP TABLE c (a int, b text)' -c "\\copy c FROM '$file' (FORMAT csv)"
printf '%s\n' 'CREATE TEMP TABLE c (a int, b text);' 'COPY c FROM STDIN;' $'7\tq\\tr' '\.' 'SELECT a, length(b) FROM c;' >"$file"
check 'copies text from standard input' $'CREATE TABLE\nCOPY 1\n7|3' q -f "$file"
rm "$file"

check 'tells the code of an error' 'ERROR:  22012' q -c 'SELECT 1/0'
check 'points at the place of an error' $'ERROR:  column "nothing" does not exist\nLINE 1: SELECT \'€\', nothing FROM silver.orders\n                    ^' psql -X -c "SELECT '€', nothing FROM silver.orders"
check 'points into the line of an error' $'ERROR:  syntax error at or near "FROM"\nLINE 2: FROM FROM x\n             ^' psql -X -c $'SELECT 1,2\nFROM FROM x'
check 'shows the fields of an error' $'ERROR:  23502: null value in column "id" of relation "'"$table"$'" violates not-null constraint\nSCHEMA NAME:  silver\nTABLE NAME:  '"$table"$'\nCOLUMN NAME:  id' bash -c "psql -X -v VERBOSITY=verbose -c 'INSERT INTO silver.$table VALUES (NULL)' 2>&1 | grep -v -e LOCATION -e DETAIL"
check 'stops at the first error of a file' '1' bash -c "printf 'SELECT 1;SELECT 1/0;\nSELECT 2;' | psql -X -A -t -v ON_ERROR_STOP=1 2>/dev/null"
check 'refuses what follows an error in a block' $'BEGIN\nERROR:  22012\nERROR:  25P02\nROLLBACK' q -c 'BEGIN' -c 'SELECT 1/0' -c 'SELECT 1' -c 'COMMIT'
check 'goes on behind a savepoint' $'1\n2' bash -c "printf 'BEGIN;\nSELECT 1;\nSELECT 1/0;\nSELECT 2;\nCOMMIT;' | psql -X -A -t -q -v ON_ERROR_ROLLBACK=on 2>/dev/null"
check 'runs a file in one transaction' $'BEGIN\n2\nCOMMIT' q -c 'BEGIN' -c 'SELECT 1+1' -c 'COMMIT'
check 'undoes a file that fails' '0' bash -c "printf 'INSERT INTO silver.$table VALUES (77);\nSELECT 1/0;' | psql -X -q -1 -v ON_ERROR_STOP=1 >/dev/null 2>&1; q -c 'SELECT count(*) FROM silver.$table WHERE id = 77'"

check 'describes a query' $'a|integer\nb|text' bash -c "echo \"SELECT 1 AS a, 'x'::text AS b \\\\gdesc\" | psql -X -A -t"
check 'lists the tables of a layer' 'silver|orders|table|lakegate' q -c '\dt silver.orders'
check 'fetches by cursor' '1133' bash -c "psql -X -A -t -v FETCH_COUNT=100 -c 'SELECT order_id FROM silver.orders' | wc -l"
check 'declares and fetches' $'1\n2\n6' say 'BEGIN;' 'DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i;' 'FETCH 2 FROM c;' 'MOVE 3 IN c;' 'FETCH c;' 'CLOSE c;' 'COMMIT;'
check 'is interrupted' 'ERROR:  canceling statement due to user request' bash -c "timeout -s INT 1 psql -X -c 'SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b' 2>&1 | grep -v 'Cancel request'"
check 'is stopped by a timeout' 'ERROR:  57014' bash -c "PGOPTIONS='-c statement_timeout=200' q -c 'SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b' 2>&1"
check 'hears a notification' 'Asynchronous notification "psql" with payload "hi" received' bash -c "psql -X -q -c 'LISTEN psql' -c \"NOTIFY psql, 'hi'\" -c 'SELECT' | grep Async | sed 's/ from .*//'"
check 'hears a notice' 'NOTICE:  table "nothing" does not exist, skipping' psql -X -q -c 'DROP TABLE IF EXISTS nothing'
[ "$version" -ge 16 ] && check 'watches' '2' bash -c "echo 'SELECT 5 \\watch i=0.1 c=2' | psql -X -A -t 2>/dev/null | grep -c 5"
psql -X 'sslmode=require' -c '' 2>&1 | grep -q 'not compiled in' || check 'speaks TLS' 't' bash -c "PGSSLMODE=require psql -X -A -t -c 'SELECT true'"
check 'refuses a wrong password' '2' bash -c "PGPASSWORD=wrong psql -X -c 'SELECT 1' >/dev/null 2>&1; echo \$?"
as() { # user, password, statement
  PGUSER=$1 PGPASSWORD=$2 q -c "$3"
}
# Several versions of psql run this at the same time.
second=clara_$$
check 'makes a second user' $'CREATE ROLE\nGRANT' q -c "CREATE ROLE $second LOGIN PASSWORD 'clara-password'" -c "GRANT USAGE ON SCHEMA silver TO $second"
check 'lets the second user in by its password' "$second|$second" as "$second" clara-password 'SELECT current_user, session_user'
check 'does not let it in by another' '2' bash -c "PGUSER=$second PGPASSWORD=wrong psql -X -c 'SELECT 1' >/dev/null 2>&1; echo \$?"
check 'refuses what was not granted' 'ERROR:  42501' as "$second" clara-password 'SELECT count(*) FROM silver.orders'
check 'grants columns' 'GRANT' q -c "GRANT SELECT (order_id, status) ON silver.orders TO $second"
check 'lets granted columns be read' '1133' as "$second" clara-password 'SELECT count(order_id) FROM silver.orders'
check 'refuses the other columns' 'ERROR:  permission denied for table orders' env PGUSER=$second PGPASSWORD=clara-password psql -X -A -t -c 'SELECT * FROM silver.orders'
check 'refuses to drop what others own' 'ERROR:  must be owner of table orders' env PGUSER=$second PGPASSWORD=clara-password psql -X -A -t -c 'DROP TABLE silver.orders'
check 'drops the second user' $'DROP OWNED\nDROP ROLE' q -c "DROP OWNED BY $second" -c "DROP ROLE $second"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
