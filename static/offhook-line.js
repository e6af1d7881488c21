/**
 * One line: from the key and the offer to the open data channel, and down
 * again. A line is used once; whatever it opened itself, `close()` closes.
 */
import { CallError, microphoneError, refusalError, unreachableError } from "./offhook-errors.js";

/** @typedef {import("./offhook-conversation.js").RealtimeEvent} RealtimeEvent */

/** @typedef {(signal: AbortSignal) => MediaStream | Promise<MediaStream>} OpenMicrophone */
/** @typedef {(about: {agent?: string, session?: object, consent?: boolean, signal: AbortSignal}) => string | Promise<string>} GetToken */

/**
 * @typedef {object} LineOptions
 * @property {string | URL} [base] where Offhook is mounted; by default where this file came from
 * @property {string} [agent] the agent to talk to
 * @property {object} [session] wishes for the session, as far as the server allows them
 * @property {boolean} [consent] what the caller said to being recorded
 * @property {MediaStream | Promise<MediaStream> | OpenMicrophone} [mediaStream] the host's
 *   own microphone. A function is called at once in `start()`, within the user's gesture.
 * @property {HTMLAudioElement} [audioElement] the host's own element to play the answer on
 * @property {GetToken} [getToken] the host's own way to get a key for the call
 * @property {AbortSignal} [signal] ends the call, in whatever state it is
 * @property {typeof RTCPeerConnection} [PeerConnection]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {Pick<MediaDevices, "getUserMedia">} [mediaDevices]
 */

/**
 * @typedef {object} LineObserver
 * @property {() => void} opened the session is there; said before its first event
 * @property {(event: RealtimeEvent) => void} received
 * @property {(problem: CallError) => void} troubled something is wrong, and the line goes on
 * @property {(reason: CallError) => void} closed said once
 */

/** From the offer to the first session event. ICE alone gives up after about 15 to 30 s. */
const CONNECT_MS = 20_000;
/** `disconnected` often heals by itself; the official SDK waits as long. */
const GRACE_MS = 5_000;

export class Line {
  #options;
  #observer;
  #controller = new AbortController();
  /** @type {RTCPeerConnection | undefined} */ #peer;
  /** @type {RTCDataChannel | undefined} */ #channel;
  /** @type {MediaStream | undefined} */ #own;
  /** @type {MediaStreamTrack | undefined} */ #track;
  /** @type {HTMLAudioElement | undefined} */ #audio;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #deadline;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #grace;
  #token = "";
  #open = false;
  #muted = false;
  #wasEnabled = true;
  #base;
  /** Where offers go: the relay, or in key mode the upstream itself. */
  #calls;

  /** @type {string | undefined} */ callId;
  /** @type {string | null} whether a page has to record the call by a tee: `now`, or `on-consent` */ teed = null;
  /** @type {MediaStream | undefined} */ mediaStream;
  /** @type {MediaStream | undefined} */ remoteStream;

  /**
   * @param {LineOptions} options
   * @param {LineObserver} observer
   */
  constructor(options, observer) {
    this.#options = options;
    this.#observer = observer;
    this.#base = mountOf(options.base);
    this.#calls = new URL("v1/realtime/calls", this.#base);
  }

  /** Resolves when the session is there. Rejects with the CallError that closed the line. */
  async open() {
    const { signal } = this.#controller;
    try {
      // Safari unlocks sound only within the gesture, so this comes before anything is awaited.
      this.#unlockAudio();
      this.#followHost();
      const [stream, token] = await this.#unlessClosed(Promise.all([this.#openMicrophone(), this.#getToken()]));
      this.mediaStream = stream;
      this.#token = token;
      this.#deadline = setTimeout(() => this.close(new CallError("connection_failed")), CONNECT_MS);
      await this.#unlessClosed(this.#negotiate(stream));
    } catch (cause) {
      await null; // never closes before open() has returned
      this.close(cause instanceof CallError ? cause : new CallError("connection_failed", { message: String(cause), cause }));
      throw signal.reason;
    }
  }

  /**
   * @param {RealtimeEvent} event
   */
  send(event) {
    if (!this.#open || this.#channel?.readyState !== "open") throw new CallError("not_connected");
    this.#channel.send(JSON.stringify(event));
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#muted = muted;
    if (this.#track) this.#track.enabled = !muted;
  }

  /**
   * @param {Pick<import("./offhook-tee.js").TeeOptions, "received" | "failed">} observer
   * @returns {Promise<import("./offhook-tee.js").Tee>} closed with the line
   */
  async openTee(observer) {
    const { fetch = globalThis.fetch, PeerConnection = globalThis.RTCPeerConnection } = this.#options;
    const { Tee } = await import("./offhook-tee.js"); // few calls need it
    const [other] = this.remoteStream?.getAudioTracks() ?? [];
    const tracks = this.#track && other ? [this.#track, other] : [];
    const tee = new Tee({ url: this.#teeUrl, headers: this.#authorization, tracks, fetch, PeerConnection, ...observer });
    const { signal } = this.#controller;
    signal.addEventListener("abort", () => tee.close());
    if (signal.aborted) tee.close();
    else tee.open();
    return tee;
  }

  /** Takes the consent back where the tee has broken. */
  withdraw() {
    this.#tell("DELETE", this.#teeUrl);
  }

  get #teeUrl() {
    return new URL(`v1/offhook/calls/${this.callId}/recording`, this.#base);
  }

  /** @param {CallError} [reason] */
  close(reason = new CallError("aborted")) {
    if (this.#controller.signal.aborted) return;
    this.#controller.abort(reason); // ends requests and waits, and takes every listener off
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
    if (reason.code !== "ended") this.#hangUp();
    this.#channel?.close();
    this.#peer?.close();
    this.#own?.getTracks().forEach((track) => track.stop());
    // A borrowed track goes back as it came.
    if (!this.#own && this.#track && this.#muted) this.#track.enabled = this.#wasEnabled;
    if (this.#audio && !this.#options.audioElement) this.#audio.srcObject = null;
    this.#observer.closed(reason);
  }

  #followHost() {
    const { signal: host } = this.#options;
    const { signal } = this.#controller;
    if (host?.aborted) throw new CallError("aborted", { cause: host.reason });
    host?.addEventListener("abort", () => this.close(), { signal });
    // The browser may keep a page in its back/forward cache, or drop it without another word.
    globalThis.addEventListener?.("pagehide", () => this.close(), { signal });
  }

  #unlockAudio() {
    this.#audio = this.#options.audioElement ?? globalThis.document?.createElement("audio");
    if (!this.#audio) return;
    this.#audio.autoplay = true;
    this.#audio.play().catch(() => {}); // nothing to play yet: only the permission counts
  }

  async #openMicrophone() {
    const { mediaStream: given, mediaDevices = globalThis.navigator?.mediaDevices } = this.#options;
    const { signal } = this.#controller;
    try {
      if (given) return withAudio(await (typeof given === "function" ? given(signal) : given));
      if (!mediaDevices) throw new CallError("insecure_context");
      const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      const stream = await mediaDevices.getUserMedia({ audio });
      if (signal.aborted) stream.getTracks().forEach((track) => track.stop());
      else this.#own = stream;
      return withAudio(stream);
    } catch (cause) {
      throw microphoneError(cause);
    }
  }

  async #getToken() {
    const { agent, session, consent, getToken } = this.#options;
    const { signal } = this.#controller;
    if (!getToken) {
      const said = consent === undefined ? undefined : { recording: consent };
      const body = JSON.stringify({ agent, session, consent: said });
      const url = new URL("v1/realtime/client_secrets", this.#base);
      const response = await this.#post(url, { "Content-Type": "application/json" }, body);
      const { value, calls_url: calls } = await response.json().catch(() => ({}));
      if (typeof calls === "string") this.#calls = new URL(calls);
      if (typeof value !== "string") throw new CallError("relay_refused", { message: "The voice service gave no key." });
      return value;
    }
    try {
      const value = await getToken({ agent, session, consent, signal });
      if (typeof value === "string" && value) return value;
    } catch (cause) {
      if (cause instanceof CallError) throw cause;
      throw new CallError("token_failed", { cause });
    }
    throw new CallError("token_failed");
  }

  /** @param {MediaStream} stream */
  async #negotiate(stream) {
    const { PeerConnection = globalThis.RTCPeerConnection } = this.#options;
    if (!PeerConnection) throw new CallError("webrtc_missing");
    const peer = (this.#peer = new PeerConnection());
    this.#channel = peer.createDataChannel("oai-events");
    const session = this.#watch(peer, this.#channel);
    this.#addMicrophone(peer, stream);
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const response = await this.#post(this.#calls, { "Content-Type": "application/sdp", ...this.#authorization }, offer.sdp);
    this.callId = response.headers.get("Location")?.split("/").pop() || undefined;
    this.teed = response.headers.get("Offhook-Tee");
    const sdp = await response.text();
    await peer.setRemoteDescription({ type: "answer", sdp }).catch((cause) => {
      throw new CallError("answer_invalid", { cause });
    });
    await session;
  }

  /**
   * @param {RTCPeerConnection} peer
   * @param {MediaStream} stream
   */
  #addMicrophone(peer, stream) {
    const [track] = stream.getAudioTracks();
    this.#track = track;
    this.#wasEnabled = track.enabled;
    if (this.#muted) track.enabled = false;
    track.addEventListener("ended", () => this.#observer.troubled(new CallError("microphone_lost")), {
      signal: this.#controller.signal,
    });
    peer.addTrack(track, stream);
  }

  /**
   * @param {RTCPeerConnection} peer
   * @param {RTCDataChannel} channel
   * @returns {Promise<void>} resolves with the first session event
   */
  #watch(peer, channel) {
    const { signal } = this.#controller;
    const lost = () => this.close(new CallError(this.#open ? "connection_lost" : "connection_failed"));
    const changed = () => {
      clearTimeout(this.#grace);
      if (peer.connectionState === "disconnected") this.#grace = setTimeout(lost, GRACE_MS);
      else if (peer.connectionState === "failed" || peer.connectionState === "closed") lost();
    };
    // A server that hangs up closes its side of the channel while the connection is still good.
    const ended = () => (this.#open && peer.connectionState === "connected" ? this.close(new CallError("ended")) : lost());
    peer.addEventListener("connectionstatechange", changed, { signal });
    peer.addEventListener("track", (event) => this.#play(event), { signal });
    channel.addEventListener("close", ended, { signal });
    return new Promise((resolve) => {
      channel.addEventListener("message", ({ data }) => this.#receive(data, resolve), { signal });
    });
  }

  /**
   * @param {unknown} data
   * @param {() => void} opened
   */
  #receive(data, opened) {
    const event = parseEvent(data);
    if (!event) return;
    if (!this.#open && (event.type === "session.created" || event.type === "session.updated")) {
      this.#open = true;
      clearTimeout(this.#deadline);
      opened();
      this.#observer.opened();
    }
    this.#observer.received(event);
  }

  /** @param {RTCTrackEvent} event */
  #play({ track, streams }) {
    if (track.kind !== "audio") return;
    this.remoteStream = streams[0] ?? new MediaStream([track]);
    if (!this.#audio) return;
    this.#audio.srcObject = this.remoteStream;
    this.#audio.play().catch((cause) => {
      // AbortError only says that another play() or a close came in between.
      if (cause?.name === "NotAllowedError" && !this.#controller.signal.aborted)
        this.#observer.troubled(new CallError("audio_blocked", { cause }));
    });
  }

  get #authorization() {
    return { Authorization: `Bearer ${this.#token}` };
  }

  /**
   * @param {URL} url
   * @param {Record<string, string>} headers
   * @param {string} [body]
   */
  async #post(url, headers, body) {
    const { fetch = globalThis.fetch } = this.#options;
    const { signal } = this.#controller;
    const response = await fetch(url, { method: "POST", headers, body, signal, cache: "no-store" }).catch((cause) => {
      throw unreachableError(url, cause);
    });
    if (!response.ok) throw await refusalError(response);
    return response;
  }

  #hangUp() {
    // An upstream's own hang-up wants the server's key: in key mode it must notice by itself.
    if (this.callId && this.#calls.origin === this.#base.origin)
      this.#tell("POST", new URL(`${this.#calls}/${this.callId}/hangup`));
  }

  /**
   * Tells the relay, even while the page goes away. It notices by itself too, only later.
   * @param {string} method
   * @param {URL} url
   */
  #tell(method, url) {
    const { fetch = globalThis.fetch } = this.#options;
    fetch(url, { method, headers: this.#authorization, keepalive: true }).catch(() => {});
  }

  /**
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>} rejects with the reason as soon as the line closes
   */
  #unlessClosed(work) {
    const { signal } = this.#controller;
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      work.then(resolve, reject);
    });
  }
}

/**
 * The files lie in <mount>/static/; so the mount point is known without any configuration.
 * @param {string | URL} [base]
 */
export function mountOf(base) {
  const mount = new URL(base || "..", base ? globalThis.document?.baseURI : import.meta.url);
  if (!mount.pathname.endsWith("/")) mount.pathname += "/";
  return mount;
}

/** @param {MediaStream} stream */
function withAudio(stream) {
  if (!stream?.getAudioTracks?.().length) throw new CallError("microphone_missing");
  return stream;
}

/**
 * @param {unknown} data
 * @returns {RealtimeEvent | undefined} nothing when it is not an event: the channel survives what it cannot read
 */
function parseEvent(data) {
  try {
    const event = JSON.parse(String(data));
    return typeof event?.type === "string" ? event : undefined;
  } catch {
    return undefined;
  }
}
