/** Zone abbreviations: the offsets PostgreSQL's default list gives to those that mean one offset. */

/** Minutes east of UTC. ICU knows some of these words too, but as zones with summer time or other ones. */
const MINUTES = `
  adt -180, aedt 660, aest 600, akdt -480, akst -540, art -180, ast -240, awst 480, bot -240, brst -120,
  brt -180, bst 60, cdt -300, cest 120, cet 60, clst -180, clt -180, cot -300, cst -360, eat 180, edt -240,
  eest 180, eet 120, est -300, gmt 0, gyt -240, hkt 480, hst -600, ict 420, idt 180, ist 120, jst 540,
  kst 540, mdt -360, mest 120, mesz 120, met 60, mez 60, msd 240, msk 180, mst -420, myt 480, ndt -150,
  npt 345, nst -210, nzdt 780, nzst 720, nzt 720, pdt -420, pet -300, pht 480, pkst 360, pkt 300, pst -480,
  pyt -180, sast 120, sgt 480, uct 0, ut 0, utc 0, uyt -180, vet -240, wat 60, wet 0, z 0, zulu 0`

const OFFSETS: ReadonlyMap<string, string> = new Map(
  MINUTES.split(',').map((entry) => {
    const [word = '', minutes = '0'] = entry.trim().split(' ')
    const size = Math.abs(Number(minutes))
    const [hours, rest] = [Math.floor(size / 60), size % 60].map((n) => String(n).padStart(2, '0'))
    return [word, `${minutes.startsWith('-') ? '-' : '+'}${hours}:${rest}`]
  }),
)

/** The offset (`-05:00`) that the abbreviation `word`, in small letters, stands for. */
export function offsetOfAbbreviation(word: string): string | undefined {
  return OFFSETS.get(word)
}
