/**
 * How loud each side of the file is in each ear: caller left and right, model left and right.
 * @type {Record<string, number[]>}
 */
const WAYS = { stereo: [1, 0, 0, 1], both: [0.7, 0.7, 0.7, 0.7], caller: [1, 1, 0, 0], model: [0, 0, 1, 1] };

/** Which side of a stereo recording is heard, and where. */
export class Sides {
  #audio;
  /** @type {GainNode[] | undefined} */
  #gains;

  /** @param {HTMLMediaElement} audio has the caller on its left, and what it heard on its right */
  constructor(audio) {
    this.#audio = audio;
  }

  /** @param {string} way */
  hear(way) {
    this.#gains ??= this.#build(); // only now, as browsers give no context before a gesture
    this.#gains.forEach(({ gain }, at) => (gain.value = WAYS[way][at]));
  }

  #build() {
    const context = new AudioContext();
    const splitter = context.createChannelSplitter(2);
    const merger = context.createChannelMerger(2);
    context.createMediaElementSource(this.#audio).connect(splitter);
    merger.connect(context.destination);
    context.resume();
    return WAYS.stereo.map((_, at) => {
      const gain = context.createGain();
      splitter.connect(gain, at >> 1).connect(merger, 0, at & 1);
      return gain;
    });
  }
}
