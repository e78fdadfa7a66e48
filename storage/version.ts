/** The gateway's version, as package.json has it. */

export const LAKEGATE_VERSION = '0.1.0'
