/** Registration: names of tables that are not the names of their folders. */

/** A name in a layer. */
export interface LayerName {
  readonly layer: string
  readonly name: string
}

/** The folder, relative to the lake's root, that a name stands for. */
export interface TableRegistration extends LayerName {
  readonly path: string
}

/** Entries of the catalog's log that say which folder a name stands for. */
export type RegistrationAction =
  /** A table made or found in a folder that does not bear its name. */
  | { readonly registerTable: TableRegistration }
  /** The table in a folder gets another name, and loses the one it had. */
  | { readonly renameTable: { readonly from: LayerName; readonly to: TableRegistration } }
  | { readonly unregisterTable: LayerName }

/**
 * The registrations of one lake, as its catalog's log tells them.
 *
 * A folder has one name: what is registered is no longer found under its folder's own name. A
 * registration whose folder holds no table means nothing.
 */
export class Registrations {
  readonly #byName = new Map<string, TableRegistration>()
  readonly #byPath = new Map<string, TableRegistration>()

  apply(action: RegistrationAction): void {
    if ('registerTable' in action) this.#set(action.registerTable)
    else if ('renameTable' in action) {
      this.#forget(action.renameTable.from)
      this.#set(action.renameTable.to)
    } else this.#forget(action.unregisterTable)
  }

  /** Every registration, in no particular order. */
  all(): readonly TableRegistration[] {
    return [...this.#byName.values()]
  }

  /** The registration of that name: the exact spelling wins over one that differs in case. */
  find(layer: string, name: string): TableRegistration | undefined {
    const exact = this.#byName.get(keyOf({ layer, name }))
    if (exact !== undefined || this.#byName.size === 0) return exact
    const lower = name.toLowerCase()
    return this.all().find((one) => one.layer === layer && one.name.toLowerCase() === lower)
  }

  /** The name that the table in `path` is registered under, or undefined. */
  nameOf(path: string): TableRegistration | undefined {
    return this.#byPath.get(path)
  }

  #set(registration: TableRegistration): void {
    const before = this.#byPath.get(registration.path)
    if (before !== undefined) this.#byName.delete(keyOf(before))
    const replaced = this.#byName.get(keyOf(registration))
    if (replaced !== undefined) this.#byPath.delete(replaced.path)
    this.#byName.set(keyOf(registration), registration)
    this.#byPath.set(registration.path, registration)
  }

  #forget(name: LayerName): void {
    const known = this.#byName.get(keyOf(name))
    if (known === undefined) return
    this.#byName.delete(keyOf(name))
    this.#byPath.delete(known.path)
  }
}

function keyOf({ layer, name }: LayerName): string {
  return `${layer}\u0000${name}`
}
