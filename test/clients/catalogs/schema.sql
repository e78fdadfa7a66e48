-- What both servers hold; the schema `shop` is made before.
CREATE TABLE shop.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL, code char(3), email text, balance numeric(12,2) DEFAULT 0, born date, since timestamp with time zone DEFAULT CURRENT_TIMESTAMP, seen timestamp, tags text[], active boolean DEFAULT true NOT NULL, score double precision, ratio real, small smallint, photo bytea, CONSTRAINT balance_positive CHECK (balance >= 0));
CREATE TABLE shop.orders (order_id integer NOT NULL, line integer NOT NULL, customer_id bigint, amount numeric(10,2), quantity integer CHECK (quantity > 0), next_line integer GENERATED ALWAYS AS (line + 1) STORED, note text DEFAULT 'none', CONSTRAINT orders_key PRIMARY KEY (order_id, line));
CREATE TABLE shop.plain (a integer, "MixedCase" text, "select" bigint);
CREATE VIEW shop.open_orders AS SELECT o.order_id, o.amount, c.name FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE o.quantity > 1;
CREATE VIEW shop.totals AS SELECT customer_id, sum(amount) AS amount, count(*) AS orders FROM shop.orders GROUP BY customer_id;
COMMENT ON TABLE shop.customers IS 'who buys';
COMMENT ON COLUMN shop.customers.email IS 'as typed in';
COMMENT ON VIEW shop.totals IS 'a row a customer';
COMMENT ON SCHEMA shop IS 'what is sold';
