/** @file The protocol of `/v1/stream`: JSON events and binary PCM16 over one WebSocket. */

import { ConsoleError, LOST, NO_ANSWER, refused, serverSaid } from "./problems.js";

/** @import { Kind } from "./kinds.js" */
/** @import { Problem } from "./problems.js" */

/**
 * @typedef {{text: string, start_ms: number, end_ms: number}} Word
 *
 * @typedef {{type: "session.opened", session_id: string, model: string, chunk_ms: number}
 *   | {type: "decision", chunk: number, end_ms: number, decision: "silent" | "respond",
 *      latency_ms: number}
 *   | {type: "response.started", turn: number, chunk: number, kind: Kind, emotion?: string}
 *   | {type: "response.text", turn: number, sequence: number, text: string, final: boolean,
 *      words?: Word[]}
 *   | {type: "response.ended", turn: number,
 *      reason: "complete" | "interrupted" | "cancelled" | "error"}
 *   | {type: "gap" | "overrun", start_ms: number, end_ms: number, chunks: number}
 *   | {type: "error", code: string, message: string}
 *   | {type: "session.closed", reason: string, chunks: number, turns: number}} ServerEvent
 *
 * @typedef {object} SessionSpec
 * @property {string} instruction
 * @property {string[]} abilities empty = what the instruction says
 *
 * @typedef {object} Listener
 * @property {(event: ServerEvent) => void} event each event after `session.opened`
 * @property {(problem: Problem | null) => void} closed once; null when the session ended in order
 */

const OPEN_WITHIN_MS = 10_000;

/** An open session. It lives and dies with its socket: there is no reconnect in this version. */
export class Connection {
  #socket;
  #ended = false;

  /**
   * Open a session. Throws ConsoleError with the reason when the server gives none.
   * @param {SessionSpec} spec
   * @param {number} sampleRateHz of the audio that will be sent
   * @param {Listener} listener
   * @returns {Promise<{connection: Connection, opened: ServerEvent & {type: "session.opened"}}>}
   */
  static async open(spec, sampleRateHz, listener) {
    const socket = new WebSocket(streamUrl("ws"));
    socket.binaryType = "arraybuffer";
    await connected(socket);
    const first = firstEvent(socket);
    socket.send(JSON.stringify(openMessage(spec, sampleRateHz)));
    const opened = await first;
    return { connection: new Connection(socket, listener), opened };
  }

  /**
   * @param {WebSocket} socket on which `session.opened` has arrived
   * @param {Listener} listener
   */
  constructor(socket, listener) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const event = /** @type {ServerEvent} */ (JSON.parse(data));
      if (event.type === "session.closed") this.#ended = true;
      listener.event(event);
    };
    socket.onclose = () => listener.closed(this.#ended ? null : LOST);
  }

  /** How much waits in the browser because the network is slow, in bytes. */
  get unsentBytes() {
    return this.#socket.bufferedAmount;
  }

  /** @param {Int16Array<ArrayBuffer>} pcm */
  sendAudio(pcm) {
    this.#send(pcm);
  }

  /** @param {string} text */
  instruct(text) {
    this.#send(JSON.stringify({ type: "instruct", text }));
  }

  /** @param {number} turn */
  cancel(turn) {
    this.#send(JSON.stringify({ type: "cancel", turn }));
  }

  /** Say that no more audio comes; what is left to say follows, then `session.closed`. */
  endAudio() {
    this.#send(JSON.stringify({ type: "audio.end" }));
  }

  /** Leave at once, without waiting for what is left to say. */
  leave() {
    this.#ended = true;
    this.#socket.close(1000);
  }

  /**
   * What is sent while the socket closes is lost in any case; `closed` tells of it.
   * @param {string | Int16Array<ArrayBuffer>} message
   */
  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }
}

/**
 * @param {SessionSpec} spec
 * @param {number} sampleRateHz
 */
function openMessage(spec, sampleRateHz) {
  return {
    type: "session.open",
    ...spec,
    audio: { encoding: "pcm_s16le", sample_rate_hz: sampleRateHz, channels: 1, layout: "mix" },
  };
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
 * @returns {Promise<ServerEvent & {type: "session.opened"}>}
 */
function firstEvent(socket) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(NO_ANSWER), OPEN_WITHIN_MS);
    /** @param {Problem} problem */
    const fail = (problem) => {
      clearTimeout(timer);
      reject(new ConsoleError(problem));
      socket.close();
    };
    socket.onclose = () => fail(LOST);
    socket.onmessage = ({ data }) => {
      const event = /** @type {ServerEvent} */ (JSON.parse(data));
      if (event.type !== "session.opened") {
        fail(event.type === "error" ? serverSaid(event) : LOST);
        return;
      }
      clearTimeout(timer);
      resolve(event);
    };
  });
}
