/** @file The microphone as an audio source. */

import { Capture, openAudio } from "./capture.js";
import { ConsoleError, INSECURE_PAGE, MICROPHONE_GONE, microphoneProblem } from "./problems.js";

/** @import { AudioSource } from "./capture.js" */
/** @import { Problem } from "./problems.js" */

/**
 * The browser's clean-up is made for calls between people: it removes the very sounds that are to
 * be noticed, a bark or an alarm, as noise.
 */
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** @implements {AudioSource} */
export class Microphone {
  #context;
  #stream;
  /** @type {Capture | null} */
  #capture = null;

  /** @type {(problem: Problem | null) => void} */
  onEnded = () => {};

  /**
   * Ask for the microphone. Throws ConsoleError when it is refused or there is none.
   * @returns {Promise<Microphone>}
   */
  static async open() {
    if (!navigator.mediaDevices) throw new ConsoleError(INSECURE_PAGE);
    const context = await openAudio();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
      return new Microphone(context, stream);
    } catch (error) {
      await context.close();
      throw new ConsoleError(microphoneProblem(error));
    }
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   */
  constructor(context, stream) {
    this.#context = context;
    this.#stream = stream;
    const [track] = stream.getAudioTracks();
    track.onended = () => this.onEnded(MICROPHONE_GONE);
    this.label = track.label || "Microphone";
    this.sampleRateHz = context.sampleRate;
  }

  /** @param {(samples: Float32Array) => void} onBlock */
  start(onBlock) {
    const source = this.#context.createMediaStreamSource(this.#stream);
    this.#capture = new Capture(source, onBlock);
  }

  async stop() {
    await this.#capture?.finish();
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close();
  }
}
