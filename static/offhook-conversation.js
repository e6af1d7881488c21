/**
 * What the server's events mean for a conversation: which response is under
 * way, what has been said, and who is speaking. Nothing here touches the
 * network, the DOM or the clock.
 */

/** @typedef {{type: string, [field: string]: any}} RealtimeEvent an event of the Realtime API, client's or server's */

/** @typedef {"user" | "assistant"} Role */

/**
 * @typedef {object} Caption one utterance, as far as it is known
 * @property {Role} role
 * @property {string} itemId
 * @property {string} text all of it so far; empty while the caller's words are not transcribed yet
 * @property {boolean} final no more text will come
 * @property {boolean} interrupted it was cut off before its end was heard
 */

/**
 * One response at a time: the server refuses a second `response.create` while
 * a response of the default conversation is active, and it may have begun one
 * by itself after a turn of speech.
 */
export class Responses {
  /** @type {string | undefined} */ #active;
  /** @type {string | undefined} */ #asked;
  #waiting = false;
  #cancelling = false;
  #count = 0;
  #send;

  /** @param {(event: RealtimeEvent) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** Asks for a response, now or as soon as the present one is done. */
  request() {
    if (this.#active || this.#asked) {
      this.#waiting = true;
      return;
    }
    this.#asked = `offhook_${++this.#count}`;
    this.#send({ type: "response.create", event_id: this.#asked });
  }

  /** Cancels the active response, once. */
  cancel() {
    if (!this.#active || this.#cancelling) return;
    this.#cancelling = true;
    this.#send({ type: "response.cancel", response_id: this.#active });
  }

  /** @param {RealtimeEvent} event */
  observe(event) {
    // A response outside the conversation (conversation_id null) blocks nobody.
    if (event.type === "response.created" && event.response?.conversation_id !== null) {
      this.#active = event.response?.id;
      this.#asked = undefined;
      this.#cancelling = false;
    } else if (event.type === "response.done" && event.response?.id === this.#active) {
      this.#active = undefined;
      this.#next();
    } else if (event.type === "error" && this.#asked && (event.error?.event_id ?? this.#asked) === this.#asked) {
      this.#asked = undefined;
      // Its own response came first: ask again when that one is done.
      if (event.error?.code === "conversation_already_has_active_response") this.#waiting = true;
      else this.#next();
    }
  }

  #next() {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.request();
  }
}

/** Folds events into captions, one per item, in the order of the conversation. */
export class Transcript {
  /** @type {Map<string, Caption & {parts: string[]}>} */ #items = new Map();
  /** @type {Set<string>} */ #outside = new Set();
  #transcribes = true;

  /**
   * @param {RealtimeEvent} event
   * @returns {Caption[]} the captions that it changed
   */
  observe(event) {
    switch (event.type) {
      case "session.created":
      case "session.updated":
        // Without input transcription the caller's words never come: do not wait for them.
        this.#transcribes = event.session?.audio?.input?.transcription !== null;
        return [];
      case "conversation.item.added":
        return this.#added(event.item);
      case "conversation.item.truncated":
        return this.#cut(event.item_id);
      case "response.created":
        if (event.response?.conversation_id === null) this.#outside.add(event.response.id);
        return [];
      case "response.done":
        return this.#done(event.response);
      default:
        return this.#words(event);
    }
  }

  /** @param {RealtimeEvent} event */
  #words(event) {
    const at = event.content_index ?? 0;
    switch (event.type) {
      case "conversation.item.input_audio_transcription.delta":
        return this.#say("user", event, at, event.delta, false);
      case "conversation.item.input_audio_transcription.completed":
        return this.#say("user", event, at, event.transcript, true);
      case "conversation.item.input_audio_transcription.failed":
        return this.#change("user", event.item_id, { final: true });
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        return this.#say("assistant", event, at, event.delta, false);
      case "response.output_audio_transcript.done":
        return this.#say("assistant", event, at, event.transcript, true);
      case "response.output_text.done":
        return this.#say("assistant", event, at, event.text, true);
      default:
        return [];
    }
  }

  /**
   * The caller's item gets its place now: its transcription often comes after
   * the answer has begun.
   * @param {any} item
   */
  #added(item) {
    if (item?.type !== "message" || item.role !== "user") return [];
    /** @type {any[]} */
    const content = item.content ?? [];
    const typed = content.filter((part) => part.type === "input_text").map((part) => part.text);
    if (typed.length) return this.#change("user", item.id, { text: typed.join("\n"), final: true });
    if (!content.some((part) => part.type === "input_audio")) return [];
    return this.#change("user", item.id, this.#transcribes ? {} : { final: true });
  }

  /** @param {any} response */
  #done(response) {
    this.#outside.delete(response?.id);
    if (response?.status !== "cancelled") return [];
    /** @type {any[]} */
    const output = response.output ?? [];
    return output.flatMap((item) => this.#cut(item.id));
  }

  /** @param {string} itemId an answer that was cut off; one without words has no caption */
  #cut(itemId) {
    return this.#items.has(itemId) ? this.#change("assistant", itemId, { final: true, interrupted: true }) : [];
  }

  /**
   * @param {Role} role
   * @param {RealtimeEvent} event
   * @param {number} at content index
   * @param {unknown} words a delta, or the whole part when it is done
   * @param {boolean} whole
   */
  #say(role, event, at, words, whole) {
    if (typeof event.item_id !== "string" || this.#outside.has(event.response_id)) return [];
    const parts = [...(this.#items.get(event.item_id)?.parts ?? [])];
    if (typeof words === "string") parts[at] = whole ? words : (parts[at] ?? "") + words;
    return this.#change(role, event.item_id, { parts, text: parts.filter(Boolean).join(" "), final: whole });
  }

  /**
   * @param {Role} role
   * @param {string} itemId
   * @param {Partial<Caption & {parts: string[]}>} changes
   * @returns {Caption[]}
   */
  #change(role, itemId, changes) {
    const blank = { role, itemId, text: "", final: false, interrupted: false, parts: [] };
    const item = { ...(this.#items.get(itemId) ?? blank), ...changes };
    this.#items.set(itemId, item);
    const { parts, ...caption } = item;
    return [caption];
  }
}

/** Who starts or stops speaking. @type {Map<string, [Role, boolean]>} */
const VOICES = new Map([
  ["input_audio_buffer.speech_started", ["user", true]],
  ["input_audio_buffer.speech_stopped", ["user", false]],
  ["output_audio_buffer.started", ["assistant", true]],
  ["output_audio_buffer.stopped", ["assistant", false]],
  ["output_audio_buffer.cleared", ["assistant", false]],
]);

/** Who is speaking. For the model, what counts is what is heard: its playout, not its generation. */
export class Voices {
  user = false;
  assistant = false;

  /**
   * @param {RealtimeEvent} event
   * @returns {{role: Role, speaking: boolean} | undefined} the change, if there is one
   */
  observe(event) {
    const [role, speaking] = VOICES.get(event.type) ?? [];
    if (!role || speaking === undefined || this[role] === speaking) return undefined;
    this[role] = speaking;
    return { role, speaking };
  }
}
