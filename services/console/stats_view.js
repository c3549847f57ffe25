/** @file The session's figures as a strip; one that needs a look is marked. */

import { make } from "./elements.js";
import { latency, percent } from "./format.js";
import { PROMISE_MS } from "./stats.js";

/** @import { Snapshot } from "./stats.js" */

/**
 * @typedef {object} Figure
 * @property {string} label
 * @property {string} title
 * @property {(stats: Snapshot) => string} text
 * @property {(stats: Snapshot) => boolean} [warns]
 */

/** @type {readonly Figure[]} */
const FIGURES = Object.freeze([
  {
    label: "Chunks",
    title: "Pieces of 400 ms that were heard",
    text: ({ chunks }) => count(chunks),
  },
  {
    label: "Decisions",
    title: "One for each drained queue; fewer than chunks when it had to catch up",
    text: ({ decisions }) => count(decisions),
  },
  {
    label: "Respond",
    title: "Share of the decisions that led to a response",
    text: ({ respondShare }) => percent(respondShare),
  },
  {
    label: "Latency p50",
    title: "From the close of a chunk to its decision, the last 150 decisions",
    text: ({ p50Ms }) => latency(p50Ms),
    warns: ({ p50Ms }) => (p50Ms ?? 0) > PROMISE_MS,
  },
  {
    label: "p95",
    title: "95 of 100 of the last 150 decisions were as quick as this, or quicker",
    text: ({ p95Ms }) => latency(p95Ms),
    warns: ({ p95Ms }) => (p95Ms ?? 0) > PROMISE_MS,
  },
  {
    label: "Late",
    title: "Decisions of the whole session that took longer than 400 ms",
    text: ({ late }) => count(late),
    warns: ({ late }) => late > 0,
  },
  {
    label: "Dropped",
    title: "Chunks that were not heard in time",
    text: ({ droppedChunks }) => count(droppedChunks),
    warns: ({ droppedChunks }) => droppedChunks > 0,
  },
  {
    label: "Missing",
    title: "Audio that never arrived, heard as silence",
    text: ({ gapMs }) => `${(gapMs / 1000).toFixed(1)} s`,
    warns: ({ gapMs }) => gapMs > 0,
  },
]);

export class StatsView {
  #values;

  /** @param {HTMLElement} list a `dl` */
  constructor(list) {
    this.#values = FIGURES.map(() => make("dd", "figure", "–"));
    FIGURES.forEach(({ label, title }, i) => {
      const item = make("div", "stat", make("dt", "", label), this.#values[i]);
      item.title = title;
      list.append(item);
    });
  }

  /** @param {Snapshot} stats */
  show(stats) {
    FIGURES.forEach(({ text, warns }, i) => {
      this.#values[i].textContent = text(stats);
      this.#values[i].classList.toggle("warns", warns?.(stats) ?? false);
    });
  }
}

/** @param {number} number */
function count(number) {
  return number.toLocaleString("en");
}
