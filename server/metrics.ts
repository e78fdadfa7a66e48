/** Metrics: what /metrics tells Prometheus. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** The gateway's instruments and the registry that prints them. */
export class Metrics {
  readonly registry: Registry = new Registry()
  readonly connections: Gauge = new Gauge({
    name: 'lakegate_connections',
    help: 'Clients that are connected',
    registers: [this.registry],
  })
  readonly statements: Counter<'outcome'> = new Counter({
    name: 'lakegate_statements_total',
    help: 'Statements by outcome: ok or the SQLSTATE',
    labelNames: ['outcome'],
    registers: [this.registry],
  })
  readonly rows: Counter = new Counter({
    name: 'lakegate_rows_sent_total',
    help: 'Rows sent to clients',
    registers: [this.registry],
  })
  readonly duration: Histogram = new Histogram({
    name: 'lakegate_statement_duration_seconds',
    help: 'Time from a statement to the end of its answer',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [this.registry],
  })

  constructor() {
    collectDefaultMetrics({ register: this.registry })
  }
}
