/** @file How loud the audio is that was really sent: RMS as the bar, peak as the mark. */

import { decibels } from "./format.js";
import { FLOOR_DBFS, toDbfs } from "./pcm.js";

/** The bar spans this much; what is quieter shows as nothing. */
const RANGE_DB = 60;

/** A peak stays visible, then sinks. */
const PEAK_HOLD_MS = 800;
const PEAK_SINKS_DB_PER_S = 30;

/** After this long without a sound, say so: a muted microphone looks just like a quiet room. */
const SILENT_AFTER_MS = 4000;
const SILENT_BELOW_DBFS = -70;

export class Meter {
  #element;
  #bar;
  #mark;
  #figure;
  #heldDbfs = FLOOR_DBFS;
  #heldAtMs = 0;
  #soundAtMs = 0;

  /**
   * @param {HTMLElement} element with role="meter" and children .bar and .mark
   * @param {HTMLElement} figure where the numbers go
   */
  constructor(element, figure) {
    this.#element = element;
    this.#bar = /** @type {HTMLElement} */ (element.querySelector(".bar"));
    this.#mark = /** @type {HTMLElement} */ (element.querySelector(".mark"));
    this.#figure = figure;
  }

  /**
   * @param {number} atMs of the session
   * @param {{peak: number, rms: number}} loudness
   */
  show(atMs, { peak, rms }) {
    const peakDbfs = toDbfs(peak);
    const rmsDbfs = toDbfs(rms);
    if (peakDbfs > SILENT_BELOW_DBFS) this.#soundAtMs = atMs;
    const heldDbfs = this.#hold(peakDbfs, atMs);
    this.#draw(rmsDbfs, heldDbfs, peak >= 1);
    const silent = atMs - this.#soundAtMs > SILENT_AFTER_MS;
    this.#figure.textContent = silent
      ? "no sound — muted?"
      : `RMS ${decibels(rmsDbfs, FLOOR_DBFS)} · peak ${decibels(heldDbfs, FLOOR_DBFS)}`;
  }

  reset() {
    this.#heldDbfs = FLOOR_DBFS;
    this.#heldAtMs = 0;
    this.#soundAtMs = 0;
    this.#draw(FLOOR_DBFS, FLOOR_DBFS, false);
    this.#figure.textContent = "nothing is sent";
  }

  /**
   * The peak to show now: held for a while, then sinking.
   * @param {number} peakDbfs
   * @param {number} atMs
   */
  #hold(peakDbfs, atMs) {
    const sinksForS = Math.max(0, atMs - this.#heldAtMs - PEAK_HOLD_MS) / 1000;
    const sunkDbfs = this.#heldDbfs - sinksForS * PEAK_SINKS_DB_PER_S;
    if (peakDbfs < sunkDbfs) return sunkDbfs;
    this.#heldDbfs = peakDbfs;
    this.#heldAtMs = atMs;
    return peakDbfs;
  }

  /**
   * @param {number} rmsDbfs
   * @param {number} heldDbfs
   * @param {boolean} clips
   */
  #draw(rmsDbfs, heldDbfs, clips) {
    this.#bar.style.setProperty("--share", `${share(rmsDbfs) * 100}%`);
    this.#mark.style.left = `${share(heldDbfs) * 100}%`;
    this.#element.classList.toggle("clips", clips);
    this.#element.setAttribute("aria-valuenow", String(Math.round(rmsDbfs)));
  }
}

/** @param {number} dbfs */
function share(dbfs) {
  return Math.max(0, Math.min(1, 1 + dbfs / RANGE_DB));
}
