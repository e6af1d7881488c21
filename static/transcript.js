/** For how long a reader who has scrolled is left alone, in milliseconds. */
const PATIENCE = 5000;

/** The lines of a call, of which the current one is marked and kept in view. */
export class Transcript extends EventTarget {
  #list;
  #lines;
  /** @type {HTMLElement | undefined} */
  #current;
  #readUntil = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {HTMLElement} list */
  constructor(list) {
    super();
    this.#list = list;
    this.#lines = /** @type {HTMLElement[]} */ ([...list.children]);
    list.toggleAttribute("data-follows", true);
    list.tabIndex = 0;
    list.addEventListener("click", (event) => this.#press(event));
    for (const type of ["wheel", "touchmove", "keydown"])
      list.addEventListener(type, () => (this.#readUntil = Date.now() + PATIENCE), { passive: true });
  }

  /**
   * @param {number} milliseconds
   * @param {boolean} follow whether to bring the line into view
   * @returns {HTMLElement | undefined} the line that is current
   */
  show(milliseconds, follow) {
    const line = this.#at(milliseconds);
    if (line === this.#current) return line;
    this.#current?.removeAttribute("aria-current");
    line?.setAttribute("aria-current", "true");
    this.#current = line;
    if (line && follow && Date.now() > this.#readUntil) {
      const top = line.offsetTop - this.#list.clientHeight / 3;
      this.#list.scrollTo({ top, behavior: this.#still.matches ? "auto" : "smooth" });
    }
    return line;
  }

  /**
   * @param {number} milliseconds
   * @param {boolean} forward
   * @returns {number} when the next turn begins, or the one before; where there is none, the same
   */
  turn(milliseconds, forward) {
    const begins = this.#lines.filter((line) => line.classList.contains("turn")).map(beginOf);
    // A turn that has just begun is not the one before.
    const found = forward
      ? begins.find((begin) => begin > milliseconds + 1)
      : begins.findLast((begin) => begin < milliseconds - 1000);
    return found ?? milliseconds;
  }

  /** @param {string} [number] the entry's */
  begin(number) {
    const line = this.#lines[Number(number)];
    return line && beginOf(line);
  }

  /** @param {number} milliseconds */
  #at(milliseconds) {
    const begun = this.#lines.filter((line) => beginOf(line) <= milliseconds);
    const turns = begun.filter((line) => line.classList.contains("turn"));
    return turns.findLast((line) => milliseconds < Number(line.dataset.ends)) ?? begun.at(-1);
  }

  /** @param {MouseEvent} event */
  #press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const link = target.closest("a");
    const chooses = target.closest("details") || !getSelection()?.isCollapsed;
    const line = /** @type {HTMLElement | null} */ (target.closest("li"));
    if (!line || (!link && chooses) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.dispatchEvent(new CustomEvent("seek", { detail: beginOf(line) }));
  }
}

/** @param {HTMLElement} line */
function beginOf(line) {
  return Number(line.dataset.begins);
}
