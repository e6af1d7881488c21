import { h } from "./offhook-dom.js";
import { CallError } from "./offhook-errors.js";
import { mountOf } from "./offhook-line.js";

/** @typedef {"never" | "consent" | "required" | "always"} RecordPolicy */
/** @typedef {import("./offhook-texts.js").Texts} Texts */

/**
 * @param {string} base
 * @param {string} agent
 * @returns {Promise<RecordPolicy | undefined>} whether the agent's calls are recorded; nothing if the relay does not say
 */
export async function recordPolicy(base, agent) {
  const url = new URL("v1/offhook/agent", mountOf(base));
  if (agent) url.searchParams.set("agent", agent);
  const response = await fetch(url, { cache: "no-store" }).catch(() => undefined);
  const about = response?.ok ? await response.json().catch(() => undefined) : undefined;
  return about?.record;
}

/**
 * Asks the caller, before anything is opened, whether the call may be
 * recorded. The focus begins on the question, so that a key which is still
 * held down agrees to nothing.
 */
export class ConsentDialog {
  #title = h("h2", { id: "consent-title", tabindex: "-1", autofocus: true });
  #text = h("p", { id: "consent-text" });
  #agree = h("button", { type: "button", id: "agree", class: "main", part: "button agree" });
  #decline = h("button", { type: "button", id: "decline", part: "button decline" });
  #cancel = h("button", { type: "button", id: "cancel", part: "button cancel" });
  /** @type {((answer: boolean | undefined) => void) | undefined} */ #settle;

  element = h(
    "dialog",
    { part: "dialog", "aria-labelledby": "consent-title", "aria-describedby": "consent-text" },
    this.#title,
    this.#text,
    h("div", { class: "answers" }, this.#agree, this.#decline, this.#cancel),
  );

  constructor() {
    this.#agree.addEventListener("click", () => this.#answer(true));
    this.#decline.addEventListener("click", () => this.#answer(false));
    this.#cancel.addEventListener("click", () => this.#answer(undefined));
    // By Escape `cancel`, which is no later than that; `close` is.
    for (const type of ["cancel", "close"]) this.element.addEventListener(type, () => this.#answer(undefined));
  }

  /**
   * @param {RecordPolicy} policy
   * @param {Texts} texts
   * @returns {Promise<boolean>} rejects with a CallError if the caller would rather not call
   */
  ask(policy, texts) {
    const must = policy === "required";
    this.#title.textContent = must ? texts.consentRequired : texts.consent;
    this.#text.textContent = must ? texts.consentRequiredText : texts.consentText;
    this.#agree.textContent = must ? texts.agreeRequired : texts.agree;
    this.#decline.textContent = texts.decline;
    this.#decline.hidden = must;
    this.#cancel.textContent = texts.cancel;
    const answered = new Promise((resolve, reject) => {
      this.#settle = (answer) => (answer === undefined ? reject(new CallError("aborted")) : resolve(answer));
    });
    this.element.showModal();
    return answered;
  }

  close() {
    this.element.close();
  }

  /** @param {boolean | undefined} answer */
  #answer(answer) {
    // Within the click: it is the gesture that opens microphone and sound.
    this.#settle?.(answer);
    this.#settle = undefined;
    this.element.close();
  }
}
