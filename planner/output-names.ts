/** Output names: the column names PostgreSQL gives to the items of a select list. */

import { listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'

/**
 * Name of each item of a SELECT's list, or null when a `*` makes the count unknown here.
 *
 * Follows PostgreSQL's FigureColname: a column keeps its name, a call its function's, a cast its
 * operand's or its type's; everything else is `?column?`.
 */
export function outputNames(tree: Node): readonly string[] | null {
  let select = nodeOf(tree, 'SelectStmt')
  while (select?.larg !== undefined) select = select.larg as Node
  if (select === undefined) return null
  const values = listOf(select.valuesLists)
  if (values.length > 0) {
    return listOf(nodeOf(values[0], 'List')?.items).map((_, i) => `column${i + 1}`)
  }
  const names: string[] = []
  for (const item of listOf(select.targetList)) {
    const target = nodeOf(item, 'ResTarget')
    if (target === undefined) return null
    if (typeof target.name === 'string') names.push(target.name)
    else {
      const name = outputName(target.val as Node)
      if (name === '*') return null
      names.push(name)
    }
  }
  return names
}

/** The name of an unnamed item of a select list. */
export function outputName(node: Node): string {
  return figure(node)?.name ?? '?column?'
}

interface Figured {
  readonly name: string
  /** Weak names give way to a stronger one inside. */
  readonly strong: boolean
}

function figure(node: Node | undefined): Figured | null {
  if (node === undefined) return null
  const column = nodeOf(node, 'ColumnRef')
  if (column !== undefined) {
    const last = listOf(column.fields).at(-1)
    if (nodeOf(last, 'A_Star') !== undefined) return { name: '*', strong: true }
    return { name: stringOf(last) ?? '?column?', strong: true }
  }
  if (nodeOf(node, 'MergeSupportFunc') !== undefined) return { name: 'merge_action', strong: true }
  const indirection = nodeOf(node, 'A_Indirection')
  if (indirection !== undefined) {
    const last = listOf(indirection.indirection).findLast((part) => stringOf(part) !== undefined)
    if (last !== undefined) return { name: stringOf(last) ?? '', strong: true }
    return figure(indirection.arg as Node)
  }
  const call = nodeOf(node, 'FuncCall')
  if (call !== undefined) return { name: namesOf(call.funcname).at(-1) ?? '', strong: true }
  const cast = nodeOf(node, 'TypeCast')
  if (cast !== undefined) {
    const inner = figure(cast.arg as Node)
    if (inner?.strong === true) return inner
    const type = namesOf((cast.typeName as Node | undefined)?.names).at(-1)
    return type === undefined ? inner : { name: type, strong: false }
  }
  const collate = nodeOf(node, 'CollateClause')
  if (collate !== undefined) return figure(collate.arg as Node)
  const choice = nodeOf(node, 'CaseExpr')
  if (choice !== undefined) {
    const inner = figure(choice.defresult as Node | undefined)
    return inner?.strong === true ? inner : { name: 'case', strong: false }
  }
  const sub = nodeOf(node, 'SubLink')
  if (sub !== undefined) {
    if (sub.subLinkType === 'EXISTS_SUBLINK') return { name: 'exists', strong: true }
    if (sub.subLinkType === 'ARRAY_SUBLINK') return { name: 'array', strong: true }
    if (sub.subLinkType === 'EXPR_SUBLINK') {
      const name = outputNames(sub.subselect as Node)?.[0]
      return name === undefined || name === '?column?' ? null : { name, strong: true }
    }
    return null
  }
  const expression = nodeOf(node, 'A_Expr')
  if (expression?.kind === 'AEXPR_NULLIF') return { name: 'nullif', strong: true }
  const value = nodeOf(node, 'SQLValueFunction')
  if (value !== undefined) {
    return {
      name: String(value.op)
        .replace(/^SVFOP_/, '')
        .replace(/_N$/, '')
        .toLowerCase(),
      strong: true,
    }
  }
  for (const [kind, name] of FIXED) {
    const found = nodeOf(node, kind)
    if (found === undefined) continue
    if (kind !== 'MinMaxExpr') return { name, strong: true }
    return { name: found.op === 'IS_LEAST' ? 'least' : 'greatest', strong: true }
  }
  return null
}

const FIXED: readonly (readonly [string, string])[] = [
  ['CoalesceExpr', 'coalesce'],
  ['MinMaxExpr', 'greatest'],
  ['A_ArrayExpr', 'array'],
  ['RowExpr', 'row'],
  ['GroupingFunc', 'grouping'],
  ['XmlExpr', 'xmlelement'],
]
