/** @file Which stretch of the session is in view: it follows the audio until someone scrolls. */

/** Room left of the picture, for the rows' names. */
export const GUTTER_PX = 76;

/** Room on the right of "now", so that the newest turn's first words can be read. */
const AHEAD_PX = 110;

const ZOOMS_PX_PER_CHUNK = [2, 3, 5, 8, 12, 18, 28];
const START_ZOOM = 4;

export class Viewport {
  #zoom = START_ZOOM;
  #nowMs = 0;
  /** @type {number | null} null while it follows */
  #pinnedLeftMs = null;

  widthPx = 0;
  chunkMs = 400;

  /** How far the audio is; the view follows it unless it is pinned. */
  set nowMs(ms) {
    this.#nowMs = ms;
  }

  get nowMs() {
    return this.#nowMs;
  }

  get pxPerMs() {
    return ZOOMS_PX_PER_CHUNK[this.#zoom] / this.chunkMs;
  }

  /** How much time fits. */
  get spanMs() {
    return Math.max(0, this.widthPx - GUTTER_PX) / this.pxPerMs;
  }

  get leftMs() {
    return this.#pinnedLeftMs ?? this.#liveLeftMs;
  }

  get rightMs() {
    return this.leftMs + this.spanMs;
  }

  get follows() {
    return this.#pinnedLeftMs === null;
  }

  /** @param {number} ms */
  xOf(ms) {
    return GUTTER_PX + (ms - this.leftMs) * this.pxPerMs;
  }

  /** @param {number} x */
  msAt(x) {
    return this.leftMs + (x - GUTTER_PX) / this.pxPerMs;
  }

  /**
   * Start the view here; it follows again when that is not before where following has come.
   * @param {number} leftMs
   */
  scrollTo(leftMs) {
    this.#pinnedLeftMs = leftMs >= this.#liveLeftMs ? null : Math.max(0, leftMs);
  }

  /** @param {number} px to the right */
  scrollBy(px) {
    this.scrollTo(this.leftMs + px / this.pxPerMs);
  }

  /** @param {number} ms */
  centre(ms) {
    this.scrollTo(ms - this.spanMs / 2);
  }

  follow() {
    this.#pinnedLeftMs = null;
  }

  /**
   * Zoom in (1) or out (-1): around the middle, or around the newest while it follows.
   * @param {1 | -1} steps
   */
  zoom(steps) {
    const middleMs = this.leftMs + this.spanMs / 2;
    this.#zoom = Math.max(0, Math.min(ZOOMS_PX_PER_CHUNK.length - 1, this.#zoom + steps));
    if (!this.follows) this.centre(middleMs);
  }

  /** A session begins at the left edge; once it fills the view, its newest stays at the right. */
  get #liveLeftMs() {
    return Math.max(0, this.#nowMs - this.spanMs + AHEAD_PX / this.pxPerMs);
  }
}
