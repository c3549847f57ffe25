/** @file What was sent last, kept so that it can be sent again after the connection broke. */

/** As long as the server keeps a session whose page is away, and more. */
export const KEPT_MS = 30_000;

/**
 * The newest samples, by their place in the session. Its time runs ahead of the samples by the gaps
 * in which the server heard silence.
 */
export class SentAudio {
  #samplesPerMs;
  #keptSamples;
  /** @type {Int16Array<ArrayBuffer>[]} */
  #pieces = [];
  #keptFrom = 0;
  /** @type {{atMs: number, lengthMs: number}[]} */
  #gaps = [];

  /** How many samples were appended so far. */
  end = 0;

  /**
   * @param {number} sampleRateHz
   * @param {number} keptMs
   */
  constructor(sampleRateHz, keptMs = KEPT_MS) {
    this.#samplesPerMs = sampleRateHz / 1000;
    this.#keptSamples = keptMs * this.#samplesPerMs;
  }

  /** @param {Int16Array<ArrayBuffer>} pcm */
  append(pcm) {
    this.#pieces.push(pcm);
    this.end += pcm.length;
    while (this.end - this.#keptFrom - this.#pieces[0].length >= this.#keptSamples) {
      this.#keptFrom += /** @type {Int16Array} */ (this.#pieces.shift()).length;
    }
  }

  /**
   * What was sent from a sample on, piece by piece; what is kept no more is left out.
   * @param {number} place
   * @returns {Int16Array<ArrayBuffer>[]}
   */
  since(place) {
    const found = [];
    let at = this.#keptFrom;
    for (const piece of this.#pieces) {
      if (at + piece.length > place) found.push(piece.subarray(Math.max(0, place - at)));
      at += piece.length;
    }
    return found;
  }

  /**
   * Learn that the server put silence into the session.
   * @param {number} startMs
   * @param {number} endMs
   */
  noteGap(startMs, endMs) {
    this.#gaps.push({ atMs: startMs, lengthMs: endMs - startMs });
  }

  /**
   * Which sample lies there in the session. A place after all that was sent can only come from a
   * gap that was not told of.
   * @param {number} sessionMs
   * @returns {number}
   */
  place(sessionMs) {
    let filledMs = 0;
    for (const { atMs, lengthMs } of this.#gaps) {
      if (atMs < sessionMs) filledMs += Math.min(lengthMs, sessionMs - atMs);
    }
    const place = Math.floor((sessionMs - filledMs) * this.#samplesPerMs);
    if (place > this.end) this.noteGap(this.end / this.#samplesPerMs + filledMs, sessionMs);
    return Math.min(place, this.end);
  }
}
