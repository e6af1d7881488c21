/** Below this a microphone gives noise; full scale would be 0 dB. */
const FLOOR_DB = -60;
const CEILING_DB = -12;

/**
 * Shows how loud a stream is, as the custom property `--level` (0 to 1) of an
 * element, until the context is closed. It only listens: the stream is
 * neither changed nor stopped.
 * @param {AudioContext} context
 * @param {MediaStream} stream
 * @param {HTMLElement} element
 */
export function showLevel(context, stream, element) {
  const source = context.createMediaStreamSource(stream);
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let level = 0;
  requestAnimationFrame(draw);

  function draw() {
    if (context.state === "closed") {
      element.style.removeProperty("--level");
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    level = Math.max(loudness(samples), level * 0.9); // falls slower than it rises, like a needle
    element.style.setProperty("--level", still.matches ? "0" : level.toFixed(3));
    requestAnimationFrame(draw);
  }
}

/**
 * @param {Float32Array} samples
 * @returns {number} 0 to 1, on a scale of decibels as the ear has it
 */
export function loudness(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(power + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
