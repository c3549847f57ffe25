/** @file Everything that can go wrong, in plain words: what happened, and what to do. */

/**
 * @typedef {object} Problem
 * @property {string} title what happened
 * @property {string} advice what to do; may be empty
 */

/** An error that is already in words for the person at the screen. */
export class ConsoleError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** @type {Readonly<Record<string, Problem>>} by DOMException name */
const MICROPHONE = Object.freeze({
  NotAllowedError: {
    title: "The microphone was refused.",
    advice: "Allow it for this page in the browser's address bar, then start again.",
  },
  NotFoundError: {
    title: "There is no microphone.",
    advice: "Plug one in and start again, or use an audio file.",
  },
  NotReadableError: {
    title: "The microphone cannot be opened.",
    advice: "Another program may hold it. Close that, then start again.",
  },
});

const AS_ASKED = Object.freeze(["complete", "closed_by_caller"]);

/** @type {Readonly<Record<string, Problem>>} by the `reason` of session.closed */
const CLOSED = Object.freeze({
  idle: {
    title: "The session ended: no audio arrived for a long time.",
    advice: "Start again for a new session.",
  },
  client_gone: {
    title: "The session ended: the server lost sight of this page.",
    advice: "Check the network, then start again for a new session.",
  },
  client_too_slow: {
    title: "The session ended: this page read its events too slowly.",
    advice: "Close other busy tabs, then start again for a new session.",
  },
  error: {
    title: "The session ended with an error.",
    advice: "Start again for a new session; the server's log has the details.",
  },
  overloaded: {
    title: "The session ended: the server has no room for it.",
    advice: "Start again in a while.",
  },
  shutdown: {
    title: "The server was shut down.",
    advice: "Start it again (make run), then start a new session here.",
  },
});

/** @type {Problem} */
export const LOST = Object.freeze({
  title: "The connection to the server was lost.",
  advice:
    "It could not be made again in time, so the session is over; what was said stays below. " +
    "See that the server runs, then start a new session.",
});

/** @type {Problem} */
export const NO_ANSWER = Object.freeze({
  title: "The server does not answer.",
  advice: "See that it runs (make run), then start again.",
});

/** @type {Problem} */
export const NETWORK_TOO_SLOW = Object.freeze({
  title: "The network does not keep up with the audio.",
  advice: "The session was ended. Use a faster connection, then start again.",
});

/** @type {Problem} */
export const NEVER_FINISHED = Object.freeze({
  title: "The server did not finish.",
  advice: "The session was left; what was said so far stays below. The server's log may say why.",
});

/** @type {Problem} */
export const MICROPHONE_GONE = Object.freeze({
  title: "The microphone was unplugged or taken away.",
  advice: "What was heard so far is being finished. Plug it in, then start again.",
});

/** @type {Problem} */
export const NO_FILE = Object.freeze({
  title: "No audio file is chosen.",
  advice: "Choose or drop one, or switch to the microphone.",
});

/** @type {Problem} */
export const NO_CLIPBOARD = Object.freeze({
  title: "The browser does not let this page copy.",
  advice: "Mark the text in the list and copy it by hand.",
});

/** @type {Problem} */
export const INSECURE_PAGE = Object.freeze({
  title: "The browser gives no audio to this page.",
  advice: "Open it at http://127.0.0.1 or http://localhost, or over https.",
});

/**
 * @param {unknown} error what getUserMedia threw
 * @returns {Problem}
 */
export function microphoneProblem(error) {
  const name = error instanceof Error ? error.name : "";
  return (
    MICROPHONE[name] ?? {
      title: "The microphone cannot be used.",
      advice: `The browser says: ${error}. Use an audio file instead.`,
    }
  );
}

/**
 * @param {string} name of the file
 * @returns {Problem}
 */
export function undecodable(name) {
  return {
    title: `The browser cannot read “${name}” as audio.`,
    advice: "Use WAV, MP3, FLAC, Ogg or M4A, or convert it: ffmpeg -i FILE out.wav",
  };
}

/**
 * @param {string} name of the file
 * @param {number} limitBytes
 * @returns {Problem}
 */
export function tooLarge(name, limitBytes) {
  return {
    title: `“${name}” is too large for the browser's memory.`,
    advice: `Up to ${limitBytes / 1e6} MB work here; for more use: soundflow listen FILE`,
  };
}

/**
 * Why no session could be opened.
 * @param {{status: number, retryAfterS: number | null} | null} answer to a plain HTTP request of
 *   the same address; null when nobody answered
 * @returns {Problem}
 */
export function refused(answer) {
  if (answer === null) return NO_ANSWER;
  if (answer.status === 429) {
    const wait = answer.retryAfterS ? `in ${answer.retryAfterS} s` : "in a moment";
    return {
      title: "The server is busy: all its sessions are taken.",
      advice: `Sessions that run keep their speed. Start again ${wait}.`,
    };
  }
  if (answer.status === 503) {
    return {
      title: "The server is not ready: it is starting up or shutting down.",
      advice: "Start again in a moment.",
    };
  }
  return {
    title: "The session could not be opened, although the server answers.",
    advice: "Start again; if that does not help, a proxy in between may not let WebSockets pass.",
  };
}

/**
 * An `error` event: its message already says what is wrong and what to do.
 * @param {{code: string, message: string}} event
 * @returns {Problem}
 */
export function serverSaid({ code, message }) {
  return { title: `The server reports: ${message}`, advice: `Code: ${code}` };
}

/**
 * Why a session ended, when it did not end as asked; null when it did.
 * @param {string} reason of session.closed
 * @returns {Problem | null}
 */
export function closedFor(reason) {
  if (AS_ASKED.includes(reason)) return null;
  return CLOSED[reason] ?? { title: `The session ended: ${reason}.`, advice: "Start again." };
}

/**
 * The words for whatever was thrown; nothing is ever swallowed.
 * @param {unknown} error
 * @returns {Problem}
 */
export function inWords(error) {
  if (error instanceof ConsoleError) return error.problem;
  return {
    title: "Something in this page went wrong.",
    advice: `Reload it. The browser says: ${error}`,
  };
}
