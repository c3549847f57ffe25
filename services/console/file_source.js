/** @file An audio file as an audio source, played at real speed. */

import { Capture, openAudio } from "./capture.js";
import { peaks } from "./pcm.js";
import { ConsoleError, tooLarge, undecodable } from "./problems.js";

/** @import { AudioSource } from "./capture.js" */
/** @import { Problem } from "./problems.js" */

/** Decoded, a file grows up to 20-fold; this keeps it below what a tab may hold. */
export const MAX_FILE_BYTES = 150_000_000;

/**
 * A file that was read and decoded: what can be told of it before it is played.
 * @typedef {object} Recording
 * @property {string} name
 * @property {number} durationMs
 * @property {AudioBuffer} buffer
 * @property {Float32Array} outline its loudest samples, in OUTLINE_STEPS equal stretches
 */

export const OUTLINE_STEPS = 200;

/**
 * Decode a file. Throws ConsoleError when the browser cannot.
 * @param {File} file
 * @returns {Promise<Recording>}
 */
export async function readRecording(file) {
  if (file.size > MAX_FILE_BYTES) throw new ConsoleError(tooLarge(file.name, MAX_FILE_BYTES));
  // Decoding resamples to its context's rate; this one is never heard and needs no permission.
  const decoder = new OfflineAudioContext({ length: 1, sampleRate: 48_000 });
  const buffer = await decoder.decodeAudioData(await file.arrayBuffer()).catch(() => {
    throw new ConsoleError(undecodable(file.name));
  });
  return {
    name: file.name,
    durationMs: buffer.duration * 1000,
    buffer,
    outline: peaks(buffer.getChannelData(0), OUTLINE_STEPS),
  };
}

/** @implements {AudioSource} */
export class FileSource {
  #context;
  #player;
  #loudness;
  /** @type {Capture | null} */
  #capture = null;

  /** @type {(problem: Problem | null) => void} */
  onEnded = () => {};

  /**
   * @param {Recording} recording
   * @returns {Promise<FileSource>}
   */
  static async open(recording) {
    return new FileSource(await openAudio(), recording);
  }

  /**
   * @param {AudioContext} context
   * @param {Recording} recording
   */
  constructor(context, recording) {
    this.#context = context;
    this.#player = new AudioBufferSourceNode(context, { buffer: recording.buffer });
    this.#player.onended = () => this.onEnded(null);
    this.#loudness = new GainNode(context);
    this.#player.connect(this.#loudness).connect(context.destination);
    this.label = recording.name;
    this.sampleRateHz = context.sampleRate;
  }

  /**
   * Whether it can be heard; what is sent stays the same.
   * @param {boolean} aloud
   */
  set aloud(aloud) {
    this.#loudness.gain.value = aloud ? 1 : 0;
  }

  /** @param {(samples: Float32Array) => void} onBlock */
  start(onBlock) {
    this.#capture = new Capture(this.#player, onBlock);
    this.#player.start();
  }

  async stop() {
    this.#player.onended = null;
    await this.#capture?.finish();
    if (this.#capture) this.#player.stop();
    await this.#context.close();
  }
}
