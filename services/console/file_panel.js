/** @file Choosing or dropping a file, its outline, and how far it has been played. */

import { byId } from "./elements.js";
import { duration } from "./format.js";
import { FileSource, readRecording } from "./file_source.js";
import { ConsoleError, NO_FILE, inWords } from "./problems.js";

/** @import { Recording } from "./file_source.js" */
/** @import { Problem } from "./problems.js" */

export class FilePanel {
  #drop = byId("drop", HTMLLabelElement);
  #input = byId("file", HTMLInputElement);
  #name = byId("file-name", HTMLSpanElement);
  #outline = byId("outline", HTMLCanvasElement);
  #progress = byId("progress", HTMLProgressElement);
  #position = byId("position", HTMLSpanElement);
  #aloud = byId("aloud", HTMLInputElement);
  #onProblem;
  #onChosen;
  /** @type {Promise<Recording> | null} */
  #recording = null;
  /** @type {Recording | null} */
  #shown = null;
  /** @type {FileSource | null} */
  #source = null;

  /**
   * @param {object} listener
   * @param {(problem: Problem) => void} listener.onProblem
   * @param {() => void} listener.onChosen a file was picked or dropped anywhere on the page
   */
  constructor({ onProblem, onChosen }) {
    this.#onProblem = onProblem;
    this.#onChosen = onChosen;
    this.#input.addEventListener("change", () => this.#choose(this.#input.files));
    this.#aloud.addEventListener("change", () => this.#applyAloud());
    document.addEventListener("dragover", (event) => this.#dragged(event, true));
    document.addEventListener("dragleave", (event) => this.#dragged(event, false));
    document.addEventListener("drop", (event) => {
      this.#dragged(event, false);
      if (!this.#input.disabled) this.#choose(event.dataTransfer?.files ?? null);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** @param {boolean} locked while a session runs */
  set locked(locked) {
    this.#input.disabled = locked;
    this.#drop.classList.toggle("locked", locked);
  }

  /**
   * Make a source of the chosen file. Throws ConsoleError when there is none, or none to be read.
   * @returns {Promise<FileSource>}
   */
  async open() {
    if (!this.#recording) throw new ConsoleError(NO_FILE);
    this.#source = await FileSource.open(await this.#recording);
    this.#applyAloud();
    return this.#source;
  }

  /**
   * Show how far the file has been sent.
   * @param {number} sentMs
   */
  sent(sentMs) {
    if (!this.#shown) return;
    // The last block carries a little silence past the file's end.
    const doneMs = Math.min(sentMs, this.#shown.durationMs);
    this.#progress.value = doneMs / this.#shown.durationMs;
    this.#position.textContent = `${duration(doneMs)} / ${duration(this.#shown.durationMs)}`;
    this.#draw();
  }

  #applyAloud() {
    if (this.#source) this.#source.aloud = this.#aloud.checked;
  }

  /**
   * @param {DragEvent} event
   * @param {boolean} over
   */
  #dragged(event, over) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.#drop.classList.toggle("over", over && !this.#input.disabled);
  }

  /** @param {FileList | null} files the first one counts */
  async #choose(files) {
    const file = files?.[0];
    if (!file) return;
    this.#onChosen();
    this.#show(null, `Reading “${file.name}” …`);
    const reading = readRecording(file);
    this.#recording = reading;
    try {
      const recording = await reading;
      if (this.#recording === reading) this.#show(recording, recording.name);
    } catch (error) {
      if (this.#recording !== reading) return;
      this.#recording = null;
      this.#show(null, "Choose another file, or drop it here");
      this.#onProblem(inWords(error));
    }
  }

  /**
   * @param {Recording | null} recording
   * @param {string} name
   */
  #show(recording, name) {
    this.#shown = recording;
    this.#name.textContent = name;
    this.#position.textContent = "–";
    this.#progress.value = 0;
    this.sent(0);
    this.#draw();
  }

  #draw() {
    const canvas = this.#outline;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    if (!this.#shown) return;
    const style = getComputedStyle(canvas);
    const [playedColour, restColour] = ["--accent", "--quiet"].map((name) =>
      style.getPropertyValue(name),
    );
    const stepPx = canvas.width / this.#shown.outline.length;
    const played = this.#progress.value * this.#shown.outline.length;
    this.#shown.outline.forEach((peak, i) => {
      const high = Math.max(devicePixelRatio, Math.sqrt(peak) * canvas.height);
      pen.fillStyle = i < played ? playedColour : restColour;
      pen.fillRect(i * stepPx, (canvas.height - high) / 2, Math.max(1, stepPx * 0.65), high);
    });
  }
}
