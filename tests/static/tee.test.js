import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene, Stream, json } from "./browser.js";

const CONSENT = { type: "offhook.recording.consent" };
const WITHDRAW = { type: "offhook.recording.withdraw" };

/** A direct call, and what the relay says of its recording. */
class Direct extends Scene {
  constructor(tee, options) {
    super(options);
    const headers = { Location: "/v1/realtime/calls/rtc_7", "Offhook-Tee": tee };
    this.answers.calls = () => new Response("v=0\r\n", { status: 201, headers });
  }

  async connect() {
    const started = this.call.start();
    await this.until(() => this.peer?.steps.includes("remote"));
    this.main = this.peer;
    this.other = this.main.hear();
    this.main.channel.say({ type: "session.created", session: {} });
    await started;
  }

  /** The recorder's peer, once it has been offered. */
  async tee() {
    await turns(() => this.peers.length > 1 && this.peer.steps.includes("remote"));
    return this.peer;
  }

  get problems() {
    return this.events.filter(([type]) => type === "recordingerror").map(([, { code }]) => code);
  }
}

/** Modules that are loaded when needed take more than a microtask. */
async function turns(condition) {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 200) throw new Error(`never: ${condition}`);
    await new Promise(setImmediate);
  }
}

test("both sides go to the recorder, and nothing comes from there", async () => {
  const mediaStream = new Stream();
  const scene = new Direct("now", { mediaStream });
  await scene.connect();
  const tee = await scene.tee();
  assert.deepEqual(tee.steps, ["channel offhook", "sendonly", "sendonly", "offer", "local", "remote"]);
  assert.deepEqual(tee.tracks, [mediaStream.tracks[0], scene.other.tracks[0]]);
  const { path, headers } = scene.requests.at(-1);
  assert.equal(path, "/voice/v1/offhook/calls/rtc_7/recording");
  assert.equal(headers.Authorization, "Bearer ek_1");
  tee.channel.say({ type: "offhook.recording.started", recording_id: "rec_1" });
  assert.equal(scene.call.recording, true);
  scene.call.stop();
  assert.equal(tee.connectionState, "closed");
  assert.ok([mediaStream, scene.other].every(({ tracks: [track] }) => !track.stopped));
  assert.deepEqual(scene.problems, []);
});

test("nothing is sent before the caller agrees", async () => {
  const scene = new Direct("on-consent");
  await scene.connect();
  scene.call.allowRecording(false);
  await turns(() => true);
  assert.equal(scene.peers.length, 1);
  scene.call.allowRecording();
  const tee = await scene.tee();
  await turns(() => true);
  tee.channel.open();
  assert.deepEqual(tee.channel.sent, [CONSENT]);
  assert.deepEqual(scene.main.channel.sent, []);
});

test("what is taken back ends the recorder's connection when it is deleted", async () => {
  const scene = new Direct("now");
  await scene.connect();
  const tee = await scene.tee();
  tee.channel.open();
  tee.channel.say({ type: "offhook.recording.started", recording_id: "rec_1" });
  scene.call.allowRecording(false);
  await turns(() => tee.channel.sent.length);
  assert.deepEqual(tee.channel.sent, [WITHDRAW]);
  assert.equal(tee.connectionState, "new");
  tee.channel.say({ type: "offhook.recording.stopped", recording_id: "rec_1", deleted: true });
  await turns(() => tee.connectionState === "closed");
  assert.equal(scene.call.recording, false);
  assert.equal(scene.call.state, "connected");
  assert.deepEqual(scene.problems, []);
});

for (const [name, prepare, code] of [
  ["refuses", (scene) => (scene.answers.recording = () => json({ error: { code: "not_recorded" } }, 409)), "not_recorded"],
  ["is not there", (scene) => (scene.answers.recording = () => Promise.reject(new TypeError("x"))), "relay_unreachable"],
  ["answers nonsense", (scene) => (scene.answers.recording = () => new Response("no")), "recording_failed"],
])
  test(`a recorder that ${name} leaves the call as it is`, async () => {
    const scene = new Direct("now");
    prepare(scene);
    await scene.connect();
    await turns(() => scene.problems.length);
    assert.deepEqual(scene.problems, [code]);
    assert.equal(scene.peer.connectionState, "closed");
    assert.equal(scene.call.state, "connected");
    assert.deepEqual(scene.story, ["connecting", "connected"]);
  });

for (const [name, die] of [
  ["fails", (tee) => tee.become("failed")],
  ["hangs up", (tee) => tee.channel.end()],
])
  test(`a recorder that ${name} leaves the call as it is`, async () => {
    const scene = new Direct("now");
    await scene.connect();
    const tee = await scene.tee();
    tee.channel.say({ type: "offhook.recording.started", recording_id: "rec_1" });
    die(tee);
    await turns(() => scene.problems.length);
    assert.deepEqual(scene.problems, ["recording_failed"]);
    assert.equal(scene.call.recording, false);
    assert.equal(scene.call.state, "connected");
    // What was recorded until then can be taken back all the same.
    scene.call.allowRecording(false);
    const { method, path } = scene.requests.at(-1);
    assert.equal(method, "DELETE");
    assert.match(path, /v1\/offhook\/calls\/rtc_7\/recording$/);
  });

test("a recorder that never connects is given up", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const scene = new Direct("now");
  await scene.connect();
  await scene.tee();
  t.mock.timers.tick(20_000);
  await turns(() => scene.problems.length);
  assert.deepEqual(scene.problems, ["recording_failed"]);
});

test("a call that ends while the recorder is on its way leaves none behind", async () => {
  const scene = new Direct("now");
  await scene.connect();
  scene.call.stop();
  await turns(() => scene.peers.length > 1);
  await turns(() => scene.peer.connectionState === "closed");
  assert.deepEqual(scene.problems, []);
});
