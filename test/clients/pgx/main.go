// Command pgx: pgx against the gateway - types both ways in binary and text, every way of executing a
// statement, portals with row limits, cursors, batches, cancel, errors, transactions and COPY both ways.
// Ends with "N passed, N failed".
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

var passed, failed int

func check(name string, expected any, actual any) {
	if reflect.DeepEqual(expected, actual) {
		passed++
		return
	}
	failed++
	fmt.Printf("not ok %s: expected %v but got %v\n", name, expected, actual)
}

func code(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func roundTrip[T any](ctx context.Context, conn *pgx.Conn, mode string, sql string, value T) {
	var found T
	err := conn.QueryRow(ctx, sql, value).Scan(&found)
	if err != nil {
		check(mode+" "+sql, "", err.Error())
		return
	}
	if moment, ok := any(found).(time.Time); ok {
		check(mode+" "+sql, true, moment.Equal(any(value).(time.Time)))
		return
	}
	check(mode+" "+sql, value, found)
}

func types(ctx context.Context, conn *pgx.Conn, mode string) {
	moment := time.Date(2024, 2, 29, 12, 34, 56, 789_000_000, time.UTC)
	// More often than once, so that the cached statement is used.
	for round := 0; round < 3; round++ {
		roundTrip(ctx, conn, mode, "SELECT $1::smallint", int16(-32768))
		roundTrip(ctx, conn, mode, "SELECT $1::int", int32(7))
		roundTrip(ctx, conn, mode, "SELECT $1::bigint", int64(9223372036854775807))
		roundTrip(ctx, conn, mode, "SELECT $1::real", float32(2.5))
		roundTrip(ctx, conn, mode, "SELECT $1::float8", 0.1)
		roundTrip(ctx, conn, mode, "SELECT $1::text", "ä€😀")
		roundTrip(ctx, conn, mode, "SELECT $1::boolean", true)
		roundTrip(ctx, conn, mode, "SELECT $1::bytea", []byte{0, 1, 255})
		roundTrip(ctx, conn, mode, "SELECT $1::timestamptz", moment)
		roundTrip(ctx, conn, mode, "SELECT $1::timestamp", moment)
		roundTrip(ctx, conn, mode, "SELECT $1::date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
		roundTrip(ctx, conn, mode, "SELECT $1::int[]", []int32{1, 2, 3})
		roundTrip(ctx, conn, mode, "SELECT $1::text[]", []string{"a", "", "c d"})
		roundTrip(ctx, conn, mode, "SELECT $1::uuid", [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
		roundTrip(ctx, conn, mode, "SELECT $1::interval", pgtype.Interval{Months: 14, Days: 3, Microseconds: 4_000_000, Valid: true})
		roundTrip(ctx, conn, mode, "SELECT $1::time", pgtype.Time{Microseconds: 45_296_000_000, Valid: true})
		var number pgtype.Numeric
		err := conn.QueryRow(ctx, "SELECT $1::numeric", pgtype.Numeric{Int: big.NewInt(12345678), Exp: -3, Valid: true}).Scan(&number)
		check(mode+" numeric error", "", code(err))
		float, _ := number.Float64Value()
		check(mode+" numeric", 12345.678, float.Float64)
		var missing *int32
		check(mode+" null", "", code(conn.QueryRow(ctx, "SELECT $1::int", nil).Scan(&missing)))
		check(mode+" null is nil", true, missing == nil)
		var document map[string]any
		check(mode+" jsonb", "", code(conn.QueryRow(ctx, "SELECT $1::jsonb", map[string]any{"a": 1.0}).Scan(&document)))
		check(mode+" jsonb value", map[string]any{"a": 1.0}, document)
	}
}

// wireValue is a value as a real PostgreSQL prints and sends it, or the error of a text that is none.
type wireValue struct {
	Type, Text, Hex, Error string
	Input                  *string
	Settings               map[string]string
}

func wireValues() []wireValue {
	file, err := os.ReadFile("../wire-values.json")
	var all, plain []wireValue
	if err == nil {
		err = json.Unmarshal(file, &all)
	}
	check("values are read", "", code(err))
	for _, value := range all {
		if value.Settings == nil {
			if value.Input == nil {
				text := value.Text
				value.Input = &text
			}
			plain = append(plain, value)
		}
	}
	return plain
}

// single is the only field of the only row, by bytes that go as they are.
func single(ctx context.Context, conn *pgx.Conn, sql string, value []byte, format, resultFormat int16) ([]byte, error) {
	result := conn.PgConn().ExecParams(ctx, sql, [][]byte{value}, nil, []int16{format}, []int16{resultFormat}).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Rows[0][0], nil
}

// bytesOfTypes holds every value to PostgreSQL's bytes, in both formats and both ways.
func bytesOfTypes(ctx context.Context, conn *pgx.Conn) {
	nulls := map[string]bool{}
	for _, value := range wireValues() {
		name := value.Type + " " + *value.Input
		sql := "SELECT $1::" + value.Type
		found, err := single(ctx, conn, sql, []byte(*value.Input), 0, 0)
		if value.Error != "" {
			check(name+" refused", value.Error, code(err))
			continue
		}
		check(name+" as text", value.Text, string(found))
		found, _ = single(ctx, conn, sql, []byte(*value.Input), 0, 1)
		check(name+" in binary", value.Hex, hex.EncodeToString(found))
		given, _ := hex.DecodeString(value.Hex)
		found, _ = single(ctx, conn, sql, given, 1, 0)
		check(name+" given in binary", value.Text, string(found))
		if !nulls[value.Type] {
			// The driver gives a null as no bytes, as it gives an empty text.
			found, err = single(ctx, conn, sql+" IS NULL", nil, 0, 0)
			check(value.Type+" null", "t", string(found)+code(err))
			nulls[value.Type] = true
		}
	}
}

func prepared(ctx context.Context, conn *pgx.Conn) {
	description, err := conn.Prepare(ctx, "plus", "SELECT $1::int + 2 AS n, $2::text")
	check("prepare", "", code(err))
	check("parameters of a statement", []uint32{23, 25}, description.ParamOIDs)
	check("columns of a statement", "n", description.Fields[0].Name)
	for i := 0; i < 20; i++ {
		var n int32
		var text string
		check("a prepared statement", "", code(conn.QueryRow(ctx, "plus", i, "x").Scan(&n, &text)))
		check("its value", int32(i+2), n)
	}
	check("deallocate", "", code(conn.Deallocate(ctx, "plus")))
	// More statements than the cache of 512 holds: the oldest are closed.
	for i := 0; i < 600; i++ {
		var n int32
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT %d + $1::int", i), i).Scan(&n); err != nil || n != int32(2*i) {
			check("a statement beyond the cache", "", code(err))
		}
	}
	check("after the cache was full", "", code(conn.QueryRow(ctx, "SELECT 1").Scan(new(int32))))
}

func portals(ctx context.Context, conn *pgx.Conn) {
	tx, err := conn.Begin(ctx)
	check("begin", "", code(err))
	front := conn.PgConn().Frontend()
	front.SendParse(&pgproto3.Parse{Name: "", Query: "SELECT order_id FROM silver.orders WHERE order_id > $1 ORDER BY 1", ParameterOIDs: []uint32{20}})
	front.SendBind(&pgproto3.Bind{DestinationPortal: "p", Parameters: [][]byte{[]byte("-1")}})
	for i := 0; i < 12; i++ {
		front.SendExecute(&pgproto3.Execute{Portal: "p", MaxRows: 100})
	}
	front.SendClose(&pgproto3.Close{ObjectType: 'P', Name: "p"})
	front.SendSync(&pgproto3.Sync{})
	check("portal is sent", "", code(front.Flush()))
	rows, suspended, tag := 0, 0, ""
	for ready := false; !ready; {
		message, err := front.Receive()
		if err != nil {
			check("a portal", "", code(err))
			break
		}
		switch one := message.(type) {
		case *pgproto3.DataRow:
			rows++
		case *pgproto3.PortalSuspended:
			suspended++
		case *pgproto3.CommandComplete:
			tag = string(one.CommandTag)
		case *pgproto3.ErrorResponse:
			check("a portal", "", one.Code)
		case *pgproto3.ReadyForQuery:
			ready = true
		}
	}
	check("rows of a portal by hundreds", 1133, rows)
	check("times it was suspended", 11, suspended)
	check("tag of the last of them", "SELECT 33", tag)

	_, err = tx.Exec(ctx, "DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i")
	check("declare", "", code(err))
	_, err = tx.Exec(ctx, "MOVE 3 IN c")
	check("move", "", code(err))
	found, err := tx.Query(ctx, "FETCH 2 FROM c")
	check("fetch", "", code(err))
	numbers, err := pgx.CollectRows(found, pgx.RowTo[int32])
	check("fetched", "", code(err))
	check("rows of a cursor", []int32{4, 5}, numbers)
	_, err = tx.Exec(ctx, "CLOSE c")
	check("close", "", code(err))
	check("commit", "", code(tx.Commit(ctx)))
}

func failures(ctx context.Context, conn *pgx.Conn) {
	for sql, expected := range map[string][2]any{
		"SELECT nothing FROM silver.orders":        {"42703", int32(8)},
		"SELECT * FROM nothing":                    {"42P01", int32(15)},
		"SELECT 1 +":                               {"42601", int32(11)},
		"SELECT '€ä😀', nothing FROM silver.orders": {"42703", int32(15)},
	} {
		_, err := conn.Exec(ctx, sql)
		var failure *pgconn.PgError
		check("an error of "+sql, true, errors.As(err, &failure))
		if failure != nil {
			check("code and place of "+sql, expected, [2]any{failure.Code, failure.Position})
		}
	}
	for _, sql := range []string{"DROP TABLE IF EXISTS silver.pgx, silver.pgx_held", "CREATE TABLE silver.pgx_held (id int NOT NULL, n int CHECK (n > 0))"} {
		_, err := conn.Exec(ctx, sql)
		check(sql, "", code(err))
	}
	_, err := conn.Exec(ctx, "INSERT INTO silver.pgx_held VALUES ($1, $2)", nil, 1)
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		check("fields of a NOT NULL error", []string{"23502", "silver", "pgx_held", "id"},
			[]string{failure.Code, failure.SchemaName, failure.TableName, failure.ColumnName})
	} else {
		check("a NOT NULL error", "23502", code(err))
	}

	timer := time.AfterFunc(300*time.Millisecond, func() { _ = conn.PgConn().CancelRequest(ctx) })
	_, err = conn.Exec(ctx, "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")
	timer.Stop()
	check("a cancel request", "57014", code(err))
	check("after it", "", code(conn.QueryRow(ctx, "SELECT 1").Scan(new(int32))))

	tx, _ := conn.Begin(ctx)
	inner, err := tx.Begin(ctx)
	check("a savepoint", "", code(err))
	_, err = inner.Exec(ctx, "SELECT 1 / 0")
	check("an error behind a savepoint", "22012", code(err))
	check("rollback to it", "", code(inner.Rollback(ctx)))
	check("after it", "", code(tx.QueryRow(ctx, "SELECT 7").Scan(new(int32))))
	check("commit", "", code(tx.Commit(ctx)))
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		fmt.Println(err)
		fmt.Println("0 passed, 1 failed")
		return
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SET TimeZone = 'UTC'")
	check("set", "", code(err))
	bytesOfTypes(ctx, conn)
	types(ctx, conn, "binary")
	for mode, name := range map[pgx.QueryExecMode]string{
		pgx.QueryExecModeCacheDescribe: "cached descriptions",
		pgx.QueryExecModeDescribeExec:  "described each time",
		pgx.QueryExecModeExec:          "untyped",
	} {
		config, _ := pgx.ParseConfig("")
		config.DefaultQueryExecMode = mode
		other, err := pgx.ConnectConfig(ctx, config)
		check("a connection of "+name, "", code(err))
		if err == nil {
			var sum int64
			for i := 0; i < 10; i++ {
				check(name, "", code(other.QueryRow(ctx, "SELECT $1::bigint + $2::bigint", i, 2).Scan(&sum)))
				check(name+" sum", int64(i+2), sum)
			}
			if mode != pgx.QueryExecModeExec {
				types(ctx, other, name)
			}
			other.Close(ctx)
		}
	}
	prepared(ctx, conn)
	portals(ctx, conn)
	failures(ctx, conn)

	config, _ := pgx.ParseConfig("")
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	simple, err := pgx.ConnectConfig(ctx, config)
	check("a connection of the simple protocol", "", code(err))
	if err == nil {
		var sum int64
		check("simple", "", code(simple.QueryRow(ctx, "SELECT $1 + $2::bigint", 1, 2).Scan(&sum)))
		check("simple sum", int64(3), sum)
		simple.Close(ctx)
	}

	var count int64
	check("count", "", code(conn.QueryRow(ctx, "SELECT count(*) FROM silver.orders WHERE order_id > $1", -1).Scan(&count)))
	check("count is all", int64(1133), count)
	_, err = conn.Exec(ctx, "SELECT * FROM nothing")
	check("an unknown table", "42P01", code(err))
	_, err = conn.Exec(ctx, "SELECT 1 / 0")
	check("division by zero", "22012", code(err))

	batch := &pgx.Batch{}
	for i := 0; i < 5; i++ {
		batch.Queue("SELECT $1::int * 2", i)
	}
	results := conn.SendBatch(ctx, batch)
	for i := 0; i < 5; i++ {
		var value int32
		check("batch", "", code(results.QueryRow().Scan(&value)))
		check("batch value", int32(2*i), value)
	}
	check("batch closes", "", code(results.Close()))

	tx, _ := conn.Begin(ctx)
	_, err = tx.Exec(ctx, "SELECT 1 / 0")
	check("an error in a block", "22012", code(err))
	_, err = tx.Exec(ctx, "SELECT 1")
	check("a failed block", "25P02", code(err))
	check("rollback", "", code(tx.Rollback(ctx)))

	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = conn.Exec(short, "SELECT count(*) FROM generate_series(1, 100000000000) a")
	stop()
	check("a context that ends stops the query", true, err != nil)
	if conn.IsClosed() {
		conn, err = pgx.Connect(ctx, "")
		check("connecting again", "", code(err))
	}

	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT order_id, status FROM silver.orders) TO STDOUT")
	check("COPY out", "", code(err))
	check("COPY out rows", int64(1133), tag.RowsAffected())
	check("COPY out lines", 1133, strings.Count(out.String(), "\n"))

	_, err = conn.Exec(ctx, "CREATE TABLE silver.pgx (id bigint, name text, at timestamptz)")
	check("create table", "", code(err))
	tag, err = conn.Exec(ctx, "INSERT INTO silver.pgx VALUES ($1, $2, $3), ($4, $5, $6)", 1, "a", time.Now(), 2, "b", nil)
	check("insert", "", code(err))
	check("insert counts", int64(2), tag.RowsAffected())
	tag, err = conn.Exec(ctx, "DELETE FROM silver.pgx WHERE id = ANY($1)", []int64{2, 3})
	check("delete", "", code(err))
	check("delete counts", int64(1), tag.RowsAffected())

	records := [][]any{{int64(10), "x", time.Date(2024, 2, 29, 1, 2, 3, 4000, time.UTC)}, {int64(11), nil, nil}}
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"silver", "pgx"}, []string{"id", "name", "at"}, pgx.CopyFromRows(records))
	check("COPY in, in binary", "", code(err))
	check("COPY in counts", int64(2), copied)
	tag, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("12,y\n13,\n"), "COPY silver.pgx (id, name) FROM STDIN (FORMAT csv)")
	check("COPY in as csv", "", code(err))
	check("COPY in as csv counts", int64(2), tag.RowsAffected())
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("x\n"), "COPY silver.pgx (id) FROM STDIN")
	check("COPY in of a wrong row", "22P02", code(err))
	var at time.Time
	check("what was copied", "", code(conn.QueryRow(ctx, "SELECT count(*), max(at) FROM silver.pgx WHERE id >= 10").Scan(&count, &at)))
	check("rows that were copied", int64(4), count)
	check("a time that was copied", true, at.Equal(records[0][2].(time.Time)))
	out.Reset()
	_, err = conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT 7, 'x'::text) TO STDOUT (FORMAT binary)")
	check("COPY out in binary", "", code(err))
	check("bytes of it", "00020000000400000007"+"0000000178"+"ffff", hex.EncodeToString(out.Bytes()[19:]))
	fmt.Printf("%d passed, %d failed\n", passed, failed)
}
