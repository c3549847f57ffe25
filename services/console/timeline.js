/** @file The timeline as a part of the page: what it follows, where it is scrolled, what the pointer
 * and the keys do. Drawing is in timeline_paint.js. */

import { clock } from "./format.js";
import { History } from "./history.js";
import { KIND_LABELS } from "./kinds.js";
import { readPalette } from "./palette.js";
import { timelineHeight } from "./scene.js";
import { describeChunk, lanesOf, paint } from "./timeline_paint.js";
import { turnAt } from "./timeline_turns.js";
import { Transcript, turnText } from "./transcript.js";
import { GUTTER_PX, Viewport } from "./viewport.js";

/** @import { ServerEvent } from "./connection.js" */
/** @import { HitBox } from "./timeline_turns.js" */
/** @import { Turn } from "./transcript.js" */

/** Smooth enough for 30 pixels a second, and half the work of every frame. */
const FRAME_MS = 33;

/** The audio clock ticks in blocks of 40 ms; between them time goes on, but never far. */
const MAX_GUESS_MS = 100;

const MIN_LANES = 3;

/** A pointer that moves less than this between down and up has clicked. */
const CLICK_PX = 3;

/** @type {Readonly<Record<string, (view: Viewport) => void>>} */
const KEYS = Object.freeze({
  ArrowLeft: (view) => view.scrollBy(-view.widthPx / 4),
  ArrowRight: (view) => view.scrollBy(view.widthPx / 4),
  Home: (view) => view.scrollTo(0),
  End: (view) => view.follow(),
  "+": (view) => view.zoom(1),
  "-": (view) => view.zoom(-1),
});

export class Timeline {
  #canvas;
  #pen;
  #tip;
  #toLive;
  #onPick;
  #history = new History();
  #transcript = new Transcript();
  #view = new Viewport();
  #sentMs = 0;
  #sentAtMs = 0;
  #live = false;
  /** @type {{x: number, y: number} | null} */
  #pointer = null;
  /** @type {{x: number, leftMs: number} | null} */
  #drag = null;
  /** @type {HitBox[]} */
  #boxes = [];
  #palette;
  #frame = 0;
  #paintedAtMs = 0;

  /**
   * @param {object} parts
   * @param {HTMLCanvasElement} parts.canvas
   * @param {HTMLElement} parts.tip follows the pointer
   * @param {HTMLButtonElement} parts.toLive shown while the view is elsewhere
   * @param {(turn: number) => void} parts.onPick a turn was clicked
   */
  constructor({ canvas, tip, toLive, onPick }) {
    this.#canvas = canvas;
    this.#pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#tip = tip;
    this.#toLive = toLive;
    this.#onPick = onPick;
    this.#palette = readPalette(canvas);
    this.#listen();
  }

  /**
   * Begin anew.
   * @param {Transcript} transcript of the new session; its turns are drawn as they stand
   */
  reset(transcript) {
    this.#history = new History();
    this.#transcript = transcript;
    this.#sentMs = 0;
    this.#move((view) => view.follow());
  }

  /** @param {boolean} live whether time goes on */
  set live(live) {
    this.#live = live;
    this.#schedule();
  }

  /**
   * Audio up to here was sent.
   * @param {number} sentMs
   * @param {number} peak in [0, 1]
   */
  sent(sentMs, peak) {
    this.#sentMs = sentMs;
    this.#sentAtMs = performance.now();
    this.#history.hear(sentMs, peak);
  }

  /**
   * @param {ServerEvent} event
   * @param {Turn | null} turn that it changed
   */
  apply(event, turn) {
    if (event.type === "session.opened") this.#view.chunkMs = event.chunk_ms;
    this.#history.apply(event, turn);
    this.#schedule();
  }

  /** @param {string} text of an instruction that was just sent */
  instructed(text) {
    const atMs = this.#sentMs;
    this.#history.mark({ about: "instruction", startMs: atMs, endMs: atMs, text: `instruction: ${text}` });
    this.#schedule();
  }

  /**
   * Scroll to a time.
   * @param {number} ms
   */
  seek(ms) {
    this.#move((view) => view.centre(ms));
  }

  /** @param {1 | -1} steps in or out */
  zoom(steps) {
    this.#move((view) => view.zoom(steps));
  }

  #listen() {
    const canvas = this.#canvas;
    new ResizeObserver(() => this.#schedule()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#palette = readPalette(canvas);
      this.#schedule();
    });
    canvas.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#keyed(event));
    canvas.addEventListener("pointerdown", (event) => this.#pressed(event));
    canvas.addEventListener("pointermove", (event) => this.#pointed(event));
    canvas.addEventListener("pointerup", () => this.#released());
    canvas.addEventListener("pointercancel", () => (this.#drag = null));
    canvas.addEventListener("pointerleave", () => this.#pointAt(null));
    this.#toLive.addEventListener("click", () => this.#move((view) => view.follow()));
  }

  /** @param {WheelEvent} event */
  #wheeled(event) {
    const alongPx = event.shiftKey ? event.deltaY : event.deltaX;
    if (alongPx === 0) return;
    event.preventDefault();
    this.#move((view) => view.scrollBy(alongPx));
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    this.#move(step);
  }

  /** @param {PointerEvent} event */
  #pressed(event) {
    this.#canvas.setPointerCapture(event.pointerId);
    this.#drag = { x: event.offsetX, leftMs: this.#view.leftMs };
  }

  /** @param {PointerEvent} event */
  #pointed(event) {
    this.#pointAt({ x: event.offsetX, y: event.offsetY });
    if (!this.#drag || Math.abs(event.offsetX - this.#drag.x) < CLICK_PX) return;
    const { x, leftMs } = this.#drag;
    this.#move((view) => view.scrollTo(leftMs - (event.offsetX - x) / view.pxPerMs));
  }

  #released() {
    const still = this.#drag && this.#pointer && Math.abs(this.#pointer.x - this.#drag.x) < CLICK_PX;
    this.#drag = null;
    const turn = this.#pointedTurn;
    if (still && turn) this.#onPick(turn.turn);
  }

  /** @param {{x: number, y: number} | null} pointer */
  #pointAt(pointer) {
    this.#pointer = pointer;
    this.#schedule();
  }

  /** @param {(view: Viewport) => void} step */
  #move(step) {
    step(this.#view);
    this.#toLive.hidden = this.#view.follows;
    this.#schedule();
  }

  /** The chunk under the pointer; null where none has been sent. */
  get #pointedChunk() {
    const view = this.#view;
    if (!this.#pointer || this.#pointer.x < GUTTER_PX) return null;
    const ms = view.msAt(this.#pointer.x);
    return ms < view.nowMs ? Math.floor(ms / view.chunkMs) : null;
  }

  get #pointedTurn() {
    return this.#pointer && turnAt(this.#boxes, this.#pointer);
  }

  #showTip() {
    const at = this.#pointer;
    const words = this.#wordsUnderPointer();
    this.#tip.hidden = words === null;
    if (!at || words === null) return;
    this.#tip.textContent = words;
    const maxLeft = this.#canvas.clientWidth - this.#tip.offsetWidth - 8;
    this.#tip.style.left = `${Math.max(8, Math.min(at.x + 12, maxLeft))}px`;
    this.#tip.style.top = `${at.y + 18}px`;
  }

  #wordsUnderPointer() {
    const turn = this.#pointedTurn;
    if (turn) {
      const span = `${clock(turn.startMs)} – ${clock(turn.endMs)}`;
      return `${KIND_LABELS[turn.kind]} · ${span}\n${turnText(turn)}`;
    }
    const chunk = this.#pointedChunk;
    return chunk === null ? null : describeChunk(this.#history, chunk, this.#view.chunkMs);
  }

  /** Ask for one frame; while audio flows, each frame asks for the next. */
  #schedule() {
    this.#frame ||= requestAnimationFrame((atMs) => this.#tick(atMs));
  }

  /** @param {number} atMs */
  #tick(atMs) {
    this.#frame = 0;
    if (this.#live && atMs - this.#paintedAtMs < FRAME_MS - 4) {
      this.#schedule();
      return;
    }
    this.#paintedAtMs = atMs;
    this.#paint();
    this.#showTip();
    if (this.#live) this.#schedule();
  }

  #paint() {
    const lanes = lanesOf(this.#history.kinds);
    const height = timelineHeight(Math.max(MIN_LANES, lanes.length));
    const view = this.#view;
    view.widthPx = this.#canvas.clientWidth;
    view.nowMs = this.#nowMs;
    this.#fit(view.widthPx, height);
    this.#boxes = paint({
      pen: this.#pen,
      palette: this.#palette,
      view,
      height,
      pointedChunk: this.#pointedChunk,
      history: this.#history,
      turns: this.#transcript.turns,
      lanes,
    });
  }

  get #nowMs() {
    if (!this.#live || this.#sentMs === 0) return this.#sentMs;
    return this.#sentMs + Math.min(MAX_GUESS_MS, performance.now() - this.#sentAtMs);
  }

  /**
   * Give the canvas as many pixels as the screen has.
   * @param {number} width
   * @param {number} height
   */
  #fit(width, height) {
    const ratio = devicePixelRatio;
    const canvas = this.#canvas;
    const wide = Math.round(width * ratio);
    const high = Math.round(height * ratio);
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.height = `${height}px`;
    }
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }
}
