/** Types of servers.mjs. */

export interface Server {
  readonly port: number
  readonly stop: () => void
}

export function findServer(): string | undefined
export function startPostgres(bin: string, work: string, options?: string): Promise<Server>
export function startGateway(
  gatewayPath: string,
  work: string,
): Promise<Server & { readonly pid: number }>
