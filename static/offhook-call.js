/**
 * `<offhook-call>`: a whole call as one element.
 *
 * Attributes, each of them a property too: `base`, `agent`, `label`,
 * `captions="off"`, `consent="given"` or `"refused"`. Properties: `mediaStream`, `audioElement`, `session`,
 * `getToken` (as for `Call`) and `texts`. It dispatches the events of its
 * `Call`, bubbling out of the shadow tree. Importing this registers nothing.
 */
import { ConsentDialog, recordPolicy } from "./offhook-consent.js";
import { TEXTS } from "./offhook-texts.js";
import { View } from "./offhook-view.js";
import { showLevel } from "./offhook-meter.js";
import { Call, CallError, CallEvent } from "./offhook.js";

/** @typedef {import("./offhook.js").CallOptions} CallOptions */
/** @typedef {import("./offhook.js").CallState} CallState */
/** @typedef {import("./offhook-consent.js").RecordPolicy} RecordPolicy */
/** @typedef {import("./offhook-conversation.js").Role} Role */
/** @typedef {import("./offhook-texts.js").Texts} Texts */

const OWN_EVENTS = ["statechange", "mutechange", "recordingchange", "recordingerror", "speaking", "transcript", "callerror"];

export class OffhookCall extends HTMLElement {
  static observedAttributes = ["label", "captions", "base", "agent"];

  #view = new View(this.attachShadow({ mode: "open" }));
  /** @type {Partial<Texts>} */ #texts = {};
  /** @type {Call | undefined} */ #call;
  /** @type {AudioContext | undefined} */ #context;
  #dialog = new ConsentDialog();
  /** @type {Promise<RecordPolicy | undefined>} */ #asked = Promise.resolve(undefined);
  /** @type {RecordPolicy | undefined} as far as it is known */ #policy;
  /** @type {Promise<void> | undefined} */ #asking;
  #muted = false;

  /**
   * @param {string} [tag]
   * @param {CustomElementRegistry} [registry]
   */
  static define(tag = "offhook-call", registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this);
    return this;
  }

  constructor() {
    super();
    // Not as class fields: those would undo what a page set before this class was there.
    /** @type {CallOptions["mediaStream"]} */
    this.mediaStream = this.mediaStream;
    /** @type {CallOptions["audioElement"]} */
    this.audioElement = this.audioElement;
    /** @type {CallOptions["session"]} */
    this.session = this.session;
    /** @type {CallOptions["getToken"]} */
    this.getToken = this.getToken;
    this.shadowRoot?.append(this.#dialog.element);
    this.#listen();
    this.#view.showMuted(false);
    this.#translate();
  }

  get base() {
    return this.getAttribute("base") ?? "";
  }
  set base(value) {
    this.setAttribute("base", value);
  }

  get agent() {
    return this.getAttribute("agent") ?? "";
  }
  set agent(value) {
    this.setAttribute("agent", value);
  }

  get label() {
    return this.getAttribute("label") ?? "";
  }
  set label(value) {
    this.setAttribute("label", value);
  }

  /** Whether what is said is shown in writing. */
  get captions() {
    return this.getAttribute("captions") !== "off";
  }
  set captions(shown) {
    if (shown) this.removeAttribute("captions");
    else this.setAttribute("captions", "off");
  }

  /** What the caller said to being recorded; undefined: the element asks before each call. */
  get consent() {
    const said = this.getAttribute("consent");
    return said === "given" ? true : said === "refused" ? false : undefined;
  }
  set consent(given) {
    if (given === undefined || given === null) this.removeAttribute("consent");
    else this.setAttribute("consent", given ? "given" : "refused");
  }

  /** The words that differ from the built-in ones. */
  get texts() {
    return this.#texts;
  }
  set texts(texts) {
    this.#texts = texts;
    this.#translate();
  }

  /** The present call, or the last one. */
  get call() {
    return this.#call;
  }

  /** @returns {CallState} */
  get state() {
    return this.#call?.state ?? "idle";
  }

  get muted() {
    return this.#muted;
  }

  get recording() {
    return this.#call?.recording ?? false;
  }

  /**
   * Within the user's gesture, as `Call.start`.
   * @returns {Promise<void>}
   */
  start() {
    if (this.#call && this.#live) return this.#call.start();
    // What is known to need no question starts at once, within the gesture.
    if (this.consent !== undefined || this.#policy === "never" || this.#policy === "always")
      return this.#begin(this.consent);
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask() {
    const policy = this.#policy ?? (await this.#asked) ?? (await this.#learn());
    const must = policy === "consent" || policy === "required";
    const consent = must ? await this.#dialog.ask(policy, this.#words) : undefined;
    return this.#begin(consent);
  }

  /** @param {boolean} [consent] */
  #begin(consent) {
    const { mediaStream, audioElement, session, getToken } = this;
    const base = this.base || undefined;
    const agent = this.agent || undefined;
    this.#call = new Call({ base, agent, session, consent, mediaStream, audioElement, getToken });
    this.#call.mute(this.#muted);
    this.#view.showProblem(undefined);
    this.#follow(this.#call);
    this.#context = new AudioContext(); // for the meters; within the gesture it runs
    return this.#call.start();
  }

  stop() {
    this.#dialog.close();
    this.#call?.stop();
  }

  /** @param {boolean} [muted] */
  mute(muted = true) {
    if (muted === this.#muted) return;
    if (this.#call && this.#live) return this.#call.mute(muted);
    this.#muted = muted;
    this.#view.showMuted(muted);
    this.dispatchEvent(new CallEvent("mutechange", { muted }, { bubbles: true, composed: true }));
  }

  /** @param {boolean} [allowed] see `Call.allowRecording` */
  allowRecording(allowed = true) {
    if (!this.#call) throw new CallError("not_connected");
    this.#call.allowRecording(allowed);
  }

  interrupt() {
    if (this.state === "connected") this.#call?.interrupt();
  }

  /** @param {string} text */
  sendText(text) {
    if (!this.#call) throw new CallError("not_connected");
    this.#call.sendText(text);
  }

  connectedCallback() {
    // Set before the class was there, an own property would hide the accessor of the same name.
    for (const name of /** @type {const} */ (["base", "agent", "label", "captions", "consent", "texts"])) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete (/** @type {any} */ (this)[name]);
      /** @type {any} */ (this)[name] = value;
    }
    this.#learn();
  }

  disconnectedCallback() {
    // An element that is only moved is back by the end of the task, and keeps its call.
    queueMicrotask(() => this.isConnected || this.stop());
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if ((name === "base" || name === "agent") && this.isConnected) this.#learn();
    this.#view.showCaptions(this.captions);
    this.#translate();
  }

  /** Asks whether the agent's calls are recorded: before the click, in which nothing can be waited for. */
  #learn() {
    this.#policy = undefined;
    const asked = recordPolicy(this.base, this.agent);
    this.#asked = asked;
    asked.then((policy) => asked === this.#asked && (this.#policy = policy));
    return asked;
  }

  get #live() {
    return this.state === "connecting" || this.state === "connected";
  }

  get #words() {
    return { ...TEXTS, ...this.#texts };
  }

  #translate() {
    this.#view.translate(this.#words, this.label);
  }

  #listen() {
    const { callButton, muteButton, interruptButton, withdrawButton, form, input } = this.#view;
    callButton.addEventListener("click", () => {
      if (this.#live) this.stop();
      else this.start().catch(() => {}); // shown by the `callerror` that comes with it
    });
    muteButton.addEventListener("click", () => this.mute(!this.muted));
    interruptButton.addEventListener("click", () => this.interrupt());
    withdrawButton.addEventListener("click", () => this.allowRecording(false));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!text || this.state !== "connected") return;
      this.sendText(text);
      input.value = "";
    });
    this.shadowRoot?.addEventListener("keydown", (event) => this.#key(/** @type {KeyboardEvent} */ (event)));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === "Escape") this.interrupt();
    else if (event.key.toLowerCase() === "m" && event.target !== this.#view.input) this.mute(!this.muted);
  }

  /** @param {Call} call */
  #follow(call) {
    /** @param {any} event */
    const own = (event) => {
      this.#show(event);
      this.#pass(event.type, event.detail);
    };
    for (const type of OWN_EVENTS) call.addEventListener(type, own);
    call.addEventListener("*", (/** @type {any} */ { detail }) => {
      this.#pass("*", detail);
      // A bubbling `error` would look like a broken script to window.onerror; `callerror` says it.
      if (detail.type !== "error") this.#pass(detail.type, detail);
    });
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #pass(type, detail) {
    this.dispatchEvent(new CallEvent(type, detail, { bubbles: true, composed: true }));
  }

  /** @param {CallEvent} event */
  #show({ type, detail }) {
    const view = this.#view;
    if (type === "statechange") this.#showState(detail.state);
    else if (type === "speaking") view.showSpeaking(detail.role, detail.speaking);
    else if (type === "transcript") this.#showCaption(detail);
    else if (type === "callerror") view.showProblem(detail);
    else if (type === "recordingchange") view.showRecording(detail, this.#policy);
    else if (type === "mutechange") {
      this.#muted = detail.muted;
      view.showMuted(detail.muted);
    }
  }

  /** @param {import("./offhook.js").Caption} caption */
  #showCaption(caption) {
    this.#view.captions.show(caption);
    if (caption.role === "user") this.#view.showProblem(undefined); // the conversation goes on
  }

  /** @param {CallState} state */
  #showState(state) {
    this.#view.showState(state);
    const { mediaStream, remoteStream } = this.#call ?? {};
    if (state === "connected") this.#view.captions.clear(); // until then the last call can be read
    if (state === "connected" && this.#context) {
      if (mediaStream) showLevel(this.#context, mediaStream, this.#view.bar("user"));
      if (remoteStream) showLevel(this.#context, remoteStream, this.#view.bar("assistant"));
    } else if (state === "disconnected") {
      for (const role of /** @type {Role[]} */ (["user", "assistant"])) this.#view.showSpeaking(role, false);
      this.#context?.close();
      this.#context = undefined;
    }
  }
}
