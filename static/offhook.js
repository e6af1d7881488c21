/**
 * A voice call from a browser through an Offhook relay.
 *
 *     import { Call } from "/voice/static/offhook.js";
 *     const call = new Call({ agent: "support" });
 *     call.addEventListener("transcript", ({ detail }) => console.log(detail.role, detail.text));
 *     button.onclick = () => call.start();
 *
 * Events are `CallEvent`s; what they say is in `detail`:
 *   - every server event under "*" and then under its own type, unknown types too;
 *   - `statechange` {state}, `mutechange` {muted}, `speaking` {role, speaking};
 *   - `recordingchange` {recording, deleted}, `recordingerror`: a CallError; the call goes on;
 *   - `transcript`: a Caption, each time that it grows;
 *   - `callerror`: a CallError. If it ended the call, `statechange` came first.
 */
import { Responses, Transcript, Voices } from "./offhook-conversation.js";
import { CallError } from "./offhook-errors.js";
import { Line } from "./offhook-line.js";

export { CallError };

/** @typedef {import("./offhook-conversation.js").Caption} Caption */
/** @typedef {import("./offhook-conversation.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./offhook-line.js").LineOptions} CallOptions */
/** @typedef {"idle" | "connecting" | "connected" | "disconnected"} CallState */

/** @template [T=any] */
export class CallEvent extends Event {
  /**
   * @param {string} type
   * @param {T} detail
   * @param {EventInit} [init]
   */
  constructor(type, detail, init) {
    super(type, init);
    this.detail = detail;
  }
}

export class Call extends EventTarget {
  #options;
  /** @type {Line | undefined} */ #line;
  /** @type {Promise<void>} */ #started = Promise.resolve();
  /** @type {CallState} */ #state = "idle";
  #muted = false;
  #recording = false;
  /** @type {Promise<import("./offhook-tee.js").Tee> | undefined} */ #tee;
  #responses = new Responses((event) => this.sendEvent(event));
  #transcript = new Transcript();
  #voices = new Voices();

  /** @param {CallOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = options;
  }

  /** It never runs ahead: "connected" means that the session has spoken. */
  get state() {
    return this.#state;
  }

  get muted() {
    return this.#muted;
  }

  /** Whether the call is being recorded. */
  get recording() {
    return this.#recording;
  }

  /** Who is speaking now. */
  get speaking() {
    return { user: this.#voices.user, assistant: this.#voices.assistant };
  }

  get callId() {
    return this.#line?.callId;
  }

  /** The caller's side, once the microphone is open. */
  get mediaStream() {
    return this.#line?.mediaStream;
  }

  /** The other side, once it has answered. */
  get remoteStream() {
    return this.#line?.remoteStream;
  }

  /**
   * Call it in the handler of a click or key press, before any `await`:
   * browsers grant sound and microphone within the gesture. Starting a call
   * that is starting or connected changes nothing; a call that has ended can
   * be started again.
   * @returns {Promise<void>} resolves when connected, rejects with a CallError
   */
  start() {
    if (this.#line) return this.#started;
    const line = new Line(this.#options, {
      opened: () => this.#opened(line),
      received: (event) => this.#receive(event),
      troubled: (problem) => this.#dispatch("callerror", problem),
      closed: (reason) => this.#closed(reason),
    });
    line.mute(this.#muted);
    this.#line = line;
    this.#responses = new Responses((event) => this.sendEvent(event));
    this.#transcript = new Transcript();
    this.#started = line.open();
    this.#setState("connecting");
    return this.#started;
  }

  /** Hangs up. What the host passed in stays as it is. */
  stop() {
    this.#line?.close();
  }

  /**
   * Sends a client event of the Realtime API as it is.
   * @param {RealtimeEvent} event
   */
  sendEvent(event) {
    if (!this.#line) throw new CallError("not_connected");
    this.#line.send(event);
  }

  /**
   * Says something in writing; the answer comes when the present one is done.
   * @param {string} text
   */
  sendText(text) {
    const content = [{ type: "input_text", text }];
    this.sendEvent({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    this.#responses.request();
  }

  /** @param {boolean} [muted] also before the call; lasts until it is taken back */
  mute(muted = true) {
    if (muted === this.#muted) return;
    this.#muted = muted;
    this.#line?.mute(muted);
    this.#dispatch("mutechange", { muted });
  }

  /**
   * Lets the call be recorded, or takes that back: what was recorded is then deleted.
   * @param {boolean} [allowed]
   */
  allowRecording(allowed = true) {
    const event = { type: `offhook.recording.${allowed ? "consent" : "withdraw"}` };
    if (!this.#line?.teed) return this.sendEvent(event);
    if (allowed) this.#openTee(this.#line);
    if (this.#tee) this.#tee.then((tee) => tee.send(event));
    else this.#line.withdraw();
  }

  /** Stops the answer: what is being made, and what is still to be heard. */
  interrupt() {
    this.#responses.cancel();
    this.sendEvent({ type: "output_audio_buffer.clear" });
  }

  /** @param {Line} line */
  #opened(line) {
    this.#setState("connected");
    if (line.teed === "now") this.#openTee(line);
  }

  /** @param {Line} line */
  #openTee(line) {
    const over = () => {
      this.#tee?.then((tee) => tee.close());
      this.#tee = undefined;
    };
    this.#tee ??= line.openTee({
      received: (event) => {
        this.#receive(event);
        if (event.type === "offhook.recording.stopped") over();
      },
      failed: (problem) => {
        over();
        this.#setRecording(false);
        this.#dispatch("recordingerror", problem);
      },
    });
  }

  /** @param {RealtimeEvent} event */
  #receive(event) {
    this.#responses.observe(event);
    this.#dispatch("*", event);
    this.#dispatch(event.type, event);
    for (const caption of this.#transcript.observe(event)) this.#dispatch("transcript", caption);
    const voice = this.#voices.observe(event);
    if (voice) this.#dispatch("speaking", voice);
    if (event.type === "offhook.recording.started") this.#setRecording(true);
    if (event.type === "offhook.recording.stopped") this.#setRecording(false, event.deleted);
    const problem = problemIn(event);
    if (problem) this.#dispatch("callerror", problem);
  }

  /** @param {CallError} reason */
  #closed(reason) {
    this.#line = undefined;
    this.#tee = undefined; // closed with its line
    this.#voices = new Voices();
    this.#setState("disconnected");
    this.#setRecording(false);
    if (reason.code !== "aborted" && reason.code !== "ended") this.#dispatch("callerror", reason);
  }

  /** @param {CallState} state */
  #setState(state) {
    this.#state = state;
    this.#dispatch("statechange", { state });
  }

  /**
   * @param {boolean} recording
   * @param {boolean} [deleted] nothing is left of what was recorded
   */
  #setRecording(recording, deleted = false) {
    if (recording === this.#recording) return;
    this.#recording = recording;
    this.#dispatch("recordingchange", { recording, deleted });
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #dispatch(type, detail) {
    this.dispatchEvent(new CallEvent(type, detail));
  }
}

/**
 * @param {RealtimeEvent} event
 * @returns {CallError | undefined} what the person should know about: a missing model or an empty
 *   account, for example, shows only as a failed response
 */
function problemIn(event) {
  const details = event.response?.status_details;
  const error = event.type === "error" ? event.error : event.type === "response.done" ? details?.error : undefined;
  // Both only say that an answer ended, or began, just before we asked; Responses deals with it.
  const races = ["response_cancel_not_active", "conversation_already_has_active_response"];
  if (!error || races.includes(error.code)) return undefined;
  const message = error.message || `The answer failed: ${error.code ?? error.type ?? "no reason was given"}.`;
  return new CallError(error.code || error.type || "relay_refused", { message });
}
