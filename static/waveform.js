/** More than a screen shows, also of a part that is eight times as large. */
const MOST_COLUMNS = 8000;
/** What is never louder than this is drawn as quiet as it is. */
const QUIET = 0.1;

/**
 * Draws peaks as the outline of a shape, mirrored about a middle line. The loudest is
 * as high as there is room: a quiet caller can be seen as well as a loud one.
 * @param {number[]} peaks how loud it was, 0 to 1, at even steps
 * @param {number} [most] how many columns the shape may have
 * @returns {{ d: string, columns: number }} a path, −1 to 1 high and as wide as it has columns
 */
export function outline(peaks, most = MOST_COLUMNS) {
  const columns = Math.min(peaks.length, most);
  const scale = Math.max(QUIET, loudest(peaks, 0, peaks.length));
  const heights = Array.from({ length: columns }, (_, column) => {
    const begin = Math.floor((column * peaks.length) / columns);
    const end = Math.max(begin + 1, Math.floor(((column + 1) * peaks.length) / columns));
    // A line stays visible where nobody speaks: there was sound, and it was silent.
    return Number(Math.max(0.015, loudest(peaks, begin, end) / scale).toFixed(3));
  });
  const points = [
    ...heights.map((height, column) => `${column + 0.5} ${-height}`),
    ...heights.map((height, column) => `${column + 0.5} ${height}`).reverse(),
  ];
  return { d: points.length ? `M${points.join("L")}Z` : "", columns };
}

/**
 * @param {number[]} peaks
 * @param {number} begin
 * @param {number} end
 */
function loudest(peaks, begin, end) {
  let most = 0;
  for (let at = begin; at < end; at++) most = Math.max(most, peaks[at] ?? 0);
  return most;
}
