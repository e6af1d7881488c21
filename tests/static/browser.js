/**
 * Stand-ins for the browser's classes, as small as the tests allow: what the
 * call asked of them can be read, and what they answer is set by the test.
 */
import { Call } from "../../static/offhook.js";

export const BASE = "https://relay.example/voice/";
export const OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";

export class Track extends EventTarget {
  kind = "audio";
  enabled = true;
  stopped = false;
  stop() {
    this.stopped = true;
  }
}

export class Stream {
  tracks = [new Track()];
  getTracks() {
    return this.tracks;
  }
  getAudioTracks() {
    return this.tracks;
  }
}

class Channel extends EventTarget {
  readyState = "connecting";
  sent = [];
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = "closed";
  }
  /** The server says something. */
  say(event) {
    this.readyState = "open";
    const data = typeof event === "string" ? event : JSON.stringify({ event_id: "event_1", ...event });
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
  open() {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }
  /** The server closes its side. */
  end() {
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }
}

class Peer extends EventTarget {
  connectionState = "new";
  tracks = [];
  steps = [];
  createDataChannel(label) {
    this.steps.push(`channel ${label}`);
    return (this.channel = new Channel());
  }
  addTrack(track) {
    this.steps.push("track");
    this.tracks.push(track);
  }
  addTransceiver(track, { direction }) {
    this.steps.push(direction);
    this.tracks.push(track);
  }
  /** The other side's voice is there. */
  hear(stream = new Stream()) {
    const event = new Event("track");
    this.dispatchEvent(Object.assign(event, { track: stream.tracks[0], streams: [stream] }));
    return stream;
  }
  async createOffer() {
    this.steps.push("offer");
    return { type: "offer", sdp: OFFER };
  }
  async setLocalDescription(description) {
    this.steps.push("local");
    this.localDescription = description;
  }
  async setRemoteDescription({ sdp }) {
    if (!sdp.startsWith("v=0")) throw new DOMException("not SDP", "OperationError");
    this.steps.push("remote");
  }
  become(state) {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
  close() {
    this.connectionState = "closed";
  }
}

export const json = (body, status = 200) => new Response(JSON.stringify(body), { status });

/** A browser and a relay around one call. `answers` replaces what the relay answers, by the end of the path. */
export class Scene {
  peers = [];
  requests = [];
  microphones = [];
  events = [];
  answers = {
    client_secrets: () => json({ value: "ek_1" }),
    calls: () => new Response("v=0\r\n", { status: 201, headers: { Location: "/v1/realtime/calls/rtc_7" } }),
    hangup: () => new Response(),
    recording: () => new Response("v=0\r\n", { status: 201 }),
  };

  constructor(options = {}) {
    const scene = this;
    this.call = new Call({
      base: BASE,
      PeerConnection: class extends Peer {
        constructor() {
          super();
          scene.peers.push(this);
        }
      },
      fetch: (url, init) => this.#fetch(url, init),
      mediaDevices: { getUserMedia: async (wanted) => this.openMicrophone(wanted) },
      ...options,
    });
    for (const type of ["statechange", "callerror", "transcript", "speaking", "mutechange", "recordingerror"])
      this.call.addEventListener(type, ({ detail }) => this.events.push([type, detail]));
  }

  get peer() {
    return this.peers.at(-1);
  }
  get channel() {
    return this.peer.channel;
  }
  /** The states and error codes seen, in order. */
  get story() {
    return this.events
      .filter(([type]) => type === "statechange" || type === "callerror")
      .map(([, detail]) => detail.state ?? detail.code);
  }

  openMicrophone() {
    this.microphones.push(new Stream());
    return this.microphones.at(-1);
  }

  /** Starts the call and lets the server greet it. */
  async connect() {
    const before = this.peers.length;
    const started = this.call.start();
    await this.until(() => this.peers.length > before && this.peer.steps.includes("remote"));
    this.peer.become("connected");
    this.channel.say({ type: "session.created", session: {} });
    await started;
  }

  async until(condition) {
    for (let turns = 0; !condition(); turns++) {
      if (turns > 200) throw new Error(`never: ${condition}`);
      await Promise.resolve();
    }
  }

  async #fetch(url, init) {
    const path = new URL(url).pathname;
    this.requests.push({ path, ...init });
    const aborted = new Promise((_, reject) => {
      init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    });
    return Promise.race([this.answers[path.split("/").at(-1)](), aborted]);
  }
}
