/**
 * One call: its recording with both waveforms, and the transcript that follows it.
 * What the page shows without this script is all there is to read.
 */
import { Lanes } from "./lanes.js";
import { Sides } from "./sides.js";
import { Transcript } from "./transcript.js";

const STEP = 5;
const LEAP = 30;

const player = element("#player");
const audio = /** @type {HTMLAudioElement | null} */ (document.querySelector("#audio"));

if (audio) play(audio);

/** @param {HTMLAudioElement} audio */
function play(audio) {
  const offset = Number(player.dataset.offset);
  const lanes = new Lanes(element("#lanes"), { length: Number(player.dataset.length), offset });
  const list = /** @type {HTMLElement | null} */ (document.querySelector("#transcript"));
  const transcript = list && new Transcript(list);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const button = element("#play");
  /** @type {Element | null} */
  let lit = null;

  audio.hidden = true;
  for (const id of ["#controls", "#hint"]) element(id).hidden = false;
  drawWaves(lanes);

  audio.addEventListener("durationchange", measure);
  measure(); // it may be known by now
  for (const type of ["play", "pause", "ended"]) audio.addEventListener(type, changed);
  for (const type of ["timeupdate", "seeking"]) audio.addEventListener(type, show);
  audio.addEventListener("error", () => trouble("The recording cannot be played here: download it below."));
  lanes.addEventListener("seek", (event) => seek(/** @type {CustomEvent} */ (event).detail));
  transcript?.addEventListener("seek", (event) => seek(/** @type {CustomEvent} */ (event).detail / 1000 - offset));
  document.querySelector("#latency")?.addEventListener("click", ({ target }) => {
    const begin = transcript?.begin(/** @type {SVGElement} */ (target).dataset.entry);
    if (begin !== undefined) seek(begin / 1000 - offset);
  });
  button.addEventListener("click", toggle);
  element("#back").addEventListener("click", () => seek(audio.currentTime - STEP));
  element("#on").addEventListener("click", () => seek(audio.currentTime + STEP));
  element("#last-turn").addEventListener("click", () => turn(false));
  element("#next-turn").addEventListener("click", () => turn(true));
  element("#in").addEventListener("click", () => zoom(2));
  element("#out").addEventListener("click", () => zoom(0.5));
  const sides = new Sides(audio);
  element("#hear").addEventListener("change", ({ target }) => {
    sides.hear(/** @type {HTMLSelectElement} */ (target).value);
  });
  element("#speed").addEventListener("change", ({ target }) => {
    audio.playbackRate = Number(/** @type {HTMLSelectElement} */ (target).value);
  });
  document.addEventListener("keydown", press);

  function measure() {
    if (Number.isFinite(audio.duration)) lanes.end = audio.duration;
  }

  function toggle() {
    if (audio.paused) audio.play().catch(() => {});
    else audio.pause();
  }

  /** @param {number} seconds */
  function seek(seconds) {
    const end = Number.isFinite(audio.duration) ? audio.duration : Infinity;
    audio.currentTime = Math.min(Math.max(0, seconds), end);
    show();
  }

  /** @param {boolean} forward */
  function turn(forward) {
    const here = (audio.currentTime + offset) * 1000;
    seek((transcript?.turn(here, forward) ?? here) / 1000 - offset);
  }

  /** @param {number} factor */
  function zoom(factor) {
    const { least, most } = lanes.enlarge(factor);
    element("#out").toggleAttribute("disabled", least);
    element("#in").toggleAttribute("disabled", most);
  }

  function changed() {
    button.textContent = audio.paused ? "Play" : "Pause";
    show();
    if (!audio.paused && !still.matches) requestAnimationFrame(glide);
  }

  function glide() {
    lanes.show(audio.currentTime, true);
    if (!audio.paused) requestAnimationFrame(glide);
  }

  function show() {
    const here = (audio.currentTime + offset) * 1000;
    lanes.show(audio.currentTime, true);
    element("#place").textContent = clock(audio.currentTime + offset);
    const line = transcript?.show(here, true);
    const next = line ? document.querySelector(`#track [data-entry="${line.id.slice("entry-".length)}"]`) : null;
    if (next === lit) return;
    lit?.removeAttribute("data-current");
    next?.setAttribute("data-current", "");
    lit = next;
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.altKey || event.metaKey || target.closest("input, select, textarea, summary, pre")) return;
    const act = actions(target)[`${event.shiftKey ? "Shift+" : ""}${event.key}`];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /**
   * @param {HTMLElement} target
   * @returns {Record<string, (() => void) | undefined>}
   */
  function actions(target) {
    const here = audio.currentTime;
    const slides = target.closest("[role=slider]") !== null;
    return {
      " ": target.closest("button") ? undefined : toggle,
      ArrowLeft: () => seek(here - STEP),
      ArrowRight: () => seek(here + STEP),
      "Shift+ArrowLeft": () => turn(false),
      "Shift+ArrowRight": () => turn(true),
      ...(slides && {
        ArrowDown: () => seek(here - STEP),
        ArrowUp: () => seek(here + STEP),
        PageDown: () => seek(here - LEAP),
        PageUp: () => seek(here + LEAP),
        Home: () => seek(0),
        End: () => seek(Infinity),
      }),
    };
  }
}

/** @param {Lanes} lanes */
async function drawWaves(lanes) {
  if (!player.dataset.peaks) return;
  try {
    const response = await fetch(player.dataset.peaks);
    const { per_second: perSecond, caller, model } = await response.json();
    lanes.draw("caller", caller, perSecond);
    lanes.draw("model", model, perSecond);
  } catch {
    trouble("The waveforms could not be loaded. The recording can be played all the same.");
  }
}

/** @param {string} what */
function trouble(what) {
  const shown = element("#trouble");
  shown.textContent = what;
  shown.hidden = false;
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** @param {string} selector */
function element(selector) {
  return /** @type {HTMLElement} */ (document.querySelector(selector));
}
