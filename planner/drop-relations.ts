/** DropRelations: tables, views and layers that leave the catalog, and the views that go with them. */

import type { CatalogRemoval, Relation, TableName, View } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { QueryContext } from './query.js'
import { viewsNaming } from './rename-relation.js'

/** What is to go, and what goes with it. */
export interface Removal {
  readonly tables: readonly TableName[]
  readonly views: readonly View[]
  /** Told of by a NOTICE: what went because of something else. */
  readonly cascaded: readonly string[]
}

/** `table silver.orders`: a relation as messages name it. */
function described(relation: Relation): string {
  const { layer, name } = relation.kind === 'table' ? relation.table : relation.view
  return `${relation.kind} ${layer}.${name}`
}

/**
 * `relations` with the views over them, and the views over these.
 *
 * 2BP01 with the list of them unless `cascade`; `what` names the object that is dropped, and
 * `isInside` which relations belong to it and need no telling.
 */
export async function removalOf(
  relations: readonly Relation[],
  cascade: boolean,
  context: QueryContext,
  what: string = relations.length === 1 && relations[0] !== undefined
    ? described(relations[0])
    : 'desired object(s)',
): Promise<Removal> {
  const gone = new Map(relations.map((relation) => [described(relation), relation]))
  const reasons: string[] = []
  const cascaded: string[] = []
  const queue = [...gone.values()]
  for (let relation = queue.shift(); relation !== undefined; relation = queue.shift()) {
    for (const { view } of await viewsNaming(relation, context)) {
      const dependent: Relation = { kind: 'view', view }
      const key = described(dependent)
      if (gone.has(key)) continue
      gone.set(key, dependent)
      queue.push(dependent)
      reasons.push(`${key} depends on ${described(relation)}`)
      cascaded.push(key)
    }
  }
  if (reasons.length > 0 && !cascade) {
    const many = what === 'desired object(s)'
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop ${what} because other objects depend on ${many ? 'them' : 'it'}`,
      {
        detail: reasons.join('\n'),
        hint: 'Use DROP ... CASCADE to drop the dependent objects too.',
      },
    )
  }
  const all = [...gone.values()]
  return {
    tables: all.flatMap((one) => (one.kind === 'table' ? [one.table] : [])),
    views: all.flatMap((one) => (one.kind === 'view' ? [one.view] : [])),
    cascaded,
  }
}

/**
 * Layers with all that is in them.
 *
 * 2BP01 with the list of it unless `cascade`.
 */
export async function layerRemoval(
  layers: readonly string[],
  cascade: boolean,
  context: QueryContext,
): Promise<Removal & Required<Pick<CatalogRemoval, 'layers'>>> {
  const { catalog } = context
  const inside: Relation[] = []
  for (const table of await catalog.tables()) {
    if (layers.includes(table.layer)) inside.push({ kind: 'table', table })
  }
  for (const view of await catalog.views()) {
    if (layers.includes(view.layer)) inside.push({ kind: 'view', view })
  }
  if (inside.length > 0 && !cascade) {
    const [only = ''] = layers
    const one = layers.length === 1
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      one
        ? `cannot drop schema ${only} because other objects depend on it`
        : 'cannot drop desired object(s) because other objects depend on them',
      {
        detail: inside
          .map((relation) => {
            const { layer } = relation.kind === 'table' ? relation.table : relation.view
            return `${described(relation)} depends on schema ${layer}`
          })
          .join('\n'),
        hint: 'Use DROP ... CASCADE to drop the dependent objects too.',
      },
    )
  }
  const removal = await removalOf(inside, true, context)
  return {
    ...removal,
    layers,
    cascaded: [...inside.map(described), ...removal.cascaded],
  }
}
