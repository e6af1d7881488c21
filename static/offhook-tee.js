/**
 * A tee: both sides of a direct call are sent to the relay, too, which only
 * records them. It has a peer connection of its own, so that the call neither
 * waits for it nor notices its end. The tracks stay whose they are: a muted
 * microphone is silence here, too, and none is ever stopped.
 */
import { CallError, refusalError, unreachableError } from "./offhook-errors.js";

/** @typedef {import("./offhook-conversation.js").RealtimeEvent} RealtimeEvent */

/**
 * @typedef {object} TeeOptions
 * @property {URL} url where its offer goes
 * @property {Record<string, string>} headers
 * @property {MediaStreamTrack[]} tracks the microphone's, and the other side's
 * @property {typeof RTCPeerConnection} PeerConnection
 * @property {typeof globalThis.fetch} fetch
 * @property {(event: RealtimeEvent) => void} received
 * @property {(problem: CallError) => void} failed said once, and not after `close`
 */

const CONNECT_MS = 20_000;

export class Tee {
  #options;
  #controller = new AbortController();
  #peer;
  #channel;
  /** @type {RealtimeEvent[]} what is to be said once the channel is open */ #unsent = [];

  /** @param {TeeOptions} options */
  constructor(options) {
    this.#options = options;
    this.#peer = new options.PeerConnection();
    this.#channel = this.#peer.createDataChannel("offhook");
  }

  async open() {
    const { url, headers, tracks, fetch, received } = this.#options;
    const { signal } = this.#controller;
    const peer = this.#peer;
    const deadline = setTimeout(() => this.#fail(new CallError("recording_failed")), CONNECT_MS);
    signal.addEventListener("abort", () => clearTimeout(deadline));
    const changed = () => peer.connectionState === "failed" && this.#fail(new CallError("recording_failed"));
    peer.addEventListener("connectionstatechange", changed, { signal });
    const lost = () => this.#fail(new CallError("recording_failed"));
    this.#channel.addEventListener("close", lost, { signal });
    this.#channel.addEventListener("message", ({ data }) => received(JSON.parse(data)), { signal });
    const opened = () => {
      clearTimeout(deadline);
      for (const event of this.#unsent.splice(0)) this.send(event);
    };
    this.#channel.addEventListener("open", opened, { signal });
    try {
      for (const track of tracks) peer.addTransceiver(track, { direction: "sendonly" });
      await peer.setLocalDescription(await peer.createOffer());
      const body = peer.localDescription?.sdp;
      const options = { method: "POST", headers: { ...headers, "Content-Type": "application/sdp" }, body, signal };
      const response = await fetch(url, options).catch((cause) => {
        throw unreachableError(url, cause);
      });
      if (!response.ok) throw await refusalError(response);
      await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch (cause) {
      this.#fail(cause instanceof CallError ? cause : new CallError("recording_failed", { cause }));
    }
  }

  /** @param {RealtimeEvent} event */
  send(event) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(event));
    else this.#unsent.push(event);
  }

  close() {
    this.#controller.abort();
    this.#peer.close();
  }

  /** @param {CallError} problem */
  #fail(problem) {
    if (this.#controller.signal.aborted) return;
    this.close();
    this.#options.failed(problem);
  }
}
