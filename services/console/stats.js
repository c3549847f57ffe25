/** @file What a session's events add up to. */

/** @import { ServerEvent } from "./connection.js" */

/** Percentiles look at this many decisions: one minute when every chunk has its own. */
export const WINDOW_DECISIONS = 150;

/** What the platform promises from the close of a chunk to its decision. */
export const PROMISE_MS = 400;

/**
 * @typedef {object} Snapshot
 * @property {number} chunks heard so far
 * @property {number} decisions
 * @property {number | null} respondShare of all decisions, 0 to 1
 * @property {number | null} p50Ms of the last WINDOW_DECISIONS decisions
 * @property {number | null} p95Ms of the same
 * @property {number} late decisions that took longer than the promise, of all
 * @property {number} droppedChunks not heard in time
 * @property {number} gapMs input that was missing
 */

/** Counts as events come; asking for a snapshot costs one sort of the window. */
export class SessionStats {
  #newestChunk = -1;
  #decisions = 0;
  #responds = 0;
  #late = 0;
  #droppedChunks = 0;
  #gapMs = 0;
  /** @type {number[]} */
  #latenciesMs = [];

  /** @param {ServerEvent} event */
  apply(event) {
    if (event.type === "overrun") this.#droppedChunks += event.chunks;
    if (event.type === "gap") this.#gapMs += event.end_ms - event.start_ms;
    if (event.type !== "decision") return;
    this.#newestChunk = Math.max(this.#newestChunk, event.chunk);
    this.#decisions += 1;
    if (event.decision === "respond") this.#responds += 1;
    if (event.latency_ms > PROMISE_MS) this.#late += 1;
    this.#latenciesMs.push(event.latency_ms);
    if (this.#latenciesMs.length > WINDOW_DECISIONS) this.#latenciesMs.shift();
  }

  /** @returns {Snapshot} */
  snapshot() {
    return {
      chunks: Math.max(0, this.#newestChunk + 1 - this.#droppedChunks),
      decisions: this.#decisions,
      respondShare: this.#decisions ? this.#responds / this.#decisions : null,
      p50Ms: percentile(this.#latenciesMs, 0.5),
      p95Ms: percentile(this.#latenciesMs, 0.95),
      late: this.#late,
      droppedChunks: this.#droppedChunks,
      gapMs: this.#gapMs,
    };
  }
}

/**
 * Nearest-rank percentile: a value that really occurred; null of nothing.
 * @param {readonly number[]} values in any order
 * @param {number} share 0 to 1
 */
export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
