import { h } from "./offhook-dom.js";
import { TEXTS } from "./offhook-texts.js";

/** @typedef {import("./offhook-conversation.js").Caption} Caption */
/** @typedef {import("./offhook-texts.js").Texts} Texts */

/**
 * What is said, as a list that is a live region too. A screen reader hears
 * whole sentences: each finished one is appended as a text node of its own,
 * while the words still growing stand in a tail that is hidden from it.
 */
export class Captions {
  /** @type {Map<string, Row>} */ #rows = new Map();
  #list = h("ol", { part: "captions", role: "list" });
  #empty = h("p", { part: "empty" });
  /** @type {Texts} */ #texts = TEXTS;

  /** The scrolling region; in the tab order so that the keyboard scrolls it too. */
  element = h("div", { class: "captions", role: "log", tabindex: "0" }, this.#empty, this.#list);

  constructor() {
    this.clear();
  }

  /** @param {Texts} texts */
  translate(texts) {
    this.#texts = texts;
    this.element.setAttribute("aria-label", texts.captions);
    this.#empty.textContent = texts.empty;
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#showList(false);
  }

  /** @param {Caption} caption */
  show(caption) {
    const { element } = this;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    let row = this.#rows.get(caption.itemId);
    if (!row) {
      row = new Row(caption, this.#texts);
      this.#rows.set(caption.itemId, row);
      this.#list.append(row.element);
      this.#showList(true);
    }
    row.show(caption, this.#texts);
    // Whoever scrolled back to read stays there.
    if (atEnd) element.scrollTop = element.scrollHeight;
  }

  /** @param {boolean} shown */
  #showList(shown) {
    this.#list.hidden = !shown; // an empty list would only be announced as such
    this.#empty.hidden = shown;
  }
}

class Row {
  #said = "";
  #words = h("span", { class: "words" });
  #tail = h("span", { class: "tail", "aria-hidden": "true" });
  #mark = h("span", { class: "mark", part: "interrupted" });

  /**
   * @param {Caption} caption
   * @param {Texts} texts
   */
  constructor({ role, itemId }, texts) {
    const speaker = h("span", { class: "speaker", part: "speaker" }, texts[role]);
    const text = h("span", { class: "text", dir: "auto" }, this.#words, this.#tail);
    this.element = h("li", { "data-role": role, "data-item": itemId, part: `caption ${role}` }, speaker, text, this.#mark);
  }

  /**
   * @param {Caption} caption
   * @param {Texts} texts
   */
  show({ text, final, interrupted }, texts) {
    const ready = final ? text || texts.unheard : sentences(text);
    if (!ready.startsWith(this.#said)) {
      this.#words.replaceChildren();
      this.#said = "";
    }
    if (ready.length > this.#said.length) this.#words.append(document.createTextNode(ready.slice(this.#said.length)));
    this.#said = ready;
    this.#tail.textContent = final ? "" : text.slice(ready.length) || (text ? "" : "…");
    this.#mark.textContent = interrupted ? texts.interrupted : "";
    this.element.toggleAttribute("data-final", final);
    this.element.toggleAttribute("data-interrupted", interrupted);
  }
}

/** @param {string} text the sentences of it that are surely finished */
export function sentences(text) {
  return /^[\s\S]*(?:[.!?…]["'”’)\]]*(?=\s)|[。！？])/.exec(text)?.[0] ?? "";
}
