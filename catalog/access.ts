/** Access: roles, owners and privileges of one lake, as its catalog's log tells them. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { AccessAction, AccessObject, DefaultKind, GrantAction } from './access-action.js'
import {
  type Acl,
  changedAcl,
  defaultAcl,
  privilegesHeld,
  PUBLIC,
  withOwner,
  withoutRole,
} from './acl.js'
import { changedMemberships, grantedMemberships } from './membership.js'
import { type ObjectKind, privileges, type PrivilegeSet, PUBLIC_DEFAULTS } from './privilege.js'
import { BOOTSTRAP_ID, PREDEFINED, Roles } from './role.js'

/** Owner and privileges of one object. */
export interface ObjectAccess {
  readonly object: AccessObject
  readonly owner: number
  /** null: those that every object of the kind begins with. */
  readonly acl: Acl | null
  /** By column; see `columnKey`. */
  readonly columns: ReadonlyMap<string, Acl>
}

/** Default privileges of one role for one kind of object, in one layer or in all. */
export interface DefaultPrivileges {
  readonly role: number
  readonly layer: string | null
  readonly kind: DefaultKind
  readonly acl: Acl
}

/** Numbers of roles that are made begin here, as PostgreSQL's do. */
const FIRST_ID = 16_384

export function objectKey(object: AccessObject): string {
  switch (object.kind) {
    case 'table':
      return `table ${object.path}\u0000${object.id}`
    case 'view':
      return `view ${object.layer}\u0000${object.name}`
    case 'layer':
      return `layer ${object.name}`
    case 'database':
      return 'database'
  }
}

/** As which kind an object's privileges count: views have those of tables. */
export function kindOfObject(object: AccessObject): ObjectKind {
  return object.kind === 'view' ? 'table' : object.kind
}

/** A value: each change makes another one, so that what a statement has in hand stays as it is. */
export class Access {
  readonly roles: Roles
  readonly #objects: ReadonlyMap<string, ObjectAccess>
  readonly #defaults: ReadonlyMap<string, DefaultPrivileges>
  readonly #nextId: number

  private constructor(
    roles: Roles,
    objects: ReadonlyMap<string, ObjectAccess>,
    defaults: ReadonlyMap<string, DefaultPrivileges>,
    nextId: number,
  ) {
    this.roles = roles
    this.#objects = objects
    this.#defaults = defaults
    this.#nextId = nextId
  }

  /** That of a lake nobody has said anything about. */
  static first(): Access {
    return new Access(Roles.first(), new Map(), new Map(), FIRST_ID)
  }

  objects(): readonly ObjectAccess[] {
    return [...this.#objects.values()]
  }

  defaults(): readonly DefaultPrivileges[] {
    return [...this.#defaults.values()]
  }

  /** What is known of an object; what was never owned is the first superuser's. */
  of(object: AccessObject): ObjectAccess {
    const known = this.#objects.get(objectKey(object))
    if (known !== undefined) return known
    return { object, owner: BOOTSTRAP_ID, acl: firstAcl(object), columns: new Map() }
  }

  /** Those of `wanted` that `role` has on the object, or on one column of it. */
  held(object: AccessObject, role: number, wanted: PrivilegeSet, column?: string): PrivilegeSet {
    const { roles } = this
    if (roles.isSuperuser(role)) return wanted
    const { owner, acl, columns } = this.of(object)
    if (column !== undefined) return privilegesHeld(columns.get(column) ?? [], role, wanted, roles)
    const own = acl ?? defaultAcl(kindOfObject(object), owner)
    return privilegesHeld(own, role, wanted, roles) | (this.#predefined(object, role) & wanted)
  }

  /** What membership in PostgreSQL's own roles gives. */
  #predefined(object: AccessObject, role: number): PrivilegeSet {
    const has = (name: string): boolean =>
      this.roles.hasPrivilegesOf(role, PREDEFINED[name] ?? BOOTSTRAP_ID)
    let held = 0
    if (object.kind === 'table' || object.kind === 'view') {
      if (has('pg_read_all_data')) held |= privileges('SELECT')
      if (has('pg_write_all_data')) held |= privileges('INSERT', 'UPDATE', 'DELETE')
      if (has('pg_maintain')) held |= privileges('MAINTAIN')
    }
    if (object.kind === 'layer' && (has('pg_read_all_data') || has('pg_write_all_data'))) {
      held |= privileges('USAGE')
    }
    return held
  }

  /** Whether `role` may do what owners may. */
  isOwner(object: AccessObject, role: number): boolean {
    return this.roles.hasPrivilegesOf(role, this.of(object).owner)
  }

  /** The privileges that an object begins with which `owner` makes; null for the usual ones. */
  initialAcl(owner: number, kind: DefaultKind, layer: string | undefined): Acl | null {
    const everywhere = this.#defaults.get(defaultsKey(owner, null, kind))
    const here =
      layer === undefined ? undefined : this.#defaults.get(defaultsKey(owner, layer, kind))
    if (everywhere === undefined && here === undefined) return null
    let acl = everywhere?.acl ?? defaultAcl(kind, owner)
    for (const { grantee, grantor, privileges: set, grantable } of here?.acl ?? []) {
      const change = { grants: true, grantee, grantor, cascade: false }
      acl = changedAcl(acl, { ...change, privileges: set, grantOption: false }, owner, this.roles)
      if (grantable !== 0) {
        acl = changedAcl(
          acl,
          { ...change, privileges: grantable, grantOption: true },
          owner,
          this.roles,
        )
      }
    }
    return acl
  }

  /**
   * After an entry of the log.
   *
   * 42704 for a role that does not exist, 42710 for one that does already, and PostgreSQL's errors
   * of grants; see changedAcl and grantedMemberships.
   */
  apply(action: AccessAction): Access {
    if ('createRole' in action) return this.#createRole(action.createRole)
    if ('alterRole' in action) {
      const { name, attributes } = action.alterRole
      const role = this.role(name)
      return this.#with({ roles: this.roles.withRole({ ...role, ...attributes }) })
    }
    if ('renameRole' in action) {
      const { name, to } = action.renameRole
      const role = this.role(name)
      this.#requireFree(to)
      return this.#with({ roles: this.roles.withRole({ ...role, name: to }) })
    }
    if ('dropRole' in action) return this.#dropRole(this.role(action.dropRole.name).id)
    if ('roleSetting' in action) {
      const { name, setting, value } = action.roleSetting
      const role = this.role(name)
      const settings = setting === null ? {} : { ...role.settings }
      if (setting !== null && value === null) delete settings[setting]
      else if (setting !== null && value !== null) settings[setting] = value
      return this.#with({ roles: this.roles.withRole({ ...role, settings }) })
    }
    if ('grantRole' in action) {
      const { role, member, grantor, ...options } = action.grantRole
      const ids = this.#memberIds(role, member, grantor)
      return this.#with({ roles: grantedMemberships(this.roles, ids, options) })
    }
    if ('revokeRole' in action) {
      const { role, member, grantor, option, cascade } = action.revokeRole
      const ids = this.#memberIds(role, member, grantor)
      return this.#with({ roles: changedMemberships(this.roles, ids, option, cascade) })
    }
    if ('own' in action) {
      const { object, owner: name, layer } = action.own
      const owner = this.role(name).id
      const kind = object.kind === 'layer' ? 'layer' : 'table'
      const acl = this.initialAcl(owner, kind, layer)
      if (owner === BOOTSTRAP_ID && acl === null) return this.#forget(object)
      return this.#withObject({ object, owner, acl, columns: new Map() })
    }
    if ('changeOwner' in action) {
      const { object, owner: name } = action.changeOwner
      return this.#changeOwner(object, this.role(name).id)
    }
    if ('grant' in action) return this.#grant(action.grant)
    if ('defaultPrivileges' in action) return this.#changeDefaults(action.defaultPrivileges)
    if ('forget' in action) return this.#gone(action.forget)
    if ('move' in action) {
      const { from, to } = action.move
      const known = this.#objects.get(objectKey(from))
      if (known === undefined) return this
      return this.#forget(from).#withObject({ ...known, object: to })
    }
    return this.#revokeAll(this.role(action.revokeAll.name).id)
  }

  /** The role of that name; 42704 when there is none. */
  role(name: string): NonNullable<ReturnType<Roles['named']>> {
    const role = this.roles.named(name)
    if (role !== undefined) return role
    throw new SqlError(SqlState.undefinedObject, `role "${name}" does not exist`)
  }

  #with(changed: {
    readonly roles?: Roles
    readonly objects?: ReadonlyMap<string, ObjectAccess>
    readonly defaults?: ReadonlyMap<string, DefaultPrivileges>
    readonly nextId?: number
  }): Access {
    return new Access(
      changed.roles ?? this.roles,
      changed.objects ?? this.#objects,
      changed.defaults ?? this.#defaults,
      changed.nextId ?? this.#nextId,
    )
  }

  #withObject(access: ObjectAccess): Access {
    return this.#with({ objects: new Map(this.#objects).set(objectKey(access.object), access) })
  }

  #forget(object: AccessObject): Access {
    const objects = new Map(this.#objects)
    return objects.delete(objectKey(object)) ? this.#with({ objects }) : this
  }

  /** Without an object, and of a layer without the default privileges in it. */
  #gone(object: AccessObject): Access {
    const left = this.#forget(object)
    if (object.kind !== 'layer') return left
    const defaults = [...left.#defaults].filter(([, { layer }]) => layer !== object.name)
    return defaults.length === left.#defaults.size
      ? left
      : left.#with({ defaults: new Map(defaults) })
  }

  #requireFree(name: string): void {
    if (this.roles.named(name) === undefined) return
    throw new SqlError(SqlState.duplicateObject, `role "${name}" already exists`)
  }

  #createRole({
    name,
    attributes,
    creator,
  }: Extract<AccessAction, { createRole: unknown }>['createRole']): Access {
    this.#requireFree(name)
    const id = this.#nextId
    const roles = this.roles.withRole({ ...attributes, id, name, settings: {} })
    const made = this.#with({ roles, nextId: id + 1 })
    if (creator === undefined) return made
    const member = this.role(creator).id
    const ids = { role: id, member, grantor: BOOTSTRAP_ID }
    const options = { admin: true, inherit: false, set: false }
    return made.#with({ roles: grantedMemberships(roles, ids, options) })
  }

  /** Whoever lets a role go has made sure that nothing there is depends on it. */
  #dropRole(id: number): Access {
    const left = this.#revokeAll(id)
    return left.#with({
      roles: left.roles.without(id),
      objects: new Map([...left.#objects].filter(([, { owner }]) => owner !== id)),
    })
  }

  /** 2BP01: the role cannot go for what `lines` say. */
  dependency(id: number, lines: readonly string[]): SqlError {
    return new SqlError(
      SqlState.dependentObjectsStillExist,
      `role "${this.roles.nameOf(id)}" cannot be dropped because some objects depend on it`,
      { detail: lines.length === 0 ? undefined : lines.join('\n') },
    )
  }

  #memberIds(
    role: string,
    member: string,
    grantor: string,
  ): { readonly role: number; readonly member: number; readonly grantor: number } {
    return {
      role: this.role(role).id,
      member: this.role(member).id,
      grantor: this.role(grantor).id,
    }
  }

  #changeOwner(object: AccessObject, to: number): Access {
    const before = this.of(object)
    const { owner, acl, columns } = before
    if (owner === to) return this
    return this.#withObject({
      object,
      owner: to,
      acl: acl === null ? null : withOwner(acl, owner, to),
      columns: new Map([...columns].map(([name, one]) => [name, withOwner(one, owner, to)])),
    })
  }

  #granteeId(name: string | null): number {
    return name === null ? PUBLIC : this.role(name).id
  }

  #grant(action: GrantAction): Access {
    const before = this.of(action.object)
    const { owner } = before
    const change = {
      grants: action.grants,
      grantee: this.#granteeId(action.grantee),
      grantor: this.role(action.grantor).id,
      privileges: privileges(...action.privileges),
      grantOption: action.grantOption,
      cascade: action.cascade,
    }
    const columns = new Map(before.columns)
    let { acl } = before
    for (const name of action.columns ?? []) {
      const made = changedAcl(columns.get(name) ?? [], change, owner, this.roles)
      if (made.length === 0) columns.delete(name)
      else columns.set(name, made)
    }
    if (action.columns === null) {
      const kind = kindOfObject(action.object)
      acl = changedAcl(acl ?? defaultAcl(kind, owner), change, owner, this.roles)
    }
    return this.#withObject({ object: action.object, owner, acl, columns })
  }

  #changeDefaults(
    action: Extract<AccessAction, { defaultPrivileges: unknown }>['defaultPrivileges'],
  ): Access {
    const { layer, kind } = action
    const role = this.role(action.role).id
    const key = defaultsKey(role, layer, kind)
    const usual = layer === null ? defaultAcl(kind, role) : []
    const acl = changedAcl(
      this.#defaults.get(key)?.acl ?? usual,
      {
        grants: action.grants,
        grantee: this.#granteeId(action.grantee),
        grantor: role,
        privileges: privileges(...action.privileges),
        grantOption: action.grantOption,
        cascade: action.cascade,
      },
      role,
      this.roles,
    )
    const defaults = new Map(this.#defaults)
    if (sameAcl(acl, usual)) defaults.delete(key)
    else defaults.set(key, { role, layer, kind, acl })
    return this.#with({ defaults })
  }

  #revokeAll(id: number): Access {
    const objects = new Map<string, ObjectAccess>()
    for (const [key, one] of this.#objects) {
      const { owner, acl, columns } = one
      const without = (given: Acl): Acl => withoutRole(given, id, owner, this.roles)
      const kept = [...columns]
        .map(([name, given]) => [name, without(given)] as const)
        .filter(([, left]) => left.length > 0)
      const isOwner = owner === id
      objects.set(
        key,
        isOwner ? one : { ...one, acl: acl === null ? null : without(acl), columns: new Map(kept) },
      )
    }
    const defaults = [...this.#defaults].flatMap(([key, one]) => {
      if (one.role === id) return []
      const acl = withoutRole(one.acl, id, one.role, this.roles)
      return [[key, { ...one, acl }] as const]
    })
    return this.#with({ objects, defaults: new Map(defaults) })
  }
}

/** Whether grants on the object, or its owner, name the role. */
export function mentions({ acl, columns }: ObjectAccess, role: number): boolean {
  return [acl ?? [], ...columns.values()].some((one) =>
    one.some(({ grantee, grantor }) => grantee === role || grantor === role),
  )
}

/** What is in force on an object of which nothing is known: PUBLIC may use the layer `public`. */
function firstAcl(object: AccessObject): Acl | null {
  if (object.kind !== 'layer' || object.name !== 'public') return null
  return [
    ...defaultAcl('layer', BOOTSTRAP_ID),
    {
      grantee: PUBLIC,
      grantor: BOOTSTRAP_ID,
      privileges: privileges('USAGE') | PUBLIC_DEFAULTS.layer,
      grantable: 0,
    },
  ]
}

function defaultsKey(role: number, layer: string | null, kind: DefaultKind): string {
  return `${role} ${kind} ${layer === null ? '' : `in ${layer}`}`
}

function sameAcl(a: Acl, b: Acl): boolean {
  const print = (acl: Acl): string =>
    acl
      .map(({ grantee, grantor, privileges: set, grantable }) =>
        [grantee, grantor, set, grantable].join(' '),
      )
      .sort()
      .join()
  return print(a) === print(b)
}
