/** @file What was said: turns as values, grown event by event. */

import { clock } from "./format.js";
import { KIND_LABELS } from "./kinds.js";

/** @import { ServerEvent, Word } from "./connection.js" */
/** @import { Kind } from "./kinds.js" */

/** Older turns are forgotten: a whole day of talk stays a few megabytes. */
export const MAX_TURNS = 2000;

/**
 * One stretch of a turn's text; a provisional one may be replaced as a whole.
 * @typedef {object} Piece
 * @property {string} text
 * @property {boolean} final
 * @property {readonly Word[]} words
 */

/**
 * @typedef {object} Turn
 * @property {number} turn
 * @property {Kind} kind
 * @property {string} emotion "" where the model gives none
 * @property {number} chunk whose decision opened it
 * @property {number} startMs where what it is about begins: its first word, else its chunk
 * @property {number} endMs where that ends; grows while the turn is open
 * @property {ReadonlyMap<number, Piece>} pieces by sequence
 * @property {"open" | "complete" | "interrupted" | "cancelled" | "error"} state
 */

/**
 * A turn's whole text as it stands now.
 * @param {Turn} turn
 */
export function turnText(turn) {
  return orderedPieces(turn)
    .map((piece) => piece.text)
    .join("")
    .trim();
}

/**
 * A whole session as plain text, one line a turn.
 * @param {Iterable<Turn>} turns
 */
export function asText(turns) {
  const lines = [...turns].map(
    (turn) => `${clock(turn.startMs)}  ${KIND_LABELS[turn.kind]}: ${turnText(turn)}`,
  );
  return lines.join("\n");
}

/**
 * @param {Turn} turn
 * @returns {Piece[]} in order of sequence
 */
export function orderedPieces(turn) {
  return [...turn.pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece);
}

/**
 * Cut a piece's text at its words, so that each can show its time; text between words, and words
 * that the text does not contain, stay plain. Joined, the segments are the text.
 * @param {Piece} piece
 * @returns {{text: string, word: Word | null}[]}
 */
export function segments(piece) {
  /** @type {{text: string, word: Word | null}[]} */
  const cut = [];
  let from = 0;
  for (const word of piece.words) {
    const text = word.text.trim();
    const at = text ? piece.text.indexOf(text, from) : -1;
    if (at < 0) continue;
    if (at > from) cut.push({ text: piece.text.slice(from, at), word: null });
    cut.push({ text, word });
    from = at + text.length;
  }
  if (from < piece.text.length) cut.push({ text: piece.text.slice(from), word: null });
  return cut;
}

/** The turns of one session, in the order in which they began. */
export class Transcript {
  /** @type {Map<number, Turn>} */
  #turns = new Map();
  #heardMs = 0;
  #chunkMs = 400;

  /** @returns {Iterable<Turn>} oldest first */
  get turns() {
    return this.#turns.values();
  }

  /**
   * @param {number} turn
   * @returns {Turn | undefined}
   */
  get(turn) {
    return this.#turns.get(turn);
  }

  /**
   * Take an event; return the turn that it changed, or null.
   * @param {ServerEvent} event
   * @returns {Turn | null}
   */
  apply(event) {
    switch (event.type) {
      case "session.opened":
        this.#chunkMs = event.chunk_ms;
        return null;
      case "decision":
        this.#heardMs = event.end_ms;
        return null;
      case "response.started":
        return this.#keep(begin(event, this.#chunkMs));
      case "response.text":
        return this.#change(event.turn, (turn) => say(turn, event, this.#heardMs));
      case "response.ended":
        return this.#change(event.turn, (turn) => end(turn, event.reason, this.#heardMs));
      default:
        return null;
    }
  }

  /**
   * The session is over: no more comes for turns that are open. Return those.
   * @returns {Turn[]}
   */
  breakOff() {
    const open = [...this.#turns.values()].filter((turn) => turn.state === "open");
    return open.map((turn) => this.#keep(end(turn, "error", this.#heardMs)));
  }

  /**
   * @param {number} number
   * @param {(turn: Turn) => Turn} step
   * @returns {Turn | null} null for a turn that was forgotten
   */
  #change(number, step) {
    const turn = this.#turns.get(number);
    return turn ? this.#keep(step(turn)) : null;
  }

  /** @param {Turn} turn */
  #keep(turn) {
    this.#turns.set(turn.turn, turn);
    if (this.#turns.size > MAX_TURNS) {
      const [oldest] = this.#turns.keys();
      this.#turns.delete(oldest);
    }
    return turn;
  }
}

/**
 * @param {{turn: number, chunk: number, kind: Kind, emotion?: string}} started
 * @param {number} chunkMs
 * @returns {Turn}
 */
function begin({ turn, chunk, kind, emotion = "" }, chunkMs) {
  return {
    turn,
    kind,
    emotion,
    chunk,
    startMs: chunk * chunkMs,
    endMs: (chunk + 1) * chunkMs,
    pieces: new Map(),
    state: "open",
  };
}

/**
 * Final text is never taken back, so a late provisional piece does not replace it.
 * @param {Turn} turn
 * @param {{sequence: number, text: string, final: boolean, words?: readonly Word[]}} said
 * @param {number} heardMs
 * @returns {Turn}
 */
function say(turn, { sequence, text, final, words = [] }, heardMs) {
  if (turn.pieces.get(sequence)?.final) return turn;
  const pieces = new Map(turn.pieces).set(sequence, { text, final, words });
  return spanned({ ...turn, pieces }, heardMs);
}

/**
 * @param {Turn} turn
 * @param {"complete" | "interrupted" | "cancelled" | "error"} reason
 * @param {number} heardMs
 * @returns {Turn}
 */
function end(turn, reason, heardMs) {
  return spanned({ ...turn, state: reason }, heardMs);
}

/**
 * Place a turn by its words' times; one without words lasts from its decision until now.
 * @param {Turn} turn
 * @param {number} heardMs
 * @returns {Turn}
 */
function spanned(turn, heardMs) {
  const words = orderedPieces(turn).flatMap((piece) => piece.words);
  if (words.length === 0) return { ...turn, endMs: Math.max(turn.endMs, heardMs) };
  return { ...turn, startMs: words[0].start_ms, endMs: words[words.length - 1].end_ms };
}
