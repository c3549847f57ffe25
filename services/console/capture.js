/** @file The page's end of the audio thread: samples of any audio node, in 40 ms blocks. */

import { ConsoleError, INSECURE_PAGE, NO_ANSWER } from "./problems.js";

/**
 * Where a session's audio comes from: the microphone or a file.
 * @typedef {object} AudioSource
 * @property {number} sampleRateHz
 * @property {string} label what people call it
 * @property {(onBlock: (samples: Float32Array) => void) => void} start deliver blocks of about
 *   40 ms, at the pace of the audio clock, until stopped
 * @property {() => Promise<void>} stop deliver what is left, then release everything
 * @property {(problem: Problem | null) => void} onEnded set by the owner; called when the source
 *   ends by itself: null when all was played
 */

/** @import { Problem } from "./problems.js" */

const MAX_RATE_HZ = 96_000; // what the server takes

/**
 * Make a running audio context. Call it in a click, or the browser keeps it suspended.
 * Throws ConsoleError where the page may have no audio, or its server is gone.
 * @returns {Promise<AudioContext>}
 */
export async function openAudio() {
  if (!globalThis.AudioWorkletNode) throw new ConsoleError(INSECURE_PAGE);
  let context = new AudioContext();
  if (context.sampleRate > MAX_RATE_HZ) {
    await context.close();
    context = new AudioContext({ sampleRate: 48_000 });
  }
  try {
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
  } catch {
    await context.close();
    throw new ConsoleError(NO_ANSWER); // the module comes from the same server as the page
  }
  await context.resume();
  return context;
}

/** Taps an audio node. */
export class Capture {
  #node;
  #onBlock;

  /**
   * @param {AudioNode} source
   * @param {(samples: Float32Array) => void} onBlock
   */
  constructor(source, onBlock) {
    this.#node = new AudioWorkletNode(source.context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.#node.port.onmessage = ({ data }) => onBlock(data);
    this.#onBlock = onBlock;
    source.connect(this.#node);
  }

  /**
   * Deliver the last, shorter block and stop.
   * @returns {Promise<void>}
   */
  finish() {
    return new Promise((resolve) => {
      this.#node.port.onmessage = ({ data }) => (data ? this.#onBlock(data) : resolve());
      this.#node.port.postMessage("finish");
    });
  }
}
