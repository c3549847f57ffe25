/** @file One run from start to end: a source's audio goes out, events come in, and it ends once. */

import { Connection } from "./connection.js";
import { level, toPcm16 } from "./pcm.js";
import { NETWORK_TOO_SLOW, NEVER_FINISHED, closedFor, inWords, serverSaid } from "./problems.js";

/** @import { AudioSource } from "./capture.js" */
/** @import { ServerEvent, SessionSpec } from "./connection.js" */
/** @import { Problem } from "./problems.js" */

/**
 * @typedef {"starting" | "live" | "finishing" | "reconnecting" | "over"} SessionState
 *
 * @typedef {object} SessionListener
 * @property {(state: SessionState) => void} state; "reconnecting" passes, and is followed by the
 *   state before
 * @property {(event: ServerEvent) => void} event
 * @property {(sentMs: number, loudness: {peak: number, rms: number}) => void} sent after each
 *   block: all that was sent so far, and how loud the block was
 * @property {(problem: Problem) => void} problem
 */

/** More than this waiting in the browser means that the network will not catch up. */
const MAX_UNSENT_MS = 20_000;

/** How long the server may take to say what is left, once the audio has ended. */
const FINISH_WITHIN_MS = 30_000;

export class Session {
  /** @type {SessionState} */
  #state = "starting";
  /** @type {Connection | null} */
  #connection = null;
  /** @type {AudioSource | null} */
  #source = null;
  #listener;
  #sentSamples = 0;
  #finishTimer = 0;

  /** @param {SessionListener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  get state() {
    return this.#state;
  }

  /**
   * Open the source, then the session, then let the audio flow. What fails is told as a problem.
   * @param {() => Promise<AudioSource>} openSource
   * @param {SessionSpec} spec
   */
  async start(openSource, spec) {
    this.#enter("starting");
    try {
      this.#source = await openSource();
      await this.#open(this.#source, spec);
    } catch (error) {
      this.#listener.problem(inWords(error));
      await this.#over();
    }
  }

  /** @param {string} text */
  instruct(text) {
    this.#connection?.instruct(text);
  }

  /** @param {number} turn */
  cancel(turn) {
    this.#connection?.cancel(turn);
  }

  /** End the audio and wait for what is left to be said. */
  async finish() {
    if (this.#state !== "live") return;
    this.#enter("finishing");
    this.#finishTimer = setTimeout(() => {
      this.#listener.problem(NEVER_FINISHED);
      this.leave();
    }, FINISH_WITHIN_MS);
    await this.#source?.stop();
    this.#connection?.endAudio();
  }

  /** End at once; what was still to be said is lost. */
  leave() {
    this.#connection?.leave();
  }

  /**
   * @param {AudioSource} source
   * @param {SessionSpec} spec
   */
  async #open(source, spec) {
    const { connection, opened } = await Connection.open(spec, source.sampleRateHz, {
      event: (event) => this.#heard(event),
      lost: (isLost) => this.#lost(isLost),
      closed: (problem) => this.#closed(problem),
    });
    this.#connection = connection;
    this.#enter("live");
    this.#listener.event(opened);
    source.onEnded = (problem) => {
      if (problem) this.#listener.problem(problem);
      this.finish();
    };
    source.start((samples) => this.#send(samples, source.sampleRateHz));
  }

  /**
   * @param {Float32Array} samples
   * @param {number} sampleRateHz
   */
  #send(samples, sampleRateHz) {
    const connection = this.#connection;
    if (!connection || this.#state === "over") return;
    const pcm = toPcm16(samples);
    connection.sendAudio(pcm);
    this.#sentSamples += pcm.length;
    this.#listener.sent((this.#sentSamples / sampleRateHz) * 1000, level(pcm));
    const unsentMs = (connection.unsentBytes / 2 / sampleRateHz) * 1000;
    if (unsentMs <= MAX_UNSENT_MS) return;
    this.#listener.problem(NETWORK_TOO_SLOW);
    connection.leave();
  }

  /** @param {ServerEvent} event */
  #heard(event) {
    this.#listener.event(event);
    if (event.type === "error") this.#listener.problem(serverSaid(event));
    if (event.type !== "session.closed") return;
    const problem = closedFor(event.reason);
    // An `error` event has already said more than "ended with an error" does.
    if (problem && event.reason !== "error") this.#listener.problem(problem);
  }

  /**
   * The audio flows on meanwhile: what the server missed is sent again.
   * @param {boolean} isLost
   */
  #lost(isLost) {
    if (this.#state !== "over") this.#listener.state(isLost ? "reconnecting" : this.#state);
  }

  /** @param {Problem | null} problem */
  #closed(problem) {
    if (problem) this.#listener.problem(problem);
    this.#over();
  }

  async #over() {
    if (this.#state === "over") return;
    const sourceRuns = this.#state !== "finishing";
    clearTimeout(this.#finishTimer);
    this.#enter("over");
    if (sourceRuns) await this.#source?.stop();
  }

  /** @param {SessionState} state */
  #enter(state) {
    this.#state = state;
    this.#listener.state(state);
  }
}
