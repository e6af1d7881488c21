import assert from "node:assert/strict";
import { test } from "node:test";
import { sentences } from "../../static/offhook-captions.js";
import { loudness } from "../../static/offhook-meter.js";
import { Scene } from "./browser.js";

const types = (scene) => scene.channel.sent.map(({ type }) => type);
const captions = (scene) => scene.events.filter(([type]) => type === "transcript").map(([, detail]) => detail);
const created = (id) => ({ type: "response.created", response: { id, conversation_id: "conv_1" } });
const done = (id, more) => ({ type: "response.done", response: { id, conversation_id: "conv_1", status: "completed", ...more } });
const spoken = { type: "conversation.item.added", item: { id: "u", type: "message", role: "user", content: [{ type: "input_audio" }] } };
const heard = "conversation.item.input_audio_transcription";

async function talking() {
  const scene = new Scene();
  await scene.connect();
  return scene;
}

test("the caller's caption comes before the answer, though its words come later", async () => {
  const scene = await talking();
  scene.channel.say(spoken);
  scene.channel.say({ type: "response.output_audio_transcript.delta", item_id: "a", response_id: "r", delta: "It is " });
  scene.channel.say({ type: `${heard}.delta`, item_id: "u", content_index: 0, delta: "What" });
  scene.channel.say({ type: `${heard}.completed`, item_id: "u", content_index: 0, transcript: "What time?" });
  scene.channel.say({ type: "response.output_audio_transcript.done", item_id: "a", response_id: "r", transcript: "It is ten." });
  assert.deepEqual(
    captions(scene).map(({ itemId, text, final }) => [itemId, text, final]),
    [["u", "", false], ["a", "It is ", false], ["u", "What", false], ["u", "What time?", true], ["a", "It is ten.", true]],
  );
});

test("typed text is a caption when the server has taken it", async () => {
  const scene = await talking();
  scene.call.sendText("hello");
  assert.equal(captions(scene).length, 0);
  scene.channel.say({ type: "conversation.item.added", item: { ...scene.channel.sent[0].item, id: "t" } });
  assert.deepEqual(captions(scene), [{ role: "user", itemId: "t", text: "hello", final: true, interrupted: false }]);
});

test("an answer that was cut off says so, however the server tells it", async () => {
  for (const end of [
    { type: "conversation.item.truncated", item_id: "a", content_index: 0, audio_end_ms: 5 },
    done("r", { status: "cancelled", output: [{ id: "a" }, { id: "silent" }] }),
  ]) {
    const scene = await talking();
    scene.channel.say({ type: "response.output_text.delta", item_id: "a", response_id: "r", delta: "I was" });
    scene.channel.say(end);
    assert.deepEqual(captions(scene).at(-1), { role: "assistant", itemId: "a", text: "I was", final: true, interrupted: true });
    assert.equal(captions(scene).length, 2);
  }
});

test("without transcription, or when it fails, the caller's caption does not wait", async () => {
  const failed = await talking();
  failed.channel.say(spoken);
  failed.channel.say({ type: `${heard}.failed`, item_id: "u", error: {} });
  assert.equal(captions(failed).at(-1).final, true);
  const none = await talking();
  none.channel.say({ type: "session.updated", session: { audio: { input: { transcription: null } } } });
  none.channel.say(spoken);
  assert.equal(captions(none).at(-1).final, true);
});

test("a response outside the conversation is no caption and blocks nothing", async () => {
  const scene = await talking();
  scene.channel.say({ type: "response.created", response: { id: "x", conversation_id: null } });
  scene.channel.say({ type: "response.output_text.delta", item_id: "i", response_id: "x", delta: "label" });
  scene.call.sendText("hi");
  assert.equal(captions(scene).length, 0);
  assert.deepEqual(types(scene), ["conversation.item.create", "response.create"]);
});

test("a response is asked for when the present one is done, and once", async () => {
  const scene = await talking();
  scene.channel.say(created("r1"));
  scene.call.sendText("one");
  scene.call.sendText("two");
  assert.deepEqual(types(scene), ["conversation.item.create", "conversation.item.create"]);
  scene.channel.say(done("r1"));
  assert.deepEqual(types(scene).slice(2), ["response.create"]);
  scene.call.sendText("three");
  scene.channel.say(created("r2"));
  scene.channel.say(done("r2"));
  assert.deepEqual(types(scene).slice(3), ["conversation.item.create", "response.create"]);
});

test("a response that came first makes ours wait for its end, without an alarm", async () => {
  const scene = await talking();
  scene.call.sendText("one");
  const { event_id } = scene.channel.sent.at(-1);
  scene.channel.say(created("vad"));
  scene.channel.say({ type: "error", error: { code: "conversation_already_has_active_response", event_id } });
  scene.channel.say(done("vad"));
  assert.equal(scene.story.length, 2);
});

test("a refused response does not block the next", async () => {
  const scene = await talking();
  scene.call.sendText("one");
  scene.channel.say({ type: "error", error: { code: "bad", message: "No.", event_id: scene.channel.sent.at(-1).event_id } });
  scene.call.sendText("two");
  assert.deepEqual(types(scene).slice(2), ["conversation.item.create", "response.create"]);
  assert.equal(scene.story.at(-1), "bad");
});

test("interrupt cancels once and always clears", async () => {
  const scene = await talking();
  scene.channel.say(created("r"));
  scene.call.interrupt();
  scene.call.interrupt();
  scene.channel.say(done("r", { status: "cancelled" }));
  scene.call.interrupt();
  assert.deepEqual(scene.channel.sent, [
    { type: "response.cancel", response_id: "r" },
    ...Array(3).fill({ type: "output_audio_buffer.clear" }),
  ]);
});

test("who speaks is told once per change", async () => {
  const scene = await talking();
  for (const type of ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "output_audio_buffer.started"])
    scene.channel.say({ type });
  assert.deepEqual(scene.call.speaking, { user: false, assistant: true });
  scene.channel.say({ type: "output_audio_buffer.cleared" });
  scene.channel.say({ type: "output_audio_buffer.stopped" });
  const turns = scene.events.filter(([type]) => type === "speaking").map(([, { role, speaking }]) => `${role} ${speaking}`);
  assert.deepEqual(turns, ["user true", "user false", "assistant true", "assistant false"]);
});

test("a failed response and an error event are problems that do not end the call", async () => {
  const scene = await talking();
  scene.channel.say(done("r", { status: "failed", status_details: { type: "failed", error: { type: "t", code: "model_not_found" } } }));
  scene.channel.say({ type: "error", error: { type: "invalid_request_error", message: "Bad item." } });
  scene.channel.say({ type: "error", error: { code: "response_cancel_not_active", message: "Nothing to cancel." } });
  assert.deepEqual(scene.story.slice(2), ["model_not_found", "invalid_request_error"]);
  assert.equal(scene.events.at(-1)[1].message, "Bad item.");
  assert.equal(scene.call.state, "connected");
});

test("sentences are whole, in several scripts", () => {
  assert.equal(sentences("It is ten. Today is Sun"), "It is ten.");
  assert.equal(sentences("It is 3.5 met"), "");
  assert.equal(sentences("“Really?” she said"), "“Really?”");
  assert.equal(sentences("现在三点。今天"), "现在三点。");
});

test("loudness is 0 for silence and 1 for full scale", () => {
  assert.equal(loudness(new Float32Array(128)), 0);
  assert.equal(loudness(new Float32Array(128).fill(1)), 1);
});
