/** Hilbert: places on Hilbert's curve through a cube of cells. */

/**
 * The place of the cell `point` on the curve that visits every cell of a cube once, each step to a
 * neighbour; `bits` bits a coordinate, at most 31 bits in all.
 *
 * J. Skilling, "Programming the Hilbert curve" (2004).
 *
 * @example
 * hilbertIndex([0, 1], 1)   // 1
 */
export function hilbertIndex(point: readonly number[], bits: number): number {
  const axes = [...point]
  const count = axes.length
  const at = (i: number): number => axes[i] ?? 0
  // Undoes the turns of the smaller cubes, from the largest down.
  for (let bit = 2 ** (bits - 1); bit > 1; bit /= 2) {
    const below = bit - 1
    for (let i = 0; i < count; i++) {
      if ((at(i) & bit) !== 0) axes[0] = at(0) ^ below
      else {
        const swapped = (at(0) ^ at(i)) & below
        axes[0] = at(0) ^ swapped
        axes[i] = at(i) ^ swapped
      }
    }
  }
  // Gray code.
  for (let i = 1; i < count; i++) axes[i] = at(i) ^ at(i - 1)
  let turned = 0
  for (let bit = 2 ** (bits - 1); bit > 1; bit /= 2) {
    if ((at(count - 1) & bit) !== 0) turned ^= bit - 1
  }
  let place = 0
  for (let bit = bits - 1; bit >= 0; bit--) {
    for (let i = 0; i < count; i++) place = place * 2 + (((at(i) ^ turned) >> bit) & 1)
  }
  return place
}
