import { Captions } from "./offhook-captions.js";
import { h, icon } from "./offhook-dom.js";
import { style } from "./offhook-style.js";
import { TEXTS } from "./offhook-texts.js";

/** @typedef {import("./offhook.js").CallState} CallState */
/** @typedef {import("./offhook-conversation.js").Role} Role */
/** @typedef {import("./offhook-errors.js").CallError} CallError */
/** @typedef {import("./offhook-consent.js").RecordPolicy} RecordPolicy */
/** @typedef {import("./offhook-texts.js").Texts} Texts */

const PHONE = "M6 3h3l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3z";
const MICROPHONE = "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5 11a7 7 0 0 0 14 0M12 18v3";
const STRIKE = "M4 4l16 16";
const SQUARE = "M6 6h12v12H6z";

/** The inside of the element. It shows what it is told and decides nothing. */
export class View {
  /** @type {Texts} */ #texts = TEXTS;
  /** @type {CallState} */ #state = "idle";

  #root;
  #label = h("p", { class: "label", part: "label", id: "label" });
  #status = h("p", { class: "status", part: "status", id: "status", role: "status" });
  #recorded = h("p", { class: "recorded", part: "recording", id: "recording", role: "status" });
  #levels = { user: level("user"), assistant: level("assistant") };
  #error = h("div", { class: "error", part: "error", id: "error", role: "alert" });
  #stage = h("div", { class: "stage" });
  #labelOfText = h("label", { class: "unseen", for: "text" });

  callButton = button({ id: "call", part: "button call", class: "main" }, icon(PHONE));
  muteButton = button({ id: "mute", part: "button mute", "aria-keyshortcuts": "M" }, icon(MICROPHONE, STRIKE));
  interruptButton = button({ id: "interrupt", part: "button interrupt", "aria-keyshortcuts": "Escape" }, icon(SQUARE));
  withdrawButton = button({ id: "withdraw", part: "button withdraw", class: "wide", hidden: true });
  sendButton = button({ id: "send", part: "button send", type: "submit" });
  input = h("input", { id: "text", part: "text", type: "text", autocomplete: "off", enterkeyhint: "send" });
  form = h("form", { part: "form" }, this.#labelOfText, this.input, this.sendButton);
  captions = new Captions();

  /** @param {ShadowRoot} root */
  constructor(root) {
    this.#root = root;
    root.adoptedStyleSheets = [style()];
    this.#stage.append(this.captions.element, this.#error);
    const { user, assistant } = this.#levels;
    root.append(
      h(
        "section",
        { class: "call", part: "container", "aria-labelledby": "label" },
        h("header", { part: "header" }, this.#label, this.#recorded, this.#status),
        h("div", { class: "levels", part: "levels", "aria-hidden": "true" }, user.row, assistant.row),
        this.#stage,
        h(
          "div",
          { class: "controls", part: "controls" },
          this.callButton,
          this.muteButton,
          this.interruptButton,
          this.withdrawButton,
        ),
        this.form,
      ),
    );
    this.showProblem(undefined);
  }

  /**
   * @param {Texts} texts
   * @param {string} [label]
   */
  translate(texts, label) {
    this.#texts = texts;
    this.#label.textContent = label || texts.label;
    this.#labelOfText.textContent = texts.message;
    this.input.placeholder = texts.placeholder;
    say(this.muteButton, texts.mute);
    say(this.interruptButton, texts.interrupt);
    say(this.sendButton, texts.send);
    this.#levels.user.name.textContent = texts.user;
    this.#levels.assistant.name.textContent = texts.assistant;
    this.captions.translate(texts);
    this.showState(this.#state);
  }

  /** @param {CallState} state */
  showState(state) {
    const unanswered = this.#state === "connecting" && state === "disconnected";
    this.#state = state;
    if (state === "connecting") this.#recorded.textContent = ""; // of the last call
    const live = state === "connecting" || state === "connected";
    this.#status.dataset.state = state;
    this.#status.textContent = this.#texts[unanswered ? "failed" : state];
    this.callButton.toggleAttribute("data-live", live);
    say(this.callButton, this.#texts[state === "connecting" ? "cancel" : live ? "stop" : "start"]);
    const controls = [this.interruptButton, this.input, this.sendButton];
    // Focus on a control that goes away would be lost: it goes to the one that is always there.
    if (state !== "connected" && controls.some((control) => control === this.#root.activeElement)) this.callButton.focus();
    for (const control of controls) control.disabled = state !== "connected";
  }

  /** @param {boolean} muted */
  showMuted(muted) {
    this.muteButton.setAttribute("aria-pressed", String(muted));
    this.#levels.user.row.toggleAttribute("data-muted", muted);
    this.#showDoing("user");
  }

  /**
   * @param {Role} role
   * @param {boolean} speaking
   */
  showSpeaking(role, speaking) {
    this.#levels[role].row.toggleAttribute("data-speaking", speaking);
    this.#showDoing(role);
  }

  /**
   * @param {{recording: boolean, deleted: boolean}} told
   * @param {RecordPolicy | undefined} policy
   */
  showRecording({ recording, deleted }, policy) {
    const { recording: runs, recordingDeleted, recordingStopped, withdraw, withdrawRequired } = this.#texts;
    this.#recorded.textContent = recording ? runs : deleted ? recordingDeleted : recordingStopped;
    this.#recorded.toggleAttribute("data-live", recording);
    if (!recording && this.withdrawButton === this.#root.activeElement) this.callButton.focus();
    this.withdrawButton.hidden = !recording || policy === "always";
    say(this.withdrawButton, policy === "required" ? withdrawRequired : withdraw);
  }

  /** @param {CallError | undefined} problem */
  showProblem(problem) {
    this.#error.hidden = !problem;
    if (!problem) return this.#error.replaceChildren();
    const message = this.#texts[`error.${problem.code}`] ?? problem.message;
    const hint = this.#texts[`hint.${problem.code}`] ?? problem.hint ?? "";
    this.#error.dataset.code = problem.code;
    this.#error.replaceChildren(h("p", { class: "what" }, message), h("p", {}, hint));
  }

  /** @param {boolean} shown */
  showCaptions(shown) {
    this.captions.element.hidden = !shown;
    this.#stage.classList.toggle("bare", !shown);
  }

  /** @param {Role} role */
  bar(role) {
    return this.#levels[role].bar;
  }

  /** @param {Role} role */
  #showDoing(role) {
    const { row, doing } = this.#levels[role];
    const { muted, speaking } = this.#texts;
    doing.textContent = row.hasAttribute("data-muted") ? muted : row.hasAttribute("data-speaking") ? speaking : "";
  }
}

/** @param {Role} role */
function level(role) {
  const name = h("span", { class: "name" });
  const bar = h("span", { class: "bar" });
  const doing = h("span", { class: "doing" });
  return { name, bar, doing, row: h("div", { class: "level", part: `level ${role}` }, name, bar, doing) };
}

/**
 * @param {Record<string, string | boolean>} attributes
 * @param {...Node} children
 */
function button(attributes, ...children) {
  return h("button", { type: "button", ...attributes }, ...children, h("span"));
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} text
 */
function say(button, text) {
  const span = button.lastElementChild;
  if (span) span.textContent = text;
}
