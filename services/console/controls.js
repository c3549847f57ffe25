/** @file The form: what to listen to, what to do with it, start, stop, and new instructions. */

import { byId, make } from "./elements.js";
import { FilePanel } from "./file_panel.js";
import { Microphone } from "./microphone.js";

/** @import { AudioSource } from "./capture.js" */
/** @import { SessionSpec } from "./connection.js" */
/** @import { Problem } from "./problems.js" */
/** @import { SessionState } from "./session.js" */

const EXAMPLES = Object.freeze([
  "Transcribe what is said",
  "Translate into English",
  "Count the dog barks",
  "Tell me about sounds",
  "Warn me of danger",
  "Answer my questions",
]);

const ABILITIES = Object.freeze({
  transcribe: "Transcribe",
  translate: "Translate",
  describe: "Describe",
  count: "Count",
  proactive: "Warn",
  chat: "Answer",
});

/**
 * @typedef {object} ControlsListener
 * @property {() => void} start
 * @property {() => void} stop
 * @property {(text: string) => void} instruct sent while a session is live
 * @property {(problem: Problem) => void} problem
 */

export class Controls {
  #form = byId("controls", HTMLFormElement);
  #filePart = byId("file-part", HTMLDivElement);
  #instruction = byId("instruction", HTMLTextAreaElement);
  #send = byId("send", HTMLButtonElement);
  #abilities = byId("abilities", HTMLDivElement);
  #start = byId("start", HTMLButtonElement);
  #stop = byId("stop", HTMLButtonElement);
  #listener;
  #files;
  #live = false;

  /** @param {ControlsListener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#files = new FilePanel({
      onProblem: listener.problem,
      onChosen: () => this.#choose("file"),
    });
    this.#addExamples();
    this.#addAbilities();
    this.#listen();
    this.#showSource();
  }

  /** @returns {SessionSpec} */
  get spec() {
    const abilities = [...this.#checkboxes].filter((box) => box.checked).map((box) => box.value);
    return { instruction: this.#instruction.value.trim(), abilities };
  }

  /**
   * Open the chosen source. Throws ConsoleError.
   * @returns {Promise<AudioSource>}
   */
  openSource() {
    return this.#usesFile ? this.#files.open() : Microphone.open();
  }

  /** @param {number} sentMs */
  sent(sentMs) {
    if (this.#usesFile) this.#files.sent(sentMs);
  }

  /** @param {SessionState} state */
  show(state) {
    const over = state === "over";
    this.#live = state === "live";
    this.#start.hidden = !over;
    this.#stop.hidden = over;
    this.#stop.disabled = state === "starting";
    this.#stop.textContent = state === "finishing" ? "Leave now" : "Stop";
    this.#send.disabled = !this.#live;
    this.#files.locked = !over;
    for (const input of [...this.#sources, ...this.#checkboxes]) input.disabled = !over;
  }

  get #usesFile() {
    return this.#sources[1].checked;
  }

  get #sources() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (
      this.#form.querySelectorAll("input[name=source]")
    );
  }

  get #checkboxes() {
    return this.#abilities.querySelectorAll("input");
  }

  #listen() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#start.hidden) this.#listener.start();
    });
    this.#stop.addEventListener("click", () => this.#listener.stop());
    this.#send.addEventListener("click", () => this.#sendInstruction());
    this.#instruction.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      if (this.#live) this.#sendInstruction();
      else this.#form.requestSubmit();
    });
    this.#sources.forEach((input) => input.addEventListener("change", () => this.#showSource()));
  }

  #addExamples() {
    const chips = EXAMPLES.map((text) => {
      const chip = make("button", "chip", text);
      chip.type = "button";
      chip.addEventListener("click", () => {
        this.#instruction.value = text;
        if (this.#live) this.#sendInstruction();
      });
      return chip;
    });
    byId("examples", HTMLDivElement).append(...chips);
  }

  #addAbilities() {
    for (const [value, label] of Object.entries(ABILITIES)) {
      const box = make("input", "");
      box.type = "checkbox";
      box.value = value;
      this.#abilities.append(make("label", "toggle", box, make("span", "", label)));
    }
  }

  #sendInstruction() {
    const text = this.#instruction.value.trim();
    if (text) this.#listener.instruct(text);
  }

  /** @param {"microphone" | "file"} source */
  #choose(source) {
    this.#sources[source === "file" ? 1 : 0].checked = true;
    this.#showSource();
  }

  #showSource() {
    this.#filePart.hidden = !this.#usesFile;
  }
}
