/** @file The list of what was said: one card a turn, replaced in place while it is provisional. */

import { icon, make } from "./elements.js";
import { clock } from "./format.js";
import { KIND_LABELS } from "./kinds.js";
import { orderedPieces, segments, turnText } from "./transcript.js";

/** @import { Piece, Turn } from "./transcript.js" */

/** Older cards leave the page, so that it stays quick after hours. */
const MAX_CARDS = 400;

/** Closer to the end than this counts as reading along. */
const FOLLOW_PX = 40;

const STATE_WORDS = Object.freeze({
  open: "",
  complete: "",
  interrupted: "interrupted",
  cancelled: "cancelled",
  error: "broken off",
});

export class TranscriptView {
  #list;
  #toNewest;
  #announcer;
  #onCancel;
  #onSeek;
  /** @type {Map<number, HTMLElement>} */
  #cards = new Map();
  #follows = true;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.list an `ol`; it scrolls
   * @param {HTMLButtonElement} parts.toNewest shown while the reader is elsewhere
   * @param {Announcer} parts.announcer
   * @param {(turn: number) => void} parts.onCancel
   * @param {(timeMs: number) => void} parts.onSeek a card's time was clicked
   */
  constructor({ list, toNewest, announcer, onCancel, onSeek }) {
    this.#list = list;
    this.#toNewest = toNewest;
    this.#announcer = announcer;
    this.#onCancel = onCancel;
    this.#onSeek = onSeek;
    list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#keepEnd()).observe(list);
    toNewest.addEventListener("click", () => {
      list.scrollTop = list.scrollHeight;
    });
  }

  clear() {
    this.#list.replaceChildren();
    this.#cards.clear();
    this.#follows = true;
    this.#toNewest.hidden = true;
  }

  /**
   * Show a turn as it stands now.
   * @param {Turn} turn
   */
  show(turn) {
    let card = this.#cards.get(turn.turn);
    if (!card) {
      card = make("li", "turn");
      card.dataset.turn = String(turn.turn);
      card.dataset.kind = turn.kind;
      this.#cards.set(turn.turn, card);
      this.#append(card);
    }
    card.dataset.state = turn.state;
    card.dataset.atMs = String(turn.startMs);
    card.replaceChildren(this.#head(turn), this.#body(turn));
    putInTime(card);
    this.#keepEnd();
    if (turn.state !== "open") this.#announcer.announce(turn);
  }

  /**
   * A line about the session itself, not said by the model.
   * @param {string} text
   * @param {number} atMs
   * @param {"instruction" | "session" | "loss"} about
   */
  note(text, atMs, about) {
    const line = make("li", "note");
    line.dataset.about = about;
    line.dataset.atMs = String(atMs);
    line.append(this.#time(atMs), icon(about), make("span", "note-text", text));
    this.#append(line);
    putInTime(line);
    this.#keepEnd();
  }

  /**
   * Bring a turn's card into view.
   * @param {number} turn
   */
  reveal(turn) {
    const card = this.#cards.get(turn);
    if (!card) return;
    card.scrollIntoView({ block: "center" });
    card.classList.remove("revealed");
    requestAnimationFrame(() => card.classList.add("revealed"));
  }

  /** @param {HTMLElement} line */
  #append(line) {
    this.#list.append(line);
    if (this.#list.children.length <= MAX_CARDS) return;
    const oldest = /** @type {HTMLElement} */ (this.#list.firstElementChild);
    this.#cards.delete(Number(oldest.dataset.turn));
    oldest.remove();
  }

  /** @param {Turn} turn */
  #head(turn) {
    const kind = make("span", "turn-kind", icon(turn.kind), KIND_LABELS[turn.kind]);
    return make("div", "turn-head", this.#time(turn.startMs), kind);
  }

  /** @param {Turn} turn */
  #body(turn) {
    const text = make("p", "turn-text", ...orderedPieces(turn).flatMap(pieceElements));
    const body = make("div", "turn-body", text);
    for (const remark of [turn.emotion, STATE_WORDS[turn.state]]) {
      if (remark) body.append(make("span", "turn-remark", remark));
    }
    if (turn.state === "open") body.append(this.#cancelButton(turn));
    return body;
  }

  /** @param {Turn} turn */
  #cancelButton(turn) {
    const button = make("button", "turn-cancel", icon("cancel"));
    button.type = "button";
    button.title = "Cancel this turn";
    button.setAttribute("aria-label", `Cancel turn ${turn.turn}`);
    button.addEventListener("click", () => this.#onCancel(turn.turn));
    return button;
  }

  /** @param {number} ms */
  #time(ms) {
    const button = make("button", "time", clock(ms));
    button.type = "button";
    button.title = "Show in the timeline";
    button.addEventListener("click", () => this.#onSeek(ms));
    return button;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    this.#follows = scrollHeight - scrollTop - clientHeight < FOLLOW_PX;
    if (this.#follows) this.#toNewest.hidden = true;
  }

  #keepEnd() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
    else this.#toNewest.hidden = false;
  }
}

/** Says finished turns to screen readers: advice at once, everything else when there is time. */
export class Announcer {
  #polite;
  #urgent;

  /**
   * @param {HTMLElement} polite with aria-live="polite"
   * @param {HTMLElement} urgent with aria-live="assertive"
   */
  constructor(polite, urgent) {
    this.#polite = polite;
    this.#urgent = urgent;
  }

  /** @param {Turn} turn */
  announce(turn) {
    const region = turn.kind === "advice" ? this.#urgent : this.#polite;
    region.textContent = `${KIND_LABELS[turn.kind]}: ${turnText(turn)}`;
  }
}

/**
 * Move a line up past those that began later: a turn's first word may lie before the event that
 * was told first.
 * @param {HTMLElement} line
 */
function putInTime(line) {
  let before = line.previousElementSibling;
  while (before instanceof HTMLElement && startMs(before) > startMs(line)) {
    before = before.previousElementSibling;
  }
  if (before === line.previousElementSibling) return;
  if (before) before.after(line);
  else line.parentElement?.prepend(line);
}

/** @param {HTMLElement} line */
function startMs(line) {
  return Number(line.dataset.atMs);
}

/**
 * @param {Piece} piece
 * @returns {HTMLElement[]}
 */
function pieceElements(piece) {
  return segments(piece).map(({ text, word }) => {
    const span = make("span", piece.final ? "final" : "provisional", text);
    if (word) span.title = `${clock(word.start_ms)} – ${clock(word.end_ms)}`;
    return span;
  });
}
