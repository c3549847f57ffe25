/** @file On the audio thread: gather mono samples into 40 ms blocks and hand them to the page. */

const BLOCK_MS = 40;
const BLOCK_SAMPLES = Math.round((sampleRate * BLOCK_MS) / 1000);

class Capture extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK_SAMPLES);
  #filled = 0;
  #ended = false;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#post(this.#block.slice(0, this.#filled));
      this.port.postMessage(null);
      this.#ended = true;
    };
  }

  /** @param {Float32Array[][]} inputs one input, mixed to one channel by the node's settings */
  process([[samples]]) {
    // No channel: nothing is connected yet, or the source has ended.
    if (samples && !this.#ended) this.#gather(samples);
    return !this.#ended;
  }

  /** @param {Float32Array} samples */
  #gather(samples) {
    for (const sample of samples) {
      this.#block[this.#filled] = sample;
      this.#filled += 1;
      if (this.#filled < BLOCK_SAMPLES) continue;
      this.#post(this.#block);
      this.#block = new Float32Array(BLOCK_SAMPLES);
      this.#filled = 0;
    }
  }

  /** @param {Float32Array<ArrayBuffer>} block given away, not copied */
  #post(block) {
    if (block.length) this.port.postMessage(block, [block.buffer]);
  }
}

registerProcessor("capture", Capture);
