/**
 * What the page is made of. `answers/page.py` and `show/page/document.py` make the data.
 *
 * @typedef {{name: string, text: string, special?: boolean, unknown?: boolean, segment?: number}} Tok
 * A word or a piece; `name` is what tables call it, as in `Alice@1`.
 *
 * @typedef {{text: string, pair: string | null, words: Tok[], pieces: Tok[], starts: number[]}} Side
 * The tokens that look, or those that are looked at; `starts`: the first piece of each word.
 *
 * @typedef {{shape: number[], form: "difference" | "int16" | "int8" | "float32", at: number, steps: number[]}} ArrayData
 * Where an array lies among a layer's bytes; its numbers are whole numbers times a step.
 *
 * @typedef {{names: {name: string, letter: string, formula: string, size: number, kept: string | null}[],
 *   parts: {name: string, head: number | null}[], norms: string, parallel: boolean}} StepsData
 * The steps of a layer, whose lengths are the array `layer_lengths`, and the parts of its output.
 *
 * @typedef {{scale: number, softcap: number | null, heads: number, blob: string,
 *   arrays: Record<string, ArrayData>, steps: number | null}} LayerData
 * `steps`: which of the text's; null if nobody asked for them.
 *
 * @typedef {{name: string, title: string, family: string, num_layers: number, num_heads: number,
 *   d_model: number, d_k: number, d_ff: number, trained: boolean, seed?: number, dtype?: string}} Model
 *
 * @typedef {{name: string, model: Model, attention: "encoder" | "decoder" | "cross",
 *   part: {index: number, count: number, start: number, end: number, offset: number} | null,
 *   queries: Side, keys: Side | null, recorded: number[], weightsOnly: boolean, values: boolean,
 *   tolerance: number, cut: Record<Unit, [number, number, number]> | null, sight: Record<Language, string>,
 *   lost: string[],
 *   layers: (LayerData | null)[], steps: (StepsData | string)[]}} TextData
 * `steps`: a string says why there are none. `keys` is null where queries and keys are of one text. `cut`: the tokens in the page, of all.
 * `sight`: who may look where, if not all at all; `lost`: words that the tokenizer dropped.
 *
 * @typedef {[number | null, number | null]} Both
 * The places of aligned tokens in A and in B.
 *
 * @typedef {{a: number, b: number, words: Both[], pieces: Both[], key_words: Both[],
 *   key_pieces: Both[]}} PairData
 *
 * @typedef {"lines" | "grid" | "head" | "steps" | "layer" | "tour"} ViewName
 * @typedef {"word" | "piece"} Unit
 * @typedef {"query" | "key"} Role
 * @typedef {"en" | "ko"} Language
 *
 * @typedef {{text: number, pair: number | null, view: ViewName, layer: number, head: number,
 *   query: number | null, key: number | null, unit: Unit, special: boolean,
 *   window: [number, number] | null, threshold: number, scale: "fixed" | "own",
 *   theme: "auto" | "light" | "dark", lang: Language, step: number, off: number[],
 *   find: boolean, phrase: number[]}} State
 * All that a link to a view says. `query`, `key`: places among all tokens of the unit; `phrase`: how many words they are.
 *
 * @typedef {{schema: string, version: string, texts: TextData[], pairs: PairData[],
 *   state: Partial<State>, words: Record<Language, Record<string, string>>}} PageData
 *
 * @typedef {{data: Float32Array, shape: number[]}} Numbers
 *
 * @typedef {{scale: number, softcap: number | null, heads: number, kvHeads: number, dk: number,
 *   dv: number, q?: Numbers, k?: Numbers, v?: Numbers, bias?: Numbers, distance_bias?: Numbers,
 *   key_ranges?: Numbers, sinks?: Numbers, recorded_weights?: Numbers, log_totals?: Numbers,
 *   special_outside?: Numbers, layer_lengths?: Numbers, layer_shares?: Numbers,
 *   layer_part_lengths?: Numbers}} LayerNumbers
 * A layer's numbers, decoded; names and shapes are those of LayerRecord and of `answers/page.py`.
 *
 * @typedef {{unit: Unit, special: boolean, window: [number, number] | null}} Frame
 * @typedef {{queries: Side, keys: Side | null}} Sides
 * `keys` is null where they are the queries' own text.
 *
 * @typedef {{rows: number[], columns: number[], weights: Float32Array, dropped: Float32Array | null,
 *   sink: Float32Array | null, allowed: Uint8Array | null}} Shown
 * A head's matrix: `rows`, `columns` are places among all tokens of the unit; null: all are allowed.
 *
 * @typedef {{state: {lang: Language, theme: "auto" | "light" | "dark"},
 *   say: (key: string, values?: Record<string, string | number>) => string,
 *   set: (change: {lang?: Language, theme?: "auto" | "light" | "dark"}) => void}} Page
 * What the parts that all pages share need to know of one.
 *
 * @typedef {{columns: string[], rows: (string | number)[][]}} Table
 *
 * @typedef {{host: HTMLElement, update: () => Promise<void>, table: () => Promise<Table>,
 *   svg: () => Promise<string>}} View
 * `update` draws the present state; `svg` gives a standalone picture of it, on white.
 */
export {};
