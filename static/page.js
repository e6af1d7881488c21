/**
 * The page at the root: the element with a microphone and a speaker of the
 * page's own. So it is also the example of how a host keeps its own media.
 */
import { OffhookCall } from "./offhook-call.js";

const KEPT_EVENTS = 200;
const KEPT_CHARACTERS = 600;

const phone = /** @type {OffhookCall} */ (document.querySelector("#phone"));
const sound = /** @type {HTMLAudioElement} */ (document.querySelector("#sound"));
const microphone = /** @type {HTMLSelectElement} */ (document.querySelector("#microphone"));
const speaker = /** @type {HTMLSelectElement} */ (document.querySelector("#speaker"));
const agent = /** @type {HTMLSelectElement | null} */ (document.querySelector("#agent"));

/** @type {MediaStream | undefined} */
let stream;

OffhookCall.define();
phone.audioElement = sound;
// Without a secure context there is no microphone to open, and the call says so itself.
if (navigator.mediaDevices) {
  phone.mediaStream = openMicrophone;
  navigator.mediaDevices.addEventListener("devicechange", listDevices);
  listDevices();
}
phone.addEventListener("statechange", stateChanged);
agent?.addEventListener("change", chooseAgent);
chooseAgent(); // the browser may have kept an earlier choice
speaker.addEventListener("change", chooseSpeaker);
speaker.closest("p")?.toggleAttribute("hidden", !("setSinkId" in sound));
phone.addEventListener("*", showEvent);

/** @param {AbortSignal} signal */
async function openMicrophone(signal) {
  const deviceId = microphone.value ? { exact: microphone.value } : undefined;
  const audio = { deviceId, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const opened = await navigator.mediaDevices.getUserMedia({ audio });
  if (signal.aborted) closeMicrophone(opened);
  else stream = opened;
  listDevices(); // names are known only once the microphone is allowed
  return opened;
}

/** @param {MediaStream} [opened] */
function closeMicrophone(opened) {
  opened?.getTracks().forEach((track) => track.stop());
}

function stateChanged() {
  const ended = phone.state === "disconnected";
  microphone.disabled = !ended;
  if (agent) agent.disabled = !ended;
  if (!ended) return;
  closeMicrophone(stream);
  stream = undefined;
}

async function listDevices() {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  fill(microphone, devices.filter(({ kind }) => kind === "audioinput"));
  fill(speaker, devices.filter(({ kind }) => kind === "audiooutput"));
}

/**
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} devices
 */
function fill(select, devices) {
  const chosen = select.value;
  const named = devices.filter(({ deviceId, label }) => label && deviceId !== "default");
  select.replaceChildren(new Option("Default", ""), ...named.map(({ deviceId, label }) => new Option(label, deviceId)));
  select.value = named.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}

function chooseAgent() {
  if (agent) phone.agent = agent.value;
  showSnippet();
}

async function chooseSpeaker() {
  // A speaker that cannot be used leaves the sound where it was.
  await sound.setSinkId(speaker.value).catch(() => (speaker.value = ""));
}

/** @param {any} event */
function showEvent({ detail }) {
  const list = /** @type {HTMLOListElement} */ (document.querySelector("#events"));
  const count = /** @type {HTMLElement} */ (document.querySelector("#count"));
  const { type, ...rest } = detail;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const name = document.createElement("b");
  name.textContent = type;
  const row = document.createElement("li");
  row.append(time, " ", name, " ", JSON.stringify(rest).slice(0, KEPT_CHARACTERS));
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(row);
  if (list.childElementCount > KEPT_EVENTS) list.firstElementChild?.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
  count.textContent = `(${list.childElementCount})`;
}

function showSnippet() {
  const script = new URL("offhook-call-define.js", import.meta.url);
  const named = phone.agent ? ` agent="${phone.agent}"` : "";
  const snippet = /** @type {HTMLElement} */ (document.querySelector("#snippet"));
  snippet.textContent = `<script type="module" src="${script}"></` + `script>\n<offhook-call${named}></offhook-call>`;
}
