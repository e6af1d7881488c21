import { outline } from "./waveform.js";

const MOST_ZOOM = 16;

/**
 * Both sides of a call on one line: a slider, and the place that is heard. Places are
 * seconds of the recording; the line is the call's, which may begin earlier.
 */
export class Lanes extends EventTarget {
  #element;
  #track = /** @type {SVGSVGElement} */ (document.querySelector("#track"));
  #head = /** @type {SVGLineElement} */ (document.querySelector("#head"));
  #length;
  #offset;
  #end;
  #zoom = 1;
  #left = 0; // of the line, in seconds

  /**
   * @param {HTMLElement} element
   * @param {{ length: number, offset: number }} call in seconds
   */
  constructor(element, { length, offset }) {
    super();
    this.#element = element;
    this.#length = length;
    this.#offset = offset;
    this.#end = length - offset;
    const attributes = { role: "slider", tabindex: "0", "aria-label": "Place in the call", "aria-valuemin": "0" };
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    this.#head.setAttribute("visibility", "visible");
    element.addEventListener("pointerdown", (event) => this.#press(event));
    this.show(0, false);
  }

  /** @param {number} seconds how long the recording is */
  set end(seconds) {
    this.#end = seconds;
    this.#element.setAttribute("aria-valuemax", seconds.toFixed(1));
  }

  get zoom() {
    return this.#zoom;
  }

  /**
   * @param {number} seconds
   * @param {boolean} follow whether to bring it into view
   */
  show(seconds, follow) {
    const place = seconds + this.#offset;
    const x = `${(100 * place) / this.#length}%`;
    this.#head.setAttribute("x1", x);
    this.#head.setAttribute("x2", x);
    this.#element.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.#element.setAttribute("aria-valuetext", `${spoken(seconds)} of ${spoken(this.#end)}`);
    const seen = this.#length / this.#zoom;
    if (follow && (place < this.#left || place > this.#left + 0.95 * seen)) this.#move(place - 0.1 * seen);
  }

  /**
   * Shows a part of the line larger, about the place that is heard.
   * @param {number} factor
   */
  enlarge(factor) {
    this.#zoom = Math.min(MOST_ZOOM, Math.max(1, this.#zoom * factor));
    const place = Number(this.#element.getAttribute("aria-valuenow")) + this.#offset;
    this.#move(place - this.#length / this.#zoom / 2);
    return { least: this.#zoom === 1, most: this.#zoom === MOST_ZOOM };
  }

  /**
   * @param {string} side whose waveform it is
   * @param {number[]} peaks
   * @param {number} perSecond
   */
  draw(side, peaks, perSecond) {
    const wave = /** @type {SVGSVGElement} */ (document.querySelector(`#${side}-wave`));
    const { d, columns } = outline(peaks);
    if (!columns) return;
    const path = document.createElementNS(wave.namespaceURI, "path");
    path.setAttribute("d", d);
    wave.setAttribute("viewBox", `0 -1 ${columns} 2`);
    wave.setAttribute("x", `${(100 * this.#offset) / this.#length}%`);
    wave.setAttribute("width", `${(100 * peaks.length) / perSecond / this.#length}%`);
    wave.replaceChildren(path);
  }

  /** @param {number} left */
  #move(left) {
    this.#left = Math.min(Math.max(0, left), this.#length - this.#length / this.#zoom);
    this.#track.setAttribute("width", `${100 * this.#zoom}%`);
    this.#track.setAttribute("x", `${(-100 * this.#zoom * this.#left) / this.#length}%`);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0) return;
    const moves = new AbortController();
    const { left, width } = this.#element.getBoundingClientRect();
    /** @param {PointerEvent} pointer */
    const seek = ({ clientX }) => {
      const place = this.#left + (Math.min(1, Math.max(0, (clientX - left) / width)) * this.#length) / this.#zoom;
      this.dispatchEvent(new CustomEvent("seek", { detail: place - this.#offset }));
    };
    const stop = () => moves.abort();
    this.#element.setPointerCapture(event.pointerId);
    this.#element.addEventListener("pointermove", seek, { signal: moves.signal });
    this.#element.addEventListener("pointerup", stop, { signal: moves.signal });
    this.#element.addEventListener("pointercancel", stop, { signal: moves.signal });
    seek(event);
  }
}

/** @param {number} seconds */
function spoken(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = `${Math.floor(seconds % 60)} seconds`;
  return minutes ? `${minutes} minutes ${rest}` : rest;
}
