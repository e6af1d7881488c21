import assert from "node:assert/strict";
import { test } from "node:test";
import { CallError } from "../../static/offhook.js";
import { BASE, OFFER, Scene, Stream, json } from "./browser.js";

const never = () => new Promise(() => {});
const code = (expected) => (error) => error instanceof CallError && error.code === expected;

test("a call mints a key, offers, and is connected when the session speaks", async () => {
  const scene = new Scene({ agent: "support", session: { audio: {} } });
  const started = scene.call.start();
  await scene.until(() => scene.peer?.steps.includes("remote"));
  assert.equal(scene.call.state, "connecting");
  scene.channel.say({ type: "session.created", session: {} });
  await started;
  assert.equal(scene.call.state, "connected");
  assert.equal(scene.call.callId, "rtc_7");
  assert.deepEqual(scene.peer.steps, ["channel oai-events", "track", "offer", "local", "remote"]);
  const [mint, offer] = scene.requests;
  assert.equal(mint.path, "/voice/v1/realtime/client_secrets");
  assert.deepEqual(JSON.parse(mint.body), { agent: "support", session: { audio: {} } });
  assert.equal(offer.path, "/voice/v1/realtime/calls");
  assert.equal(offer.body, OFFER);
  assert.deepEqual(offer.headers, { "Content-Type": "application/sdp", Authorization: "Bearer ek_1" });
});

test("a listener of the first session event can already send", async () => {
  const scene = new Scene();
  scene.call.addEventListener("session.created", () => scene.call.sendEvent({ type: "session.update" }));
  await scene.connect();
  assert.deepEqual(scene.channel.sent, [{ type: "session.update" }]);
});

test("the base may lack its final slash, and the key may come from the host", async () => {
  const scene = new Scene({ base: BASE.slice(0, -1), getToken: async ({ agent }) => `ek_${agent}`, agent: "a" });
  await scene.connect();
  assert.equal(scene.requests[0].path, "/voice/v1/realtime/calls");
  assert.equal(scene.requests[0].headers.Authorization, "Bearer ek_a");
});

test("overlapping starts are one", async () => {
  const scene = new Scene();
  const first = scene.call.start();
  assert.equal(scene.call.start(), first);
  await scene.until(() => scene.peer?.steps.includes("remote"));
  scene.channel.say({ type: "session.created" });
  await first;
  assert.equal(scene.call.start(), first);
  assert.equal(scene.peers.length, 1);
});

test("stop hangs up and stops the own microphone, and the call can start again", async () => {
  const scene = new Scene();
  await scene.connect();
  scene.call.stop();
  scene.call.stop();
  const hangups = scene.requests.filter(({ path }) => path.endsWith("/calls/rtc_7/hangup"));
  assert.equal(hangups.length, 1);
  assert.equal(hangups[0].keepalive, true);
  assert.equal(hangups[0].headers.Authorization, "Bearer ek_1");
  assert.equal(scene.microphones[0].tracks[0].stopped, true);
  assert.equal(scene.peer.connectionState, "closed");
  await scene.connect();
  assert.deepEqual(scene.story, ["connecting", "connected", "disconnected", "connecting", "connected"]);
});

test("what the host passed in is given back as it came", async () => {
  const mediaStream = new Stream();
  const audioElement = { play: async () => {}, srcObject: "something" };
  const scene = new Scene({ mediaStream, audioElement });
  await scene.connect();
  scene.call.mute();
  assert.equal(mediaStream.tracks[0].enabled, false);
  scene.call.stop();
  assert.equal(mediaStream.tracks[0].stopped, false);
  assert.equal(mediaStream.tracks[0].enabled, true);
  assert.equal(audioElement.srcObject, "something");
  assert.equal(scene.call.muted, true);
});

test("a source of the host is asked within start(), before anything is awaited", async () => {
  let signal;
  const scene = new Scene({ mediaStream: (given) => ((signal = given), new Stream()) });
  scene.call.start().catch(() => {});
  assert.equal(signal.aborted, false);
  scene.call.stop();
  assert.equal(signal.aborted, true);
});

test("mute counts before, during and after the call", async () => {
  const scene = new Scene();
  scene.call.mute();
  await scene.connect();
  const [track] = scene.microphones[0].tracks;
  assert.equal(track.enabled, false);
  scene.call.mute(false);
  assert.equal(track.enabled, true);
  assert.deepEqual(scene.events.filter(([type]) => type === "mutechange").map(([, { muted }]) => muted), [true, false]);
});

for (const [phase, prepare, reached] of [
  ["the microphone", (scene) => (scene.openMicrophone = never), () => true],
  ["the key", (scene) => (scene.answers.client_secrets = never), () => true],
  ["the answer", (scene) => (scene.answers.calls = never), (scene) => scene.requests.length === 2],
  ["the session", () => {}, (scene) => scene.peer?.steps.includes("remote")],
])
  test(`an abort while waiting for ${phase} cleans up`, async () => {
    const controller = new AbortController();
    const scene = new Scene({ signal: controller.signal });
    prepare(scene);
    const started = scene.call.start();
    await scene.until(() => reached(scene));
    controller.abort();
    await assert.rejects(started, code("aborted"));
    await scene.until(() => true);
    assert.deepEqual(scene.story, ["connecting", "disconnected"]);
    assert.ok(scene.microphones.every(({ tracks: [track] }) => track.stopped));
    assert.ok(!scene.peer || scene.peer.connectionState === "closed");
  });

test("a microphone that is allowed after the end is stopped at once", async () => {
  const scene = new Scene();
  const stream = new Stream();
  let allow;
  scene.openMicrophone = () => new Promise((resolve) => (allow = () => resolve(stream)));
  const started = scene.call.start();
  scene.call.stop();
  await assert.rejects(started, code("aborted"));
  allow();
  await scene.until(() => stream.tracks[0].stopped);
});

test("a signal that was aborted before asks for nothing", async () => {
  const scene = new Scene({ signal: AbortSignal.abort() });
  await assert.rejects(scene.call.start(), code("aborted"));
  assert.equal(scene.requests.length + scene.microphones.length, 0);
});

for (const [name, expected] of [
  ["NotAllowedError", "microphone_denied"],
  ["NotFoundError", "microphone_missing"],
  ["NotReadableError", "microphone_busy"],
])
  test(`${name} is ${expected}, with advice`, async () => {
    const scene = new Scene();
    scene.openMicrophone = () => {
      throw new DOMException("no", name);
    };
    await assert.rejects(scene.call.start(), code(expected));
    assert.deepEqual(scene.story, ["connecting", "disconnected", expected]);
    assert.ok(scene.events.at(-1)[1].hint);
  });

test("the other failures have their codes too", async () => {
  const unreachable = new Scene();
  unreachable.answers.client_secrets = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(unreachable.call.start(), (error) => {
    assert.match(error.message, /https:\/\/relay\.example/);
    return code("relay_unreachable")(error);
  });
  const garbled = new Scene();
  garbled.answers.calls = () => new Response("<html>", { status: 201 });
  await assert.rejects(garbled.call.start(), code("answer_invalid"));
  await assert.rejects(new Scene({ mediaDevices: null }).call.start(), code("insecure_context"));
  await assert.rejects(new Scene({ PeerConnection: null }).call.start(), code("webrtc_missing"));
  await assert.rejects(new Scene({ getToken: () => "" }).call.start(), code("token_failed"));
  assert.throws(() => new Scene().call.sendEvent({ type: "x" }), code("not_connected"));
});

test("on another origin the advice names the setting and this origin", async () => {
  globalThis.location = { origin: "https://shop.example" };
  const scene = new Scene();
  scene.answers.client_secrets = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(scene.call.start(), ({ hint }) => /OFFHOOK_ORIGINS.*https:\/\/shop\.example/.test(hint));
  delete globalThis.location;
});

test("a refusal keeps the server's code and words", async () => {
  const scene = new Scene();
  scene.answers.calls = () => json({ error: { message: "Not today.", code: "quota", type: "t", param: null } }, 429);
  await assert.rejects(scene.call.start(), { code: "quota", message: "Not today.", status: 429 });
  const plain = new Scene();
  plain.answers.calls = () => new Response("Bad gateway", { status: 502 });
  await assert.rejects(plain.call.start(), { code: "relay_refused", status: 502 });
});

test("a connection has five seconds to come back", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const scene = new Scene();
  await scene.connect();
  scene.peer.become("disconnected");
  t.mock.timers.tick(4999);
  scene.peer.become("connected");
  t.mock.timers.tick(5000);
  assert.equal(scene.call.state, "connected");
  scene.peer.become("disconnected");
  t.mock.timers.tick(5000);
  assert.deepEqual(scene.story.slice(-2), ["disconnected", "connection_lost"]);
});

test("a connection that fails is lost at once", async () => {
  const scene = new Scene();
  await scene.connect();
  scene.peer.become("failed");
  assert.deepEqual(scene.story.slice(-2), ["disconnected", "connection_lost"]);
});

test("a server that never speaks is given up", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const scene = new Scene();
  const started = scene.call.start();
  await scene.until(() => scene.peer?.steps.includes("remote"));
  t.mock.timers.tick(20_000);
  await assert.rejects(started, code("connection_failed"));
});

test("a channel that the server closes is a clean end", async () => {
  const scene = new Scene();
  await scene.connect();
  scene.channel.end();
  assert.deepEqual(scene.story, ["connecting", "connected", "disconnected"]);
  assert.equal(scene.requests.some(({ path }) => path.endsWith("hangup")), false);
});

test("every event arrives raw, and what is no event does no harm", async () => {
  const scene = new Scene();
  await scene.connect();
  const seen = [];
  scene.call.addEventListener("*", ({ detail }) => seen.push(detail.type));
  scene.call.addEventListener("brand.new", ({ detail }) => seen.push(detail.field));
  for (const text of ["{", "3", "null", '{"type":4}']) scene.channel.say(text);
  scene.channel.say({ type: "brand.new", field: 1 });
  scene.channel.say({ type: "constructor" });
  assert.deepEqual(seen, ["brand.new", 1, "constructor"]);
});

test("a listener may start again from the end of a call", async () => {
  const scene = new Scene();
  await scene.connect();
  scene.call.addEventListener("statechange", () => scene.connect(), { once: true });
  scene.channel.end();
  await scene.until(() => scene.call.state === "connected");
  assert.equal(scene.peers.length, 2);
});

test("what the caller said to being recorded goes with the key", async () => {
  for (const consent of [true, false]) {
    const scene = new Scene({ consent });
    await scene.connect();
    assert.deepEqual(JSON.parse(scene.requests[0].body), { consent: { recording: consent } });
  }
  const scene = new Scene({ consent: true, getToken: ({ consent }) => `ek_${consent}` });
  await scene.connect();
  assert.equal(scene.requests[0].headers.Authorization, "Bearer ek_true");
});

test("consent is given and taken back in the call", async () => {
  const scene = new Scene();
  assert.throws(() => scene.call.allowRecording(), code("not_connected"));
  await scene.connect();
  scene.call.allowRecording();
  scene.call.allowRecording(false);
  assert.deepEqual(scene.channel.sent, [{ type: "offhook.recording.consent" }, { type: "offhook.recording.withdraw" }]);
});

test("a call says whether it is being recorded", async () => {
  const scene = new Scene();
  const changes = [];
  scene.call.addEventListener("recordingchange", ({ detail }) => changes.push(detail));
  await scene.connect();
  assert.equal(scene.call.recording, false);
  scene.channel.say({ type: "offhook.recording.started", recording_id: "rec_1" });
  assert.equal(scene.call.recording, true);
  scene.channel.say({ type: "offhook.recording.stopped", recording_id: "rec_1", deleted: true });
  scene.channel.say({ type: "offhook.recording.started", recording_id: "rec_2" });
  scene.call.stop();
  assert.equal(scene.call.recording, false);
  assert.deepEqual(changes, [
    { recording: true, deleted: false },
    { recording: false, deleted: true },
    { recording: true, deleted: false },
    { recording: false, deleted: false },
  ]);
});

test("a call that needs consent tells the caller so, in words for callers", async () => {
  const scene = new Scene();
  scene.answers.client_secrets = () => json({ error: { code: "consent_required", message: "send consent" } }, 403);
  await assert.rejects(scene.call.start(), (error) => {
    assert.deepEqual([error.code, error.status], ["consent_required", 403]);
    return /your consent/.test(error.message) && /agree/.test(error.hint);
  });
});
