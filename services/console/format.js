/** @file Numbers as people read them. */

/**
 * A place in the session: `1:02:03.4` or `02:03.4`.
 * @param {number} ms
 */
export function clock(ms) {
  const tenths = Math.floor(Math.max(0, ms) / 100);
  const hours = Math.floor(tenths / 36_000);
  const minutes = String(Math.floor(tenths / 600) % 60).padStart(2, "0");
  const seconds = (Math.floor(tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${hours ? `${hours}:` : ""}${minutes}:${seconds}`;
}

/**
 * A length of time without tenths: `1:02:03` or `02:03`.
 * @param {number} ms
 */
export function duration(ms) {
  return clock(ms).slice(0, -2);
}

/**
 * A latency: two figures below 10 ms, whole milliseconds above, `–` where there is none.
 * @param {number | null} ms
 */
export function latency(ms) {
  if (ms === null) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString("en")} ms`;
}

/**
 * A share in percent, `–` where there is nothing to share.
 * @param {number | null} ratio
 */
export function percent(ratio) {
  return ratio === null ? "–" : `${(ratio * 100).toFixed(ratio < 0.1 ? 1 : 0)} %`;
}

/**
 * A level: `−23 dBFS`, `silence` at the floor.
 * @param {number} dbfs
 * @param {number} floorDbfs
 */
export function decibels(dbfs, floorDbfs) {
  return dbfs <= floorDbfs ? "silence" : `${Math.round(dbfs).toString().replace("-", "−")} dBFS`;
}
