/**
 * What the atlas is made of: `show/page/atlas.py` makes the data.
 *
 * @typedef {[number | null, number | null, number | null]} Estimate
 * A number over the corpus, and the ends of its interval; null for what there is not.
 *
 * @typedef {{name: string, title: string, unit?: string, formula: string, source: string}} Described
 * A statistic, or a role.
 *
 * @typedef {Described & {letter: string, colour: string}} Role
 * As tables and pictures show it: black letters are read on its colour.
 *
 * @typedef {{text: number, query: number, key: number, weight: number, at: number, scale: number}} Link
 * A link in a text; `at`: where its matrix lies among its layer's bytes, -1 if there is none; `scale`: what 255 stands for.
 *
 * @typedef {{source: string, line: number, id: string | null, words: string[], keys: string[] | null,
 *   places: number[] | null, key_places: number[] | null}} Text
 * A text, or the part of a longer one that is shown; `places`: where its words are in the whole text.
 *
 * @typedef {{role: number, share: Estimate, test: Record<string, unknown>}} HeadRole
 *
 * @typedef {{layer: number, head: number, statistics: Estimate[], roles: HeadRole[], unknown: Estimate,
 *   tests: Record<string, Record<string, unknown>>, strongest: Link[], sample: Link[],
 *   alike: [number, number][]}} Head
 * `statistics`: in the order of the data's; `alike`: the heads nearest to it, and their distances.
 *
 * @typedef {{clusters: number[][], tree: [number, number, number, number][], rows: number, cut: number}} Tree
 *
 * @typedef {import("../types.js").Model} Model
 * @typedef {import("../types.js").Language} Language
 * @typedef {import("../types.js").Table} Table
 *
 * @typedef {{schema: string, model: Model, unit: string, measure: string, attention: "encoder" | "decoder" | "cross", formula: string,
 *   corpus: {files: string[], documents: number, windows: number, pieces: number, words: number, left_out: number},
 *   intervals: {level: number, method: string, resamples: number} | null, statistics: Described[], roles: Role[],
 *   notes: string[], heads: Head[], texts: Text[], distances: Tree | null}} Survey
 *
 * @typedef {"map" | "scatter" | "list" | "tree"} ViewName
 *
 * @typedef {{view: ViewName, layer: number, head: number, colour: string, role: string, least: number, x: string,
 *   y: string, bars: boolean, sort: string, down: boolean, theme: "auto" | "light" | "dark", lang: Language}} State
 * All that a link to a view says. `colour`, `x`, `y`, `sort`: names of quantities, or "role"; `role`, `least`: which heads are meant.
 *
 * @typedef {{name: string, title: string, unit: string, formula: string, of: (head: Head) => Estimate}} Quantity
 * A number that each head has: a statistic, the share of a role, or its layer.
 *
 * @typedef {{host: HTMLElement, update: () => void, table: () => Table}} View
 */
export {};
