/** @file Samples as numbers: float to PCM16, and how loud they are. */

/** Quieter than this is shown as silence; a 16 bit sample's smallest step is −90 dBFS. */
export const FLOOR_DBFS = -90;

/**
 * Write float samples as signed 16 bit; what is outside [-1, 1] is clipped, NaN becomes 0.
 * Every machine that runs a browser is little endian, which is what `pcm_s16le` asks for.
 * @param {Float32Array} samples
 * @returns {Int16Array<ArrayBuffer>}
 */
export function toPcm16(samples) {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return pcm;
}

/**
 * Measure what was really sent: both in [0, 1] of full scale.
 * @param {Int16Array} pcm
 * @returns {{peak: number, rms: number}}
 */
export function level(pcm) {
  if (pcm.length === 0) return { peak: 0, rms: 0 };
  let peak = 0;
  let squares = 0;
  for (const sample of pcm) {
    peak = Math.max(peak, Math.abs(sample));
    squares += sample * sample;
  }
  return { peak: peak / 32768, rms: Math.sqrt(squares / pcm.length) / 32768 };
}

/**
 * Decibels below full scale, never below the floor.
 * @param {number} amplitude in [0, 1]
 */
export function toDbfs(amplitude) {
  return amplitude > 0 ? Math.max(FLOOR_DBFS, 20 * Math.log10(amplitude)) : FLOOR_DBFS;
}

/**
 * Loudest sample of each of `count` equal stretches, for an overview of a whole recording.
 * @param {Float32Array} samples
 * @param {number} count
 * @returns {Float32Array}
 */
export function peaks(samples, count) {
  const highest = new Float32Array(count);
  const stretch = samples.length / count;
  // An hour has 170 million samples; at most 400 of each stretch show its shape well enough.
  const stride = Math.max(1, Math.floor(stretch / 400));
  for (let i = 0; i < samples.length; i += stride) {
    const at = Math.min(count - 1, Math.floor(i / stretch));
    highest[at] = Math.max(highest[at], Math.abs(samples[i]));
  }
  return highest;
}
