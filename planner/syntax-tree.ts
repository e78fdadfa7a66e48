/** Syntax tree: the nodes libpg-query prints, read through a few typed accessors. */

/** A node: one key naming its kind over its fields, or the fields themselves. */
export type Node = { readonly [key: string]: unknown }

/** The fields of `node` when it is of that kind, else undefined. */
export function nodeOf(node: unknown, kind: string): Node | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  return (node as Node)[kind] as Node | undefined
}

/** The kind of `node`: its single key. */
export function kindOf(node: Node): string {
  return Object.keys(node)[0] ?? ''
}

/** A list field; empty when absent. */
export function listOf(value: unknown): readonly Node[] {
  return Array.isArray(value) ? (value as readonly Node[]) : []
}

/** The text of a `String` node, or undefined. */
export function stringOf(node: unknown): string | undefined {
  const value = nodeOf(node, 'String')?.sval
  return typeof value === 'string' ? value : undefined
}

/** The texts of a list of `String` nodes: a qualified name. */
export function namesOf(value: unknown): string[] {
  return listOf(value).map((node) => stringOf(node) ?? '*')
}

/** Calls `visit` for every object of the tree, outermost first; false keeps it out of that subtree. */
export function walk(root: unknown, visit: (node: Node) => boolean | undefined): void {
  if (typeof root !== 'object' || root === null) return
  if (Array.isArray(root)) {
    for (const item of root) walk(item, visit)
    return
  }
  const node = root as Node
  if (visit(node) === false) return
  for (const child of Object.values(node)) walk(child, visit)
}

/** A constant in the tree as a JavaScript value; undefined when `node` is no constant. */
export function constantOf(node: unknown): string | number | boolean | null | undefined {
  const constant = nodeOf(node, 'A_Const')
  if (constant === undefined) return undefined
  if (constant.isnull === true) return null
  const ival = constant.ival as { readonly ival?: number } | undefined
  if (ival !== undefined) return ival.ival ?? 0
  const sval = constant.sval as { readonly sval?: string } | undefined
  if (sval !== undefined) return sval.sval ?? ''
  const fval = constant.fval as { readonly fval?: string } | undefined
  if (fval !== undefined) return Number(fval.fval)
  const boolval = constant.boolval as { readonly boolval?: boolean } | undefined
  if (boolval !== undefined) return boolval.boolval ?? false
  return undefined
}
