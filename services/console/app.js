/** @file The console: one page, at most one session at a time. Ties the parts together. */

import { Controls } from "./controls.js";
import { byId } from "./elements.js";
import { duration } from "./format.js";
import { Meter } from "./meter.js";
import { NO_CLIPBOARD } from "./problems.js";
import { Session } from "./session.js";
import { SessionStats } from "./stats.js";
import { StatsView } from "./stats_view.js";
import { Timeline } from "./timeline.js";
import { Transcript, asText } from "./transcript.js";
import { Announcer, TranscriptView } from "./transcript_view.js";

/** @import { ServerEvent } from "./connection.js" */
/** @import { Problem } from "./problems.js" */
/** @import { SessionState } from "./session.js" */
/** @import { Turn } from "./transcript.js" */

const COPIED_SHOWN_MS = 1500;

const STATE_WORDS = Object.freeze({
  starting: "Connecting",
  live: "Listening",
  finishing: "Finishing",
  reconnecting: "Reconnecting",
  over: "Ended",
});

class Console {
  #state = byId("state", HTMLParagraphElement);
  #model = byId("model", HTMLElement);
  #sessionId = byId("session-id", HTMLElement);
  #elapsed = byId("elapsed", HTMLElement);
  #empty = byId("timeline-empty", HTMLParagraphElement);
  #problem = byId("problem", HTMLDivElement);
  #copy = byId("copy", HTMLButtonElement);
  #controls = new Controls({
    start: () => this.#start(),
    stop: () => this.#stop(),
    instruct: (text) => this.#instruct(text),
    problem: (problem) => this.#tell(problem),
  });
  #meter = new Meter(byId("meter", HTMLDivElement), byId("level", HTMLSpanElement));
  #statsView = new StatsView(byId("stats", HTMLDListElement));
  #said = new TranscriptView({
    list: byId("turns", HTMLOListElement),
    toNewest: byId("to-newest", HTMLButtonElement),
    announcer: new Announcer(byId("polite", HTMLDivElement), byId("urgent", HTMLDivElement)),
    onCancel: (turn) => this.#session?.cancel(turn),
    onSeek: (ms) => this.#timeline.seek(ms),
  });
  #timeline = new Timeline({
    canvas: byId("timeline", HTMLCanvasElement),
    tip: byId("tip", HTMLDivElement),
    toLive: byId("to-live", HTMLButtonElement),
    onPick: (turn) => this.#said.reveal(turn),
  });
  #transcript = new Transcript();
  #stats = new SessionStats();
  #sentMs = 0;
  /** @type {Session | null} */
  #session = null;

  constructor() {
    byId("problem-close", HTMLButtonElement).addEventListener("click", () => {
      this.#problem.hidden = true;
    });
    byId("zoom-in", HTMLButtonElement).addEventListener("click", () => this.#timeline.zoom(1));
    byId("zoom-out", HTMLButtonElement).addEventListener("click", () => this.#timeline.zoom(-1));
    this.#copy.addEventListener("click", () => this.#copyText());
    addEventListener("pagehide", () => this.#session?.leave());
  }

  #start() {
    this.#reset();
    this.#session = new Session({
      state: (state) => this.#entered(state),
      event: (event) => this.#heard(event),
      sent: (sentMs, loudness) => this.#sent(sentMs, loudness),
      problem: (problem) => this.#tell(problem),
    });
    this.#session.start(() => this.#controls.openSource(), this.#controls.spec);
  }

  #stop() {
    if (this.#session?.state === "finishing") this.#session.leave();
    else this.#session?.finish();
  }

  #reset() {
    this.#problem.hidden = true;
    this.#transcript = new Transcript();
    this.#stats = new SessionStats();
    this.#sentMs = 0;
    this.#copy.disabled = true;
    this.#timeline.reset(this.#transcript);
    this.#said.clear();
    this.#statsView.show(this.#stats.snapshot());
  }

  /** @param {SessionState} state */
  #entered(state) {
    this.#state.dataset.state = state;
    this.#state.textContent = STATE_WORDS[state];
    this.#controls.show(state);
    this.#timeline.live = state !== "starting" && state !== "over";
    if (state === "live") this.#empty.hidden = true;
    if (state !== "over") return;
    this.#meter.reset();
    for (const turn of this.#transcript.breakOff()) this.#said.show(turn);
  }

  /** @param {ServerEvent} event */
  #heard(event) {
    const turn = this.#transcript.apply(event);
    this.#stats.apply(event);
    this.#timeline.apply(event, turn);
    if (turn) this.#show(turn);
    else this.#note(event);
    this.#statsView.show(this.#stats.snapshot());
  }

  /** @param {Turn} turn */
  #show(turn) {
    this.#said.show(turn);
    this.#copy.disabled = false;
  }

  /**
   * Events that are not part of a turn, but belong to the record.
   * @param {ServerEvent} event
   */
  #note(event) {
    switch (event.type) {
      case "session.opened":
        this.#model.textContent = event.model;
        this.#sessionId.textContent = event.session_id;
        this.#said.note(`Session opened. ${this.#task()}`, 0, "session");
        break;
      case "session.resumed":
        this.#said.note("The connection was lost, and is back.", this.#sentMs, "session");
        break;
      case "gap":
        this.#said.note(lost(event, "never arrived; it was heard as silence"), event.start_ms, "loss");
        break;
      case "overrun":
        this.#said.note(lost(event, "was not heard in time and was dropped"), event.start_ms, "loss");
        break;
      case "session.closed":
        this.#said.note(`Session closed (${event.reason}).`, this.#sentMs, "session");
        break;
    }
  }

  #task() {
    const { instruction, abilities } = this.#controls.spec;
    const asked = [instruction && `“${instruction}”`, abilities.join(", ")].filter(Boolean);
    return asked.length ? `Asked: ${asked.join(" · ")}` : "Nothing asked yet.";
  }

  /** @param {string} text */
  #instruct(text) {
    this.#session?.instruct(text);
    this.#timeline.instructed(text);
    this.#said.note(`New instruction: “${text}”`, this.#sentMs, "instruction");
  }

  /**
   * @param {number} sentMs
   * @param {{peak: number, rms: number}} loudness
   */
  #sent(sentMs, loudness) {
    this.#sentMs = sentMs;
    this.#elapsed.textContent = duration(sentMs);
    this.#meter.show(sentMs, loudness);
    this.#timeline.sent(sentMs, loudness.peak);
    this.#controls.sent(sentMs);
  }

  async #copyText() {
    try {
      await navigator.clipboard.writeText(asText(this.#transcript.turns));
    } catch {
      this.#tell(NO_CLIPBOARD);
      return;
    }
    this.#copy.textContent = "Copied";
    setTimeout(() => (this.#copy.textContent = "Copy text"), COPIED_SHOWN_MS);
  }

  /** @param {Problem} problem */
  #tell({ title, advice }) {
    byId("problem-title", HTMLElement).textContent = title;
    byId("problem-advice", HTMLParagraphElement).textContent = advice;
    this.#problem.hidden = false;
  }
}

/**
 * @param {{start_ms: number, end_ms: number}} span
 * @param {string} what
 */
function lost({ start_ms: startMs, end_ms: endMs }, what) {
  return `${((endMs - startMs) / 1000).toFixed(1)} s of audio ${what}.`;
}

new Console();
