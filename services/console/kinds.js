/** @file The kinds of turns: their order on the page, and the words for them. */

/**
 * @typedef {"advice" | "transcript" | "translation" | "answer" | "description" | "count"
 *   | "notice"} Kind
 */

/**
 * In the order of the timeline's lanes. Colours are `--kind-NAME` in style.css, icons
 * `#icon-NAME` in index.html.
 * @type {Readonly<Record<Kind, string>>}
 */
export const KIND_LABELS = Object.freeze({
  advice: "Advice",
  transcript: "Transcript",
  translation: "Translation",
  answer: "Answer",
  description: "Sound",
  count: "Count",
  notice: "Notice",
});

/** @type {readonly Kind[]} */
export const KINDS = Object.freeze(/** @type {Kind[]} */ (Object.keys(KIND_LABELS)));
