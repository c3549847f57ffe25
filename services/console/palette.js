/** @file The timeline's colours: a canvas cannot use style.css, so they are read from it. */

import { KINDS } from "./kinds.js";

/** @import { Kind } from "./kinds.js" */

/**
 * @typedef {object} Palette
 * @property {string} text
 * @property {string} muted
 * @property {string} line
 * @property {string} quiet a silent decision
 * @property {string} wave
 * @property {string} warn
 * @property {Record<Kind, string>} kinds
 */

/**
 * @param {Element} element
 * @returns {Palette}
 */
export function readPalette(element) {
  const style = getComputedStyle(element);
  /** @param {string} name */
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("text"),
    muted: colour("muted"),
    line: colour("line"),
    quiet: colour("quiet"),
    wave: colour("wave"),
    warn: colour("warn"),
    kinds: /** @type {Record<Kind, string>} */ (
      Object.fromEntries(KINDS.map((kind) => [kind, colour(`kind-${kind}`)]))
    ),
  };
}
