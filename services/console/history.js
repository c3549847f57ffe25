/** @file What the timeline remembers of a session: fixed rings, so that a day costs no more memory
 * than the first hours. */

import { KINDS } from "./kinds.js";

/** @import { ServerEvent } from "./connection.js" */
/** @import { Kind } from "./kinds.js" */
/** @import { Turn } from "./transcript.js" */

/** Three hours; older chunks are forgotten. */
export const CAPACITY_CHUNKS = 27_000;

/** One step of the level curve; the audio thread delivers such blocks. */
export const LEVEL_STEP_MS = 40;
const LEVEL_STEPS_PER_CHUNK = 10;
const MAX_MARKS = 1000;

const LOSS_WORDS = Object.freeze({
  gap: "audio that never arrived, heard as silence",
  overrun: "audio that was not heard in time and was dropped",
});

const NOT_DECIDED = 0;
const SILENT = 1;
const RESPOND = 2; // of a kind not known yet; RESPOND + 1 + i is of kind i

/**
 * A decision, as the timeline draws it.
 * @typedef {object} DecisionCell
 * @property {number} chunk the newest that was heard
 * @property {number} drained how many chunks it answers
 * @property {number} latencyMs
 * @property {"silent" | "respond"} decision
 * @property {Kind | null} kind of the turn that it opened
 *
 * @typedef {object} Mark
 * @property {"gap" | "overrun" | "instruction"} about
 * @property {number} startMs
 * @property {number} endMs
 * @property {string} text for people
 */

export class History {
  #latenciesMs = new Float32Array(CAPACITY_CHUNKS);
  #drained = new Uint16Array(CAPACITY_CHUNKS);
  #actions = new Uint8Array(CAPACITY_CHUNKS);
  #levels = new Uint8Array(CAPACITY_CHUNKS * LEVEL_STEPS_PER_CHUNK);
  #levelStep = -1;
  /** @type {Kind | null} */
  #openKind = null;
  /** @type {Mark[]} */
  marks = [];
  /** @type {Set<Kind>} all that occurred */
  kinds = new Set();
  newestChunk = -1;

  /** The oldest chunk that is still remembered. */
  get oldestChunk() {
    return Math.max(0, this.newestChunk - CAPACITY_CHUNKS + 1);
  }

  /**
   * @param {ServerEvent} event
   * @param {Turn | null} turn that it changed
   */
  apply(event, turn) {
    if (event.type === "decision") this.#decide(event);
    if (event.type === "gap" || event.type === "overrun") {
      const { start_ms: startMs, end_ms: endMs } = event;
      this.mark({ about: event.type, startMs, endMs, text: LOSS_WORDS[event.type] });
    }
    if (turn) this.#say(event, turn);
  }

  /**
   * @param {ServerEvent} event
   * @param {Turn} turn
   */
  #say(event, { kind, chunk, state }) {
    this.kinds.add(kind);
    this.#openKind = state === "open" ? kind : null;
    if (event.type === "response.started") this.#colour(chunk, kind);
    if (event.type === "response.text") this.#colour(this.newestChunk, kind);
  }

  /** @param {{chunk: number, decision: "silent" | "respond", latency_ms: number}} event */
  #decide({ chunk, decision, latency_ms: latencyMs }) {
    if (chunk <= this.newestChunk) return;
    this.#colourLeftover();
    for (let skipped = this.newestChunk + 1; skipped < chunk; skipped++) {
      this.#actions[skipped % CAPACITY_CHUNKS] = NOT_DECIDED;
    }
    const at = chunk % CAPACITY_CHUNKS;
    this.#latenciesMs[at] = latencyMs;
    this.#drained[at] = chunk - this.newestChunk;
    this.#actions[at] = decision === "respond" ? RESPOND : SILENT;
    this.newestChunk = chunk;
  }

  /**
   * Tell of which kind a decision's response is. Of two turns at once, advice colours the cell.
   * @param {number} chunk
   * @param {Kind} kind
   */
  #colour(chunk, kind) {
    const at = chunk % CAPACITY_CHUNKS;
    if (this.#actions[at] < RESPOND) return;
    const uncoloured = this.#actions[at] === RESPOND;
    if (uncoloured || kind === "advice") this.#actions[at] = RESPOND + 1 + KINDS.indexOf(kind);
  }

  /** A decision to go on with an open turn whose text then stayed the same is of that turn's kind. */
  #colourLeftover() {
    const leftover = this.decisionAt(this.newestChunk);
    const responds = leftover?.decision === "respond" && leftover.kind === null;
    if (responds && this.#openKind) this.#colour(this.newestChunk, this.#openKind);
  }

  /**
   * The decision whose newest chunk this is, or null: not decided, or shared with a later chunk.
   * @param {number} chunk
   * @returns {DecisionCell | null}
   */
  decisionAt(chunk) {
    if (chunk < this.oldestChunk || chunk > this.newestChunk) return null;
    const at = chunk % CAPACITY_CHUNKS;
    const action = this.#actions[at];
    if (action === NOT_DECIDED) return null;
    return {
      chunk,
      drained: this.#drained[at],
      latencyMs: this.#latenciesMs[at],
      decision: action === SILENT ? "silent" : "respond",
      kind: KINDS[action - RESPOND - 1] ?? null,
    };
  }

  /**
   * The decision that heard this chunk: its own, or the later one that it shares.
   * @param {number} chunk
   * @returns {DecisionCell | null}
   */
  decisionOver(chunk) {
    for (let later = chunk; later <= this.newestChunk; later++) {
      const cell = this.decisionAt(later);
      if (cell) return later - cell.drained < chunk ? cell : null;
    }
    return null;
  }

  /**
   * Remember how loud the audio was up to `endMs`.
   * @param {number} endMs
   * @param {number} peak in [0, 1]
   */
  hear(endMs, peak) {
    const step = Math.max(0, Math.round(endMs / LEVEL_STEP_MS) - 1);
    for (let i = this.#levelStep + 1; i <= step; i++) {
      // The ear hears level as a logarithm; the square root shows quiet speech almost as well.
      this.#levels[i % this.#levels.length] = Math.round(Math.sqrt(peak) * 255);
    }
    this.#levelStep = Math.max(step, this.#levelStep);
  }

  /**
   * Height of the level curve, in [0, 1]; 0 where nothing is remembered.
   * @param {number} step of LEVEL_STEP_MS, counted from the session's start
   */
  levelAt(step) {
    const forgotten = step <= this.#levelStep - this.#levels.length;
    if (step < 0 || step > this.#levelStep || forgotten) return 0;
    return this.#levels[step % this.#levels.length] / 255;
  }

  /** @param {Mark} mark */
  mark(mark) {
    this.marks.push(mark);
    if (this.marks.length > MAX_MARKS) this.marks.shift();
  }
}
