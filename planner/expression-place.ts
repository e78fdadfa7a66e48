/** ExpressionPlace: where an expression stands, which decides what it may contain. */

/** Where an expression stands, which decides what it may contain. */
export interface Place {
  /** As error messages name it: `WHERE`, `GROUP BY`, …; '' where aggregates and windows are welcome. */
  readonly clause: string
  readonly aggregates: boolean
  readonly windows: boolean
  readonly setReturning: boolean
}

export const SELECT_LIST: Place = {
  clause: '',
  aggregates: true,
  windows: true,
  setReturning: true,
}

export const HAVING: Place = {
  clause: 'HAVING',
  aggregates: true,
  windows: false,
  setReturning: false,
}

/** A clause in which neither aggregates nor windows may stand. */
export function plainPlace(clause: string): Place {
  return { clause, aggregates: false, windows: false, setReturning: false }
}
