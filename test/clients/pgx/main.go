// Command pgx: pgx against the gateway - types both ways in binary and text, prepared statements,
// batches, cancel, errors, transactions and COPY out. Ends with "N passed, N failed".
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		fmt.Println(err)
		fmt.Println("0 passed, 1 failed")
		return
	}
	defer conn.Close(ctx)
	types(ctx, conn, "binary")

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
	fmt.Printf("%d passed, %d failed\n", passed, failed)
}
