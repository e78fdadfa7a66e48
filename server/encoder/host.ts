/** Host: what the encoder asks JavaScript for. */

/** Seconds east of UTC, in the zone that is being encoded for, at `micros` since 1970. */
// @ts-ignore: decorator
@external('host', 'zoneOffset')
export declare function zoneOffset(micros: i64): i32
