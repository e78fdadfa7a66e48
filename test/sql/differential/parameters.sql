-- with: ["5"]
SELECT $1;
-- with: ["5"]
SELECT $1::int;
-- with: ["5"]
SELECT $1 + 1;
-- with: ["2.5"]
SELECT $1 + 1.5;
-- with: ["x"]
SELECT $1 + 1;
-- with: ["3"]
SELECT name FROM people WHERE id = $1;
-- with: ["Ada"]
SELECT id FROM people WHERE name = $1;
-- with: ["2000.50"]
SELECT id FROM people WHERE salary > $1 ORDER BY id;
-- with: ["2015-01-01"]
SELECT id FROM people WHERE hired > $1 ORDER BY id;
-- with: ["t"]
SELECT count(*) FROM people WHERE active = $1;
-- with: ["{1,2,3}"]
SELECT name FROM people WHERE id = ANY ($1) ORDER BY id;
-- with: ["{dev,ops}"]
SELECT count(*) FROM people WHERE dept = ANY ($1::text[]);
-- with: ["1", "2"]
SELECT $1::int + $2::int, $2 || 'x', $1::text;
-- with: ["1", "2"]
SELECT $2::text, $1::text;
-- with: [null]
SELECT $1::int IS NULL, coalesce($1::int, 7);
-- with: ["abc"]
SELECT $1::text, upper($1), length($1::text);
-- with: ["2", "3"]
SELECT id FROM people ORDER BY id LIMIT $1 OFFSET $2;
-- with: ["%a%"]
SELECT name FROM people WHERE name LIKE $1 ORDER BY 1;
-- with: ["2024-01-01 10:00:00"]
SELECT $1::timestamp + interval '1 day', extract(hour from $1::timestamp);
-- with: ["1 day"]
SELECT date '2024-01-01' + $1::interval;
-- with: ["month"]
SELECT date_trunc($1, timestamp '2024-05-17 10:00');
-- with: ["1", "2"]
SELECT id FROM people WHERE id IN ($1, $2) ORDER BY id;
-- with: ["3", "5"]
SELECT id FROM people WHERE id BETWEEN $1 AND $2 ORDER BY id;
-- with: ["x"]
SELECT CASE WHEN $1 = 'x' THEN 1 ELSE 2 END;
-- with: ["1"]
SELECT CASE WHEN true THEN $1 ELSE 2 END;
-- with: ["1"]
SELECT coalesce($1, 2), greatest($1, 0);
-- with: ["1"]
SELECT $1 = 1, $1 <> 2;
-- with: ["1.50"]
SELECT $1::numeric, $1::numeric * 2, $1::numeric(10,1);
-- with: ["{\"a\": 1}"]
SELECT $1::jsonb -> 'a', $1::json ->> 'a';
-- with: ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]
SELECT $1::uuid;
-- with: ["\\x00ff"]
SELECT $1::bytea, length($1::bytea);
-- with: ["abc"]
SELECT $1::int;
-- with: ["999999999999"]
SELECT $1::int;
-- with: ["1"]
SELECT sum(i4) FROM numbers WHERE i4 > $1 AND i4 < 1000;
-- with: ["1"]
SELECT $1::smallint, $1::bigint, $1::real, $1::float8, $1::numeric, $1::boolean, $1::oid;
-- with: ["1"]
SELECT count(*) FROM people GROUP BY id % $1;
-- with: ["1", "1"]
SELECT $1 UNION ALL SELECT $2;
-- with: ["1"]
SELECT * FROM (SELECT $1::int AS x) q WHERE x = 1;
-- with: ["1"]
SELECT (SELECT name FROM people WHERE id = $1);
-- with: ["dev"]
SELECT EXISTS (SELECT 1 FROM people WHERE dept = $1), count(*) FILTER (WHERE dept = $1) FROM people;
-- with: ["1"]
SELECT lag(id, $1) OVER (ORDER BY id) FROM people WHERE id < 4 ORDER BY id;
-- with: ["a", "b"]
SELECT concat($1::text, $2::text), $1 || $2, replace($1, $2, 'z');
-- with: ["5"]
SELECT $1 || '', 'x' || $1, $1 LIKE '5';
-- with: ["1"]
SELECT -$1::int, abs($1::int), - $1;
-- with: ["1"]
VALUES ($1::int), (2);
-- with: ["10"]
SELECT * FROM generate_series(1, $1::int) g WHERE g > 8 ORDER BY g;
-- with: ["2"]
SELECT round(10.0 / 3, $1::int);
-- with: ["2024-01-01", "2024-12-31"]
SELECT count(*), sum(amount) FROM sales WHERE day BETWEEN $1 AND $2;
-- with: ["east"]
SELECT region, sum(amount) FROM sales WHERE region = $1 GROUP BY region;
-- with: ["100.5", "3"]
SELECT id FROM sales WHERE amount < $1 AND qty >= $2 ORDER BY id;
