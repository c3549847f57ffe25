/** @file The protocol of `/v1/stream`: JSON events and binary PCM16 over one WebSocket. */

import { ConsoleError, LOST, NO_ANSWER, refused, serverSaid } from "./problems.js";
import { SentAudio } from "./sent_audio.js";

/** @import { Kind } from "./kinds.js" */
/** @import { Problem } from "./problems.js" */

/**
 * @typedef {{text: string, start_ms: number, end_ms: number}} Word
 *
 * @typedef {{type: "session.opened", session_id: string, model: string, chunk_ms: number,
 *      resume_token: string}
 *   | {type: "session.resumed", chunk: number, chunk_ms: number}
 *   | {type: "decision", chunk: number, end_ms: number, decision: "silent" | "respond",
 *      latency_ms: number}
 *   | {type: "response.started", turn: number, chunk: number, kind: Kind, emotion?: string}
 *   | {type: "response.text", turn: number, sequence: number, text: string, final: boolean,
 *      words?: Word[]}
 *   | {type: "response.ended", turn: number,
 *      reason: "complete" | "interrupted" | "cancelled" | "error"}
 *   | {type: "gap" | "overrun", start_ms: number, end_ms: number, chunks: number}
 *   | {type: "error", code: string, message: string}
 *   | {type: "session.closed", reason: string, chunks: number, turns: number}} Event
 * @typedef {Event & {id?: number}} ServerEvent
 *
 * @typedef {ServerEvent & {type: "session.opened"}} Opened
 *
 * @typedef {object} SessionSpec
 * @property {string} instruction
 * @property {string[]} abilities empty = what the instruction says
 *
 * @typedef {object} Listener
 * @property {(event: ServerEvent) => void} event each event after `session.opened`
 * @property {(isLost: boolean) => void} lost the socket broke, and is being made again; or is back
 * @property {(problem: Problem | null) => void} closed once; null when the session ended in order
 */

const OPEN_WITHIN_MS = 10_000;

/** By then the server has closed what nobody came back for. */
const RESUME_WITHIN_MS = 20_000;
const RETRY_MS = 1000;

/** What the server says that no later moment would change. */
const FINAL = Object.freeze(["bad_token", "session_unknown", "session_moved"]);

/** An open session, over one socket after another: one that breaks is made again. */
export class Connection {
  #socket;
  #opened;
  #sent;
  #listener;
  #sampleRateHz;
  #lastEventId = 0;
  /** The first sample that was not sent on this socket. */
  #place = 0;
  /** @type {string[]} what was to be said while there was no socket */
  #unsaid = [];
  #ended = false;
  #audioEnded = false;
  #moved = false;

  /**
   * Open a session. Throws ConsoleError with the reason when the server gives none.
   * @param {SessionSpec} spec
   * @param {number} sampleRateHz of the audio that will be sent
   * @param {Listener} listener
   * @returns {Promise<{connection: Connection, opened: Opened}>}
   */
  static async open(spec, sampleRateHz, listener) {
    const { socket, event } = await begin(openMessage(spec, sampleRateHz));
    if (event.type !== "session.opened") throw new ConsoleError(LOST);
    const connection = new Connection(socket, event, sampleRateHz, listener);
    return { connection, opened: event };
  }

  /**
   * @param {WebSocket} socket on which `session.opened` has arrived
   * @param {Opened} opened
   * @param {number} sampleRateHz
   * @param {Listener} listener
   */
  constructor(socket, opened, sampleRateHz, listener) {
    this.#socket = socket;
    this.#opened = opened;
    this.#sampleRateHz = sampleRateHz;
    this.#sent = new SentAudio(sampleRateHz);
    this.#listener = listener;
    this.#listen(socket);
  }

  /** How much waits in the browser because the network is slow, in bytes. */
  get unsentBytes() {
    return this.#isOpen ? this.#socket.bufferedAmount : 0;
  }

  /** @param {Int16Array<ArrayBuffer>} pcm */
  sendAudio(pcm) {
    this.#sent.append(pcm);
    this.#flush();
  }

  /** @param {string} text */
  instruct(text) {
    this.#say({ type: "instruct", text });
  }

  /** @param {number} turn */
  cancel(turn) {
    this.#say({ type: "cancel", turn });
  }

  /** Say that no more audio comes; what is left to say follows, then `session.closed`. */
  endAudio() {
    this.#audioEnded = true;
    if (this.#isOpen) this.#socket.send(JSON.stringify({ type: "audio.end" }));
  }

  /** Leave at once, without waiting for what is left to say. */
  leave() {
    const wasOpen = this.#isOpen;
    this.#ended = true;
    this.#socket.close(1000);
    if (!wasOpen) this.#listener.closed(null);
  }

  get #isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** @param {WebSocket} socket */
  #listen(socket) {
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
    socket.onclose = () => {
      if (this.#ended) this.#listener.closed(null);
      else if (this.#moved) this.#listener.closed(LOST);
      else this.#resume();
    };
  }

  /** @param {ServerEvent} event */
  #heard(event) {
    this.#lastEventId = event.id ?? this.#lastEventId;
    if (event.type === "session.closed") this.#ended = true;
    if (event.type === "gap") this.#sent.noteGap(event.start_ms, event.end_ms);
    if (event.type === "error" && event.code === "session_moved") this.#moved = true;
    this.#listener.event(event);
  }

  /** Send the samples that this socket has not carried yet. */
  #flush() {
    if (!this.#isOpen) return;
    for (const piece of this.#sent.since(this.#place)) this.#socket.send(piece);
    this.#place = this.#sent.end;
  }

  /** @param {object} message */
  #say(message) {
    const text = JSON.stringify(message);
    if (this.#isOpen) this.#socket.send(text);
    else this.#unsaid.push(text);
  }

  async #resume() {
    this.#listener.lost(true);
    const giveUpAt = performance.now() + RESUME_WITHIN_MS;
    while (!this.#ended && performance.now() < giveUpAt) {
      try {
        const { socket, event } = await begin(this.#resumeMessage());
        if (event.type !== "session.resumed") throw new ConsoleError(LOST);
        this.#goOn(socket, event);
        return;
      } catch (error) {
        const code = error instanceof Refusal ? error.code : "";
        if (FINAL.includes(code)) break;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    if (!this.#ended) this.#listener.closed(LOST);
  }

  /**
   * @param {WebSocket} socket
   * @param {ServerEvent & {type: "session.resumed"}} resumed
   */
  #goOn(socket, resumed) {
    if (this.#ended) {
      socket.close(1000);
      return;
    }
    this.#socket = socket;
    this.#listen(socket);
    this.#place = this.#sent.place(resumed.chunk * resumed.chunk_ms);
    this.#listener.lost(false);
    this.#listener.event(resumed);
    this.#flush();
    for (const text of this.#unsaid.splice(0)) socket.send(text);
    if (this.#audioEnded) this.endAudio();
  }

  #resumeMessage() {
    const { session_id, resume_token } = this.#opened;
    const session = { session_id, resume_token, last_event_id: this.#lastEventId };
    return { type: "session.resume", sessions: [session], audio: audioFormat(this.#sampleRateHz) };
  }
}

/** The server's own reason not to take a session. */
class Refusal extends ConsoleError {
  /** @param {{code: string, message: string}} event */
  constructor(event) {
    super(serverSaid(event));
    this.code = event.code;
  }
}

/**
 * Connect, and say what is wanted. Throws ConsoleError when the server refuses it.
 * @param {object} message
 * @returns {Promise<{socket: WebSocket, event: ServerEvent}>}
 */
async function begin(message) {
  const socket = new WebSocket(streamUrl("ws"));
  socket.binaryType = "arraybuffer";
  await connected(socket);
  const first = firstEvent(socket);
  socket.send(JSON.stringify(message));
  return { socket, event: await first };
}

/**
 * @param {SessionSpec} spec
 * @param {number} sampleRateHz
 */
function openMessage(spec, sampleRateHz) {
  return { type: "session.open", ...spec, audio: audioFormat(sampleRateHz) };
}

/** @param {number} sampleRateHz */
function audioFormat(sampleRateHz) {
  return { encoding: "pcm_s16le", sample_rate_hz: sampleRateHz, channels: 1, layout: "mix" };
}

/**
 * Relative to the page, so that the console also works behind a path of a reverse proxy.
 * @param {"ws" | "http"} scheme
 */
function streamUrl(scheme) {
  const url = new URL("v1/stream", document.baseURI);
  url.protocol = url.protocol.replace("http", scheme);
  return url;
}

/**
 * @param {WebSocket} socket
 * @returns {Promise<void>}
 */
function connected(socket) {
  return new Promise((resolve, reject) => {
    socket.onopen = () => {
      socket.onerror = null; // from here on, `onclose` says it all
      resolve();
    };
    socket.onerror = async () => reject(new ConsoleError(refused(await askWhy())));
  });
}

/**
 * A browser does not tell a page why a WebSocket was refused, so ask the same address plainly.
 * @returns {Promise<{status: number, retryAfterS: number | null} | null>}
 */
async function askWhy() {
  try {
    const answer = await fetch(streamUrl("http"), { cache: "no-store" });
    const retryAfter = answer.headers.get("Retry-After");
    return { status: answer.status, retryAfterS: retryAfter ? Number(retryAfter) : null };
  } catch {
    return null;
  }
}

/**
 * @param {WebSocket} socket
 * @returns {Promise<ServerEvent>}
 */
function firstEvent(socket) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(NO_ANSWER), OPEN_WITHIN_MS);
    /** @param {Problem | Error} problem */
    const fail = (problem) => {
      clearTimeout(timer);
      reject(problem instanceof Error ? problem : new ConsoleError(problem));
      socket.close();
    };
    socket.onclose = () => fail(LOST);
    socket.onmessage = ({ data }) => {
      const event = /** @type {ServerEvent} */ (JSON.parse(data));
      if (event.type === "error") {
        fail(new Refusal(event));
        return;
      }
      clearTimeout(timer);
      socket.onmessage = socket.onclose = null;
      resolve(event);
    };
  });
}
